"""The one writer: group commit without a timer, rotation, recovery."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import aiosqlite
import structlog

from edge.clock import Clock
from edge.errors import StorageBusy, StorageError, StorageFailed, StorageFull
from edge.spool import segment as files
from edge.spool.damage import is_damaged, rows_cut_off, says_damaged
from edge.spool.mark import read_mark, write_mark
from edge.spool.room import Room
from edge.spool.salvage import Salvage
from edge.spool.sealing import Sealer
from edge.spool.segment import Rows, Segment, SpoolSettings, checksum

log = structlog.get_logger(__name__)

ROTATION_CHECK_S = 60.0
Tell: TypeAlias = Callable[[int | Exception], None]


class _Waiter(NamedTuple):
    envelopes: Sequence[bytes]
    size_bytes: int
    tell: Tell


class SpoolWriter:
    """Appends envelopes; an `append` that returned is on disk.

    The first waiter starts a commit; all who come while it runs form the next group. One connection
    writes and checkpoints a segment, and one process holds the spool (its lock is the caller's).
    """

    def __init__(self, settings: SpoolSettings, clock: Clock) -> None:
        self.trouble = ""  # why the last group was refused; nothing once one is stored
        self._settings, self._clock = settings, clock
        self._room = Room(settings, clock.monotonic_s)
        self._waiting: list[_Waiter] = []
        self._waiting_events = self._waiting_bytes = 0
        self._wake = asyncio.Event()
        self._is_closing = False
        self._failure: StorageFailed | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._sealer = Sealer(settings, clock, lambda: self.last_seq)
        self._seals_asked: list[asyncio.Future[int]] = []
        self._next_seq = 1
        self._segment: Segment
        self._db: aiosqlite.Connection
        self._segment_bytes = 0
        self._segment_opened_s = 0.0

    @property
    def last_seq(self) -> int:
        """The highest committed sequence number; 0 before the first."""
        return self._next_seq - 1

    def has_room(self) -> bool:
        """Tell whether the limits would let another group in now."""
        try:
            self._room.check()
        except (StorageFull, OSError):
            return False
        return self._failure is None

    async def open(self, *, floor_seq: int = 0) -> None:
        """Recover what a death left and get ready to append.

        Args:
            floor_seq: a sequence number known elsewhere (the ledger's cursor) that must not be used again.
        Raises:
            StorageFailed: the directory or the newest segment cannot be opened for writing.
        """
        directory = self._settings.directory
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            files.remove_leftovers(directory)
            await self._recover(files.list_segments(directory), max(floor_seq, read_mark(directory)))
        except (*files.FAILURES, StorageFull) as error:
            await self._let_go()
            raise StorageFailed(f"the spool in {directory} cannot be opened: {error or 'no memory'}") from error
        self._flusher = asyncio.create_task(self._flush_groups(), name="spool flusher")

    async def _let_go(self) -> None:
        """Close what a start that failed has opened: it is tried again and again."""
        with contextlib.suppress(*files.FAILURES, AttributeError):
            await self._db.close()
        await self._sealer.wait()

    async def append(self, envelopes: Sequence[bytes]) -> int:
        """Store envelopes together, in order.

        Returns:
            The first one's sequence number; the others follow without a hole.
        Raises:
            StorageBusy, StorageFull, StorageFailed: nothing of it was stored.
        """
        committed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.append_soon(envelopes, partial(_settle, committed))
        return await committed

    def append_soon(self, envelopes: Sequence[bytes], tell: Tell) -> None:
        """Store envelopes as `append` does; who asked is told once, from the loop.

        Args:
            tell: gets the first one's sequence number after the commit, or why nothing of it was stored.
        Raises:
            StorageBusy, StorageFull, StorageFailed: at once; then nobody is told.
        """
        size = sum(map(len, envelopes))
        self._refuse_when_over(len(envelopes), size)
        self._waiting.append(_Waiter(envelopes, size, tell))
        self._waiting_events += len(envelopes)
        self._waiting_bytes += size
        self._wake.set()

    async def seal(self) -> int:
        """Let what was appended until now lie in sealed segments; give the last number that does.

        Raises:
            StorageBusy, StorageFull, StorageFailed: it could not be done; the open segment goes on.
        """
        self._refuse_when_over(0, 0)
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._seals_asked.append(asked)
        self._wake.set()
        sealed_to = await asked
        await self._sealer.wait()
        return sealed_to

    async def close(self) -> None:
        """Finish what waits, checkpoint and mark; a death instead of this loses nothing."""
        self._is_closing = True
        self._sealer.close()
        self._wake.set()
        if self._flusher is not None:
            await self._flusher
            await self._sealer.wait()
            if self._failure is None:
                await self._finish()

    async def _finish(self) -> None:
        try:
            await self._db.execute_fetchall(files.CHECKPOINT)
            await self._db.close()
            write_mark(self._settings.directory, self.last_seq)
        except files.FAILURES as error:
            log.warning("spool not closed well", segment=self._segment.path.name, error=str(error))

    def _refuse_when_over(self, events: int, size: int) -> None:
        if self._failure is not None:
            raise self._failure
        if self._is_closing:
            raise StorageBusy("the service is stopping")
        too_many = self._waiting_events + events > self._settings.max_waiting_events
        if self._waiting and (too_many or self._waiting_bytes + size > self._settings.max_waiting_bytes):
            raise StorageBusy("too many events wait for the disk")

    async def _flush_groups(self) -> None:
        while not (self._is_closing and not self._waiting):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROTATION_CHECK_S):
                    await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            asked, self._seals_asked = self._seals_asked, []
            self._waiting_events = self._waiting_bytes = 0
            try:
                if group:
                    await self._commit(group)
                    group = []  # told; what fails from here on is not theirs
                await self._rotate_when_due(is_asked=bool(asked))
                self._answer_seals(asked)
            except StorageError as error:
                self._refuse(group, error, asked)
            except Exception as error:  # whatever it was, nobody may wait for ever
                self._refuse(group, self._fail(error), asked)
            if self._failure is not None:
                self._refuse(self._waiting, self._failure, self._seals_asked)
                return
        self._refuse((), StorageBusy("the service is stopping"), self._seals_asked)

    async def _commit(self, group: Sequence[_Waiter]) -> None:
        """Write one group and answer each of its waiters once the disk has it."""
        self._check_room()
        seq, rows = self._next_seq, []
        for waiter in group:
            for body in waiter.envelopes:
                rows.append((seq, checksum(seq, body), body))
                seq += 1
        await self._write(rows)
        self.trouble = ""
        first, self._next_seq = self._next_seq, seq
        self._segment_bytes += sum(waiter.size_bytes for waiter in group) + 16 * len(rows)
        for waiter in group:
            self._tell(waiter.tell, first)
            first += len(waiter.envelopes)

    def _check_room(self) -> None:
        try:
            self._room.check()
        except OSError as error:
            raise self._fail(error) from error

    async def _write(self, rows: Rows) -> None:
        try:
            await files.append(self._db, rows)
        except sqlite3.Error as error:
            if not files.is_full(error):
                raise self._fail(error) from error
            await self._roll_back()
            raise StorageFull("the disk is full") from error

    async def _roll_back(self) -> None:
        try:
            await self._db.rollback()
        except sqlite3.Error as error:
            raise self._fail(error) from error

    def _fail(self, error: Exception) -> StorageFailed:
        """After an I/O error nothing this connection says is to be trusted: nobody writes through it again."""
        log.error("spool failed", error=str(error), segment=self._segment.path.name)
        self._failure = StorageFailed(f"the spool cannot be written: {error}")
        return self._failure

    def _refuse(self, group: Sequence[_Waiter], error: StorageError, asked: Sequence[asyncio.Future[int]] = ()) -> None:
        self.trouble = str(error)
        for waiter in group:
            self._tell(waiter.tell, error)
        for future in asked:
            _settle(future, error)

    def _tell(self, tell: Tell, outcome: int | Exception) -> None:
        """Tell one of a group; what it makes of that is no trouble of the others, nor of the disk's."""
        try:
            tell(outcome)
        except Exception as error:
            log.error("nobody could be told", error=type(error).__name__)

    def _answer_seals(self, asked: Sequence[asyncio.Future[int]]) -> None:
        if asked and self._next_seq != self._segment.first:
            raise StorageFull("no room for the next segment")
        for future in asked:
            _settle(future, self._segment.first - 1)

    async def _rotate_when_due(self, *, is_asked: bool) -> None:
        """Open the next segment when this one is large, old or asked for; the old one is sealed in the background."""
        is_empty = self._next_seq == self._segment.first
        age_s = self._clock.monotonic_s() - self._segment_opened_s
        is_large = self._segment_bytes >= self._settings.segment_bytes
        if is_empty or not (is_asked or is_large or age_s >= self._settings.segment_age_s):
            return
        old, db = self._segment, self._db
        following = files.segment_at(self._settings.directory, self._next_seq)
        try:
            await self._start(following)
        except (sqlite3.Error, OSError) as error:
            if not files.is_full(error):
                raise self._fail(error) from error
            self._discard(following)
            return  # the old one goes on; the next group asks for room first
        self._sealer.seal_soon(old, db)

    def _discard(self, unborn: Segment) -> None:
        """Remove a segment that the full disk did not let begin: its name would hide what the old one takes now."""
        try:
            files.unlink(unborn)
        except OSError as error:
            raise self._fail(error) from error

    async def _start(self, segment: Segment) -> None:
        self._db = await files.open_for_writing(segment)
        self._segment = segment
        self._segment_bytes = segment.path.stat().st_size
        self._segment_opened_s = self._clock.monotonic_s()

    async def _recover(self, segments: Sequence[Segment], floor_seq: int) -> None:
        """Seal every segment but the newest, then go on after the highest number anyone has seen."""
        for segment in segments[:-1]:
            await self._sealer.seal_left_open(segment)
        if not segments:
            self._next_seq = floor_seq + 1
            await self._start(files.segment_at(self._settings.directory, self._next_seq))
            return
        newest = segments[-1]
        if await is_damaged(newest) or not await self._is_begun(newest):
            await self._go_on_beside(newest, floor_seq)
            return
        last = await files.scalar(self._db, files.LAST_SEQ) or newest.first - 1
        is_sealed = await files.scalar(self._db, files.HAS_FOOTER)
        if not is_sealed:
            last = await self._take_up(newest, last)
        self._next_seq = max(last, floor_seq) + 1
        if floor_seq > last:
            log.error("lost tail", first=last + 1, last=floor_seq, segment=newest.path.name)
        if is_sealed or floor_seq > last:
            db = self._db
            await self._start(files.segment_at(self._settings.directory, self._next_seq))
            await self._sealer.seal(newest, db)

    async def _is_begun(self, segment: Segment) -> bool:
        """Go on in a segment; False where it turns out to be damaged."""
        try:
            await self._start(segment)
        except sqlite3.DatabaseError as error:
            if not says_damaged(error):
                raise
            return False
        return True

    async def _go_on_beside(self, damaged: Segment, floor_seq: int) -> None:
        """Leave a damaged segment as it is, to be read row by row, and begin another one behind all of its rows."""
        found = await asyncio.to_thread(Salvage, damaged.path)
        self._next_seq = max(found.last, damaged.first, floor_seq) + 1
        log.error("segment damaged: the next begins beside it", segment=damaged.path.name, last=found.last)
        await self._start(files.segment_at(self._settings.directory, self._next_seq))

    async def _take_up(self, segment: Segment, last: int) -> int:
        """Append again what lies cut off in the log; give the last number."""
        rows = await rows_cut_off(segment, last)
        if not rows:
            return last
        log.warning("rows taken up from a log that was cut", first=rows[0][0], last=rows[-1][0])
        await self._write(rows)
        return rows[-1][0]


def _settle(future: asyncio.Future[int], outcome: int | Exception) -> None:
    if future.done():
        return  # who waited for it has left
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
