"""The spool keeps what it said yes to, in order, whatever happened in between."""

import asyncio
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.errors import StorageBusy, StorageFull
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from edge.spool.mark import read_mark, write_mark
from edge.spool.segment import list_segments, segment_at, unlink
from tests.clock import FakeClock


def settings(directory: Path, **changes: object) -> SpoolSettings:
    return SpoolSettings(**{"directory": directory, "free_bytes": 0, **changes})


async def opened(
    directory: Path, clock: FakeClock | None = None, *, floor_seq: int = 0, **changes: object
) -> SpoolWriter:
    writer = SpoolWriter(settings(directory, **changes), clock or FakeClock())
    await writer.open(floor_seq=floor_seq)
    return writer


async def stored(directory: Path) -> list[tuple[int, bytes]]:
    reader = SpoolReader(directory)
    rows = await reader.read(0, 100_000)
    await reader.close()
    assert not any(row.is_damaged for row in rows)
    return [(row.seq, row.body) for row in rows]


def copy_as_after_a_death(source: Path, target: Path) -> Path:
    """Copy the files as they lie on disk, without closing anything: what kill -9 leaves."""
    shutil.copytree(source, target)
    for path in target.glob("*-shm"):
        path.unlink()
    return target


async def test_append_gives_numbers_without_holes_in_the_order_of_calls(tmp_path):
    writer = await opened(tmp_path)
    firsts = await asyncio.gather(*(writer.append([b"a%d" % n, b"b%d" % n]) for n in range(50)))
    assert firsts == list(range(1, 101, 2))
    await writer.close()
    assert await stored(tmp_path) == [(2 * n + k + 1, b"%c%d" % (b"ab"[k], n)) for n in range(50) for k in range(2)]


async def test_waiters_that_come_during_a_commit_share_the_next_one(tmp_path):
    writer = await opened(tmp_path)
    asked: list[str] = []
    await writer._db.set_trace_callback(asked.append)
    await asyncio.gather(*(writer.append([b"x"]) for _ in range(200)))
    assert 1 <= asked.count("COMMIT") <= 3
    await writer.close()


async def test_what_was_acknowledged_is_there_after_a_death_without_goodbye(tmp_path):
    writer = await opened(tmp_path / "spool")
    await writer.append([b"one", b"two"])
    left = copy_as_after_a_death(tmp_path / "spool", tmp_path / "left")
    await writer.close()
    again = await opened(left)
    assert await again.append([b"three"]) == 3
    assert await stored(left) == [(1, b"one"), (2, b"two"), (3, b"three")]
    await again.close()


async def test_a_large_segment_is_followed_by_the_next_and_sealed(tmp_path):
    writer = await opened(tmp_path, segment_bytes=20_000)
    for n in range(30):
        await writer.append([b"%02d" % n * 500])
    await writer.close()
    segments = list_segments(tmp_path)
    assert len(segments) > 1
    for segment in segments[:-1]:
        db = sqlite3.connect(f"file:{segment.path}?mode=ro", uri=True)
        first, last, events = db.execute("SELECT first, last, events FROM footer").fetchone()
        db.close()
        assert (first, events) == (segment.first, last - first + 1)
    assert [seq for seq, _ in await stored(tmp_path)] == list(range(1, 31))


async def test_an_old_segment_is_followed_by_the_next(tmp_path):
    clock = FakeClock()
    writer = await opened(tmp_path, clock)
    await writer.append([b"one"])
    clock.advance(3_601)
    await writer.append([b"two"])
    await writer.append([b"three"])
    await writer.close()
    assert [segment.first for segment in list_segments(tmp_path)] == [1, 3]


async def test_a_segment_left_open_by_a_death_is_sealed_at_the_next_start(tmp_path):
    writer = await opened(tmp_path / "spool", segment_bytes=20_000)
    await writer.append([b"x" * 30_000])
    await writer.append([b"y"])
    left = copy_as_after_a_death(tmp_path / "spool", tmp_path / "left")
    await writer.close()
    first = list_segments(left)[0]
    db = sqlite3.connect(first.path)
    db.execute("DELETE FROM footer")
    db.commit()
    db.close()
    await (await opened(left)).close()
    db = sqlite3.connect(f"file:{first.path}?mode=ro", uri=True)
    assert db.execute("SELECT count(*) FROM footer").fetchone() == (1,)
    db.close()


async def test_a_number_is_never_used_twice_after_a_lost_tail(tmp_path):
    writer = await opened(tmp_path)
    await writer.append([b"one"])
    await writer.close()
    again = await opened(tmp_path, floor_seq=7)
    assert await again.append([b"eight"]) == 8
    await again.close()
    assert await stored(tmp_path) == [(1, b"one"), (8, b"eight")]


async def test_the_mark_alone_is_witness_enough(tmp_path):
    write_mark(tmp_path, 41)
    writer = await opened(tmp_path)
    assert await writer.append([b"x"]) == 42
    await writer.close()
    assert read_mark(tmp_path) == 42


