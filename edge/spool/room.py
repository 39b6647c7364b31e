"""Is there room? Asked before every commit, long before the disk itself says no."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

from edge.errors import StorageFull
from edge.spool.segment import SpoolSettings

MIN_FREE_INODES = 100
MEASURE_EVERY_S = 1.0
NO_HANDLES = (errno.EMFILE, errno.ENFILE)


class Room:
    """The spool's soft cap and the free-space watermark of its file system."""

    def __init__(self, settings: SpoolSettings, monotonic_s: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._measured_at_s = float("-inf")
        self._used_bytes = 0

    def check(self) -> None:
        """Return when another group may be written.

        Raises:
            StorageFull: which limit is reached, and what it is.
            OSError: the disk does not answer.
        """
        try:
            self._check()
        except OSError as error:
            if error.errno in NO_HANDLES:
                raise StorageFull("no file handle is free") from error
            raise

    def _check(self) -> None:
        free = os.statvfs(self._settings.directory)
        if free_bytes(self._settings.directory) < self._settings.free_bytes:
            raise StorageFull(f"less than spool.free_bytes ({self._settings.free_bytes}) is free on the disk")
        if free.f_files and free.f_favail < MIN_FREE_INODES:
            raise StorageFull("the file system has no inodes left")
        if self._used() >= self._settings.max_bytes:
            raise StorageFull(f"the spool has reached spool.max_bytes ({self._settings.max_bytes})")

    def _used(self) -> int:
        now_s = self._monotonic_s()
        if now_s - self._measured_at_s >= MEASURE_EVERY_S:
            self._measured_at_s = now_s
            self._used_bytes = directory_bytes(self._settings.directory)
        return self._used_bytes


def free_bytes(directory: Path) -> int:
    """Give the bytes that are free for us on a directory's file system."""
    free = os.statvfs(directory)
    return free.f_bavail * free.f_frsize


def directory_bytes(directory: Path) -> int:
    """Give the bytes that the files of a directory hold; none while nobody has made it."""
    total = 0
    for entry in os.scandir(directory) if directory.exists() else ():
        try:
            total += entry.stat().st_size
        except FileNotFoundError:
            continue  # unlinked by the drainer between listing and looking
    return total
