import Primitives

/// The command line of one machine.
struct QEMUArguments {
    var machine: MachineSpec
    var directory: MachineDirectory
    var accelerator: Accelerator
    /// It waits for a machine that runs elsewhere, and stands still until it is told to run.
    var isReceiving = false

    enum Accelerator: String, Codable, Sendable { case kvm, tcg }

    /// EC2 guests recognise their cloud by a UUID that starts with `ec2` and equals the serial number; the rest is the instance's number.
    static func uuid(_ instance: InstanceID) -> String {
        let digits = String(instance.bits, radix: 16)
        let number = String(repeating: "0", count: 16 - digits.utf8.count) + digits
        return "ec2b0000-0000-4000-\(number.prefix(4))-\(number.dropFirst(4))"
    }

    var all: [String] {
        process + hardware + boot + disk + volumes + network + devices + (isReceiving ? ["-S", "-incoming", "defer"] : [])
    }

    private var process: [String] {
        [
            "-name", "guest=\(machine.instance)", "-uuid", Self.uuid(machine.instance), "-nodefaults", "-no-user-config", "-display",
            "none",
            // The sandbox cannot also deny what daemonizing itself needs: fork and setsid.
            "-daemonize", "-pidfile", directory.pidFile, "-sandbox", "on,obsolete=deny,resourcecontrol=deny",
            // Relative to the machine's directory, the working directory: a socket address holds 107 bytes only.
            "-chardev", "socket,id=monitor,path=\(MachineDirectory.socketName),server=on,wait=off", "-mon", "chardev=monitor,mode=control",
            "-chardev", "file,id=console,path=\(Self.escaped(directory.console)),append=on", "-serial", "chardev:console",
        ]
    }

    private var hardware: [String] {
        let uuid = Self.uuid(machine.instance)
        return [
            "-machine", machine.cell == nil ? "pc" : "pc,memory-backend=pc.ram", "-accel", acceleration, "-cpu",
            accelerator == .kvm ? "host" : "max", "-smp", "\(machine.virtualCPUs)",
            "-m", "\(machine.memoryMiB)", "-rtc", "base=utc",
            "-smbios", "type=1,manufacturer=Bourse,product=Bourse Instance,uuid=\(uuid),serial=\(uuid)",
            "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci,id=balloon",
        ] + memory
    }

    /// Memory of one NUMA cell is named as the board's own is, so that machines with and without one are alike to each other.
    private var memory: [String] {
        guard let cell = machine.cell else { return [] }
        return [
            "-object",
            "memory-backend-ram,id=pc.ram,size=\(machine.memoryMiB)M,host-nodes=\(cell.number),policy=bind,x-use-canonical-path-for-ramblock-id=off",
        ]
    }

    /// The command that is run: all threads stay on the processors of the machine's cell.
    func command(_ program: String) throws(Refusal) -> (program: String, arguments: [String]) {
        guard let cell = machine.cell else { return (program, all) }
        return ("taskset", ["--cpu-list", cell.processors, try CommandRunner.locate(program)] + all)
    }

    /// The translation buffer is taken from the host's memory beside the guest's: 32 MiB serve a small guest, more a full distribution.
    private var acceleration: String {
        switch accelerator {
        case .kvm: "kvm"
        case .tcg: "tcg,thread=multi,tb-size=\(min(256, max(32, machine.memoryMiB / 8)))"
        }
    }

    private var boot: [String] {
        guard let kernel = machine.kernel else { return [] }
        return ["-kernel", kernel.kernel] + (kernel.initrd.map { ["-initrd", $0] } ?? []) + ["-append", kernel.commandLine]
    }

    private var disk: [String] {
        let path = Self.escaped(machine.disk)
        return [
            "-blockdev", "driver=file,node-name=root-file,filename=\(path),locking=on,discard=unmap",
            "-blockdev", "driver=qcow2,node-name=root,file=root-file,discard=unmap",
            // The guest waits while the host's disk is full instead of seeing errors.
            "-device", "virtio-blk-pci,drive=root,id=root-device,bootindex=1,werror=enospc,rerror=report",
        ]
    }

    /// The same devices as `QEMUDriver.ensureAttached` plugs into a machine that runs.
    private var volumes: [String] {
        machine.volumes.flatMap { disk in
            [
                "-blockdev", "driver=file,node-name=\(disk.fileNode),filename=\(Self.escaped(disk.path)),locking=on,discard=unmap",
                "-blockdev", "driver=qcow2,node-name=\(disk.node),file=\(disk.fileNode),discard=unmap",
                "-device",
                "virtio-blk-pci,drive=\(disk.node),id=\(disk.device),serial=\(disk.serial),bus=pci.0,addr=\(disk.address),werror=enospc,rerror=report",
            ]
        }
    }

    private var network: [String] {
        guard let device = machine.networkDevice else { return [] }
        return [
            "-netdev", "tap,id=net0,ifname=\(device),script=no,downscript=no",
            // Without its boot ROM the firmware does not try to boot from the network.
            "-device", "virtio-net-pci,netdev=net0,id=net0-device,mac=\(machine.macAddress),romfile=",
        ]
    }

    private var devices: [String] { machine.devices.flatMap { ["-device", "vfio-pci,host=\(Self.escaped($0))"] } }

    /// QEMU's option syntax doubles commas in values.
    static func escaped(_ value: String) -> String { value.split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,") }
}
