"""One segment file: its name, its tables, its checksums.

A segment is named by the first sequence number it may hold, so a name is never used twice.
It is sealed when its footer row is there; nothing is ever written to it afterwards. Where rows are emptied, a whole new
file takes its place, named by its generation ("…-1.segment"); of several generations the newest is the segment.
"""

import errno
import os
import re
import sqlite3
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import aiosqlite

SCHEMA = """
CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,
    checksum INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE TABLE footer (
    first        INTEGER NOT NULL,
    last         INTEGER NOT NULL,
    events       INTEGER NOT NULL,
    checksum     INTEGER NOT NULL,
    sealed_at_ms INTEGER NOT NULL
) STRICT;
"""

# A page holds whole rows: of small pages a sixth stays empty. Every commit reaches the disk before anyone is told.
PAGE_BYTES = 16_384
PAGE_SIZE = f"PRAGMA page_size = {PAGE_BYTES}"
PRAGMAS = (
    PAGE_SIZE,
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 500",
    "PRAGMA cache_size = -4000",  # whoever only appends reads its newest pages again, and no others
    "PRAGMA temp_store = MEMORY",
)

APPEND = "INSERT INTO event (seq, checksum, body) VALUES (?, ?, ?)"
# Many rows with one statement: the interpreter's lock changes hands once a statement, and the loop wants it too.
BLOCK_ROWS = 16
APPEND_BLOCK = f"{APPEND}{', (?, ?, ?)' * (BLOCK_ROWS - 1)}"
LAST_SEQ = "SELECT max(seq) FROM event"
READ_AFTER = "SELECT seq, checksum, body FROM event WHERE seq > ? ORDER BY seq LIMIT ?"
HAS_FOOTER = "SELECT count(*) FROM footer"
LAST_SEALED = "SELECT max(last) FROM footer"
SEAL = """
INSERT INTO footer (first, last, events, checksum, sealed_at_ms)
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0), count(*), coalesce(sum(checksum), 0), ? FROM event
"""
SEALED_AT = "SELECT max(sealed_at_ms) FROM footer"
CHECKPOINT = "PRAGMA wal_checkpoint(TRUNCATE)"

Rows: TypeAlias = Sequence[tuple[int, int, bytes]]
# What a failing disk, file or machine is met with; sqlite3 raises MemoryError where SQLite had no memory for a call.
FAILURES = (sqlite3.Error, OSError, MemoryError)

_NAME = re.compile(r"(\d{16})(?:-(\d{1,6}))?\.segment")
_DRAFT = re.compile(r"\d{16}-\d{1,6}\.draft")
_SIDECARS = ("-wal", "-shm")


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """Where the spool lives and how large it may grow."""

    directory: Path
    max_bytes: int = 20_000_000_000
    free_bytes: int = 1_000_000_000
    segment_bytes: int = 64_000_000
    segment_age_s: float = 3_600.0
    max_waiting_events: int = 10_000  # so that 64 connections may post 100 events each at once
    max_waiting_bytes: int = 64_000_000


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment file on disk; `first` is the lowest sequence number it may hold."""

    first: int
    path: Path
    generation: int = 0

    def following(self) -> "Segment":
        """Name the file that would take this one's place."""
        generation = self.generation + 1
        return Segment(self.first, self.path.with_name(f"{self.first:016d}-{generation}.segment"), generation)


def checksum(seq: int, body: bytes) -> int:
    """Give the CRC-32 of a row, bound to its place by starting from its number."""
    return zlib.crc32(body, seq & 0xFFFFFFFF)


def segment_at(directory: Path, first: int) -> Segment:
    """Name the segment that begins at a sequence number."""
    return Segment(first, directory / f"{first:016d}.segment")


def list_segments(directory: Path) -> list[Segment]:
    """Give the segments of a directory, oldest first; of each its newest generation."""
    return list({segment.first: segment for segment in _files(directory)}.values())


def remove_replaced(directory: Path) -> int:
    """Remove what a newer generation has replaced, and what a death left half written; give how many segments."""
    current, removed = set(list_segments(directory)), 0
    for segment in _files(directory):
        if segment not in current:
            unlink(segment)
            removed += 1
    for path in list(directory.iterdir()) if directory.is_dir() else ():
        if _DRAFT.fullmatch(path.name):
            path.unlink(missing_ok=True)
    return removed


