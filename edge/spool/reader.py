"""Reading the log, from any process, while it is written: read-only, briefly, in order."""

import asyncio
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import aiosqlite

from edge.spool import segment as files
from edge.spool.segment import Segment, checksum

MAX_OPEN_SEGMENTS = 4
MAX_VARIABLES = 500


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

    async def read(self, after: int, limit: int) -> list[Row]:
        """Give up to `limit` rows after a sequence number, in order; empty at the head."""
        segments = await self._segments()
        rows: list[Row] = []
        for index, segment in enumerate(segments):
            is_newest = index + 1 == len(segments)
            if not is_newest and segments[index + 1].first <= after + 1:
                continue  # all of it lies before the cursor
            rows += await self._fetch(segment, files.READ_AFTER, (after, limit - len(rows)))
            if len(rows) >= limit:
                break
        return rows

    async def read_at(self, seqs: Iterable[int]) -> dict[int, Row]:
        """Give the rows at these sequence numbers; those that are gone are missing."""
        found: dict[int, Row] = {}
        segments = await self._segments()
        ends = [segment.first for segment in segments[1:]] + [2**63 - 1]
        wanted = sorted(set(seqs))
        for segment, end in zip(segments, ends, strict=False):
            here = [seq for seq in wanted if segment.first <= seq < end]
            for start in range(0, len(here), MAX_VARIABLES):
                part = here[start : start + MAX_VARIABLES]
                marks = ", ".join("?" * len(part))
                sql = f"SELECT seq, checksum, body FROM event WHERE seq IN ({marks})"  # noqa: S608 - only question marks
                found |= {row.seq: row for row in await self._fetch(segment, sql, tuple(part))}
        return found

    async def last_seq(self) -> int:
        """Give the highest stored sequence number; 0 when there is none."""
        for segment in reversed(files.list_segments(self._directory)):
            last = await self._scalar(segment, files.LAST_SEQ)
            if last:
                return last
        return 0

    async def sealed_at_ms(self, segment: Segment) -> int | None:
        """Give when a segment was sealed; None while it is written to."""
        return await self._scalar(segment, files.SEALED_AT)

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
        return [Row(seq, body, check != checksum(seq, body)) for seq, check, body in rows]

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
