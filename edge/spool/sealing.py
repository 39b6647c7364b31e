"""Sealing: a segment that is full gets its footer and an empty log, and is never written to again."""

import asyncio
import sqlite3
from collections.abc import Callable

import aiosqlite
import structlog

from edge.clock import Clock
from edge.spool import segment as files
from edge.spool.damage import is_damaged, says_damaged
from edge.spool.mark import write_mark
from edge.spool.segment import Segment, SpoolSettings

log = structlog.get_logger(__name__)

SEAL_RETRY_S = 1.0
SEAL_TRIES = 5


class Sealer:
    """Seals beside the writer, which never waits for it; `last_seq` gives the highest number that is used."""

    def __init__(self, settings: SpoolSettings, clock: Clock, last_seq: Callable[[], int]) -> None:
        self._settings, self._clock, self._last_seq = settings, clock, last_seq
        self._is_closing = False
        self._tasks: set[asyncio.Task[None]] = set()

    def seal_soon(self, segment: Segment, db: aiosqlite.Connection) -> None:
        """Seal a segment in the background, through the connection that wrote it."""
        task = asyncio.create_task(self.seal(segment, db), name=f"seal {segment.first}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Return when nothing is being sealed."""
        await asyncio.gather(*self._tasks)

    def close(self) -> None:
        """Give up waiting for room; what stays unsealed is sealed at the next start."""
        self._is_closing = True

    async def seal(self, segment: Segment, db: aiosqlite.Connection) -> None:
        """Write the footer, empty the WAL, close; what a death leaves unsealed is sealed at the next start."""
        try:
            while not await self.write_footer(db) and not self._is_closing:
                await asyncio.sleep(SEAL_RETRY_S)
            for _ in range(SEAL_TRIES):
                is_busy = await files.scalar(db, files.CHECKPOINT)
                if not is_busy:
                    break
                await asyncio.sleep(SEAL_RETRY_S)  # a reader holds the WAL for the moment
            write_mark(self._settings.directory, self._last_seq())
        except files.FAILURES as error:
            log.warning("segment not sealed", segment=segment.path.name, error=str(error))
        finally:
            await db.close()

    async def write_footer(self, db: aiosqlite.Connection) -> bool:
        """Write the footer unless it is there; False while the disk is full: unsealed, its room is never given back."""
        if await files.scalar(db, files.HAS_FOOTER):
            return True
        try:
            await db.execute(files.SEAL, (self._clock.now_ms(),))
            await db.commit()
        except sqlite3.Error as error:
            if not files.is_full(error):
                raise
            await db.rollback()
            return False
        return True

    async def seal_left_open(self, segment: Segment) -> None:
        """Seal what a death left open; what is damaged stays as it is.

        Raises:
            sqlite3.Error: the disk, or this moment, does not let it be read.
        """
        try:
            await self._seal_unless_sealed(segment)
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise  # the disk's fault, not the file's
            log.error("segment damaged: it stays as it is", segment=segment.path.name)

    async def _seal_unless_sealed(self, segment: Segment) -> None:
        reader = await files.open_for_reading(segment)
        try:
            is_sealed = await files.scalar(reader, files.HAS_FOOTER)
        finally:
            await reader.close()
        wal = segment.path.with_name(segment.path.name + "-wal")
        if is_sealed and not (wal.exists() and wal.stat().st_size):
            return
        if await is_damaged(segment):
            log.error("segment damaged: it stays as it is", segment=segment.path.name)
        else:
            await self.seal(segment, await files.open_for_writing(segment))
