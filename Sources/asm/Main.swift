import ArgumentParser

@main
struct ASM: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "asm", abstract: "Secure messages.")
}
