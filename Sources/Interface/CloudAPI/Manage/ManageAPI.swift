public import Primitives

/// Manage's own JSON API, beside the EC2 API on its own listener.
public enum ManageAPI {}

public struct CreateAccount: Codable, Sendable {
    public var name: String
    /// The account above it; absent for a company.
    public var parent: AccountID?
    public var currency: Currency
    /// Highest price sourcing may pay, micro-units per lot-hour.
    public var priceCap: Int64
    /// Most vCPU (thousandths) the account's instances may have together; absent: no limit of its own.
    public var quotaMilliCPU: Int64?
    /// Most MiB the account's volumes may have together; absent: no limit of its own.
    public var quotaVolumeMiB: Int64?
    public init(
        name: String, parent: AccountID? = nil, currency: Currency, priceCap: Int64, quotaMilliCPU: Int64? = nil,
        quotaVolumeMiB: Int64? = nil
    ) {
        self.name = name
        self.parent = parent
        self.currency = currency
        self.priceCap = priceCap
        self.quotaMilliCPU = quotaMilliCPU
        self.quotaVolumeMiB = quotaVolumeMiB
    }
}

public struct UpdateAccount: Codable, Sendable {
    public var priceCap: Int64?
    public var quotaMilliCPU: Int64?
    public var quotaVolumeMiB: Int64?
    public init(priceCap: Int64? = nil, quotaMilliCPU: Int64? = nil, quotaVolumeMiB: Int64? = nil) {
        self.priceCap = priceCap
        self.quotaMilliCPU = quotaMilliCPU
        self.quotaVolumeMiB = quotaVolumeMiB
    }
}

public struct AccountView: Codable, Sendable {
    public var id: AccountID
    public var name: String
    public var parent: AccountID?
    public var currency: Currency
    public var priceCap: Int64
    public var quotaMilliCPU: Int64?
    public var quotaVolumeMiB: Int64?
    public var created: Instant
    public init(
        id: AccountID, name: String, parent: AccountID?, currency: Currency, priceCap: Int64, quotaMilliCPU: Int64?,
        quotaVolumeMiB: Int64? = nil, created: Instant
    ) {
        self.id = id
        self.name = name
        self.parent = parent
        self.currency = currency
        self.priceCap = priceCap
        self.quotaMilliCPU = quotaMilliCPU
        self.quotaVolumeMiB = quotaVolumeMiB
        self.created = created
    }
}

/// Technical rights (run machines) and commercial rights (spend, see prices) are apart.
public enum UserRight: String, Codable, Sendable, CaseIterable { case technical, commercial, administration }

public struct CreateUser: Codable, Sendable {
    public var name: String
    public var rights: [UserRight]
    public init(name: String, rights: [UserRight]) {
        self.name = name
        self.rights = rights
    }
}

public struct UserView: Codable, Sendable {
    public var id: UserID
    public var account: AccountID
    public var name: String
    public var rights: [UserRight]
    public var created: Instant
    public init(id: UserID, account: AccountID, name: String, rights: [UserRight], created: Instant) {
        self.id = id
        self.account = account
        self.name = name
        self.rights = rights
        self.created = created
    }
}

/// An access key for the EC2 API. The secret is shown once.
public struct AccessKeyView: Codable, Sendable {
    public var accessKey: String
    public var secretKey: String
    public init(accessKey: String, secretKey: String) {
        self.accessKey = accessKey
        self.secretKey = secretKey
    }
}

/// An instance type as users see it.
public struct OfferingView: Codable, Sendable {
    public var name: String
    public var resources: Resources
    /// What one hour costs at the cheapest price known now; absent when nothing is on offer.
    public var hourly: Money?
    public init(name: String, resources: Resources, hourly: Money?) {
        self.name = name
        self.resources = resources
        self.hourly = hourly
    }
}

/// An instance as its owner sees it.
public struct ManagedInstanceView: Codable, Sendable {
    public var id: InstanceID
    public var name: String?
    public var account: AccountID
    public var offering: String
    public var image: ImageID
    public var state: InstanceState
    public var reason: StateReason?
    /// What manage is doing for it now, e.g. `sourcing`, `creating`; absent when connect has it.
    public var step: String?
    public var contract: ContractID?
    public var seller: String?
    public var datacenter: String?
    public var zone: String?
    public var host: String?
    public var address: String?
    public var accepted: Instant
    public var executed: Instant?
    /// When it makes room for a firm one; absent when it need not.
    public var interruption: Instant?
    /// Rated so far.
    public var charged: Money
    public init(
        id: InstanceID, name: String?, account: AccountID, offering: String, image: ImageID, state: InstanceState, reason: StateReason?,
        step: String?, contract: ContractID?, seller: String?, datacenter: String?, zone: String?, host: String?, address: String?,
        accepted: Instant, executed: Instant?, interruption: Instant? = nil,
        charged: Money
    ) {
        self.id = id
        self.name = name
        self.account = account
        self.offering = offering
        self.image = image
        self.state = state
        self.reason = reason
        self.step = step
        self.contract = contract
        self.seller = seller
        self.datacenter = datacenter
        self.zone = zone
        self.host = host
        self.address = address
        self.accepted = accepted
        self.executed = executed
        self.interruption = interruption
        self.charged = charged
    }
}

