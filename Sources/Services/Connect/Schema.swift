package import Store

/// Connect's own tables. Times are microseconds, resources and specifications JSON.
package enum Schema {
    package static let migrations = [
        Migration("connect-1") { _ in
            [
                "CREATE TABLE pods (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, zone TEXT NOT NULL, kind TEXT NOT NULL, storage TEXT NOT NULL, oversubscription TEXT NOT NULL)",
                """
                CREATE TABLE hosts (id TEXT PRIMARY KEY, pod TEXT NOT NULL REFERENCES pods(id), name TEXT NOT NULL, zone TEXT NOT NULL, state TEXT NOT NULL,
                  hardware TEXT NOT NULL, hypervisor TEXT NOT NULL, agent_version TEXT NOT NULL, guest_network TEXT NOT NULL,
                  last_seen BIGINT NOT NULL, meter_sequence BIGINT NOT NULL)
                """,
                "CREATE TABLE node_enrolments (hash TEXT PRIMARY KEY, host TEXT NOT NULL, pod TEXT NOT NULL REFERENCES pods(id), expires BIGINT NOT NULL, used BIGINT)",
                "CREATE TABLE contracts (id TEXT PRIMARY KEY, state TEXT NOT NULL, period_end BIGINT NOT NULL, body TEXT NOT NULL, enforced BIGINT)",
                "CREATE TABLE images (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, manifest TEXT NOT NULL, view TEXT NOT NULL, created BIGINT NOT NULL)",
                "CREATE TABLE image_files (sha256 TEXT PRIMARY KEY, path TEXT NOT NULL, bytes BIGINT NOT NULL)",
                """
                CREATE TABLE instances (id TEXT PRIMARY KEY, contract TEXT NOT NULL REFERENCES contracts(id), host TEXT NOT NULL REFERENCES hosts(id),
                  zone TEXT NOT NULL, spec TEXT NOT NULL, milli_cpu BIGINT NOT NULL, memory_mib BIGINT NOT NULL, disk_mib BIGINT NOT NULL,
                  address TEXT, mac TEXT NOT NULL, desired TEXT NOT NULL, state TEXT NOT NULL, generation BIGINT NOT NULL, reboots BIGINT NOT NULL,
                  grace BIGINT NOT NULL, reason_code TEXT, reason_message TEXT, accepted BIGINT NOT NULL, executed BIGINT, state_changed BIGINT NOT NULL,
                  UNIQUE (host, address))
                """,
                "CREATE INDEX instances_by_contract ON instances (contract)",
                "CREATE INDEX instances_by_host ON instances (host)",
                """
                CREATE TABLE meters (position BIGINT PRIMARY KEY, host TEXT NOT NULL, sequence BIGINT NOT NULL, instance TEXT NOT NULL, contract TEXT NOT NULL,
                  period_start BIGINT NOT NULL, period_end BIGINT NOT NULL, resources TEXT NOT NULL, UNIQUE (host, sequence))
                """,
                "CREATE INDEX meters_by_contract ON meters (contract, position)",
                "CREATE TABLE consoles (instance TEXT PRIMARY KEY, output TEXT NOT NULL, at BIGINT NOT NULL)",
                "CREATE TABLE bookmarks (name TEXT PRIMARY KEY, revision BIGINT NOT NULL)",
            ]
        },
        Migration("connect-2") { _ in ["ALTER TABLE node_enrolments ADD COLUMN key_hash TEXT"] },
        Migration("connect-3-delivery") { _ in
            [
                // From when a machine was seen to run until it was told to stop; null: it should be running now.
                """
                CREATE TABLE running_spans (instance TEXT NOT NULL, contract TEXT NOT NULL, began BIGINT NOT NULL, ended BIGINT,
                  PRIMARY KEY (instance, began))
                """,
                "CREATE INDEX running_spans_by_contract ON running_spans (contract, began)",
                "INSERT INTO running_spans (instance, contract, began) SELECT id, contract, state_changed FROM instances WHERE state = 'running'",
            ]
        },
        Migration("connect-4-reservations") { _ in
            [
                // Rows are never changed: what is set aside is the sum of the entries.
                """
                CREATE TABLE reservations (id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, product TEXT NOT NULL, product_name TEXT NOT NULL,
                  lot TEXT NOT NULL, series TEXT NOT NULL, period_start BIGINT, period_end BIGINT, cause TEXT NOT NULL, ask_key TEXT, ask_hash TEXT,
                  made BIGINT NOT NULL)
                """,
                "CREATE INDEX reservations_by_ask ON reservations (ask_key)",
                "CREATE TABLE reservation_orders (reservation TEXT PRIMARY KEY REFERENCES reservations(id), market_order TEXT NOT NULL UNIQUE)",
                "CREATE TABLE reservation_contracts (contract TEXT NOT NULL, reservation TEXT NOT NULL REFERENCES reservations(id), PRIMARY KEY (contract, reservation))",
                "CREATE INDEX reservation_contracts_by_reservation ON reservation_contracts (reservation)",
                // Those not yet given back whole, to be found fast.
                "CREATE TABLE open_reservations (reservation TEXT PRIMARY KEY REFERENCES reservations(id))",
                // The lines of a movement add up to zero: what leaves one state, or one host, comes to another. No host: the empty text.
                """
                CREATE TABLE reservation_entries (movement BIGINT NOT NULL, line BIGINT NOT NULL, reservation TEXT NOT NULL REFERENCES reservations(id),
                  state TEXT NOT NULL, host TEXT NOT NULL, lots BIGINT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, note TEXT NOT NULL,
                  at BIGINT NOT NULL, PRIMARY KEY (movement, line))
                """,
                "CREATE INDEX reservation_entries_by_reservation ON reservation_entries (reservation)",
            ]
        },
        Migration("connect-5-placement") { _ in
            [
                // Launches under way are few among all instances, and looked at again and again.
                "CREATE INDEX instances_pending ON instances (accepted) WHERE state = 'pending'"
            ]
        },
        Migration("connect-5-topology") { _ in
            [
                "CREATE TABLE zones (name TEXT PRIMARY KEY, jurisdiction TEXT, site TEXT)",
                "INSERT INTO zones (name) SELECT DISTINCT zone FROM pods",
                "CREATE TABLE fault_domains (name TEXT PRIMARY KEY, kind TEXT NOT NULL, zone TEXT NOT NULL, capacity BIGINT)",
                "ALTER TABLE pods ADD COLUMN profile TEXT",
                "ALTER TABLE pods ADD COLUMN limits TEXT",
                "ALTER TABLE pods ADD COLUMN baseline TEXT",
                "ALTER TABLE pods ADD COLUMN removed BIGINT",
                """
                CREATE TABLE racks (name TEXT PRIMARY KEY, pod TEXT NOT NULL REFERENCES pods(id), units BIGINT, watts BIGINT,
                  domains TEXT NOT NULL)
                """,
                // Where a host stands, from before its node has joined until it is retired.
                """
                CREATE TABLE host_places (host TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, pod TEXT NOT NULL REFERENCES pods(id), rack TEXT,
                  domains TEXT NOT NULL, inventory TEXT, cordon_cause TEXT, cordon_reason TEXT, cordon_since BIGINT)
                """,
                "CREATE INDEX host_places_by_pod ON host_places (pod)",
                "CREATE INDEX host_places_by_rack ON host_places (rack)",
                // Two hosts could have one name before.
                """
                INSERT INTO host_places (host, name, pod, domains)
                SELECT h.id, CASE WHEN EXISTS (SELECT 1 FROM hosts o WHERE o.name = h.name AND o.id < h.id) THEN h.id ELSE h.name END, h.pod, '[]'
                FROM hosts h
                """,
                """
                CREATE TABLE maintenance_windows (id TEXT PRIMARY KEY, host TEXT NOT NULL REFERENCES hosts(id), starts BIGINT NOT NULL,
                  ends BIGINT NOT NULL, reason TEXT NOT NULL, state TEXT NOT NULL)
                """,
                "CREATE INDEX maintenance_windows_by_host ON maintenance_windows (host)",
                "CREATE INDEX maintenance_windows_by_state ON maintenance_windows (state, starts)",
                "CREATE INDEX node_enrolments_by_host ON node_enrolments (host)",
            ]
        },
        Migration("connect-6-lifecycle") { _ in
            [
                // What hosts.state does not say. A host without a row has never been more than up, suspect or cordoned.
                """
                CREATE TABLE host_lives (host TEXT PRIMARY KEY REFERENCES hosts(id), health TEXT NOT NULL, duty TEXT NOT NULL, quarantine TEXT,
                  quarantined BIGINT, epoch BIGINT NOT NULL, proof TEXT, health_since BIGINT NOT NULL, attempts BIGINT NOT NULL,
                  next_attempt BIGINT, trouble TEXT, recoveries TEXT NOT NULL)
                """,
                "CREATE INDEX host_lives_by_health ON host_lives (health)",
                "CREATE INDEX hosts_by_state ON hosts (state)",
                // What a host has to let go of, until it says that it has.
                """
                CREATE TABLE host_departures (host TEXT NOT NULL REFERENCES hosts(id), instance TEXT NOT NULL, generation BIGINT NOT NULL,
                  keep_disk BIGINT NOT NULL, PRIMARY KEY (host, instance))
                """,
                """
                CREATE TABLE host_drains (host TEXT PRIMARY KEY REFERENCES hosts(id), began BIGINT NOT NULL, may_restart BIGINT NOT NULL,
                  concurrent_moves BIGINT NOT NULL)
                """,
                "ALTER TABLE instances ADD COLUMN wanted BIGINT",
                "ALTER TABLE instances ADD COLUMN interruption BIGINT",
                "ALTER TABLE instances ADD COLUMN move TEXT",
                "ALTER TABLE instances ADD COLUMN interruptible BIGINT NOT NULL DEFAULT 0",
                "CREATE INDEX instances_interruptible ON instances (host) WHERE interruptible = 1",
                "CREATE INDEX instances_interrupted ON instances (interruption) WHERE interruption IS NOT NULL",
                "CREATE INDEX instances_unsettled ON instances (state) WHERE state IN ('pending', 'stopping', 'shutting-down')",
                "CREATE INDEX instances_waiting ON instances (id) WHERE reason_code = 'Server.HostFailed'",
            ]
        },
        Migration("connect-7-terms") { _ in
            [
                "CREATE TABLE products (id TEXT PRIMARY KEY, definition TEXT NOT NULL)",
                "ALTER TABLE pods ADD COLUMN policy TEXT NOT NULL DEFAULT 'packing'",
                "ALTER TABLE host_places ADD COLUMN parts TEXT",
                // The terms an instance is under; null: none but its contract's volume.
                "ALTER TABLE instances ADD COLUMN terms TEXT",
                // GPUs as bits, and above 16 bits the NUMA cell from 1 on.
                "ALTER TABLE instances ADD COLUMN spot BIGINT NOT NULL DEFAULT 0",
                "ALTER TABLE instances ADD COLUMN milli_gpu BIGINT NOT NULL DEFAULT 0",
                // How many instances of the same request came before.
                "ALTER TABLE instances ADD COLUMN launch_index BIGINT NOT NULL DEFAULT 0",
                """
                CREATE TABLE instance_reservations (id TEXT PRIMARY KEY, contract TEXT NOT NULL REFERENCES contracts(id), state TEXT NOT NULL,
                  until BIGINT NOT NULL, made BIGINT NOT NULL)
                """,
                "CREATE INDEX instance_reservations_held ON instance_reservations (until) WHERE state = 'held'",
                "CREATE INDEX instance_reservations_by_contract ON instance_reservations (contract)",
                // Room that is held now. A row goes when its instance comes, or the reservation ends.
                """
                CREATE TABLE reserved_places (instance TEXT PRIMARY KEY, reservation TEXT NOT NULL REFERENCES instance_reservations(id),
                  position BIGINT NOT NULL, contract TEXT NOT NULL, host TEXT NOT NULL REFERENCES hosts(id), zone TEXT NOT NULL, spec TEXT NOT NULL,
                  address TEXT NOT NULL, terms TEXT, spot BIGINT NOT NULL, milli_cpu BIGINT NOT NULL, memory_mib BIGINT NOT NULL,
                  disk_mib BIGINT NOT NULL, milli_gpu BIGINT NOT NULL, until BIGINT NOT NULL)
                """,
                "CREATE INDEX reserved_places_by_reservation ON reserved_places (reservation, position)",
                "CREATE INDEX reserved_places_by_host ON reserved_places (host)",
            ]
        },
        Migration("connect-7-leases") { _ in
            [
                // 1: its node holds a lease on the pod's storage.
                "ALTER TABLE hosts ADD COLUMN leased BIGINT NOT NULL DEFAULT 0"
            ]
        },
        Migration("connect-8-rebalancing") { _ in
            [
                // The latest of each pod.
                """
                CREATE TABLE rebalancings (pod TEXT PRIMARY KEY REFERENCES pods(id), goal TEXT NOT NULL, measure_before BIGINT NOT NULL,
                  measure_after BIGINT NOT NULL, per_host BIGINT NOT NULL, began BIGINT NOT NULL, ended BIGINT)
                """,
                "CREATE INDEX rebalancings_under_way ON rebalancings (pod) WHERE ended IS NULL",
                """
                CREATE TABLE rebalancing_moves (pod TEXT NOT NULL REFERENCES pods(id), position BIGINT NOT NULL, instance TEXT NOT NULL,
                  source TEXT NOT NULL, target TEXT NOT NULL, memory_mib BIGINT NOT NULL, restarts BIGINT NOT NULL, round BIGINT NOT NULL,
                  state TEXT NOT NULL, why TEXT, PRIMARY KEY (pod, position))
                """,
            ]
        },
        Migration("connect-9-launch-path") { _ in
            // The index behind UNIQUE (host, address) finds the instances of a host as well; each launch wrote a page of both.
            ["DROP INDEX instances_by_host"]
        },
        Migration("connect-10-volumes") { _ in
            [
                // `made`: its host has said that its file is there; `blank`: no instance ever had it.
                """
                CREATE TABLE volumes (id TEXT PRIMARY KEY, contract TEXT NOT NULL REFERENCES contracts(id), account TEXT NOT NULL,
                  pod TEXT NOT NULL REFERENCES pods(id), host TEXT NOT NULL REFERENCES hosts(id), zone TEXT NOT NULL, request TEXT NOT NULL,
                  size_mib BIGINT NOT NULL, actual_mib BIGINT NOT NULL, iops BIGINT NOT NULL, made BIGINT NOT NULL, blank BIGINT NOT NULL,
                  instance TEXT, device TEXT, desired TEXT NOT NULL, state TEXT NOT NULL, generation BIGINT NOT NULL, reason_code TEXT,
                  reason_message TEXT, created BIGINT NOT NULL, state_changed BIGINT NOT NULL, wanted BIGINT NOT NULL)
                """,
                "CREATE INDEX volumes_by_contract ON volumes (contract)",
                "CREATE INDEX volumes_by_host ON volumes (host)",
                "CREATE INDEX volumes_by_instance ON volumes (instance)",
            ]
        },
        Migration("connect-11-live-moves") { _ in
            [
                // JSON of what its node offers; null: its machines do not move while they run.
                "ALTER TABLE hosts ADD COLUMN moves TEXT",
                // The latest move of each instance. `place`: the room that is held on the target while a live one is under way.
                """
                CREATE TABLE moves (instance TEXT PRIMARY KEY, mode TEXT NOT NULL, cause TEXT NOT NULL, phase TEXT NOT NULL,
                  source TEXT NOT NULL, target TEXT NOT NULL, began BIGINT NOT NULL, ended BIGINT, why TEXT, attempt BIGINT NOT NULL,
                  deadline BIGINT NOT NULL, endpoint TEXT, source_said TEXT, target_said TEXT, done_mib BIGINT NOT NULL,
                  left_mib BIGINT NOT NULL, downtime BIGINT, place TEXT, zone TEXT, address TEXT, spot BIGINT NOT NULL,
                  failures BIGINT NOT NULL, milli_cpu BIGINT NOT NULL, memory_mib BIGINT NOT NULL, disk_mib BIGINT NOT NULL,
                  milli_gpu BIGINT NOT NULL)
                """,
                "CREATE INDEX moves_under_way ON moves (target) WHERE mode = 'live' AND ended IS NULL",
            ]
        },
        Migration("connect-12-networks") { _ in
            [
                // Where other hosts send packets of networks that they share; null: nowhere.
                "ALTER TABLE hosts ADD COLUMN tunnel_address TEXT",
                "ALTER TABLE hosts ADD COLUMN tunnel_mtu BIGINT",
                // Null: on its host's own network, which `address` is of.
                "ALTER TABLE instances ADD COLUMN network TEXT",
                "ALTER TABLE instances ADD COLUMN network_address TEXT",
                "CREATE UNIQUE INDEX instances_network_address ON instances (network, network_address) WHERE network_address IS NOT NULL",
                "CREATE INDEX instances_by_network ON instances (network) WHERE network IS NOT NULL",
                """
                CREATE TABLE networks (id TEXT PRIMARY KEY, buyer TEXT NOT NULL, account TEXT NOT NULL, request TEXT NOT NULL, cidr TEXT NOT NULL,
                  vni BIGINT NOT NULL, state TEXT NOT NULL, generation BIGINT NOT NULL, created BIGINT NOT NULL, state_changed BIGINT NOT NULL)
                """,
                "CREATE UNIQUE INDEX networks_by_vni ON networks (vni) WHERE state <> 'deleted'",
                "CREATE INDEX networks_by_buyer ON networks (buyer, account)",
                // From when the first instance is to come to a host until the host has said that nothing of the network is left.
                """
                CREATE TABLE network_hosts (network TEXT NOT NULL REFERENCES networks(id), host TEXT NOT NULL REFERENCES hosts(id),
                  desired TEXT NOT NULL, generation BIGINT NOT NULL, observed TEXT, reason_code TEXT, reason_message TEXT,
                  PRIMARY KEY (network, host))
                """,
                "CREATE INDEX network_hosts_by_host ON network_hosts (host)",
            ]
        },
        Migration("connect-13-batches") { _ in
            [
                // How many instances the same request launched; 0: only the index is known.
                "ALTER TABLE instances ADD COLUMN launch_count BIGINT NOT NULL DEFAULT 0"
            ]
        },
        Migration("connect-14-topology-revisions") { _ in
            [
                // The latest changes of the topology, whoever made them; the highest number is the topology's own.
                "CREATE TABLE topology_revisions (revision BIGINT PRIMARY KEY, what TEXT NOT NULL, actor TEXT NOT NULL, at BIGINT NOT NULL)",
                "INSERT INTO topology_revisions (revision, what, actor, at) VALUES (1, 'counting began', 'connect', 0)",
            ]
        },
        Migration("connect-15-tunnels") { _ in
            [
                // What its node announced and is another host's already; null: nothing.
                "ALTER TABLE hosts ADD COLUMN tunnel_refused TEXT",
                "CREATE INDEX hosts_by_tunnel ON hosts (tunnel_address) WHERE tunnel_address IS NOT NULL",
                "CREATE INDEX hosts_by_refused_tunnel ON hosts (tunnel_refused) WHERE tunnel_refused IS NOT NULL",
            ]
        },
    ]
}
