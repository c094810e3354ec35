import ServiceKit

/// What a manage needs to know to start.
package struct ManageConfiguration: Sendable {
    package var dataDirectory: String
    /// `sqlite:/path` or `postgresql://…`. One process per database.
    package var databaseURL: String
    package var exchangeURL: String
    /// Needed at the first start only.
    package var enrolmentToken: String?
    package var operatorToken: String?
    /// The region the EC2 API speaks for.
    package var region: String
    package var host = "127.0.0.1"
    /// A name or address clients use beside `host`; goes into the certificate.
    package var publicName: String?
    package var publicPort = 7410
    package var ec2Port = 7411
    package var offerings = Offering.catalogue
    /// How long a contract bought here may stand without a machine before it is not rolled on.
    package var idleContractSeconds: Int64 = 30
    /// The notice sellers usually give a guest when its contract has ended; used when a seller cannot be asked any more.
    package var contractGraceSeconds: Int64 = 30
    /// How long a launch may take before it is given up.
    package var launchSeconds: Int64 = 300

    package init(dataDirectory: String, databaseURL: String, exchangeURL: String, region: String) {
        self.dataDirectory = dataDirectory
        self.databaseURL = databaseURL
        self.exchangeURL = exchangeURL
        self.region = region
    }

    var names: [String] { certificateNames(listeningOn: host, publicName) }
}
