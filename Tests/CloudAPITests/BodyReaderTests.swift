import CloudAPI
import Foundation
import Primitives
import Testing

/// What is wrong with a body is said with the field and with what would do.
@Suite struct BodyReaderTests {
    enum Colour: String, Codable, Sendable, CaseIterable { case red, green, darkBlue = "dark-blue" }

    struct Inner: Codable, Sendable { var size: Int64 }

    struct Outer: Codable, Sendable {
        var name: String
        var colour: Colour
        var count: Int64?
        var flag: Bool?
        var inner: Inner?
        var list: [Inner]?
        var map: [String: Inner]?
        var order: OrderID?
        var at: Instant?
    }

    private func refusal(_ json: String, tolerant: Bool = false) -> Refusal? {
        do throws(Refusal) {
            _ = try BodyReader.read(Outer.self, from: Data(json.utf8), toleratesUnknown: tolerant)
            return nil
        } catch {
            return error
        }
    }

    struct Wrong: Sendable {
        var members: String
        var says: String
        var nearest: String
        init(_ members: String, _ says: String, _ nearest: String) { (self.members, self.says, self.nearest) = (members, says, nearest) }
    }

    @Test(arguments: [
        Wrong(#""count":1.5"#, "the field 'count' is 1.5, which is not a whole number", "2"),
        Wrong(#""count":1e30"#, "beyond the whole numbers of 64 bits", "9223372036854775807"),
        Wrong(#""count":"7""#, "the field 'count' is not a whole number", "a whole number"),
        Wrong(#""flag":1"#, "the field 'flag' is not true or false", "true or false"),
        Wrong(#""inner":{}"#, "the field 'inner.size' is missing", "the same with size: a whole number"),
        Wrong(#""inner":{"size":null}"#, "the field 'inner.size' is null", "a whole number"),
        Wrong(#""inner":7"#, "the field 'inner' is not an object", "an object with size"),
        Wrong(#""list":[{"size":1},{"size":1.25}]"#, "the field 'list.1.size' is 1.25", "1"),
        Wrong(#""map":{"a":{"size":[]}}"#, "the field 'map.a.size' is not a whole number", "a whole number"),
        Wrong(#""order":"trd-1""#, "the field 'order' has a value that is not allowed: 'trd-1'", "such as ord-0"),
        Wrong(#""at":"yesterday""#, "the field 'at' has a value that is not allowed", "such as 2027-"),
        Wrong(#""colr":"red""#, "There is no field 'colr'", "one of: colour, "),
        Wrong(#""inner":{"size":1,"sise":2}"#, "There is no field 'inner.sise'", "size"),
        Wrong(#""list":[{"size":1,"unit":"m"}]"#, "There is no field 'list.0.unit'", "size"),
        Wrong(#""naïve":1"#, "There is no field 'naïve'", "name"),
    ])
    func theFieldAndWhatWouldDoAreNamed(_ wrong: Wrong) {
        let refusal = refusal(#"{"name":"a","colour":"red",\#(wrong.members)}"#)
        #expect(refusal?.message.contains(wrong.says) == true, "\(String(describing: refusal))")
        #expect(refusal?.nearest?.contains(wrong.nearest) == true, "\(String(describing: refusal))")
    }

    @Test func theValuesOfAnEnumAreListed() {
        let wrong = refusal(#"{"name":"a","colour":"grean"}"#)
        #expect(wrong?.message == "The request cannot be read: the field 'colour' is 'grean', which is none of its values.")
        #expect(wrong?.nearest == "one of: green, red, dark-blue")
        #expect(wrong?.facts["field"] == "colour")
    }

    @Test func whatIsRightIsRead() {
        #expect(refusal(#"{"name":"a","colour":"red"}"#) == nil)
        #expect(refusal(#"{"name":"é\n","colour":"dark-blue","count":null,"map":{"ü":{"size":1}}}"#) == nil)
        #expect(refusal(#"{"name":"a","colour":"red","map":{"any":{"size":1},"name":{"size":2}},"list":[]}"#) == nil)
        #expect(refusal(#"{"name":"a","colour":"red","at":"2027-01-01T00:00:00.5Z","order":"ord-00af31c2299d04be1"}"#) == nil)
    }

    @Test func whatIsNewerIsToleratedWhereItMayBe() {
        #expect(refusal(#"{"name":"a","colour":"red","new":{"deep":[1.5]}}"#)?.rule == "request.unknown-field")
        #expect(refusal(#"{"name":"a","colour":"red","new":{"deep":[1.5]}}"#, tolerant: true) == nil)
        #expect(refusal(#"{"name":"a","colour":"red","new":1}"#, tolerant: true) == nil)
        #expect(refusal(#"{"name":"a","colour":"pink","new":1}"#, tolerant: true)?.rule == "request.body")
    }

    @Test func whatIsNoJSONIsSaidToBeNone() {
        for text in ["{", "nothing", "{\"name\":}"] {
            let refusal = refusal(text)
            #expect(refusal?.message.hasPrefix("The request cannot be read: the body is not valid JSON") == true)
            #expect(refusal?.nearest != nil)
        }
    }

    @Test func onlyProgramsAreToleratedToBeNewer() {
        #expect(ConnectAPI.hello.toleratesNewFields && ConnectAPI.report.toleratesNewFields && ConnectAPI.enrolNode.toleratesNewFields)
        #expect(!ConnectAPI.createInstance.toleratesNewFields && !ConnectAPI.putPod.toleratesNewFields)
        #expect(!ConnectAPI.actOnInstance.toleratesNewFields)
    }
}
