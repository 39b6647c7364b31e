"""Emptying rows of a sealed segment: a whole new file beside it, complete and durable before it takes its place.

Only the process that owns sealed segments does this, and never to the newest one. Everything here blocks: call it in a
thread.
"""

import os
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence

from edge.spool.segment import PAGE_SIZE, SCHEMA, Segment, checksum, sync_directory

READ_ALL = "SELECT seq, checksum, body FROM event ORDER BY seq"
COUNT_FULL = "SELECT seq FROM event WHERE length(body) > 0 AND seq BETWEEN ? AND ?"
READ_FOOTER = "SELECT first, last, events, sealed_at_ms FROM footer"
COPY_FOOTER = "INSERT INTO footer (first, last, events, checksum, sealed_at_ms) VALUES (?, ?, ?, ?, ?)"
COPY = "INSERT INTO event (seq, checksum, body) VALUES (?, ?, ?)"
# Only what may match goes through Python; lower() knows ASCII, as addresses mostly do.
HOLDING = "SELECT seq, body FROM event WHERE {}"
HOLDS = "instr(lower(CAST(body AS TEXT)), ?) > 0"
# The copy is nobody's until it is whole, so it needs no journal; it is synced once, at its end.
PRAGMAS = (PAGE_SIZE, "PRAGMA journal_mode = OFF", "PRAGMA synchronous = OFF")
EMPTY = b""
COPY_ROWS = 500


def is_sealed(segment: Segment) -> bool:
    """Tell whether a segment has its footer.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with _reading(segment) as db:
        return db.execute(READ_FOOTER).fetchone() is not None


def find_holding(segment: Segment, needles: Sequence[str], is_meant: Callable[[bytes], bool]) -> list[int]:
    """Give the numbers of the rows that hold one of some lower-case texts and are meant.

    Raises:
        sqlite3.Error: the segment cannot be read.
    """
    if not needles:
        return []
    sql = HOLDING.format(" OR ".join([HOLDS] * len(needles)))
    with _reading(segment) as db:
        return [seq for seq, body in db.execute(sql, tuple(needles)) if is_meant(body)]


def find_full(segment: Segment, seqs: Collection[int]) -> set[int]:
    """Give those of some numbers whose rows still have a body here."""
    with _reading(segment) as db:
        found = {row[0] for row in db.execute(COUNT_FULL, (min(seqs), max(seqs)))}
    return found & set(seqs)


def rewrite(segment: Segment, emptied: Collection[int]) -> Segment:
    """Write a sealed segment anew with these rows empty, every other row as it is, and let it take its place.

    Nothing is removed: `remove_replaced` does that, after the ledger's commit. A death leaves a draft.

    Raises:
        sqlite3.Error, OSError: it cannot be read, or there is no room; the segment is as it was.
    """
    fresh = segment.following()
    draft = fresh.path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    try:
        _copy(segment, draft, emptied if isinstance(emptied, set | frozenset) else set(emptied))
        _sync(draft)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    draft.rename(fresh.path)
    sync_directory(fresh.path.parent)
    return fresh


def _copy(segment: Segment, draft: os.PathLike[str], emptied: Collection[int]) -> None:
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    target = sqlite3.connect(draft, isolation_level=None)
    try:
        with _reading(segment) as source:
            for pragma in PRAGMAS:
                target.execute(pragma)
            target.executescript(f"BEGIN;{SCHEMA}")
            total = 0
            rows = source.execute(READ_ALL)
            while page := rows.fetchmany(COPY_ROWS):
                copied = list(_emptied(page, emptied))
                total += sum(row[1] for row in copied)
                target.executemany(COPY, copied)
            first, last, events, sealed_at_ms = source.execute(READ_FOOTER).fetchone()
            target.execute(COPY_FOOTER, (first, last, events, total, sealed_at_ms))
            target.execute("COMMIT")
    finally:
        target.close()


def _emptied(rows: Iterable[tuple[int, int, bytes]], emptied: Collection[int]) -> Iterable[tuple[int, int, bytes]]:
    for seq, check, body in rows:
        yield (seq, checksum(seq, EMPTY), EMPTY) if seq in emptied else (seq, check, body)


def _sync(path: os.PathLike[str]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _reading:
    """A read-only connection that closes with its block."""

    def __init__(self, segment: Segment) -> None:
        self._db = sqlite3.connect(f"file:{segment.path}?mode=ro", uri=True, isolation_level=None)

    def __enter__(self) -> sqlite3.Connection:
        return self._db

    def __exit__(self, *_: object) -> None:
        self._db.close()
