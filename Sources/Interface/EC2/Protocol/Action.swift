/// The EC2 actions this cloud answers.
public enum Action: String, Sendable, CaseIterable {
    case describeRegions = "DescribeRegions"
    case describeAvailabilityZones = "DescribeAvailabilityZones"
    case describeImages = "DescribeImages"
    case describeInstanceTypes = "DescribeInstanceTypes"
    case createKeyPair = "CreateKeyPair"
    case importKeyPair = "ImportKeyPair"
    case describeKeyPairs = "DescribeKeyPairs"
    case deleteKeyPair = "DeleteKeyPair"
    case runInstances = "RunInstances"
    case describeInstances = "DescribeInstances"
    case describeInstanceStatus = "DescribeInstanceStatus"
    case startInstances = "StartInstances"
    case stopInstances = "StopInstances"
    case rebootInstances = "RebootInstances"
    case terminateInstances = "TerminateInstances"
    case getConsoleOutput = "GetConsoleOutput"
    case createVolume = "CreateVolume"
    case attachVolume = "AttachVolume"
    case detachVolume = "DetachVolume"
    case deleteVolume = "DeleteVolume"
    case describeVolumes = "DescribeVolumes"
    case modifyVolume = "ModifyVolume"
    case createTags = "CreateTags"
    case describeTags = "DescribeTags"
    case deleteTags = "DeleteTags"
}

/// A decoded request of one action.
public protocol ActionRequest: Sendable {
    associatedtype Response: ActionResponse
    static var action: Action { get }
    /// Takes its parameters. What it leaves is refused as unknown. `DryRun` has been taken already.
    init(_ parameters: inout ParameterReader) throws(EC2Error)
}

/// What is written between `<requestId>` and the end of the answer.
public protocol ActionResponse: Sendable {
    func write(to xml: inout XMLWriter)
}

/// `<return>true</return>`: the answer of actions that have nothing to tell.
public struct SuccessResponse: ActionResponse {
    public init() {}
    public func write(to xml: inout XMLWriter) { xml.boolean("return", true) }
}
