import CloudAPI
import CloudClient
import Foundation
import Primitives

/// What happened, told to somebody who sees this for the first time.
struct Story {
    let home: LocalHome
    let state: CloudState
    let took: Duration

    func tell() async throws {
        let builder = CloudBuilder(home: home, state: state)
        print("")
        if let machine = state.machine {
            let view = try await builder.using(.manage) {
                try await $0.call(ManageAPI.showInstance, path: ["instance": machine.description])
            }
            if let id = view.contract {
                tell(
                    try await builder.using(.exchange) { try await $0.call(ExchangeAPI.showContract, path: ["contract": id.description]) },
                    view)
            }
        }
        print("The programs (bourse status):")
        for program in LocalProgram.all(state, home) {
            print(
                "  \(program.name.padding(toLength: 10, withPad: " ", startingAt: 0))\(program.url)  pid \(program.pid.map(String.init) ?? "-")"
            )
        }
        print("  \("EC2 API".padding(toLength: 10, withPad: " ", startingAt: 0))\(state.ec2URL)")
        print("  Log in to the pages with the tokens of `bourse env`.\n")
        next()
        let seconds = Double(took.components.seconds) + Double(took.components.attoseconds) / 1e18
        print("Up in \(String(format: "%.1f", seconds)) s.")
    }

    private func tell(_ contract: ContractView, _ machine: ManagedInstanceView) {
        let price = Money(microUnits: contract.price, contract.currency)
        print(
            """
            What happened:
              \(contract.sellerName) offered capacity of its datacenter on the exchange.
              \(contract.buyerName)'s user alice asked for a machine of type \(machine.offering); \(contract.buyerName)'s manage bought \(counted(contract.lots, "lot")) of
              \(contract.productName) from \(contract.sellerName) at \(price) per lot-hour.
              Contract \(contract.id) runs until \(timeText(contract.period.end)) UTC\(contract.rolls ? " and rolls on, period by period, until either side stops it" : "").
              Each side pulled its own certificate of the contract from the exchange; with it, manage reached connect at
              \(contract.peerAddress). When the contract ends, the certificates end, and with them the connection.
              Machine \(machine.id) is \(machine.state.rawValue) on host \(machine.host ?? "?") in zone \(machine.zone ?? "?") at \(machine.address ?? "?").

            """)
        if let address = machine.address {
            print(
                "  ssh \(SSH.arguments(key: home.demoKey, address: address).prefix(6).joined(separator: " ")) root@\(address) cat /root/hello.txt\n"
            )
        }
    }

    private func next() {
        print(
            """
            Try next:
              eval "$(bin/bourse env)"
              aws --endpoint-url $BOURSE_EC2_URL ec2 describe-instances
              bin/bourse instance launch --image bourse-guest --type t2.nano --key demo
              bin/bourse contract list        who bought what, at what price
              bin/bourse ledger accounts      the ledger; it sums to zero
              bin/bourse down                 stop everything; `bourse up` finds it again

            """)
    }
}
