import CloudAPI
import EC2
import Primitives
import ServiceKit
import Store
import Tenancy

extension ManageCore {
    /// DescribeRegions, DescribeAvailabilityZones, DescribeImages, DescribeInstanceTypes.
    func addCatalogueActions(to registry: inout ActionRegistry<EC2Caller>) {
        registry.on(DescribeRegions.self, check: mayView) { request, caller in
            let regions = try await regions().map { RegionDescription(name: $0, endpoint: caller.endpoint) }
            for name in request.names where !regions.contains(where: { $0.name == name }) {
                throw EC2Error(
                    .invalidParameterValue, "Invalid region '\(name)' specified; there are: \(regions.map(\.name).joined(separator: ", "))."
                )
            }
            return .init(regions: regions.filter { request.names.isEmpty || request.names.contains($0.name) }.filter(request.filter))
        }
        registry.on(DescribeAvailabilityZones.self, check: mayView) { request, _ in
            let region = configuration.region
            let zones = try await zones().map { AvailabilityZoneDescription(name: $0, identifier: $0, region: region) }
            let wanted = request.names + request.identifiers
            for name in wanted where !zones.contains(where: { $0.name == name }) {
                throw EC2Error(
                    .invalidParameterValue, "Invalid availability zone: [\(name)]; there are: \(zones.map(\.name).joined(separator: ", "))."
                )
            }
            return .init(zones: zones.filter { wanted.isEmpty || wanted.contains($0.name) }.filter(request.filter))
        }
        registry.on(DescribeImages.self, check: mayView) { request, _ in
            let all = try await imageDescriptions()
            let missing = request.images.filter { id in !all.contains { $0.id == id } }
            guard missing.isEmpty else { throw IdentifierErrors.image.notFound(missing.map(\.description)) }
            let chosen = all.filter { request.images.isEmpty || request.images.contains($0.id) }
                .filter { request.owners.isEmpty || request.owners.contains($0.owner) }
            let page = request.paging.page(of: chosen.filter(request.filter), position: \.position)
            return .init(images: page.items, nextToken: page.nextToken)
        }
        registry.on(DescribeInstanceTypes.self, check: mayView) { request, _ in
            let offerings = try await database.read { [self] in try self.offerings(in: $0) }
            for name in request.names where !offerings.contains(where: { $0.name == name }) {
                throw EC2Error(.invalidInstanceType, "The following supplied instance types do not exist: [\(name)]")
            }
            let types = offerings.filter { request.names.isEmpty || request.names.contains($0.name) }
                .map { InstanceTypeDescription(name: $0.name, resources: $0.resources, isMetal: $0.isMetal) }
                .sorted { $0.position < $1.position }
            let page = request.paging.page(of: types.filter(request.filter), position: \.position)
            return .init(types: page.items, nextToken: page.nextToken)
        }
    }

    func mayView(_ request: some ActionRequest, _ caller: EC2Caller) throws { try caller.user.authorize(.viewInstances) }

    /// The region this API speaks for, and those of other datacenters on the exchange.
    private func regions() async throws -> [String] {
        let own = configuration.region
        return try await database.read { Set(try SiteRecords.datacenters(in: $0).map(\.region) + [own]).sorted() }
    }

    private func zones() async throws -> [String] {
        let region = configuration.region
        return try await database.read { Set(try SiteRecords.datacenters(in: $0).filter { $0.region == region }.flatMap(\.zones)).sorted() }
    }

    private func imageDescriptions() async throws -> [ImageDescription] {
        try await database.read { context in
            let owners = Dictionary(
                try SiteRecords.datacenters(in: context).map { ($0.id, $0.owner) }, uniquingKeysWith: { first, _ in first })
            var images: [ImageDescription] = []
            for (image, datacenter) in try SiteRecords.images(in: context) where images.last?.id != image.id {
                images.append(
                    ImageDescription(
                        id: image.id, name: image.name, description: image.description, architecture: image.architecture,
                        owner: owners[datacenter]?.description ?? datacenter.description, sizeMiB: image.virtualSizeMiB,
                        created: image.created))
            }
            return images
        }
    }
}
