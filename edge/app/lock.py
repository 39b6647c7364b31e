"""One process a role: an exclusive lock on a file, held until the process ends, however it ends."""

import fcntl
import os
import time
from pathlib import Path

from edge.errors import StorageFailed, StorageTaken

# Who only looks holds a shared lock for less than a moment: nobody may take that for another service.
TRIES, TRY_EVERY_S = 3, 0.01


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
        _lock(descriptor)
    except BlockingIOError as error:
        holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise StorageTaken(f"process {holder} already runs as {role} on {data_dir}") from error
    _note_holder(descriptor)
    return descriptor


def is_held(data_dir: Path, role: str) -> bool | None:
    """Tell whether a living process has a role's lock; None: that cannot be seen, as by a user without the right."""
    try:
        descriptor = os.open(data_dir / f"{role}.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    for _ in range(TRIES - 1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(TRY_EVERY_S)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
