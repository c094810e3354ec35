/// Connect's operations, in three planes: the operator's (public listener, bearer token), the buyer's (peer listener,
/// contract certificate) and the node's (peer listener, identity certificate of a node of the same datacenter).
public enum ConnectAPI {}
