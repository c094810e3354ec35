import Fleet
import Foundation
import Primitives

/// What is kept of one machine: specification, record of the latest run, pid file, monitor socket, console.
struct MachineDirectory: Sendable {
    let path: String

    init(root: String, _ instance: InstanceID) { path = "\(root)/\(instance)" }

    static let socketName = "monitor.sock"
    var pidFile: String { path + "/qemu.pid" }
    var socket: String { path + "/" + Self.socketName }
    var console: String { path + "/console.log" }
    var olderConsole: String { path + "/console.old" }
    /// What QEMU said at its start.
    var complaints: String { path + "/qemu.log" }
    private var specFile: String { path + "/spec.json" }
    private var runFile: String { path + "/run.json" }
    private var moveFile: String { path + "/move.json" }
    private func preparedFile(_ ruling: MoveSight.Ruling) -> String { "\(path)/move-\(ruling.rawValue).json" }

    var exists: Bool { Files.exists(specFile) }

    func readSpec() -> MachineSpec? { decode(specFile) }
    func readRun() -> RunRecord? { decode(runFile) }

    func write(_ spec: MachineSpec) throws(Refusal) {
        try Files.makeDirectory(path)
        try encode(spec, specFile)
    }

    func write(_ run: RunRecord) throws(Refusal) { try encode(run, runFile) }
    func removeRun() throws(Refusal) { try Files.remove(runFile) }

    func readMove() -> MoveRecord? { decode(moveFile) }
    func removeMove() throws(Refusal) {
        for ruling in MoveSight.Ruling.allCases { try Files.remove(preparedFile(ruling)) }
        try Files.remove(moveFile)
    }

    /// What is laid down about a move outlives a power cut: what was said to another host by then must stay true.
    func write(_ move: MoveRecord) throws(Refusal) {
        try Files.makeDirectory(path)
        if let ruling = move.ruling, decode(preparedFile(ruling)) == move {
            try rename(preparedFile(ruling))
        } else {
            try encode(move, moveFile)
            try Files.flush(moveFile)
        }
        try Files.flush(path)
    }

    /// Writes what may have to be laid down of a move that begins. Nobody can wait for space then: a guest stands still until one of them
    /// is, and a file that is there takes another's place without any.
    func prepare(_ move: MoveRecord, _ rulings: [MoveSight.Ruling]) throws(Refusal) {
        try Files.makeDirectory(path)
        for ruling in rulings {
            var move = move
            move.ruling = ruling
            try encode(move, preparedFile(ruling))
            try Files.flush(preparedFile(ruling))
        }
    }

    private func rename(_ prepared: String) throws(Refusal) {
        do { try Files.rename(prepared, to: moveFile) } catch { throw Files.problem("write", moveFile, error) }
    }

    private func decode<T: Decodable>(_ file: String) -> T? {
        Files.read(file).flatMap { try? JSONDecoder().decode(T.self, from: Data($0)) }
    }

    private func encode(_ value: some Encodable, _ file: String) throws(Refusal) {
        do {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            try Files.write(Array(try encoder.encode(value)), to: file)
        } catch {
            throw Files.problem("write", file, error)
        }
    }

    /// The latest moment something of the run touched this directory. QEMU unlinks its pid file and socket when it ends in order,
    /// which the directory's own time tells; else the console and the disk were written last.
    func lastSignOfLife(disk: String?, notBefore started: Instant) -> Instant {
        let paths = [path, console] + (disk.map { [$0] } ?? [])
        let times = paths.compactMap { Files.status($0).map { Instant($0.st_mtim) } }
        return max(started, times.max() ?? started)
    }
}

/// One run of a machine: from exec to end.
struct RunRecord: Codable, Sendable, Hashable {
    var executed: Instant
    var accelerator: QEMUArguments.Accelerator
    /// Nil until QEMU has told its number.
    var process: ProcessIdentity?
    var ended: Instant?
    var cause: StopCause?

    /// The same process, in a run that began at `moment`.
    func begun(at moment: Instant) -> RunRecord { RunRecord(executed: moment, accelerator: accelerator, process: process) }
}
