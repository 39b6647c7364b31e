"""Reading the log, from any process, while it is written: read-only, briefly, in order."""

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import aiosqlite
import structlog

from edge.spool import segment as files
from edge.spool.damage import is_sound, says_damaged
from edge.spool.salvage import Salvage
from edge.spool.segment import Segment, checksum

log = structlog.get_logger(__name__)

MAX_OPEN_SEGMENTS = 4
MAX_VARIABLES = 500
NO_END = 2**63 - 1


class Row(NamedTuple):
    """One stored envelope; `is_damaged` when its bytes do not match their checksum. A tuple, as one is made a row."""

    seq: int
    body: bytes
    is_damaged: bool = False

    @property
    def is_erased(self) -> bool:
        """Whether only the number is left, because the person asked for it."""
        return not self.body and not self.is_damaged


class SpoolReader:
    """Reads envelopes by sequence number; keeps a few segments open."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[Segment, aiosqlite.Connection] = {}
        self._turn = asyncio.Lock()
        self._salvages: dict[Segment, tuple[object, Salvage]] = {}

    async def read(self, after: int, limit: int) -> list[Row]:
        """Give up to `limit` rows after a sequence number, in order; empty at the head.

        Of what is damaged each number is given that is known to have been used.
        """
        segments = await self._segments()
        rows: list[Row] = []
        for segment, end in zip(segments, _ends(segments), strict=True):
            if end <= after + 1:
                continue  # all of it lies before the cursor
            rows += await self._read_after(segment, end, max(after, segment.first - 1), limit - len(rows))
            if len(rows) >= limit:
                break
        return rows

    async def _read_after(self, segment: Segment, end: int, after: int, limit: int) -> list[Row]:
        """Read on in one segment; its numbers have no holes, so where there is one its rows are looked for singly."""
        try:
            rows = await self._fetch(segment, files.READ_AFTER, (after, limit))
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise
            return await self._salvaged(segment, end, after, limit)
        reached = after + len(rows)
        is_chain = reached < end and [row.seq for row in rows] == list(range(after + 1, reached + 1))
        if is_chain and (end == NO_END or len(rows) == limit or reached + 1 == end):
            return rows
        return await self._salvaged(segment, end, after, limit)

    async def read_at(self, seqs: Iterable[int]) -> dict[int, Row]:
        """Give the rows at these sequence numbers; those that are gone, or damaged beyond finding, are missing."""
        found: dict[int, Row] = {}
        segments = await self._segments()
        wanted = sorted(set(seqs))
        for segment, end in zip(segments, _ends(segments), strict=True):
            here = [seq for seq in wanted if segment.first <= seq < end]
            for start in range(0, len(here), MAX_VARIABLES):
                found |= await self._read_part(segment, end, here[start : start + MAX_VARIABLES])
        return found

    async def _read_part(self, segment: Segment, end: int, part: Sequence[int]) -> dict[int, Row]:
        marks = ", ".join("?" * len(part))
        sql = f"SELECT seq, checksum, body FROM event WHERE seq IN ({marks})"  # noqa: S608 - only question marks
        try:
            found = {row.seq: row for row in await self._fetch(segment, sql, tuple(part))}
            last = end if len(found) == len(part) or end != NO_END else await self._scalar(segment, files.LAST_SEQ)
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise
            found, last = {}, end
        missing = [seq for seq in part if seq not in found and seq <= (last or 0)]
        if missing:
            salvage = await self._salvage(segment)
            bodies = await asyncio.to_thread(lambda: {seq: salvage.read(seq) for seq in missing})
            found |= {seq: Row(seq, body) for seq, body in bodies.items() if body is not None}
        return found

    async def last_seq(self) -> int:
        """Give the highest stored sequence number; 0 when there is none."""
        segments = files.list_segments(self._directory)
        for segment, end in reversed(list(zip(segments, _ends(segments), strict=True))):
            try:
                last = await self._scalar(segment, files.LAST_SEQ) or 0
            except sqlite3.DatabaseError as error:
                if not says_damaged(error):
                    raise
                last = end
            if last >= end:
                last = (await self._salvage(segment)).last
            if last:
                return last
        return 0

    async def sealed_at_ms(self, segment: Segment) -> int | None:
        """Give when a segment was sealed, of a damaged one when it was last written; None while it is written to."""
        try:
            sealed_ms = await self._scalar(segment, files.SEALED_AT)
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise
            sealed_ms = None
        is_newest = segment == files.list_segments(self._directory)[-1]
        if sealed_ms is None and not is_newest and not await is_sound(segment):
            return segment.path.stat().st_mtime_ns // 1_000_000
        return sealed_ms

    async def _salvaged(self, segment: Segment, end: int, after: int, limit: int) -> list[Row]:
        """Give rows by their numbers, up to the last that is known to have been used."""
        salvage = await self._salvage(segment)
        last = min(max(salvage.last, await self._last_sealed(segment)), end - 1, after + limit)
        numbers = range(after + 1, last + 1)
        bodies = await asyncio.to_thread(lambda: [salvage.read(seq) for seq in numbers])
        return [Row(seq, body or b"", body is None) for seq, body in zip(numbers, bodies, strict=True)]

    async def _last_sealed(self, segment: Segment) -> int:
        try:
            return await self._scalar(segment, files.LAST_SEALED) or 0
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise
            return 0

    async def _salvage(self, segment: Segment) -> Salvage:
        """Look through a segment's files for its rows, once for as long as they stay the same."""
        state = tuple(_state(segment.path.with_name(segment.path.name + suffix)) for suffix in ("", "-wal"))
        known = self._salvages.get(segment)
        if known is None or known[0] != state:
            log.warning("segment looked through row by row", segment=segment.path.name)
            known = self._salvages[segment] = (state, await asyncio.to_thread(Salvage, segment.path))
            while len(self._salvages) > MAX_OPEN_SEGMENTS:
                del self._salvages[next(iter(self._salvages))]
        return known[1]

    async def close(self) -> None:
        """Close every segment."""
        for db in self._open.values():
            await db.close()
        self._open.clear()

    async def forget(self, segment: Segment) -> None:
        """Close a segment that is about to be unlinked."""
        async with self._turn:
            db = self._open.pop(segment, None)
            if db is not None:
                await db.close()

    async def close_gone(self) -> None:
        """Close segments whose files are gone: an open file would keep its bytes on the disk."""
        await self._segments()

    async def _segments(self) -> list[Segment]:
        """List what is there, and close what is not any more."""
        segments = files.list_segments(self._directory)
        for gone in self._open.keys() - set(segments):
            await self.forget(gone)
        return segments

    async def _scalar(self, segment: Segment, sql: str) -> int | None:
        async with self._turn:
            db = await self._connection(segment)
            try:
                return await files.scalar(db, sql) if db is not None else None
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                await self._open.pop(segment).close()
                return None

    async def _fetch(self, segment: Segment, sql: str, values: tuple[int, ...]) -> list[Row]:
        async with self._turn:
            db = await self._connection(segment)
            if db is None:
                return []
            try:
                rows = await db.execute_fetchall(sql, values)
            except sqlite3.OperationalError as error:
                if "no such table" not in str(error):
                    raise
                await self._open.pop(segment).close()  # being made just now, or given up again: look anew next time
                return []
        return [
            Row(seq, body, check != checksum(seq, body)) if type(body) is bytes else Row(seq, b"", True)
            for seq, check, body in rows
        ]

    async def _connection(self, segment: Segment) -> aiosqlite.Connection | None:
        """Give an open connection, or None when the segment is gone."""
        db = self._open.pop(segment, None)
        if db is None:
            try:
                db = await files.open_for_reading(segment)
            except sqlite3.OperationalError:
                if segment.path.exists():
                    raise
                return None
        self._open[segment] = db
        if len(self._open) > MAX_OPEN_SEGMENTS:
            await self._open.pop(next(iter(self._open))).close()
        return db


def _ends(segments: Sequence[Segment]) -> list[int]:
    """Give the number that each segment's numbers lie below."""
    return [*(following.first for following in segments[1:]), NO_END][: len(segments)]


def _state(path: Path) -> tuple[int, int]:
    """Give what changes when a file is written to."""
    try:
        state = path.stat()
    except FileNotFoundError:
        return 0, 0
    return state.st_size, state.st_mtime_ns
