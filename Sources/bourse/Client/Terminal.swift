import Foundation

/// The terminal as a screen of its own, which leaves everything as it was, whatever ends the program.
struct Terminal {
    struct Size: Equatable {
        var width: Int
        var height: Int
    }

    /// Output goes to a terminal that can be drawn on.
    static var isInteractive: Bool {
        isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"].map { $0 != "dumb" && !$0.isEmpty } ?? false
    }

    static var size: Size {
        var window = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &window) == 0, window.ws_col > 0, window.ws_row > 0 else {
            return Size(width: 80, height: 24)
        }
        return Size(width: Int(window.ws_col), height: Int(window.ws_row))
    }

    /// Takes the screen.
    init() {
        Self.enter()
        for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, leaveAndEnd) }
        signal(SIGTSTP, leaveAndStop)
        signal(SIGCONT, comeBack)
    }

    /// Gives it back.
    func close() {
        Self.leave()
        for number in [SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGCONT] { signal(number, SIG_DFL) }
    }

    func draw(_ screen: LadderScreen) {
        let size = Self.size
        let lines = screen.lines(width: size.width, height: size.height).prefix(size.height)
        // Home; each line over the old one and the rest of it erased; then what is below.
        let text = "\u{1b}[H" + lines.map { $0 + "\u{1b}[K" }.joined(separator: "\r\n") + "\u{1b}[J"
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// The alternate screen, without a cursor. Safe in a signal handler, as `leave` is.
    fileprivate static func enter() { send("\u{1b}[?1049h\u{1b}[?25l\u{1b}[2J\u{1b}[H") }
    fileprivate static func leave() { send("\u{1b}[0m\u{1b}[?25h\u{1b}[?1049l") }

    private static func send(_ text: StaticString) { _ = write(STDOUT_FILENO, text.utf8Start, text.utf8CodeUnitCount) }
}

private func leaveAndEnd(_ number: Int32) {
    Terminal.leave()
    _exit(128 + number)
}

/// Ctrl-Z: the terminal is the shell's until the program goes on.
private func leaveAndStop(_ number: Int32) {
    Terminal.leave()
    signal(number, SIG_DFL)
    kill(getpid(), number)
}

private func comeBack(_ number: Int32) {
    Terminal.enter()
    signal(SIGTSTP, leaveAndStop)
}
