public import ArgumentParser
public import CloudAPI

// Words of the API that are arguments of commands.

extension OrderType: ExpressibleByArgument {}
extension OrderSide: ExpressibleByArgument {}
extension SelfMatchMode: ExpressibleByArgument {}
