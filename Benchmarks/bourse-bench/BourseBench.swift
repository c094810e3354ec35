@main struct BourseBench { static func main() { print("bench") } }
