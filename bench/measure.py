"""CPU time from /proc, the noise of the machine, and rounds in which two sides take turns."""

import os
import platform
import sqlite3
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NOISE_CORES = 0.3  # when others use more than this in a slice, requests a second say nothing and CPU time judges
FSYNCS = 60


@dataclass(frozen=True, slots=True)
class Slice:
    """What one side did in its turn. `units` is what was counted: requests, or events."""

    units: int
    seconds: float
    cpu_s: float
    foreign_cores: float

    @property
    def per_s(self) -> float:
        return self.units / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a unit."""
        return self.cpu_s * 1e6 / max(self.units, 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Slices of both sides, round by round."""

    ours: tuple[Slice, ...]
    base: tuple[Slice, ...]

    @property
    def is_quiet(self) -> bool:
        """Whether requests a second may judge: nobody else used much of the machine."""
        return all(one.foreign_cores <= NOISE_CORES for one in (*self.ours, *self.base))

    @property
    def speeds(self) -> tuple[float, ...]:
        """Ours over the base in units a second, by round."""
        return tuple(a.per_s / b.per_s for a, b in zip(self.ours, self.base, strict=True))

    @property
    def cheapness(self) -> tuple[float, ...]:
        """The base's CPU a unit over ours, by round: higher is better for us."""
        return tuple(b.cpu_us / a.cpu_us for a, b in zip(self.ours, self.base, strict=True))

    def better(self) -> tuple[float, tuple[float, ...], str]:
        """Give the better ratio of medians, its rounds and its name; of CPU alone when others were busy."""
        cpu = middle(s.cpu_us for s in self.base) / middle(s.cpu_us for s in self.ours)
        speed = middle(s.per_s for s in self.ours) / middle(s.per_s for s in self.base)
        if self.is_quiet and speed > cpu:
            return speed, self.speeds, "units/s"
        return cpu, self.cheapness, "CPU"

    def rounds(self) -> list[dict[str, Any]]:
        """Give every slice, for the JSON."""
        return [{"ours": asdict(a), "base": asdict(b)} for a, b in zip(self.ours, self.base, strict=True)]


def middle(values: Iterable[float]) -> float:
    """Give the median."""
    return median(list(values))


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value that a share of all do not exceed, e.g. 0.99."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def alternate(
    ours: Callable[[], Awaitable[Slice]], base: Callable[[], Awaitable[Slice]], rounds: int, *, warm: bool = True
) -> Pair:
    """Let two sides take turns, A B, B A and so on, after a warm-up of each that does not count."""
    if warm:
        await ours()
        await base()
    a: list[Slice] = []
    b: list[Slice] = []
    for number in range(rounds):
        turns = ((ours, a), (base, b)) if number % 2 == 0 else ((base, b), (ours, a))
        for run, into in turns:
            into.append(await run())
    return Pair(tuple(a), tuple(b))


def tree_of(pid: int) -> list[int]:
    """Give a process and everything it started that still runs."""
    found = [pid]
    for task in _listed(Path(f"/proc/{pid}/task")):
        try:
            children = (task / "children").read_text().split()
        except OSError:
            continue
        for child in children:
            found += tree_of(int(child))
    return found


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def cpu_s(pid: int) -> float:
    """Give the user and system time of a process tree so far, its ended children included."""
    ticks = 0
    for one in tree_of(pid):
        try:
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        ticks += sum(int(fields[place]) for place in (11, 12, 13, 14))
    return ticks / TICKS_PER_S


def rss_mb(pid: int) -> float:
    """Give the resident memory of one process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(f"process {pid} has no memory: it ended")


def _busy_s() -> float:
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_S


class Meter:
    """Reads a slice: `start`, then `stop` with what was done meanwhile."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._own = os.getpid()
        self._began_s, self._cpu_s = time.monotonic(), cpu_s(pid)
        self._busy_s, self._ours_s = _busy_s(), self._all_ours()

    def stop(self, units: int, seconds: float | None = None) -> Slice:
        """Give the slice; `seconds` where not all of the time since the start was work."""
        elapsed_s = time.monotonic() - self._began_s
        foreign_s = (_busy_s() - self._busy_s) - (self._all_ours() - self._ours_s)
        spent_s = cpu_s(self._pid) - self._cpu_s
        return Slice(units, seconds or elapsed_s, spent_s, max(0.0, foreign_s / elapsed_s))

    def _all_ours(self) -> float:
        return cpu_s(self._own) if self._pid == self._own else cpu_s(self._own) + self._elsewhere()

    def _elsewhere(self) -> float:
        return 0.0 if self._pid in tree_of(self._own) else cpu_s(self._pid)


def fsyncs_ms(folder: Path, times: int = FSYNCS) -> list[float]:
    """Write 4 KB and wait for the disk, again and again; give what each wait took."""
    path, took_ms = folder / "fsync-probe", list[float]()
    with path.open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"\0" * 4096)
            began_s = time.perf_counter()
            os.fdatasync(file.fileno())
            took_ms.append((time.perf_counter() - began_s) * 1e3)
    path.unlink()
    return took_ms


@dataclass(frozen=True, slots=True)
class Disk:
    """How long the disk takes to say that 4 KB are there."""

    p50_ms: float
    p99_ms: float


def disk(folder: Path) -> Disk:
    """Ask the disk under a folder."""
    took_ms = fsyncs_ms(folder)
    return Disk(quantiles(took_ms, n=2)[0], percentile(took_ms, 0.99))


def file_system(folder: Path) -> str:
    """Give the type of the file system that holds a folder, e.g. "ext4"."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        if str(folder.resolve()).startswith(point) and len(point) >= len(best):
            best, kind = point, name
    return kind


def machine(folder: Path) -> dict[str, Any]:
    """Say on what this ran: versions, processor, kernel, file system."""
    import aiohttp
    import orjson
    import uvloop

    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "python": sys.version.split()[0],
        "aiohttp": aiohttp.__version__,
        "uvloop": uvloop.__version__,
        "orjson": orjson.__version__,
        "sqlite": sqlite3.sqlite_version,
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "file_system": file_system(folder),
    }