/// Launch instances; the same operation as EC2's RunInstances.
public struct LaunchInstances: Codable, Sendable {
    public var image: ImageID
    public var offering: String
    public var count: Int64?
    public var keyName: String?
    /// Base64.
    public var userData: String?
    public var name: String?
    /// Passed on to the seller; groups are the account's own.
    public var placement: PlacementTerms?
    /// One of the account's own, which its machines are on.
    public var network: NetworkID?
    public init(
        image: ImageID, offering: String, count: Int64? = nil, keyName: String? = nil, userData: String? = nil, name: String? = nil,
        placement: PlacementTerms? = nil, network: NetworkID? = nil
    ) {
        self.image = image
        self.offering = offering
        self.count = count
        self.keyName = keyName
        self.userData = userData
        self.name = name
        self.placement = placement
        self.network = network
    }
}

public struct ImportKey: Codable, Sendable {
    public var name: String
    public var publicKey: String
    public init(name: String, publicKey: String) {
        self.name = name
        self.publicKey = publicKey
    }
}

public struct KeyView: Codable, Sendable {
    public var id: KeyPairID
    public var name: String
    public var fingerprint: String
    public init(id: KeyPairID, name: String, fingerprint: String) {
        self.id = id
        self.name = name
        self.fingerprint = fingerprint
    }
}

/// What an account was charged for one instance under one contract.
public struct ChargeView: Codable, Sendable {
    public var id: ChargeID
    public var account: AccountID
    public var instance: InstanceID
    public var contract: ContractID
    public var period: Period
    public var amount: Money
    public init(id: ChargeID, account: AccountID, instance: InstanceID, contract: ContractID, period: Period, amount: Money) {
        self.id = id
        self.account = account
        self.instance = instance
        self.contract = contract
        self.period = period
        self.amount = amount
    }
}

extension ManageAPI {
    static let readers: Set<Caller> = [.operator, .user]

    public static let createAccount = Endpoint(
        "createAccount", .post, "/v1/accounts", "Open an account.", access: [.operator], success: 201, request: CreateAccount.self,
        response: AccountView.self)
    public static let listAccounts = Endpoint(
        "listAccounts", .get, "/v1/accounts", "Accounts.", access: readers, query: QueryParameter.paging, request: Empty.self,
        response: Page<AccountView>.self)
    public static let updateAccount = Endpoint(
        "updateAccount", .put, "/v1/accounts/{account}", "Change an account's price cap or quota.", access: [.operator],
        request: UpdateAccount.self, response: AccountView.self)
    public static let createUser = Endpoint(
        "createUser", .post, "/v1/accounts/{account}/users", "Add a user.", access: [.operator], success: 201, request: CreateUser.self,
        response: UserView.self)
    public static let listUsers = Endpoint(
        "listUsers", .get, "/v1/accounts/{account}/users", "Users of an account.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<UserView>.self)
    public static let createAccessKey = Endpoint(
        "createAccessKey", .post, "/v1/users/{user}/access-keys", "Make an access key for the EC2 API.", access: readers, success: 201,
        request: Empty.self, response: AccessKeyView.self)
    public static let createUserToken = Endpoint(
        "createUserToken", .post, "/v1/users/{user}/tokens", "Make a bearer token.", access: readers, success: 201,
        request: CreateToken.self,
        response: CreatedToken.self)
    public static let listOfferings = Endpoint(
        "listOfferings", .get, "/v1/offerings", "Instance types.", access: readers, request: Empty.self, response: Page<OfferingView>.self)
    public static let listImages = Endpoint(
        "listManagedImages", .get, "/v1/images", "Images of all sellers in reach.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<ImageView>.self)
    public static let importKey = Endpoint(
        "importKey", .post, "/v1/keys", "Register an ssh public key.", access: [.user], success: 201, request: ImportKey.self,
        response: KeyView.self)
    public static let listKeys = Endpoint(
        "listKeys", .get, "/v1/keys", "Registered ssh keys.", access: [.user], query: QueryParameter.paging, request: Empty.self,
        response: Page<KeyView>.self)
    public static let launchInstances = Endpoint(
        "launchInstances", .post, "/v1/instances", "Launch instances.", access: [.user], success: 202, request: LaunchInstances.self,
        response: Page<ManagedInstanceView>.self)
    public static let listInstances = Endpoint(
        "listManagedInstances", .get, "/v1/instances", "Instances, newest first.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<ManagedInstanceView>.self)
    public static let showInstance = Endpoint(
        "showManagedInstance", .get, "/v1/instances/{instance}", "One instance.", access: readers, request: Empty.self,
        response: ManagedInstanceView.self)
    public static let actOnInstance = Endpoint(
        "actOnManagedInstance", .post, "/v1/instances/{instance}/actions", "Start, stop, reboot or terminate an instance.", access: [.user],
        success: 202, request: ActOnInstance.self, response: ManagedInstanceView.self)
    public static let console = Endpoint(
        "showManagedConsole", .get, "/v1/instances/{instance}/console", "The end of the serial console.", access: [.user],
        request: Empty.self, response: ConsoleView.self)
    public static let listContracts = Endpoint(
        "listBuyerContracts", .get, "/v1/contracts", "Contracts this manage holds.", access: readers, query: QueryParameter.paging,
        request: Empty.self, response: Page<SellerContractView>.self)
    public static let listCharges = Endpoint(
        "listCharges", .get, "/v1/charges", "Charges, newest first.", access: readers, query: QueryParameter.paging, request: Empty.self,
        response: Page<ChargeView>.self)
}
