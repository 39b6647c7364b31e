"""A disk that is full, read-only or broken, and a destination that is away: refused honestly, and nothing lost.

The service keeps its data on a small file system of its own (see `disk.py`). What is demanded after every fault:
it accepts again within 5 s without anybody's hands, and all that was ever promised arrives.
"""

import asyncio
import itertools
import os
import resource
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from edge.clock import SystemClock
from edge.errors import StorageError, StorageFailed
from edge.sandbox.faults import Fault
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from edge.spool.segment import list_segments
from tests.faults.books import read_books, spool_numbers
from tests.faults.counts import COUNTS
from tests.faults.disk import OwnDisk, own_disk
from tests.faults.driver import ROLES, World, lives, open_sandbox, running_world, seeded, until
from tests.faults.verdict import settled

AGAIN_S = 5.0
FAULT_S = 60.0  # for what takes a second on a machine that has nothing else to do
DISK = "32m"
LARGEST_FILE_BYTES = 65_536  # the log stays below it
PADDING_BYTES, LARGE_CROWD = 20_000, 400
MAX_KILLS = 30
SMALL = "segment_bytes: 1MB, max_bytes: 4MB, free_bytes: 1MB"


@pytest.fixture
def disk(tmp_path):
    with own_disk(tmp_path / "data", DISK) as disk:
        yield disk


@asynccontextmanager
async def open_on(disk: OwnDisk, spool: str, rng) -> AsyncIterator[World]:
    """Run the service with all its data on that disk, visitors walking about; a failed run's data is copied."""
    folder = disk.folder.parents[0 if disk.folder.name == "data" else 1]
    async with running_world(folder, spool=spool, deniers=1) as world:
        try:
            await world.service.until_ready()
            await world.introduce()
            world.open_doors(rng)
            await world.until_accepted(30, FAULT_S)
            yield world
        except BaseException:
            shutil.copytree(disk.folder, folder / "kept", ignore=shutil.ignore_patterns("filler"))
            raise


@pytest.mark.parametrize("free_bytes", ["300KB", "0B"])
async def test_a_full_disk_is_refused_with_a_time_to_come_back_and_forgotten_when_there_is_room(disk, free_bytes):
    """With the watermark before SQLite notices, without it when SQLite says so in the middle of a commit."""
    async with open_on(disk, f"free_bytes: {free_bytes}", seeded()) as world, watched_script(world) as script:
        disk.fill(leave_bytes=200_000 if free_bytes != "0B" else 0)
        world.injected["disk: full"] += 1
        await until(lambda: len(world.answers.refusals) >= 20, FAULT_S, "visitors are refused")
        first_status, retry_after = world.answers.refusals[0]
        assert (first_status, retry_after.isdecimal(), world.answers.cut) == (503, True, 0)
        assert {status for status, _ in world.answers.refusals} == {503}
        disk.clear()
        took_s = await world.until_accepted(30, AGAIN_S)
        await world.close_doors()
        verdict = await settled(world)
        print(f"free_bytes {free_bytes}: accepts again after {took_s:.1f} s, {verdict}, {world.answers.cut} cut")
    assert set(script) == {200}, "the script was not served all the time"


async def _makes_read_only(world: World, disk: OwnDisk) -> bool:
    """End both processes, and take the moment before the next ones have a file open."""
    for role in ROLES:
        with suppress(KeyError, ProcessLookupError):
            os.kill(await world.service.pid(role), signal.SIGKILL)
    return any(disk.remount("ro") for _ in range(20))


def _inodes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_ino for path in folder.glob("*.segment")}


async def _serves_script(world: World) -> bool:
    return await world.script_status() == 200


@asynccontextmanager
async def watched_script(world: World) -> AsyncIterator[list[int]]:
    """Fetch the script again and again meanwhile; gives the statuses."""
    statuses: list[int] = []

    async def watch() -> None:
        while True:
            statuses.append(await world.script_status())
            await asyncio.sleep(0.05)

    watcher = asyncio.create_task(watch())
    try:
        yield statuses
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


async def test_what_was_sent_while_the_ledger_had_no_room_is_not_sent_again(disk):
    """Answers that come while the disk is full wait to be written down: each event reaches the vendor once."""
    async with open_on(disk, "free_bytes: 0B", seeded()) as world:
        faults = world.sandboxes[0].sandbox.faults
        faults.add(Fault("klaviyo", "slow", times=None, after_processing=True, wait_s=60))
        await until(lambda: any(exchange.is_open for exchange in world.exchanges), FAULT_S, "an event is on its way")
        disk.fill()
        world.injected["disk: full"] += 1
        await until(lambda: len(world.answers.refusals) >= 10, FAULT_S, "visitors are refused")
        faults.clear()
        await until(lambda: world.service.logged("settling waits for room") > 0, FAULT_S, "the drainer waits for room")
        assert {status for status, _ in world.answers.refusals} == {503}
        disk.clear()
        took_s = await world.until_accepted(20, AGAIN_S)
        await world.close_doors()
        verdict = await settled(world)
        print(f"ledger full: accepts again after {took_s:.1f} s, {verdict}")
    assert verdict.repeats == 0


