// Every operation of every program, in the order of the files that declare them. A test compares these lists with the sources,
// so that none is forgotten.

extension ExchangeAPI {
    public static let all: [AnyEndpoint] =
        [
            .init(createParticipant), .init(listParticipants), .init(createParticipantToken), .init(transfer), .init(listBalances),
            .init(listPostings), .init(trialBalance),
        ] + [
            .init(createProduct), .init(listProducts), .init(listSeries), .init(showSeries), .init(book), .init(registerDatacenter),
            .init(listDatacenters),
            .init(declareCapacity), .init(listDeclaredCapacity),
        ] + [.init(quote)]
        + [
            .init(placeOrder), .init(listOrders), .init(showOrder), .init(cancelOrder), .init(replaceOrder), .init(cancelOrders),
            .init(suspendParticipant), .init(resumeParticipant), .init(haltSeries), .init(reopenSeries), .init(listTrades),
        ] + [
            .init(listContracts), .init(showContract), .init(stopContract), .init(issueContractCertificate),
        ] + [
            .init(setReferencePrice), .init(grantCreditLine), .init(showCreditLine), .init(bustTrade),
        ] + [
            .init(propose), .init(listProposals), .init(showProposal), .init(acceptProposal), .init(refuseProposal),
            .init(withdrawProposal),
        ] + [
            .init(chartOfAccounts), .init(showStatement), .init(showSettlement),
            .init(reportDelivery), .init(listDeliveries), .init(awaitedDeliveries), .init(listDisputes), .init(showDispute),
            .init(answerDispute), .init(ruleDispute),
        ] + [
            .init(createEnrolment), .init(enrol), .init(renewIdentity), .init(signNode), .init(revoke), .init(revocationList),
            .init(authority),
        ] + [.init(changes)] + [.init(listBars), .init(showTicker), .init(showDepth), .init(streamSeries)] + [
            .init(listConduct), .init(listSelfMatches), .init(listAudit), .init(verifyAudit), .init(replayJournal),
            .init(putDocument), .init(showDocument), .init(applyCatalogue), .init(listCatalogue),
            .init(showDatacenter), .init(certifyTechnically), .init(acceptLegally),
        ]
}

extension ManageAPI {
    public static let all: [AnyEndpoint] =
        [
            .init(createAccount), .init(listAccounts), .init(updateAccount), .init(createUser), .init(listUsers), .init(createAccessKey),
            .init(createUserToken),
        ] + [
            .init(listOfferings), .init(listImages), .init(importKey), .init(listKeys), .init(launchInstances), .init(listInstances),
            .init(showInstance), .init(actOnInstance), .init(console),
        ] + [.init(listContracts), .init(listCharges)]
        + [.init(createVolume), .init(listVolumes), .init(showVolume), .init(actOnVolume)]
        + [.init(createNetwork), .init(listNetworks), .init(showNetwork), .init(deleteNetwork)]
}

extension ConnectAPI {
    public static let all: [AnyEndpoint] =
        [
            .init(contractCapacity), .init(listImages), .init(importImage), .init(contractMeters), .init(topology),
            .init(createAsk), .init(listReservations), .init(listPodCapacity), .init(listProductCapacity), .init(certify),
            .init(listSellerContracts), .init(closing),
        ] + [
            .init(exportTopology), .init(planTopology), .init(applyTopology), .init(listZones), .init(showZone), .init(putZone),
            .init(removeZone), .init(listFaultDomains), .init(showFaultDomain), .init(putFaultDomain), .init(removeFaultDomain),
            .init(listPods), .init(showPod), .init(putPod), .init(removePod), .init(listRacks), .init(showRack), .init(putRack),
            .init(removeRack), .init(listHosts), .init(showHost), .init(putHost), .init(retireHost), .init(actOnHost),
            .init(planMaintenance), .init(listMaintenance), .init(cancelMaintenance), .init(showDrift),
        ] + [
            .init(createInstanceGang), .init(createInstanceReservation), .init(listInstanceReservations), .init(showInstanceReservation),
            .init(confirmInstanceReservation), .init(releaseInstanceReservation),
        ] + [
            .init(createInstance), .init(listInstances), .init(showInstance), .init(actOnInstance), .init(console), .init(contractChanges),
        ] + [
            .init(explainPlacement), .init(simulatePlacement),
        ] + [
            .init(drainHost), .init(fenceHost), .init(retryInstance), .init(showMove), .init(listMoves), .init(planRebalancing),
            .init(startRebalancing),
            .init(showRebalancing), .init(cancelRebalancing),
        ] + [
            .init(createVolume), .init(listVolumes), .init(showVolume), .init(actOnVolume),
        ] + [
            .init(createNetwork), .init(listNetworks), .init(showNetwork), .init(deleteNetwork),
        ] + [
            .init(authority), .init(createNodeEnrolment), .init(enrolNode), .init(renewNode), .init(hello), .init(intents), .init(report),
        ]
}
