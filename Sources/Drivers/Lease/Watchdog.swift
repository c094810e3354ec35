import Glibc
public import Primitives
import Synchronization

/// The seam to what resets a host whose node hangs: without it nobody could tell a node that hangs, with guests that run on, from a host
/// that is off. Real: `DeviceWatchdog`. Simulated: `SimulatedWatchdog`.
public protocol Watchdog: Sendable {
    /// From now on the host is reset when it is not patted for so long.
    func arm(_ timeout: Span) throws(Refusal)
    func pat() throws(Refusal)
    /// Nothing is reset any more.
    func disarm() throws(Refusal)
}

/// A watchdog of the kernel (`/dev/watchdog`, Documentation/watchdog/watchdog-api.rst): hardware, or `softdog`. A process that ends
/// without disarming leaves it counting.
public final class DeviceWatchdog: Watchdog {
    private let path: String
    private let file = Mutex<Int32>(-1)

    public init(path: String) { self.path = path }

    deinit { file.withLock { if $0 >= 0 { close($0) } } }

    public func arm(_ timeout: Span) throws(Refusal) {
        try file.withLock { (file: inout Int32) throws(Refusal) in
            if file < 0 { file = open(path, O_WRONLY | O_CLOEXEC) }
            guard file >= 0 else { throw problem("open") }
            var seconds = Int32(clamping: max(1, timeout.seconds))
            guard ioctl(file, Self.setTimeout, &seconds) == 0, Int64(seconds) <= max(1, timeout.seconds) else {
                let refusal = problem("set the timeout of")
                disarm(&file)
                throw refusal
            }
        }
    }

    public func pat() throws(Refusal) {
        try file.withLock { (file: inout Int32) throws(Refusal) in
            guard file >= 0, Glibc.write(file, "\0", 1) == 1 else { throw problem("pat") }
        }
    }

    public func disarm() throws(Refusal) {
        file.withLock { disarm(&$0) }
    }

    /// The "magic close".
    private func disarm(_ file: inout Int32) {
        guard file >= 0 else { return }
        _ = Glibc.write(file, "V", 1)
        close(file)
        file = -1
    }

    /// WDIOC_SETTIMEOUT of linux/watchdog.h: _IOWR('W', 6, int).
    private static let setTimeout: UInt = 0xC004_5706

    private func problem(_ verb: String) -> Refusal {
        Refusal(
            "watchdog.device", .unavailable, "could not \(verb) the watchdog \(path): \(String(cString: strerror(errno)))",
            facts: ["path": .text(path)], nearest: "modprobe softdog, or a hardware watchdog")
    }
}

/// A watchdog that notes what would have been reset.
public final class SimulatedWatchdog: Watchdog {
    private struct State {
        var isArmed = false
        var pats = 0
        var isBroken = false
    }

    private let state = Mutex(State())

    public init() {}

    public var isArmed: Bool { state.withLock { $0.isArmed } }
    public var pats: Int { state.withLock { $0.pats } }
    public func breakDown() { state.withLock { $0.isBroken = true } }

    public func arm(_ timeout: Span) throws(Refusal) { try touch { $0.isArmed = true } }
    public func pat() throws(Refusal) { try touch { $0.pats += 1 } }
    public func disarm() throws(Refusal) { try touch { $0.isArmed = false } }

    private func touch(_ body: (inout State) -> Void) throws(Refusal) {
        let isBroken = state.withLock { state in
            if !state.isBroken { body(&state) }
            return state.isBroken
        }
        if isBroken { throw Refusal("watchdog.device", .unavailable, "The watchdog is broken, as simulated.", facts: [:]) }
    }
}