async def test_a_destination_that_is_away_costs_waiting_and_neither_an_event_nor_its_place(tmp_path):
    """The connection is refused for a while; visitors go on, and notice nothing."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        await world.until_accepted(30, FAULT_S)
        [gone] = world.sandboxes
        await gone.close()
        world.injected["network: vendor away"] += 1
        await until(lambda: read_books(world.service.data_dir).open > 0, FAULT_S, "events wait")
        await world.until_accepted(50, FAULT_S)
        world.sandboxes.append(await open_sandbox(gone.port))
        await world.close_doors()
        print(await settled(world))
    assert world.answers.refusals == []


async def test_a_spool_that_became_read_only_is_neither_written_nor_replaced_and_is_used_again_when_it_may(tmp_path):
    """As after an operator's remount: the files are the same before and after, and the ledger is elsewhere."""
    (tmp_path / "data").mkdir(mode=0o700)
    with own_disk(tmp_path / "data/spool", DISK) as disk:
        async with open_on(disk, "free_bytes: 0B", seeded()) as world:
            await until(lambda: _makes_read_only(world, disk), FAULT_S, "no file is open for writing")
            world.injected["disk: read-only"] += 1
            files = _inodes(disk.folder)
            refused = len(world.answers.refusals)
            await until(lambda: len(world.answers.refusals) >= refused + 20, FAULT_S, "visitors are refused")
            first_status, retry_after = world.answers.refusals[refused]
            assert (first_status, retry_after.isdecimal()) == (503, True)
            await until(lambda: _serves_script(world), FAULT_S, "the script is served")
            assert (await world.service.state())["collector"]["ready"] is False
            assert world.service.logged("spool failed") == 0, "it was taken for good and then died of it"
            assert _inodes(disk.folder) == files
            assert disk.remount("rw")
            took_s = await world.until_accepted(20, AGAIN_S)
            await world.close_doors()
            verdict = await settled(world)
            print(f"read-only: accepts again after {took_s:.1f} s, {verdict}")
            assert files.items() <= _inodes(disk.folder).items(), "a file was made anew"


@pytest.mark.parametrize("role", ROLES)
async def test_a_process_whose_writes_fail_ends_and_the_next_one_goes_on(tmp_path, role):
    """Writes beyond a size fail with an error that is not "full": nobody writes through that connection again."""
    async with running_world(tmp_path, deniers=1) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(seeded())
        await world.until_accepted(30, FAULT_S)
        pid = await world.service.pid(role)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LARGEST_FILE_BYTES, LARGEST_FILE_BYTES))
        world.injected["disk: writes fail"] += 1
        await until(lambda: not lives(pid), FAULT_S, "the process ends")
        took_s = await world.service.until_ready(pid)
        await world.until_accepted(20, FAULT_S)
        await world.close_doors()
        verdict = await settled(world)
        print(f"{role}: ready again after {took_s:.1f} s, {verdict}, refusals {set(world.answers.refusals)}")
    assert {status for status, _ in world.answers.refusals} <= {503}
    assert all(retry_after.isdecimal() for _, retry_after in world.answers.refusals)


async def test_room_is_given_back_only_for_what_is_done_and_nothing_is_lost_when_killed_meanwhile(tmp_path):
    """A cap of four small segments under a stream of many more, each process killed in turn."""
    rng = seeded()
    async with running_world(tmp_path, deniers=1, spool=SMALL) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng, padding=PADDING_BYTES, crowd=LARGE_CROWD)
        kills = 0
        for role in itertools.islice(itertools.cycle(ROLES), MAX_KILLS):
            await asyncio.sleep(rng.uniform(0, 0.6))
            await world.service.until_ready(await world.kill(role))
            kills += 1
            first = list_segments(world.service.data_dir / "spool")[0].first
            assert first <= read_books(world.service.data_dir).cursor + 1, "a segment went before its time"
            if world.answers.accepted * PADDING_BYTES > COUNTS.stream_bytes:
                break
        await world.close_doors()
        verdict = await settled(world)
        numbers = spool_numbers(world.service.data_dir)
        print(f"{kills} kills, {verdict}, kept from {numbers[0]} to {numbers[-1]}")
    assert world.answers.accepted * PADDING_BYTES > COUNTS.stream_bytes
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert numbers[0] > 1, "no room was given back"


@pytest.mark.parametrize("leave_bytes", range(8_192, 172_032, 8_192))
async def test_a_disk_that_fills_while_a_segment_ends_hides_nothing_and_wants_no_hands(disk, leave_bytes):
    """The sizes end the room at every step of it: in the commit, the new file, its tables, the old one's footer."""
    settings = SpoolSettings(disk.folder / "spool", free_bytes=0, segment_bytes=100_000)
    writer = await _opened(settings)
    stored = [await writer.append([b"x" * 90_000])]
    disk.fill(leave_bytes)
    try:
        stored.append(await writer.append([b"x" * 12_000]))
        while True:  # each comes after the former's attempt at a new segment
            stored.append(await writer.append([b"x" * 12_000]))
    except StorageError as error:
        is_failed = isinstance(error, StorageFailed)
    disk.clear()
    if is_failed:  # its process ends and starts again
        await writer._db.close()
        writer = await _opened(settings)
    for size in (10, 10, 120_000, 10, 10):
        stored.append(await writer.append([b"x" * size]))
    await until(lambda: _are_sealed(settings.directory), FAULT_S, "every segment but the newest is sealed")
    await writer.close()
    again = await _opened(settings)
    stored.append(await again.append([b"again"]))
    await again.close()
    assert stored == list(range(1, len(stored) + 1)), "a number was used twice, or left out"
    assert await _read(settings.directory) == stored, "an acknowledged event is out of a reader's sight"


async def _opened(settings: SpoolSettings) -> SpoolWriter:
    writer = SpoolWriter(settings, SystemClock())
    await writer.open()
    return writer


async def _read(folder: Path) -> list[int]:
    """Follow the log as the resolver does."""
    reader = SpoolReader(folder)
    read: list[int] = []
    while rows := await reader.read(read[-1] if read else 0, 2):
        read += [row.seq for row in rows]
    await reader.close()
    return read


async def _are_sealed(folder: Path) -> bool:
    reader = SpoolReader(folder)
    try:
        return all([await reader.sealed_at_ms(segment) for segment in list_segments(folder)[:-1]])
    finally:
        await reader.close()
