"""A segment whose pages are destroyed is read row by row, and writing goes on beside it."""

import random
import shutil
from pathlib import Path

import pytest

from edge.spool import Row, SpoolReader, SpoolSettings, SpoolWriter
from edge.spool.salvage import Salvage
from edge.spool.segment import PAGE_BYTES, list_segments
from tests.clock import FakeClock

SIZES = (0, 10, 700, 16_000, 16_400, 40_000, 65_000)
ROWS = 200


def bodies(number: int = ROWS, sizes: tuple[int, ...] = SIZES) -> list[bytes]:
    rng = random.Random(7)
    return [rng.randbytes(rng.choice(sizes)) for _ in range(number)]


async def opened(directory: Path, **more: int) -> SpoolWriter:
    writer = SpoolWriter(SpoolSettings(directory, free_bytes=0), FakeClock())
    await writer.open(**more)
    return writer


async def write(directory: Path, told: list[bytes], *, is_closed: bool = True) -> Path:
    """Store bodies, some a group; give the segment. Unclosed, it lies as a death leaves it."""
    living = directory if is_closed else directory.with_name("living")
    writer = await opened(living)
    for start in range(0, len(told), 20):
        await writer.append(told[start : start + 20])
    if not is_closed:
        shutil.copytree(living, directory, ignore=shutil.ignore_patterns("*-shm"))
    await writer.close()
    return list_segments(directory)[0].path


async def read(directory: Path, after: int = 0) -> list[Row]:
    reader = SpoolReader(directory)
    rows: list[Row] = []
    while page := await reader.read(rows[-1].seq if rows else after, 50):
        rows += page
    await reader.close()
    return rows


def spoil(path: Path, at: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


@pytest.mark.parametrize("is_closed", [True, False])
async def test_every_row_is_found_without_any_help_of_sqlite(tmp_path, is_closed):
    """Rows of every size, in the file and in the log, with chains of pages behind them."""
    told = bodies()
    path = await write(tmp_path / "spool", told, is_closed=is_closed)
    salvage = Salvage(path)
    assert [salvage.read(seq) for seq in range(1, ROWS + 1)] == told
    assert (salvage.last, salvage.read(ROWS + 1)) == (ROWS, None)


async def test_a_destroyed_first_page_costs_only_what_it_holds(tmp_path):
    """The newest segment has no way in any more: it is left as it is, and another one follows all of its rows."""
    path = await write(tmp_path, told := bodies())
    spoil(path, 0, bytes(PAGE_BYTES))
    before = path.read_bytes()
    writer = await opened(tmp_path)
    assert await writer.append([b"after"]) == ROWS + 1
    await writer.close()
    assert path.read_bytes() == before
    assert await read(tmp_path) == [Row(seq, body) for seq, body in enumerate([*told, b"after"], 1)]


async def test_rows_of_a_destroyed_page_are_damaged_and_all_others_are_read(tmp_path):
    """Of a page in the middle, and at each start anew, by their order and one by one."""
    path = await write(tmp_path, told := bodies(sizes=(700, 900)))
    spoil(path, 4 * PAGE_BYTES, bytes(PAGE_BYTES))
    for start in range(2):
        writer = await opened(tmp_path)
        assert await writer.append([b"after"]) == ROWS + 1 + start
        await writer.close()
        rows = await read(tmp_path)
        lost = [row.seq for row in rows if row.is_damaged]
        assert 10 < len(lost) < 30
        assert lost == list(range(lost[0], lost[0] + len(lost)))
        expected = [*enumerate(told, 1), *((ROWS + 1 + extra, b"after") for extra in range(start + 1))]
        assert rows == [Row(seq, b"", True) if seq in lost else Row(seq, body) for seq, body in expected]
        reader = SpoolReader(tmp_path)
        at = await reader.read_at(range(1, ROWS + 1))
        await reader.close()
        assert at == {seq: Row(seq, body) for seq, body in enumerate(told, 1) if seq not in lost}


@pytest.mark.parametrize("at", [0, 24, 32, 32 + 24 + 200, 32 + 30 * (24 + PAGE_BYTES) + 5])
async def test_a_log_that_is_not_believed_gives_back_every_row_that_still_matches(tmp_path, at):
    """SQLite stops at the first frame that does not match; nothing told anybody that there was more."""
    path = await write(tmp_path / "spool", told := bodies(400, sizes=(700, 900)), is_closed=False)
    log = path.with_name(path.name + "-wal")
    content = log.read_bytes()
    spoil(log, at, bytes([content[at] ^ 4]))
    writer = await opened(path.parent)
    assert await writer.append([b"after"]) == 401
    await writer.close()
    assert await read(path.parent) == [Row(seq, body) for seq, body in enumerate([*told, b"after"], 1)]


async def test_a_number_that_is_not_its_rows_own_moves_no_cursor(tmp_path):
    """A bit in a row's number would let a reader jump over all that follows."""
    path = await write(tmp_path, told := bodies(sizes=(700,)))
    content = path.read_bytes()
    body_at = content.index(told[99])
    number_at = content.index(bytes([100, 5]), body_at - 14, body_at)  # then a record's header of five bytes
    spoil(path, number_at, bytes([100 ^ 64]))
    await (await opened(tmp_path)).close()
    rows = await read(tmp_path)
    assert [row.seq for row in rows] == list(range(1, ROWS + 1))
    assert [row.seq for row in rows if row.is_damaged] == [100]


async def test_nothing_is_taken_up_that_a_sealed_segment_has(tmp_path):
    """A second start finds a log that was emptied, and no row twice."""
    path = await write(tmp_path / "spool", told := bodies(40, sizes=(700,)), is_closed=False)
    for number in range(3):
        writer = await opened(path.parent)
        assert await writer.append([b"%d" % number]) == 41 + number
        await writer.seal()
        await writer.close()
    assert [row.body for row in await read(path.parent)] == [*told, b"0", b"1", b"2"]


async def test_a_start_that_fails_leaves_nothing_open(tmp_path):
    """It is tried again every second, for as long as a disk is away."""
    path = await write(tmp_path, bodies(5))
    path.chmod(0o600)
    (tmp_path / "0000000000000099.segment").mkdir()
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(Exception, match="cannot be opened"):
            await opened(tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors
