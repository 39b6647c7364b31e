"""Steady time over restarts: how late it is, kept beside the data, so that a machine may start with any clock."""

import asyncio
import os
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from edge.clock import FAR_MS, Clock, SteadyClock

log = structlog.get_logger(__name__)

NOTE_EVERY_S = 60.0
LOOK_EVERY_S = 5.0


class SeenTime:
    """One small file a process, written whole: the latest steady time and its checksum, "1790000000000 1a2b3c4d".

    Without it the wall clock is believed: a digit that rots would make everything centuries old.
    """

    def __init__(self, data_dir: Path, role: str) -> None:
        self._path = data_dir / f"{role}.clock"

    def read_ms(self) -> int | None:
        """Give what was noted last; None where nothing is to be read."""
        try:
            noted = self._path.read_bytes()
            at_ms = int(noted.partition(b" ")[0])
        except (OSError, ValueError):
            return None
        return at_ms if noted == _noted(at_ms) else None

    def write_ms(self, at_ms: int) -> None:
        """Note a moment; raises OSError where the disk does not take it."""
        fresh = self._path.with_suffix(".clock-new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(descriptor, _noted(at_ms))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        fresh.replace(self._path)


def _noted(at_ms: int) -> bytes:
    digits = b"%d" % at_ms
    return b"%b %08x" % (digits, zlib.crc32(digits))


class SteadyKeeper:
    """Owns a process's steady clock: starts it where it ended, notes it every minute, and says when it is doubtful."""

    def __init__(self, data_dir: Path, role: str, clock: Clock) -> None:
        self._seen = SeenTime(data_dir, role)
        self.clock = SteadyClock(clock, self._seen.read_ms())
        self._is_far = False
        self._noted_s = float("-inf")

    @property
    def off_s(self) -> int:
        """By how many seconds the machine's clock is ahead of what is believed; 0 within five minutes."""
        off_ms = self.clock.off_ms
        return round(off_ms / 1_000) if abs(off_ms) > FAR_MS else 0

    async def run(self, stop: asyncio.Event, rest: Callable[[float], Awaitable[None]]) -> None:
        """Look and note until told to stop, and then once more."""
        while not stop.is_set():
            await self.look()
            await rest(LOOK_EVERY_S)
        await self._note()

    async def look(self) -> None:
        """Say when the clocks part and when they agree again; note the time when it is due."""
        off_s = self.off_s
        if bool(off_s) is not self._is_far:
            self._is_far = bool(off_s)
            if off_s:
                log.warning("the clock jumped: nothing ends by age as fast as it says", off_s=off_s)
            else:
                log.info("the clock is believed again")
        if self.clock.monotonic_s() - self._noted_s >= NOTE_EVERY_S:
            await self._note()

    async def _note(self) -> None:
        self._noted_s = self.clock.monotonic_s()
        try:
            await asyncio.to_thread(self._seen.write_ms, self.clock.now_ms())
        except OSError as error:
            log.warning("steady time is not noted", error=type(error).__name__)
