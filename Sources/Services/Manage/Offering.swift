package import CloudAPI
package import Primitives

/// An instance type: a name users know and what it holds.
package struct Offering: Sendable, Hashable {
    package var name: String
    package var resources: Resources
    /// A whole host.
    package var isMetal = false

    package init(_ name: String, milliCPU: Int64, memoryMiB: Int64, diskGiB: Int64) {
        self.name = name
        self.resources = Resources(milliCPU: milliCPU, memoryMiB: memoryMiB, diskMiB: diskGiB * 1_024)
    }

    /// A whole host, under the name of its unit class.
    package init(wholeHost product: ProductDefinition) {
        (name, resources, isMetal) = (product.unitClass, product.lot, true)
    }

    /// A launch's terms with what a whole host is; refuses what it cannot be.
    func wholeHost(_ wanted: PlacementTerms?) throws(Refusal) -> PlacementTerms {
        var terms = wanted ?? PlacementTerms()
        guard terms.kind != .virtual else {
            throw Refusal(
                "launch.kind", .invalid, "\(name) is a whole host, and the request asks for a virtual one.",
                facts: ["offering": .text(name)],
                nearest: "the same without a kind, or an instance type of virtual machines")
        }
        guard terms.gpu == nil else {
            let gpus = resources.milliGPU / 1_000
            throw Refusal(
                "launch.gpu", .invalid, "\(name) has the GPUs of its host, \(gpus) of them, and no others.",
                facts: ["offering": .text(name), "gpus": .number(gpus)], nearest: "the same without GPU terms")
        }
        terms.kind = .metal
        return terms
    }

    /// EC2's names for the sizes that fit the unit classes `general` (1 vCPU, 4 GiB, 20 GiB), `compute` (1, 2, 20) and `memory` (1, 8, 20).
    package static let catalogue = [
        Offering("t2.nano", milliCPU: 1_000, memoryMiB: 512, diskGiB: 8),
        Offering("t2.micro", milliCPU: 1_000, memoryMiB: 1_024, diskGiB: 8),
        Offering("m1.small", milliCPU: 1_000, memoryMiB: 1_740, diskGiB: 16),
        Offering("t2.small", milliCPU: 1_000, memoryMiB: 2_048, diskGiB: 16),
        Offering("m3.medium", milliCPU: 1_000, memoryMiB: 3_840, diskGiB: 20),
        Offering("t2.medium", milliCPU: 2_000, memoryMiB: 4_096, diskGiB: 20),
        Offering("c5.large", milliCPU: 2_000, memoryMiB: 4_096, diskGiB: 40),
        Offering("m5.large", milliCPU: 2_000, memoryMiB: 8_192, diskGiB: 40),
        Offering("r5.large", milliCPU: 2_000, memoryMiB: 16_384, diskGiB: 40),
        Offering("c5.xlarge", milliCPU: 4_000, memoryMiB: 8_192, diskGiB: 80),
        Offering("m5.xlarge", milliCPU: 4_000, memoryMiB: 16_384, diskGiB: 80),
        Offering("r5.xlarge", milliCPU: 4_000, memoryMiB: 32_768, diskGiB: 80),
    ]
}
