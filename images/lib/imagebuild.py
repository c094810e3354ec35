"""What every image build shares: progress lines, clear failures, knowing that nothing changed, and
publishing all products at once."""

import contextlib
import ctypes
import fcntl
import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

IMAGES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Tools in the administrator's directories are used by ordinary users too (mke2fs, depmod).
os.environ["PATH"] += ":/usr/sbin:/sbin"
os.environ["LC_ALL"] = "C.UTF-8"


class BuildFailed(Exception):
    """Why an image cannot be built, in words for the person who started the build."""


class Progress:
    """Lines on standard output: `guest image: fetching kernel 6.1.0-1 …`."""

    def __init__(self, title):
        self.title = title

    def __call__(self, line):
        print(f"{self.title}: {line}", flush=True)


def main(title, build):
    """Runs `build(output directory, progress)` for the directory named on the command line."""
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(f"usage: {sys.argv[0]} OUTDIR")
    try:
        build(os.path.abspath(sys.argv[1]), Progress(title))
    except BuildFailed as failure:
        sys.exit(f"{title}: error: {failure}")


def run(*command, **options):
    """Runs a command; returns its standard output; a failure shows the last lines it wrote."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, errors="replace", **options)
    if done.returncode != 0:
        tail = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-15:])
        raise BuildFailed(f"{os.path.basename(command[0])} ended with {done.returncode}:\n  {tail}")
    return done.stdout


def require(needs):
    """Checks `[(program or file, Debian package)]` and names all that is missing at once."""
    missing = [(need, package) for need, package in needs
               if not (os.path.exists(need) if "/" in need else shutil.which(need))]
    if missing:
        names = ", ".join(need for need, _ in missing)
        packages = " ".join(sorted({package for _, package in missing}))
        raise BuildFailed(f"missing {names}. Run `make setup`, or: apt-get install {packages}")


@contextlib.contextmanager
def exclusive(path):
    """Holds the lock file `path`, so that two builds of one thing follow each other."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ------------------------------------------------------------------------- content hashes

def hash_file(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def hash_tree(*paths):
    """One hash over names, executable bits and contents of files and of whole directories."""
    digest = hashlib.sha256()
    for path in paths:
        files = [path] if os.path.isfile(path) else sorted(
            os.path.join(directory, name)
            for directory, _, names in os.walk(path) for name in names)
        for file in files:
            executable = os.access(file, os.X_OK)
            line = f"{os.path.relpath(file, IMAGES)} {executable} {hash_file(file)}\n"
            digest.update(line.encode())
    return digest.hexdigest()


def hash_text(*texts):
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


# ------------------------------------------------------------------------- package index

def package_index_fingerprint():
    """Changes when `apt-get update` brought something new; None without an index. Asking apt itself
    takes most of a second, which an unchanged build should not cost."""
    files = [file for pattern in ("*_InRelease", "*_Release", "*_Packages*")
             for file in glob.glob("/var/lib/apt/lists/" + pattern)]
    if not files:
        return None
    facts = (f"{file} {os.stat(file).st_size} {os.stat(file).st_mtime_ns}" for file in files)
    return hash_text(*sorted(facts))


def candidate_versions(packages):
    """The version apt would take of each package: {package: version}."""
    require([("apt-cache", "apt")])
    versions, package = {}, None
    for line in run("apt-cache", "policy", *packages).splitlines():
        if not line.startswith(" "):
            package = line.rstrip(":")
        elif line.strip().startswith("Candidate:"):
            versions[package] = line.split()[1]
    missing = [name for name in packages if versions.get(name, "(none)") == "(none)"]
    if missing:
        raise BuildFailed(f"apt knows no package {', '.join(missing)}. Run apt-get update")
    return versions


# ------------------------------------------------------------------------- outputs

class Output:
    """The directory of one image. It is replaced as a whole and never changed in place, so readers
    and hard links see either the old image or the new one."""

    STAMP = ".stamp.json"

    def __init__(self, path, progress):
        self.path = path
        self.progress = progress
        self.parent, self.name = os.path.split(path)

    @property
    def cache(self):
        """Fetched packages, shared by the images that are built beside each other."""
        return os.environ.get("BOURSE_IMAGE_CACHE") or os.path.join(self.parent, "cache")

    def ensure(self, sources_hash, packages_version, build):
        """Builds unless nothing changed. `sources_hash` covers what is on this machine and is cheap;
        `packages_version()` asks apt and is only called when the package index changed; `build(
        directory, inputs hash)` makes the products in an empty directory and returns the manifest."""
        with exclusive(os.path.join(self.parent, f".{self.name}.lock")):
            index = package_index_fingerprint()
            stamp = self._stamp()
            unchanged = stamp is not None and stamp["sources"] == sources_hash
            if unchanged and index in (None, stamp["index"]):
                return self._say_up_to_date()
            if index is None:
                raise BuildFailed("there is no package index. Run apt-get update")
            inputs = hash_text(sources_hash, packages_version())
            if unchanged and stamp["inputs"] == inputs:
                self._write_stamp(self.path, {**stamp, "index": index})
                return self._say_up_to_date()
            self._build(build, {"sources": sources_hash, "index": index, "inputs": inputs})

    def _say_up_to_date(self):
        with open(os.path.join(self.path, "manifest.json")) as file:
            self.progress(f"up to date ({json.load(file)['version']})")

    def _build(self, build, stamp):
        for left_behind in glob.glob(glob.escape(self.path) + ".building.*"):
            shutil.rmtree(left_behind)
        directory = tempfile.mkdtemp(prefix=f"{self.name}.building.", dir=self.parent)
        try:
            os.chmod(directory, 0o755)
            manifest = build(directory, stamp["inputs"])
            products = [manifest[key] for key in ("kernel", "initrd", "disk")]
            manifest["sha256"] = {name: hash_file(f"{directory}/{name}") for name in products}
            with open(f"{directory}/manifest.json", "w") as file:
                json.dump(manifest, file, indent=2)
                file.write("\n")
            for name in [*products, "manifest.json"]:
                os.chmod(f"{directory}/{name}", 0o444)
            sizes = {name: os.path.getsize(f"{directory}/{name}")
                     for name in [*products, "manifest.json"]}
            self._write_stamp(directory, {**stamp, "sizes": sizes})
            self._publish(directory)
        finally:
            shutil.rmtree(directory, ignore_errors=True)
        self.progress(f"ready in {self.path} ({manifest['version']})")

    def _publish(self, directory):
        """Swaps the finished directory with the published one; the caller removes what is left."""
        if not os.path.exists(self.path):
            return os.rename(directory, self.path)
        at_current_directory, exchange = -100, 2
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.renameat2(at_current_directory, directory.encode(),
                          at_current_directory, self.path.encode(), exchange) != 0:
            # Some file systems cannot exchange names; then there is a moment without an image.
            os.rename(self.path, directory + ".old")
            os.rename(directory, self.path)
            shutil.rmtree(directory + ".old")

    def _stamp(self):
        """What the published image was made from; None when a product is missing or cut short."""
        try:
            with open(os.path.join(self.path, self.STAMP)) as file:
                stamp = json.load(file)
            for name, size in stamp["sizes"].items():
                if os.path.getsize(os.path.join(self.path, name)) != size:
                    return None
            return stamp
        except (OSError, ValueError, KeyError):
            return None

    def _write_stamp(self, directory, stamp):
        path = os.path.join(directory, self.STAMP)
        with open(path + ".new", "w") as file:
            json.dump(stamp, file, indent=2)
        os.rename(path + ".new", path)
