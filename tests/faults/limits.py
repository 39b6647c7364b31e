"""Limits for one process: memory by a control group of its own, file handles, and what it has used of the processor."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

V1, V2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")


class MemoryGroup:
    """A control group with a limit, of the first kind or the second; who is over it is killed by the system."""

    def __init__(self, folder: Path, *, is_second: bool) -> None:
        self._folder, self._is_second = folder, is_second

    def limit(self, size_bytes: int) -> None:
        """Let those who are in it have so many bytes together, files' pages that are not given back included."""
        self._write("memory.max" if self._is_second else "memory.limit_in_bytes", size_bytes)

    def add(self, pid: int) -> None:
        """Take a process in; what it has already stays uncounted."""
        self._write("cgroup.procs", pid)

    @property
    def kills(self) -> int:
        """How many were killed for memory."""
        return self._told("memory.events" if self._is_second else "memory.oom_control", "oom_kill")

    @property
    def own_bytes(self) -> int:
        """What is theirs alone now: no pages of files."""
        return self._told("memory.stat", "anon" if self._is_second else "rss")

    def _told(self, file: str, key: str) -> int:
        lines = (self._folder / file).read_text().splitlines()
        return int(dict(line.split() for line in lines)[key])

    def _write(self, file: str, value: int) -> None:
        (self._folder / file).write_text(str(value))


@contextmanager
def memory_group(name: str, limit_bytes: int) -> Iterator[MemoryGroup]:
    """Make a control group, and remove it when those who were in it have ended."""
    is_second = not V1.is_dir()
    folder = (V2 if is_second else V1) / f"edge-faults-{os.getpid()}-{name}"
    folder.mkdir()
    try:
        group = MemoryGroup(folder, is_second=is_second)
        group.limit(limit_bytes)
        yield group
    finally:
        with suppress(OSError):  # somebody is still ending in it
            folder.rmdir()


def why_no_memory_group() -> str:
    """Say why this machine has no control group for a process's memory, "" where it has one.

    An address space that is limited (RLIMIT_AS) is no substitute: what SQLite maps and what threads reserve counts
    there, and what is used does not.
    """
    if os.geteuid() != 0:
        return "it limits a process's memory by a control group, which needs root"
    with suppress(OSError), memory_group("try", 10**9):
        return ""
    return "this machine lets nobody make a control group for memory"


def limit_handles(pid: int, number: int) -> None:
    """Let a process, and what it starts from now on, have so many files open."""
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number, number))


def handles(pid: int) -> int:
    """Give how many files a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def processor_s(pid: int) -> float:
    """Give the seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
