@main struct Bourse { static func main() { print("bourse") } }
