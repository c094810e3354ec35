import PKI
import Primitives
import Testing

struct NameAndTokenTests {
    @Test func urisRoundTrip() {
        let participant = ParticipantID(bits: 0xABC)
        for role in IdentityRole.allCases {
            let identity = PeerIdentity.program(exchange: "demo", participant: participant, role: role, id: "x-1")
            let uri = IdentityName.uri(for: identity)
            #expect(uri == "bourse://demo/\(participant)/\(role.rawValue)/x-1")
            #expect(IdentityName.parse(uri: uri) == .program(exchange: "demo", participant: participant, role: role, id: "x-1"))
            #expect(IdentityName.dns(for: identity) == "x-1.\(role.rawValue).demo.bourse")
        }
        let contract = ContractID(bits: 9)
        for side in ContractSide.allCases {
            #expect(
                IdentityName.parse(uri: "bourse://demo/contract/\(contract)/\(side.rawValue)")
                    == .contract(exchange: "demo", contract: contract, side: side))
        }
        let host = IdentityName.dns(contract: contract, exchange: "demo")
        #expect(host == "ctr-00000000000000009.contract.demo.bourse")
        #expect(IdentityName.contract(inDNS: host, exchange: "demo") == contract)
        for other in [
            "x.contract.demo.bourse", "ctr-00000000000000009.contract.other.bourse", "ctr-00000000000000009.manage.demo.bourse", "",
        ] {
            #expect(IdentityName.contract(inDNS: other, exchange: "demo") == nil)
        }
    }

    @Test(arguments: [
        "", "bourse://", "bourse:///par-00000000000000007/manage/x", "bourse://demo/par-00000000000000007/manage/",
        "bourse://demo/par-00000000000000007/manage/x/", "bourse://demo/par-00000000000000007/manage/x?y",
        "bourse://demo:1/par-00000000000000007/manage/x",
        "bourse://demo/par-7/manage/x", "bourse://demo/ctr-00000000000000007/manage/x", "bourse://demo/par-00000000000000007/Manage/x",
        "bourse://demo/par-00000000000000007/manage/a%2Fb", "BOURSE://demo/par-00000000000000007/manage/x",
        "bourse://de.mo/par-00000000000000007/manage/x",
        "bourse://demo/contract/ctr-00000000000000007/owner", "bourse://demo/contract/par-00000000000000007/buyer",
        "bourse://demo/contract/ctr-00000000000000007",
        " bourse://demo/par-00000000000000007/manage/x", "bourse://demo/par-00000000000000007/manage/x\n",
        "https://demo/par-00000000000000007/manage/x",
    ])
    func refusesURIs(uri: String) { #expect(IdentityName.parse(uri: uri) == nil) }

    @Test func tokenRoundTrip() throws {
        let laboratory = try Laboratory()
        let token = try laboratory.authority.makeEnrolmentToken()
        let read = try #require(EnrolmentToken(token.text))
        #expect(read.text == token.text && read.secretHash == token.secretHash && read.rootPin == token.rootPin)
        #expect(token.text.hasPrefix("bet_") && token.text.utf8.count == 4 + 43 + 1 + 16)
        #expect(!token.secretHash.contains(token.text.dropFirst(4).prefix(8)))
        #expect(
            !"\(token)".contains(token.text.dropFirst(4).prefix(8))
                && !String(reflecting: token).contains(token.text.dropFirst(4).prefix(8)))
        #expect(token.matches(hash: read.secretHash))
        let other = try laboratory.authority.makeEnrolmentToken()
        #expect(
            !token.matches(hash: other.secretHash) && !token.matches(hash: "") && !token.matches(hash: String(token.secretHash.dropLast())))
        #expect(token.pins(rootPEM: laboratory.authority.rootPEM))
        #expect(
            !token.pins(rootPEM: try Laboratory().authority.rootPEM) && !token.pins(rootPEM: "")
                && !token.pins(rootPEM: laboratory.authority.intermediatePEM))
    }

    @Test func refusesTokens() throws {
        let good = try Laboratory().authority.makeEnrolmentToken().text
        // The 43rd digit carries four bits of the secret and two that must be zero.
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var characters = Array(good)
        let last = try #require(alphabet.firstIndex(of: characters[46]))
        characters[46] = alphabet[last | 1]
        for bad in [
            "", "bet_", good + "0", String(good.dropLast()), "bxt_" + good.dropFirst(4), good.uppercased(), good + "\n", " " + good,
            good.replacing(".", with: "="), good.replacing(".", with: ".."), "bet_." + good.suffix(16), String(characters),
            String(repeating: "a", count: 500),
        ] {
            #expect(EnrolmentToken(bad) == nil, "\(bad)")
        }
    }
}