def _files(directory: Path) -> list[Segment]:
    paths = directory.iterdir() if directory.is_dir() else ()
    matches = (_NAME.fullmatch(path.name) for path in paths)
    found = (Segment(int(m[1]), directory / m[0], int(m[2] or 0)) for m in matches if m)
    return sorted(found, key=lambda segment: (segment.first, segment.generation))


def remove_leftovers(directory: Path) -> None:
    """Remove -wal and -shm files whose segment is gone; beside a living segment they are data."""
    for path in list(directory.iterdir()):
        for suffix in _SIDECARS:
            owner = path.name.removesuffix(suffix)
            if owner != path.name and _NAME.fullmatch(owner) and not (directory / owner).exists():
                path.unlink(missing_ok=True)


def unlink(segment: Segment) -> None:
    """Remove a sealed segment for good: what it replaced first, then the file, what stands beside it after."""
    directory = segment.path.parent
    replaced = [one for one in _files(directory) if one.first == segment.first and one.generation < segment.generation]
    for path in (*(one.path for one in replaced), segment.path):
        path.unlink(missing_ok=True)
        for suffix in _SIDECARS:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    sync_directory(directory)


def sync_directory(directory: Path) -> None:
    """Make created and removed names durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


async def open_for_writing(segment: Segment) -> aiosqlite.Connection:
    """Open or create a segment; its one writing connection also checkpoints it."""
    is_new = not segment.path.exists()
    db = await aiosqlite.connect(segment.path, isolation_level="IMMEDIATE")
    try:
        for pragma in PRAGMAS:
            await db.execute_fetchall(pragma)
        if is_new:
            await db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")
            segment.path.chmod(0o600)
            sync_directory(segment.path.parent)
        _refuse_read_only(segment.path)
        await _heal_half_made(db)
    except BaseException:
        await db.close()
        raise
    return db


def _refuse_read_only(path: Path) -> None:
    """Raise OSError where SQLite silently opened for reading: better to say so now than to fail at the first event."""
    if not os.access(path, os.W_OK):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))


async def _heal_half_made(db: aiosqlite.Connection) -> None:
    """Give tables to a file that a death left between its creation and its schema."""
    tables = list(await db.execute_fetchall("SELECT count(*) FROM sqlite_schema"))
    if tables[0][0] == 0:
        await db.executescript(f"BEGIN IMMEDIATE;{SCHEMA}COMMIT;")


async def append(db: aiosqlite.Connection, rows: Rows) -> None:
    """Write rows and commit them in one turn of the connection's thread: a turn costs the loop as much as ten rows.

    aiosqlite's public calls are a turn each, hence its private one.
    """
    await db._execute(_append_and_commit, db._conn, rows)  # type: ignore[no-untyped-call]  # it has no types


def _append_and_commit(db: sqlite3.Connection, rows: Rows) -> None:
    end = len(rows) - len(rows) % BLOCK_ROWS
    blocks = (tuple(chain.from_iterable(rows[at : at + BLOCK_ROWS])) for at in range(0, end, BLOCK_ROWS))
    db.executemany(APPEND_BLOCK, blocks)
    db.executemany(APPEND, rows[end:])
    db.commit()


async def open_for_reading(segment: Segment) -> aiosqlite.Connection:
    """Open a segment read-only; never checkpoints, never writes. Bytes are given as such, whatever their type says."""
    db = await aiosqlite.connect(f"file:{segment.path}?mode=ro", uri=True, isolation_level=None)
    db.text_factory = bytes
    return db


async def scalar(db: aiosqlite.Connection, sql: str) -> int | None:
    """Give the one value of a one-row query."""
    rows = list(await db.execute_fetchall(sql))
    value: int | None = rows[0][0]
    return value


def is_full(error: sqlite3.Error | OSError) -> bool:
    """Tell a full disk, after which the same connection may go on, from a failed one."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(error, "errno", 0) == errno.ENOSPC
