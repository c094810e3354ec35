"""Debian's cloud kernel: fetched with apt, unpacked, never installed on this machine."""

import os
import re
import shutil

from imagebuild import BuildFailed, candidate_versions, exclusive, require, run

META_PACKAGE = "linux-image-cloud-amd64"


def kernel_version():
    """The package version apt would take now, for telling whether anything changed."""
    return candidate_versions([META_PACKAGE])[META_PACKAGE]


class Kernel:
    """One unpacked kernel package: `release` (6.1.0-1-cloud-amd64), `image`, `modules`."""

    def __init__(self, directory, release):
        self.release = release
        self.image = f"{directory}/boot/vmlinuz-{release}"
        self.modules = f"{directory}/lib/modules/{release}"

    def module_files(self, names):
        """Paths below `modules` of the named modules and all they need, in loading order. Names that
        this kernel has built in are left out."""
        needs = {}
        with open(f"{self.modules}/modules.dep") as file:
            for line in file:
                path, _, dependencies = line.partition(":")
                needs[path] = dependencies.split()
        by_name = {self._name(path): path for path in needs}
        with open(f"{self.modules}/modules.builtin") as file:
            built_in = {self._name(line.strip()) for line in file}
        order = []

        def add(path):
            # modules.dep names the nearest need first.
            for need in reversed(needs[path]):
                add(need)
            if path not in order:
                order.append(path)

        for name in names:
            if name in by_name:
                add(by_name[name])
            elif name not in built_in:
                raise BuildFailed(f"kernel {self.release} has no module {name}")
        return order

    def copy_modules(self, names, directory, group):
        """Copies modules flat into `directory` and their loading order into the file `group`."""
        os.makedirs(directory, exist_ok=True)
        with open(f"{directory}/{group}", "w") as file:
            for path in self.module_files(names):
                shutil.copy(f"{self.modules}/{path}", directory)
                file.write(os.path.basename(path) + "\n")

    @staticmethod
    def _name(path):
        return re.sub(r"\.ko(\.\w+)?$", "", os.path.basename(path)).replace("-", "_")


def fetch_kernel(cache, directory, progress):
    """Fetches the current kernel package into `cache` and unpacks it below `directory`."""
    require([("apt-get", "apt"), ("dpkg-deb", "dpkg"), ("depmod", "kmod")])
    depends = run("apt-cache", "depends", META_PACKAGE)
    match = re.search(r"Depends: (linux-image-(\S+))", depends)
    if not match:
        raise BuildFailed(f"apt knows no package {META_PACKAGE}. Run apt-get update")
    package, release = match.groups()
    with exclusive(f"{cache}/.lock"):
        progress(f"fetching kernel {release}")
        before = set(os.listdir(cache))
        # apt leaves a package alone that is already there and whole. It needs no rights but to write here.
        run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", package, cwd=cache)
        files = sorted((name for name in os.listdir(cache) if name.startswith(package + "_")),
                       key=lambda name: (name not in before, os.path.getmtime(f"{cache}/{name}")))
        for old in [name for name in os.listdir(cache)
                    if re.match(r"linux-image-.*\.deb$", name) and name != files[-1]]:
            os.unlink(f"{cache}/{old}")
        progress("unpacking kernel")
        run("dpkg-deb", "-x", f"{cache}/{files[-1]}", directory)
    run("depmod", "-b", directory, release)
    return Kernel(directory, release)
