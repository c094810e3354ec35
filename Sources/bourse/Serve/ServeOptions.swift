import ArgumentParser
import Foundation
import Logging

/// What every program takes.
struct ServeOptions: ParsableArguments {
    @Option(help: "Folder for everything this program keeps.") var data: String
    @Option(help: "Database: sqlite:/path or postgres://…; SQLite under --data when absent.") var database: String?
    @Option(help: "Address to listen on.") var host = "127.0.0.1"
    @Option(help: "Name or address under which others reach it, when that is not --host; goes into its certificate.")
    var publicName: String?
    @Option(help: "Token of the operator, for the API and the web page; BOURSE_OPERATOR_TOKEN when absent, which `ps` does not show.")
    var operatorToken: String?
    @Option(help: "One-time enrolment token, needed at the first start only; BOURSE_ENROLMENT_TOKEN when absent.")
    var enrolmentToken: String?
    @Option(help: "trace, debug, info, notice, warning or error") var log = "info"

    var operatorSecret: String? { operatorToken ?? Self.environment("BOURSE_OPERATOR_TOKEN") }
    var enrolmentSecret: String? { enrolmentToken ?? Self.environment("BOURSE_ENROLMENT_TOKEN") }

    private static func environment(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }

    func databaseURL(_ program: String) -> String { database ?? "sqlite:\(data)/\(program).db" }

    /// Creates the data folder, readable by its owner only, and gives the program's logger.
    func prepare(_ program: String) throws -> Logger {
        // A closed terminal must not end a program.
        signal(SIGHUP, SIG_IGN)
        try FileManager.default.createDirectory(atPath: data, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        guard let level = Logger.Level(rawValue: log) else { throw ValidationError("'\(log)' is not a log level.") }
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        return Logger(label: program)
    }
}
