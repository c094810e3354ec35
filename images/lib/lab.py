"""A place for test guests that touches nothing else on the machine: a network namespace with a
bridge, DHCP and metadata, QEMU guests in it, and the removal of all of it."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

GATEWAY, NETWORK = "10.91.0.1", "10.91.0"
METADATA = "169.254.169.254"


class LabFailed(Exception):
    """Something awaited did not happen."""


def command(*words, check=True, **options):
    done = subprocess.run(words, capture_output=True, text=True, errors="replace", **options)
    if check and done.returncode != 0:
        raise LabFailed(f"{' '.join(words)}: {done.stderr.strip()}")
    return done


def stop(process):
    """Ends one process that we started, by its number."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Lab:
    """The namespace and its services. Use as a context manager."""

    def __init__(self):
        self.namespace = f"bourse-images-{os.getpid()}"
        self.directory = tempfile.mkdtemp(prefix="bourse-images.")
        self.state = {"mode": "optional", "instances": {}}
        self.leases = {}
        self.cleanup = contextlib.ExitStack()

    def __enter__(self):
        self.cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        try:
            self._start()
        except BaseException:
            self.cleanup.close()
            raise
        return self

    def __exit__(self, *_):
        self.cleanup.close()

    def _start(self):
        command("ip", "netns", "add", self.namespace)
        self.cleanup.callback(command, "ip", "netns", "del", self.namespace, check=False)
        for words in ("link set lo up", "link add br0 type bridge stp_state 0 forward_delay 0",
                      f"addr add {GATEWAY}/24 dev br0", f"addr add {METADATA}/32 dev br0",
                      "link set br0 up"):
            self.inside("ip", *words.split())
        for name in ("key", "other-key"):
            command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", self.path(name))
        self.save()
        self.start("metadata", sys.executable, os.path.join(os.path.dirname(__file__),
                   "metadata_server.py"), METADATA, "80", self.path("state"), self.path("requests"))
        self.dnsmasq = self.start(
            "dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv",
            "--no-hosts", "--user=root", "--bind-interfaces", "--interface=br0",
            "--except-interface=lo", f"--dhcp-range={NETWORK}.0,static,255.255.255.0,1h",
            f"--dhcp-hostsfile={self.path('leases')}", f"--dhcp-leasefile={self.path('leased')}",
            f"--pid-file={self.path('dnsmasq.pid')}")
        # Before this it would die of the signal that makes it read the leases again.
        self.wait_for_file("dnsmasq.pid")

    def wait_for_file(self, name, limit=30):
        deadline = time.monotonic() + limit
        while not os.path.exists(self.path(name)):
            if time.monotonic() > deadline:
                raise LabFailed(f"no {name} within {limit} s")
            time.sleep(0.02)

    def path(self, name):
        return os.path.join(self.directory, name)

    def inside(self, *words, **options):
        return command("ip", "netns", "exec", self.namespace, *words, **options)

    def start(self, name, *words):
        """Starts a process in the namespace; it ends with the lab."""
        with open(self.path(f"{name}.log"), "a") as log:
            process = subprocess.Popen(["ip", "netns", "exec", self.namespace, *words],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.cleanup.callback(stop, process)
        return process

    def save(self):
        """Gives the metadata server and dnsmasq what we now know."""
        with open(self.path("state.new"), "w") as file:
            json.dump(self.state, file)
        os.rename(self.path("state.new"), self.path("state"))
        with open(self.path("leases"), "w") as file:
            file.writelines(f"{mac},{address}\n" for mac, address in self.leases.items())
        if hasattr(self, "dnsmasq"):
            self.dnsmasq.send_signal(signal.SIGHUP)

    def tap(self, name):
        self.inside("ip", "tuntap", "add", name, "mode", "tap")
        self.inside("ip", "link", "set", name, "master", "br0", "up")

    def requests(self):
        try:
            with open(self.path("requests")) as file:
                return file.read()
        except OSError:
            return ""


class Guest:
    """One QEMU guest. `number` chooses its address; `image` is a directory with a manifest."""

    def __init__(self, lab, image, number, direct, size, user_data="", mode="optional", memory=None,
                 arguments=()):
        with open(f"{image}/manifest.json") as file:
            manifest = json.load(file)
        self.lab, self.name, self.user = lab, f"guest{number}", manifest["user"]
        self.address, self.mac = f"{NETWORK}.{number}", f"52:54:00:91:00:{number:02x}"
        self.instance = f"i-{number:017x}"
        with open(lab.path("key.pub")) as file:
            key = file.read().strip()
        lab.state["instances"][self.address] = {
            "instance-id": self.instance, "name": f"test-{number}.lab.internal", "mac": self.mac,
            "key": key, "user-data": user_data}
        lab.state["mode"] = mode
        lab.leases[self.mac] = self.address
        lab.save()
        lab.tap(f"tap{number}")
        overlay = lab.path(f"{self.name}.qcow2")
        command("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2",
                "-b", os.path.abspath(f"{image}/{manifest['disk']}"), overlay, size)
        memory = memory or max(128, manifest["minimumMemoryMiB"])
        self.arguments = [
            "qemu-system-x86_64", "-name", self.name, "-machine", "pc", "-cpu", "qemu64",
            "-accel", f"tcg,thread=multi,tb-size={manifest['translationBufferMiB']}",
            "-m", str(memory), "-smp", "1",
            "-nodefaults", "-no-user-config", "-display", "none",
            "-serial", f"file:{lab.path(self.name + '.console')}",
            "-qmp", f"unix:{lab.path(self.name + '.qmp')},server=on,wait=off",
            "-blockdev", f"driver=file,filename={overlay},node-name=file0",
            "-blockdev", "driver=qcow2,file=file0,node-name=disk0,discard=unmap",
            "-device", "virtio-blk-pci,drive=disk0,bootindex=1",
            "-netdev", f"tap,id=net0,ifname=tap{number},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=net0,mac={self.mac},romfile=",
            "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci"]
        if direct:
            self.arguments += ["-kernel", f"{image}/{manifest['kernel']}",
                               "-initrd", f"{image}/{manifest['initrd']}",
                               "-append", manifest["commandLine"]]
        if manifest["smbios"] == "ec2":
            identity = f"ec2{number:05x}-0000-4000-8000-000000000001"
            self.arguments += ["-smbios", f"type=1,uuid={identity},serial={identity}"]
        self.arguments += arguments
        self.began = time.monotonic()
        self.process = lab.start(self.name, *self.arguments)

    def seconds(self):
        return time.monotonic() - self.began

    def console(self):
        try:
            with open(self.lab.path(f"{self.name}.console"), errors="replace") as file:
                return file.read()
        except OSError:
            return ""

    def wait_for(self, text, count=1, limit=180):
        """Waits until `text` was on the console `count` times; returns seconds since the start."""
        deadline = time.monotonic() + limit
        while self.console().count(text) < count:
            if self.process.poll() is not None:
                raise LabFailed(f"{self.name} ended before '{text}'")
            if time.monotonic() > deadline:
                raise LabFailed(f"{self.name}: no '{text}' on the console within {limit} s")
            time.sleep(0.05)
        return self.seconds()

    def wait_for_end(self, limit=120):
        began = time.monotonic()
        try:
            self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise LabFailed(f"{self.name} still runs after {limit} s") from None
        return time.monotonic() - began

    def ssh(self, line, key="key", limit=60):
        """Runs a command in the guest; returns (exit status, output)."""
        try:
            done = self.lab.inside(
                "ssh", "-i", self.lab.path(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={limit}", "-F", "/dev/null",
                f"{self.user}@{self.address}", line, check=False, timeout=limit)
        except subprocess.TimeoutExpired:
            return 255, "timeout"
        return done.returncode, done.stdout.strip() or done.stderr.strip()

    def wait_for_ssh(self, limit=180):
        """Waits until the key opens a session; returns seconds since the start."""
        deadline = time.monotonic() + limit
        while True:
            status, output = self.ssh("true", limit=20)
            if status == 0:
                return self.seconds()
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise LabFailed(f"{self.name}: no ssh within {limit} s: {output}")
            time.sleep(0.1)

    def qmp(self, execute, **arguments):
        """One command to QEMU."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(30)
            link.connect(self.lab.path(f"{self.name}.qmp"))
            stream = link.makefile("rw")
            stream.readline()
            for request in ({"execute": "qmp_capabilities"},
                            {"execute": execute, "arguments": arguments}):
                stream.write(json.dumps(request) + "\n")
                stream.flush()
                while "return" not in (reply := json.loads(stream.readline())):
                    if "error" in reply:
                        raise LabFailed(f"{execute}: {reply['error']['desc']}")
        return reply["return"]

    def proportional_memory_mib(self):
        with open(f"/proc/{self.process.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) // 1024
