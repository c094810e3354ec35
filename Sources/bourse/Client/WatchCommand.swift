import ArgumentParser
import CloudAPI
import CloudClient
import Foundation
import Primitives

extension BookCommand {
    struct Watch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Watch the book of a series live, until Ctrl-C.",
            discussion: "In a terminal it draws the ladder; into a file or a pipe it writes a line for each thing that happens.")
        @Argument(help: "ser-…") var series: String
        @Flag(help: "Lines, even in a terminal.") var lines = false

        func run() async throws {
            let draws = !lines && Terminal.isInteractive
            try await Target.exchange.with { client in
                let view = WatchView(title: await title(client), draws: draws)
                try await explained {
                    do {
                        try await withThrowingTaskGroup(of: Void.self) { group in
                            group.addTask { try await follow(client, view) }
                            if draws { group.addTask { try await view.keepFitting() } }
                            try await group.next()
                        }
                    } catch {
                        await view.close()
                        throw error
                    }
                }
            }
        }

        /// The product's name, for those who may list series; the stream is open to everybody.
        private func title(_ client: CloudClient) async -> String {
            let all = try? await client.items(of: ExchangeAPI.listSeries)
            return all?.first { $0.id.description == series }.map { "\($0.productName) \($0.kind)" } ?? series
        }

        /// Reads the stream, and goes on where it broke off.
        private func follow(_ client: CloudClient, _ view: WatchView) async throws {
            var last: String?
            var pause = Duration.milliseconds(500)
            while true {
                do {
                    try await client.events(ExchangeAPI.streamSeries, path: ["series": series], after: last) { event, id in
                        if !id.isEmpty { last = id }
                        pause = .milliseconds(500)
                        await view.take(event)
                        return true
                    }
                    await view.lost("the stream ended")
                } catch let problem as ProblemDocument {
                    guard problem.status >= 500 || problem.status == 429 else { throw problem }
                    await view.lost(problem.detail)
                } catch let error as ClientError {
                    await view.lost(error.description)
                }
                try await Task.sleep(for: pause)
                pause = min(pause * 2, .seconds(10))
            }
        }
    }
}

/// Where events are shown: drawn in a terminal, or line by line.
private actor WatchView {
    private var screen: LadderScreen
    private let terminal: Terminal?

    init(title: String, draws: Bool) {
        screen = LadderScreen(title: title)
        terminal = draws ? Terminal() : nil
        terminal?.draw(screen)
    }

    func take(_ event: SeriesEvent) {
        screen.trouble = nil
        screen.take(event)
        guard let terminal else {
            // Not through `print`: whoever reads from a pipe sees each event as it comes.
            FileHandle.standardOutput.write(Data(lines(of: event).map { $0 + "\n" }.joined().utf8))
            return
        }
        terminal.draw(screen)
    }

    func lost(_ reason: String) {
        screen.trouble = "reconnecting: \(reason)"
        if let terminal { terminal.draw(screen) } else { FileHandle.standardError.write(Data("reconnecting: \(reason)\n".utf8)) }
    }

    /// Draws anew when the window has another size.
    func keepFitting() async throws {
        var size = Terminal.size
        while true {
            try await Task.sleep(for: .milliseconds(250))
            guard size != Terminal.size else { continue }
            size = Terminal.size
            terminal?.draw(screen)
        }
    }

    func close() { terminal?.close() }
}
