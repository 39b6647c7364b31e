"""One process a role: an exclusive lock on a file, held until the process ends, however it ends."""

import fcntl
import os
from pathlib import Path

from edge.errors import StorageFailed, StorageTaken


def take_lock(data_dir: Path, role: str) -> int:
    """Take a role's lock and give its descriptor, which must stay open.

    Raises:
        StorageTaken: another living process has it; the message names its pid.
        StorageFailed: the lock file cannot be made.
    """
    path = data_dir / f"{role}.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = _open(path)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be opened: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageTaken(f"process {holder} already runs as {role} on {data_dir}") from error
    _note_holder(descriptor)
    return descriptor


def _open(path: Path) -> int:
    """Open for writing, or for reading where the file system has become read-only: a lock needs no more."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _note_holder(descriptor: int) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError:
        return  # a full or read-only disk: the lock itself holds all the same
