"""Making an initrd and a bootable disk as plain files: no loop device, no mount, no root rights."""

import os
import shutil
import struct
import subprocess
import uuid

from imagebuild import BuildFailed, IMAGES, run

MIB = 1024 * 1024
SECTOR = 512
# GRUB's core lives between the boot sector and the first partition.
FIRST_SECTOR = 2048
GRUB_MODULES = "/usr/lib/grub/i386-pc"

NEEDS = [
    ("cpio", "cpio"), ("gzip", "gzip"), ("mke2fs", "e2fsprogs"), ("qemu-img", "qemu-utils"),
    ("grub-mkimage", "grub-common"), (f"{GRUB_MODULES}/boot.img", "grub-pc-bin"),
    ("/bin/busybox", "busybox-static"),
]

# Named one by one, so that the file system is the same whatever this machine's mke2fs prefers, and
# readable for GRUB. The journal lets a guest come back after its power was cut; with less than 8 MiB
# of it, growing while mounted fails.
EXT4_FEATURES = ("none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg,"
                 "sparse_super,large_file,huge_file,dir_nlink,extra_isize,metadata_csum")
# Room for growing to 2 TiB while mounted, in blocks of 4 KiB. An MBR partition ends there.
LARGEST_BLOCKS = 2 * 1024 * 1024 * MIB // 4096

# Modules for the root disk: nearly every guest has virtio-blk; NVMe is built in.
INITRD_MODULES = {"usual": ["virtio_pci", "virtio_blk"], "scsi": ["virtio_scsi", "sd_mod"]}


def copy_busybox(directory):
    """Installs busybox and a link for each of its programs."""
    if "=>" in subprocess.run(["ldd", "/bin/busybox"], capture_output=True, text=True).stdout:
        raise BuildFailed("/bin/busybox is not the static one. apt-get install busybox-static")
    os.makedirs(directory, exist_ok=True)
    shutil.copy("/bin/busybox", directory)
    for name in run("/bin/busybox", "--list").split():
        if name != "busybox" and not os.path.exists(f"{directory}/{name}"):
            os.symlink("busybox", f"{directory}/{name}")


def make_initrd(kernel, work, target, settings):
    """Writes the initrd: busybox, the disk modules and `guest/initrd/init` with its settings."""
    root = f"{work}/initrd"
    for name in ("dev", "proc", "sys", "root", "etc"):
        os.makedirs(f"{root}/{name}")
    copy_busybox(f"{root}/bin")
    for group, names in INITRD_MODULES.items():
        kernel.copy_modules(names, f"{root}/modules", group)
    shutil.copy(f"{IMAGES}/guest/initrd/init", f"{root}/init")
    with open(f"{root}/etc/image", "w") as file:
        file.writelines(f"{name}='{value}'\n" for name, value in settings.items())
    set_times(root)
    run("sh", "-c", 'cd "$1" && find . | LC_ALL=C sort | '
        'cpio -o -H newc -R 0:0 --quiet --reproducible | gzip -9n >"$2"', "sh", root, target)


def set_times(root):
    """Gives every file the same time, so that equal contents make equal initrds."""
    for directory, names, files in os.walk(root):
        for name in names + files:
            os.utime(f"{directory}/{name}", (0, 0), follow_symlinks=False)
    os.utime(root, (0, 0))


def add_boot_files(root, kernel, initrd, command_line):
    """Puts kernel, initrd and GRUB's settings below `root`/boot."""
    os.makedirs(f"{root}/boot/grub", exist_ok=True)
    shutil.copy(kernel.image, f"{root}/boot/vmlinuz")
    shutil.copy(initrd, f"{root}/boot/initrd.gz")
    with open(f"{root}/boot/grub/grub.cfg", "w") as file:
        file.write(f"linux /boot/vmlinuz {command_line}\ninitrd /boot/initrd.gz\nboot\n")


def make_disk(fill, work, target, size_mib, label, seed):
    """Makes the qcow2 disk: boot sector, GRUB, one ext4 partition with the tree that `fill` names.
    `fill` is a shell command that leaves the tree in $TREE; it runs together with mke2fs, so that
    file owners survive without root rights (fakeroot)."""
    raw = f"{work}/disk.raw"
    with open(raw, "wb") as file:
        file.truncate(size_mib * MIB)
    identity = uuid.uuid5(uuid.NAMESPACE_URL, f"bourse-image:{seed}")
    make = ('set -e; eval "$FILL"; mke2fs -q -F -t ext4 -b 4096 -m 0 -J size=8 -O "$FEATURES" -L "$LABEL" '
            '-U "$IDENTITY" -d "$TREE" '
            '-E "offset=$OFFSET,root_owner=0:0,hash_seed=$IDENTITY,resize=$LARGEST" "$RAW" "$SIZE"')
    environment = {**os.environ, "FILL": fill, "FEATURES": EXT4_FEATURES, "LABEL": label,
                   "IDENTITY": str(identity), "TREE": f"{work}/root", "RAW": raw,
                   "OFFSET": str(FIRST_SECTOR * SECTOR), "LARGEST": str(LARGEST_BLOCKS),
                   "SIZE": f"{size_mib * 1024 - FIRST_SECTOR * SECTOR // 1024}k"}
    as_root = [] if os.geteuid() == 0 else ["fakeroot"]
    run(*as_root, "sh", "-c", make, env=environment)
    write_boot_sectors(raw, work, size_mib, label, identity)
    # zstd: a guest reads its first hundreds of MiB from here, and zlib is several times slower.
    run("qemu-img", "convert", "-m", "1", "-f", "raw", "-O", "qcow2", "-c",
        "-o", "compression_type=zstd", raw, target)
    os.unlink(raw)


def write_boot_sectors(raw, work, size_mib, label, identity):
    """The master boot record (boot code, identifier, one active Linux partition) and GRUB's core."""
    core = make_grub_core(work, label)
    if len(core) > (FIRST_SECTOR - 1) * SECTOR:
        raise BuildFailed("GRUB's core does not fit before the first partition")
    with open(f"{GRUB_MODULES}/boot.img", "rb") as file:
        boot_code = file.read()[:440]
    beyond_cylinders = b"\xfe\xff\xff"
    partition = struct.pack("<B3sB3sII", 0x80, beyond_cylinders, 0x83, beyond_cylinders,
                            FIRST_SECTOR, size_mib * MIB // SECTOR - FIRST_SECTOR)
    with open(raw, "r+b") as file:
        file.write(boot_code.ljust(440, b"\0") + identity.bytes[:4] + b"\0\0")
        file.write(partition + bytes(48) + b"\x55\xaa")
        file.write(core)


def make_grub_core(work, label):
    """GRUB with all it needs to find the file system by its label; it speaks on the serial line."""
    with open(f"{work}/grub-early.cfg", "w") as file:
        file.write("serial --unit=0 --speed=115200\nterminal_output serial\n"
                   f"search.fs_label {label} root\nset prefix=($root)/boot/grub\n"
                   "configfile $prefix/grub.cfg\n")
    run("grub-mkimage", "-O", "i386-pc", "-o", f"{work}/core.img", "-p", "(hd0,msdos1)/boot/grub",
        "-c", f"{work}/grub-early.cfg", "biosdisk", "part_msdos", "ext2", "linux", "normal",
        "configfile", "search_label", "serial", "terminal")
    with open(f"{work}/core.img", "rb") as file:
        return file.read()
