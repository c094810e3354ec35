public import Primitives

/// GetConsoleOutput.
public struct GetConsoleOutput: ActionRequest {
    public static let action = Action.getConsoleOutput
    public let instance: InstanceID

    public init(_ parameters: inout ParameterReader) throws(EC2Error) {
        instance = try IdentifierErrors.instance.parse(try parameters.requiredString("InstanceId"), as: InstanceKind.self)
        // The output is always the latest here.
        _ = try parameters.boolean("Latest")
    }

    public struct Response: ActionResponse {
        public var instance: InstanceID
        public var at: Instant
        /// Base64.
        public var output: String

        public init(instance: InstanceID, at: Instant, output: String) {
            self.instance = instance
            self.at = at
            self.output = output
        }

        public func write(to xml: inout XMLWriter) {
            xml.text("instanceId", instance.description)
            xml.time("timestamp", at)
            xml.text("output", output)
        }
    }
}
