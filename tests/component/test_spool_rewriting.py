"""Rows are emptied by a whole new file, and whoever reads meanwhile sees the old one or the new one."""

import sqlite3

import pytest

from edge.spool import SpoolReader, SpoolSettings, SpoolWriter
from edge.spool.rewriting import find_full, find_holding, is_sealed, rewrite
from edge.spool.segment import list_segments, remove_replaced, unlink
from tests.clock import FakeClock


async def write(folder, *bodies: bytes) -> SpoolWriter:
    writer = SpoolWriter(SpoolSettings(folder, free_bytes=0), FakeClock())
    await writer.open()
    await writer.append(bodies)
    return writer


async def read(folder) -> list[tuple[int, bytes, bool, bool]]:
    reader = SpoolReader(folder)
    rows = await reader.read(0, 100)
    await reader.close()
    return [(row.seq, row.body, row.is_erased, row.is_damaged) for row in rows]


async def test_what_was_appended_lies_in_sealed_segments_once_somebody_asked(tmp_path):
    writer = await write(tmp_path, b"one", b"two")
    assert await writer.seal() == 2
    assert [(segment.first, is_sealed(segment)) for segment in list_segments(tmp_path)] == [(1, True), (3, False)]
    assert await writer.seal() == 2
    assert await writer.append([b"three"]) == 3
    assert await writer.seal() == 3
    assert len(list_segments(tmp_path)) == 3
    await writer.close()


async def test_an_emptied_row_keeps_its_number_and_the_others_their_bytes(tmp_path):
    writer = await write(tmp_path, b"one", b"two", b"three")
    await writer.seal()
    reader = SpoolReader(tmp_path)
    assert len(await reader.read(0, 100)) == 3
    old = list_segments(tmp_path)[0]
    fresh = rewrite(old, {2})
    assert (fresh.first, fresh.generation, list_segments(tmp_path)[0]) == (1, 1, fresh)
    assert old.path.exists()
    expected = [(1, b"one", False, False), (2, b"", True, False), (3, b"three", False, False)]
    assert await read(tmp_path) == expected
    assert [row.body for row in await reader.read(0, 100)] == [b"one", b"", b"three"]
    assert (find_full(fresh, {1, 2}), is_sealed(fresh)) == ({1}, True)
    assert remove_replaced(tmp_path) == 1
    assert (old.path.exists(), await read(tmp_path)) == (False, expected)
    assert [row.is_erased for row in (await reader.read_at([1, 2])).values()] == [False, True]
    await reader.close()
    await writer.close()


async def test_a_damaged_row_is_carried_along_as_it_is(tmp_path):
    writer = await write(tmp_path, b"one", b"two")
    await writer.seal()
    old = list_segments(tmp_path)[0]
    with sqlite3.connect(old.path) as db:
        db.execute("UPDATE event SET body = x'00ff' WHERE seq = 1")
    db.close()
    rewrite(old, {2})
    assert await read(tmp_path) == [(1, b"\x00\xff", False, True), (2, b"", True, False)]
    await writer.close()


async def test_a_file_that_cannot_be_read_stays_as_it_is(tmp_path):
    writer = await write(tmp_path, b"one")
    await writer.seal()
    old = list_segments(tmp_path)[0]
    old.path.write_bytes(b"\0" * 4_096)
    with pytest.raises(sqlite3.Error):
        rewrite(old, {1})
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix == ".draft") == []
    assert list_segments(tmp_path)[0] == old
    await writer.close()


async def test_what_a_death_left_half_written_is_nobodys_and_removed(tmp_path):
    writer = await write(tmp_path, b"one")
    await writer.seal()
    draft = tmp_path / "0000000000000001-1.draft"
    draft.write_bytes(b"half")
    assert await read(tmp_path) == [(1, b"one", False, False)]
    assert (remove_replaced(tmp_path), draft.exists()) == (0, False)
    await writer.close()


async def test_an_unlinked_segment_does_not_come_back_as_it_was_before(tmp_path):
    writer = await write(tmp_path, b"one")
    await writer.seal()
    unlink(rewrite(list_segments(tmp_path)[0], {1}))
    assert [segment.first for segment in list_segments(tmp_path)] == [2]
    await writer.close()


async def test_a_restart_goes_on_behind_a_rewritten_segment(tmp_path):
    writer = await write(tmp_path, b"one")
    await writer.seal()
    await writer.close()
    rewrite(list_segments(tmp_path)[0], {1})
    writer = await write(tmp_path, b"two")
    assert await read(tmp_path) == [(1, b"", True, False), (2, b"two", False, False)]
    await writer.close()


async def test_only_rows_that_hold_a_text_are_looked_at(tmp_path):
    writer = await write(tmp_path, b'{"a": "TEA"}', b'{"a": "cup"}')
    await writer.seal()
    looked: list[bytes] = []
    found = find_holding(list_segments(tmp_path)[0], ["tea"], lambda body: not looked.append(body))
    assert (found, looked) == ([1], [b'{"a": "TEA"}'])
    await writer.close()
