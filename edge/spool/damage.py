"""Is a segment what it was? And what lies in a log behind the place where SQLite stops reading it."""

import asyncio
import sqlite3
from functools import partial
from pathlib import Path

from edge.spool.salvage import Salvage
from edge.spool.segment import PAGE_BYTES, Segment, checksum, open_for_reading, scalar

IS_SOUND = "SELECT count(*) FROM pragma_quick_check(1) WHERE quick_check = 'ok'"
TABLES = "SELECT count(*) FROM sqlite_schema WHERE name IN ('event', 'footer')"
ALL_TABLES = 2
HEADER = b"SQLite format 3\0" + PAGE_BYTES.to_bytes(2, "big")
VERSIONS = {1, 2}  # who may write it, and who may read it
MAX_UNBORN_BYTES = 4 * PAGE_BYTES  # of a segment that never had a row
NOT_OURS = ("no such table", "unsupported file format")


def says_damaged(error: sqlite3.Error) -> bool:
    """Tell a file that is not what it was, which stays so, from a disk or a moment that does not let us read it."""
    if isinstance(error, sqlite3.OperationalError):
        return any(text in str(error) for text in NOT_OURS)
    return isinstance(error, sqlite3.DatabaseError)


async def is_sound(segment: Segment) -> bool:
    """Tell whether SQLite finds its way through a segment; what rows say is theirs to vouch for.

    Raises:
        sqlite3.Error, OSError: the disk, or this moment, does not let it be read.
    """
    if not _has_sound_header(segment.path):
        return False
    try:
        db = await open_for_reading(segment)
        try:
            return bool(await scalar(db, IS_SOUND)) and await scalar(db, TABLES) == ALL_TABLES
        finally:
            await db.close()
    except sqlite3.Error as error:
        if not says_damaged(error):
            raise
        return False


async def is_damaged(segment: Segment) -> bool:
    """Tell whether a segment was whole once and is not any more; one that a death left half made never was.

    What only a writing connection may clear away after a death counts as none.
    """
    try:
        if await is_sound(segment):
            return False
    except sqlite3.Error:
        return False
    found = await asyncio.to_thread(Salvage, segment.path)
    return found.last > 0 or segment.path.stat().st_size > MAX_UNBORN_BYTES


async def rows_cut_off(segment: Segment, last: int) -> list[tuple[int, int, bytes]]:
    """Give the rows after a number that lie in the log: each vouches for itself, and one that is destroyed is damaged.

    Returns:
        Number, checksum and body of each. One that was never answered with a yes may be among them, which is no harm.
    """
    found = await asyncio.to_thread(partial(Salvage, segment.path, after=last, only_log=True))
    rows: list[tuple[int, int, bytes]] = []
    for seq in range(last + 1, found.last + 1):
        body = found.read(seq)
        if body is None and not found.is_certain(seq):
            break  # the rest may be of a commit that a death cut off
        rows.append((seq, checksum(seq, body), body) if body is not None else (seq, ~checksum(seq, b""), b""))
    return rows


def _has_sound_header(path: Path) -> bool:
    """Look at what SQLite would take for a file of another kind, or for one that may not be written."""
    with path.open("rb") as file:
        header = file.read(len(HEADER) + len(VERSIONS))
    return header[: len(HEADER)] == HEADER and set(header[len(HEADER) :]) <= VERSIONS
