"""Steady time over restarts, and file handles that are not for strangers."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from edge.app.handles import RESERVED
from edge.app.steady import NOTE_EVERY_S, SteadyKeeper
from edge.collector import MAX_CONNECTIONS
from edge.errors import StorageFull
from edge.spool import SpoolSettings
from edge.spool.room import Room
from tests.clock import FakeClock

DAY_S = 86_400.0
FILE = "drainer.clock"


async def test_a_start_goes_on_where_steady_time_was_noted(tmp_path: Path) -> None:
    clock = FakeClock()
    await SteadyKeeper(tmp_path, "drainer", clock).look()
    noted_ms = clock.now_ms()
    clock.jump(400 * DAY_S)
    again = SteadyKeeper(tmp_path, "drainer", clock)
    assert (again.clock.now_ms(), again.off_s) == (noted_ms, 400 * DAY_S)
    assert SteadyKeeper(tmp_path, "collector", clock).off_s == 0
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


async def test_it_is_noted_once_a_minute(tmp_path: Path) -> None:
    clock = FakeClock()
    keeper = SteadyKeeper(tmp_path, "drainer", clock)
    noted = []
    for _ in range(5):
        await keeper.look()
        noted.append(int((tmp_path / FILE).read_text().split()[0]) - FakeClock().now_ms())
        clock.advance(NOTE_EVERY_S / 2)
    assert noted == [0, 0, 60_000, 60_000, 120_000]


async def test_a_bit_that_rots_in_what_was_noted_makes_nothing_older_or_younger(tmp_path: Path) -> None:
    await SteadyKeeper(tmp_path, "drainer", FakeClock()).look()
    noted = (tmp_path / FILE).read_bytes()
    started = set()
    for bit in range(8 * len(noted)):
        rotten = bytearray(noted)
        rotten[bit // 8] ^= 1 << bit % 8
        (tmp_path / FILE).write_bytes(rotten)
        started.add(SteadyKeeper(tmp_path, "drainer", FakeClock()).clock.now_ms())
    assert started == {FakeClock().now_ms()}


@pytest.mark.parametrize("left", [b"", b"noon", b"\xff", b"17", b"9" * 400, b"9" * 5_000])
async def test_a_file_that_says_nothing_lets_the_clock_be_believed(tmp_path: Path, left: bytes) -> None:
    (tmp_path / FILE).write_bytes(left)
    assert SteadyKeeper(tmp_path, "drainer", FakeClock()).off_s == 0


async def test_a_disk_that_does_not_take_it_ends_nothing(tmp_path: Path) -> None:
    keeper = SteadyKeeper(tmp_path / "gone", "drainer", FakeClock())
    await keeper.look()
    assert keeper.off_s == 0


@pytest.mark.parametrize(("soft", "hard"), [(64, 64), (64, 256), (1_024, 1_024), (256, 12_000)])
def test_connections_get_what_the_machine_allows_less_what_the_spool_needs(soft: int, hard: int) -> None:
    """A process of its own, whose limit is raised."""
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    hard = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
    code = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({min(soft, hard)}, {hard}))\n"
        "from edge.app.handles import connections_allowed\n"
        "print(connections_allowed(), resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60)
    raised = min(hard, MAX_CONNECTIONS + RESERVED)
    assert done.stdout.split() == [str(max(1, raised - RESERVED)), str(raised)]


def test_a_commit_that_finds_no_file_handle_is_told_to_come_back(tmp_path: Path) -> None:
    """It is no fault of the disk's."""
    room = Room(SpoolSettings(tmp_path, free_bytes=0), lambda: 0.0)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))), limits[1]))  # noqa: PTH208
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        with pytest.raises(StorageFull, match="no file handle is free"):
            room.check()
    finally:
        for one in taken:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