async def test_a_broken_mark_counts_as_none(tmp_path):
    (tmp_path / "mark").write_text("99 123\n")
    assert read_mark(tmp_path) == 0


async def test_the_soft_cap_refuses_before_the_disk_does_and_yields_when_space_is_given_back(tmp_path):
    clock = FakeClock()
    writer = await opened(tmp_path, clock, segment_bytes=30_000, max_bytes=200_000)
    with pytest.raises(StorageFull):
        for _ in range(100):
            await writer.append([b"x" * 10_000])
            clock.advance(1)
    for segment in list_segments(tmp_path)[:-1]:
        unlink(segment)
    clock.advance(1)
    await writer.append([b"again"])
    await writer.close()


async def test_the_watermark_refuses(tmp_path):
    free = os.statvfs(tmp_path)
    writer = await opened(tmp_path, free_bytes=free.f_bavail * free.f_frsize * 2)
    with pytest.raises(StorageFull, match="free_bytes"):
        await writer.append([b"x"])
    await writer.close()


async def test_more_waiting_work_than_the_bound_is_refused_at_once(tmp_path):
    writer = await opened(tmp_path, max_waiting_events=10)
    answers = await asyncio.gather(*(writer.append([b"x"]) for _ in range(30)), return_exceptions=True)
    assert sum(isinstance(answer, StorageBusy) for answer in answers) == 20
    await writer.close()
    assert len(await stored(tmp_path)) == 10


async def test_a_flipped_bit_is_seen_and_the_rest_still_reads(tmp_path):
    writer = await opened(tmp_path)
    await writer.append([b"one", b"unmistakable", b"three"])
    await writer.close()
    path = list_segments(tmp_path)[0].path
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"unmistakable")] ^= 1
    path.write_bytes(raw)
    reader = SpoolReader(tmp_path)
    assert [row.is_damaged for row in await reader.read(0, 10)] == [False, True, False]
    await reader.close()


async def test_a_reader_follows_over_rotations_and_finds_single_numbers(tmp_path):
    writer = await opened(tmp_path, segment_bytes=20_000)
    reader = SpoolReader(tmp_path)
    seen, after = [], 0
    for n in range(60):
        await writer.append([b"%d" % n, b"x" * 900])
        for row in await reader.read(after, 3):
            seen.append(row.seq)
            after = row.seq
    assert seen == list(range(1, len(seen) + 1))
    found = await reader.read_at([1, 60, 119, 5_000])
    assert {seq: row.body for seq, row in found.items() if seq != 60} == {1: b"0", 119: b"59"}
    assert await reader.last_seq() == 120
    await reader.close()
    await writer.close()


async def test_leftovers_go_only_where_their_segment_is_gone(tmp_path):
    writer = await opened(tmp_path)
    await writer.append([b"x"])
    living = list_segments(tmp_path)[0].path
    orphan = tmp_path / "0000000000000099.segment-wal"
    orphan.write_bytes(b"")
    left = copy_as_after_a_death(tmp_path, tmp_path.parent / f"{tmp_path.name}-left")
    await writer.close()
    await (await opened(left)).close()
    assert not (left / orphan.name).exists()
    assert (left / living.name).exists()


async def test_a_reader_never_writes(tmp_path):
    writer = await opened(tmp_path)
    await writer.append([b"x"])
    before = list_segments(tmp_path)[0].path.read_bytes()
    await stored(tmp_path)
    assert list_segments(tmp_path)[0].path.read_bytes() == before
    await writer.close()


async def test_an_empty_spool_has_nothing_to_read(tmp_path):
    reader = SpoolReader(tmp_path / "nowhere")
    assert (await reader.read(0, 10), await reader.read_at([3]), await reader.last_seq()) == ([], {}, 0)
    await reader.close()


async def test_a_segment_given_up_and_begun_again_is_not_missed(tmp_path):
    """A reader that met the file before its tables must not keep looking at the unlinked one."""
    writer = await opened(tmp_path)
    await writer.append([b"one"])
    unborn = segment_at(tmp_path, 2)
    sqlite3.connect(unborn.path).close()
    unborn.path.touch()
    reader = SpoolReader(tmp_path)
    assert [row.seq for row in await reader.read(0, 10)] == [1]
    unlink(unborn)
    await writer.append([b"two"])
    await writer.close()
    again = await opened(tmp_path, floor_seq=2, segment_bytes=1)
    await again.append([b"three"])
    await again.append([b"four"])
    assert [row.seq for row in await reader.read(0, 10)] == [1, 2, 3, 4]
    await reader.close()
    await again.close()


async def test_a_damaged_old_segment_does_not_stop_the_start(tmp_path):
    writer = await opened(tmp_path, segment_bytes=1)
    for n in range(3):
        await writer.append([b"%d" % n])
    await writer.close()
    oldest = list_segments(tmp_path)[0].path
    oldest.write_bytes(b"not a database" * 1_000)
    again = await opened(tmp_path)
    assert await again.append([b"on"]) == 4
    await again.close()
    assert oldest.read_bytes().startswith(b"not a database")
