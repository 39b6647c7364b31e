"""A disk of its own for one test, in a mount namespace of this process's: a small tmpfs, or one whose power can fail.

Nobody else sees the mount, and what a test leaves behind when it is killed is gone with its process.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW_MOUNTS, OWN_FOLDERS = 0x00020000, 0x00000200  # CLONE_NEWNS, CLONE_FS
SPARE_BLOCK_BYTES = 4_096
# EXT4_IOC_SHUTDOWN without a flush of the journal: from here on nothing reaches the disk, and what had not is gone.
CUT_POWER, NO_FLUSH = 0x8004587D, 2


class OwnDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @property
    def free_bytes(self) -> int:
        """What is left on it."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def fill(self, leave_bytes: int = 0) -> None:
        """Let a stranger's file take what is free."""
        with self._filler.open("ab", buffering=0) as filler:
            while (more := self.free_bytes - leave_bytes) >= SPARE_BLOCK_BYTES:
                try:
                    os.posix_fallocate(filler.fileno(), filler.seek(0, os.SEEK_END), more)
                except OSError:
                    continue  # somebody else was quicker: take what is left now

    def clear(self) -> None:
        """Remove the stranger's file."""
        self._filler.unlink()

    def remount(self, mode: str) -> bool:
        """Make it `ro` or `rw`; False when a file is open for writing, which the system does not allow."""
        command = ("mount", "-o", f"remount,{mode}", str(self.folder))
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


class PoweredDisk:
    """A mounted ext4 file system in a file."""

    def __init__(self, folder: Path, image: Path) -> None:
        self.folder, self._image = folder, image

    def cut(self) -> None:
        """Let the power fail. Whoever could still promise something must have been halted before."""
        here = os.open(self.folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(here, CUT_POWER, struct.pack("I", NO_FLUSH))
        finally:
            os.close(here)

    def restore(self) -> None:
        """Mount it as a machine does that starts again. Nobody may have a file on it open."""
        _run("umount", str(self.folder))
        self.mount()

    def mount(self) -> None:
        """Mount it."""
        _run("mount", "-o", "loop", str(self._image), str(self.folder))
        self.folder.chmod(0o700)


@contextmanager
def own_disk(folder: Path, size: str) -> Iterator[OwnDisk]:
    """Mount a disk on a folder that only this process and those it starts see. Needs root; fails without."""
    folder.mkdir(exist_ok=True)
    with _own_mounts():
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
        with _mounted(folder):
            yield OwnDisk(folder)


@contextmanager
def powered_disk(folder: Path, image: Path, size_bytes: int) -> Iterator[PoweredDisk]:
    """Mount a disk whose power can be cut. Needs root, mkfs.ext4 and loop devices; fails without."""
    folder.mkdir(exist_ok=True)
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _own_mounts():
        disk = PoweredDisk(folder, image)
        disk.mount()
        with _mounted(folder):
            yield disk


def why_no_power() -> str:
    """Say why this machine has no disk whose power can be cut, "" where it has one."""
    if os.geteuid() != 0:
        return "it mounts a disk of its own, which needs root"
    if shutil.which("mkfs.ext4") is None:
        return "mkfs.ext4 is missing: sudo apt-get install -y e2fsprogs"
    return "" if Path("/dev/loop-control").exists() else "this machine has no loop devices"


@contextmanager
def _own_mounts() -> Iterator[None]:
    outside, here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), Path.cwd()
    try:
        _call("unshare", NEW_MOUNTS)
        _run("mount", "--make-rprivate", "/")
        try:
            yield
        finally:
            _call("unshare", OWN_FOLDERS)  # a thread that shares its working folder may not change its mounts
            _call("setns", outside, NEW_MOUNTS)
            os.chdir(here)  # coming back ends in /
    finally:
        os.close(outside)


@contextmanager
def _mounted(folder: Path) -> Iterator[None]:
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


def _call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) != 0:
        raise AssertionError(f"this test mounts a disk of its own, which needs root: {name} gave {_reason()}")


def _reason() -> str:
    return os.strerror(ctypes.get_errno())


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    if done.returncode != 0:
        raise AssertionError(f"this test mounts a disk of its own, which needs root: {done.stderr.strip()}")
