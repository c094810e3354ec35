import Foundation
import Synchronization

/// A PostgreSQL server of this test process: Debian's 15, as an ordinary user, on a private Unix socket, without TCP.
///
/// Started when first asked for, one for all tests. A small shell process guards it: it ends the server and removes its files when
/// this process is gone, however it went. What a killed guard left behind is removed at the next start.
public final class PostgresServer: Sendable {
    /// The server, or why there is none.
    public static func shared() throws -> PostgresServer { try start.get() }

    private static let start = Result { try PostgresServer() }
    private static let programs = "/usr/lib/postgresql/15/bin"

    /// Where the socket is.
    public let directory: String
    /// The guard ends the server when the other end of this pipe closes, which the kernel does with this process.
    private let leash: FileHandle
    private let lastDatabase = Atomic<Int>(0)

    private init() throws {
        directory = "/tmp/bourse-pg-\(getpid())"
        let (input, output) = (Pipe(), Pipe())
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", PostgresServer.script, "guard", directory, PostgresServer.programs]
        process.currentDirectoryURL = URL(fileURLWithPath: "/")
        process.standardInput = input
        process.standardOutput = output
        // Children of this process that outlive it must not hold the leash.
        _ = fcntl(input.fileHandleForWriting.fileDescriptor, F_SETFD, FD_CLOEXEC)
        leash = input.fileHandleForWriting
        try process.run()
        let answer = String(decoding: next(of: output), as: UTF8.self)
        guard answer.hasPrefix("ready") else {
            throw CommandFailed(command: "start PostgreSQL 15 (package postgresql-15)", status: 1, output: answer)
        }
    }

    /// Runs SQL as the superuser with `psql`, outside of any transaction, and returns its unadorned output.
    @discardableResult
    public func run(_ sql: String, database: String = "postgres") async throws -> String {
        let connection = ["-h", directory, "-U", "postgres", "-d", database]
        return try await runCommand(["\(PostgresServer.programs)/psql", "-XqAt", "-v", "ON_ERROR_STOP=1"] + connection + ["-c", sql])
    }

    /// Creates an empty database with a new name, in a tablespace when one is given.
    public func createDatabase(tablespace: String? = nil) async throws -> String {
        let name = "test\(lastDatabase.add(1, ordering: .relaxed).newValue)"
        try await run("CREATE DATABASE \(name)" + (tablespace.map { " TABLESPACE \($0)" } ?? ""))
        return name
    }

    public func dropDatabase(_ name: String) async throws { try await run("DROP DATABASE IF EXISTS \(name) WITH (FORCE)") }

    /// The URL of a database on this server.
    public func url(of database: String) -> String { "postgresql:///\(database)?host=\(directory)&user=postgres" }

    /// The guard. `synchronous_standby_names` names nobody, so that a test can make a commit hang by asking for
    /// `synchronous_commit = on`; all others commit locally.
    private static let script = #"""
        directory=$1 programs=$2
        trap '' INT TERM HUP
        exec 2>&1
        if [ "$(id -u)" = 0 ]; then ordinary="setpriv --reuid=postgres --regid=postgres --clear-groups"; else ordinary=""; fi

        for old in /tmp/bourse-pg-*; do
            owner=${old##*-}
            [ -d "$old" ] && [ "$old" != "$directory" ] && ! kill -0 "$owner" 2>/dev/null || continue
            guard=$(cat "$old/guard" 2>/dev/null) && kill -0 "$guard" 2>/dev/null && continue
            server=$(head -1 "$old/data/postmaster.pid" 2>/dev/null)
            [ -n "$server" ] && grep -qF "$old/data" "/proc/$server/cmdline" 2>/dev/null && kill -QUIT "$server" && sleep 0.5
            rm -rf "$old"
        done

        rm -rf "$directory" && mkdir -m 700 "$directory" || exit 1
        echo $$ > "$directory/guard"
        [ -z "$ordinary" ] || chown postgres "$directory"
        $ordinary "$programs/initdb" -D "$directory/data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
            > "$directory/initdb.log" 2>&1 \
            || { echo "initdb: $(tail -3 "$directory/initdb.log")"; rm -rf "$directory"; exit 1; }
        ( exec $ordinary "$programs/postgres" -D "$directory/data" -k "$directory" -c listen_addresses= -c fsync=off -c max_connections=1500 \
            -c shared_buffers=32MB -c synchronous_standby_names=nobody -c synchronous_commit=local -c autovacuum=off \
            < /dev/null > "$directory/log" 2>&1 ) &
        server=$!
        tries=0
        until "$programs/pg_isready" -q -h "$directory"; do
            tries=$((tries + 1))
            if [ $tries -gt 2400 ] || ! kill -0 $server 2>/dev/null; then
                echo "postgres: $(tail -3 "$directory/log")"
                kill -QUIT $server; rm -rf "$directory"; exit 1
            fi
            sleep 0.05
        done
        echo ready
        exec > /dev/null 2>&1
        read -r _
        kill -QUIT $server
        wait $server
        rm -rf "$directory"
        """#
}
