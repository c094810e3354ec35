/// The places where a launch can be cut off, in the order it passes them.
enum FaultPoints {
    static let ofLaunch: [(program: String, point: String)] = []
}
