"""A disk of its own for one test: a small tmpfs in a mount namespace of this process's.

Nobody else sees the mount, and what a test leaves behind when it is killed is gone with its process.
"""

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NEW_MOUNTS, OWN_FOLDERS = 0x00020000, 0x00000200  # CLONE_NEWNS, CLONE_FS
SPARE_BLOCK_BYTES = 4_096


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


@contextmanager
def own_disk(folder: Path, size: str) -> Iterator[OwnDisk]:
    """Mount a disk on a folder that only this process and those it starts see. Needs root; fails without."""
    folder.mkdir(exist_ok=True)
    outside, here = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC), Path.cwd()
    try:
        _call("unshare", NEW_MOUNTS)
        _run("mount", "--make-rprivate", "/")
        _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder))
        try:
            yield OwnDisk(folder)
        finally:
            _run("umount", "--lazy", str(folder))
            _call("unshare", OWN_FOLDERS)  # a thread that shares its working folder may not change its mounts
            _call("setns", outside, NEW_MOUNTS)
            os.chdir(here)  # coming back ends in /
    finally:
        os.close(outside)


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
