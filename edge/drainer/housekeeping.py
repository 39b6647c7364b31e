"""Giving space back: segments that every pipeline has passed are unlinked, old held events expire."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import structlog

from edge.clock import Clock
from edge.ledger import DeliveryLedger, TrimLedger
from edge.pipeline import Pipeline
from edge.spool import SpoolReader, SpoolSettings
from edge.spool.room import directory_bytes, free_bytes
from edge.spool.segment import Segment, list_segments, unlink

log = structlog.get_logger(__name__)

EXPIRE_PAGE = 500
# Above this share of spool.max_bytes what nobody needs any more goes before keep_for is over,
# and above the second the oldest held events go too: nothing else that was accepted is ever dropped.
EARLY_SHARE = 0.8
CRITICAL_SHARE = 0.95
FREE_MARGIN = 1.25
MIN_JOURNAL_MS = 8 * 86_400_000


class Housekeeping:
    """Run every few seconds; each run is bounded and may die anywhere.

    `remove` unlinks one segment, in a thread: it takes as long as the disk does.
    """

    def __init__(
        self,
        spool: SpoolSettings,
        *,
        reader: SpoolReader,
        ledger: TrimLedger,
        clock: Clock,
        keep_for_s: float,
        remove: Callable[[Segment], None] | None = None,
    ) -> None:
        self._spool, self._reader, self._ledger, self._clock = spool, reader, ledger, clock
        self._keep_for_ms, self._remove = round(keep_for_s * 1_000), remove or unlink

    async def expire_held(self, pipeline: Pipeline, ledger: DeliveryLedger) -> int:
        """End what was held longer than the pipeline's `hold_for`; near the disk's cap the oldest first."""
        now_ms = self._clock.now_ms()
        hold_ms = min(round(pipeline.hold_for_s * 1_000), self._keep_for_ms)
        expired = 0
        while page := await ledger.expire_held(now_ms - hold_ms, EXPIRE_PAGE, now_ms):
            expired += page
        if self._used_share() > CRITICAL_SHARE:
            early = await ledger.expire_held(now_ms + 1, EXPIRE_PAGE, now_ms)
            if early:
                log.warning("held events expired early: the spool nears its cap", pipeline=pipeline.name, events=early)
            expired += early
        return expired

    async def end_unanswered(self, ledger: DeliveryLedger, wait_for_s: float) -> int:
        """End what waited for an answer about consent for longer than it may."""
        now_ms = self._clock.now_ms()
        wait_ms, ended = min(round(wait_for_s * 1_000), self._keep_for_ms), 0
        while page := await ledger.end_unanswered(now_ms - wait_ms, EXPIRE_PAGE, now_ms):
            ended += page
        return ended

    async def expire_orphans(self) -> None:
        """End what is open in pipelines whose file is gone, after `spool.keep_for`."""
        now_ms = self._clock.now_ms()
        for ledger in await self._ledger.others():
            for expire in (ledger.expire_held, ledger.expire_waiting):
                while await expire(now_ms - self._keep_for_ms, EXPIRE_PAGE, now_ms):
                    continue

    async def unlink_passed(self) -> int:
        """Unlink sealed segments that nothing needs any more; give how many. Comes after the ledger's commit."""
        needed_from = await self._ledger.needed_from()
        segments = list_segments(self._spool.directory)
        removed = 0
        for segment, following in pairwise(segments):
            if following.first > needed_from or not await self._is_over(segment):
                break
            await self._reader.forget(segment)
            await asyncio.to_thread(self._remove, segment)
            removed += 1
        if removed:
            log.info("segments unlinked", segments=removed)
        if segments:
            await self._trim(min(segments[removed].first, needed_from))
        return removed

    async def _trim(self, before_seq: int) -> None:
        """Forget the decisions about events that are gone and too old to be repeated."""
        oldest_ms = self._clock.now_ms() - max(self._keep_for_ms, MIN_JOURNAL_MS)
        while await self._ledger.trim(before_seq, oldest_ms):
            continue

    async def _is_over(self, segment: Segment) -> bool:
        sealed_ms = await self._reader.sealed_at_ms(segment)
        if sealed_ms is None:
            return False
        return self._clock.now_ms() - sealed_ms >= self._keep_for_ms or self._is_tight()

    def _is_tight(self) -> bool:
        """Tell whether the spool nears its cap, or the disk the watermark at which the collector refuses."""
        is_disk_short = free_bytes(self._spool.directory) < self._spool.free_bytes * FREE_MARGIN
        return is_disk_short or self._used_share() > EARLY_SHARE

    def _used_share(self) -> float:
        return directory_bytes(self._spool.directory) / self._spool.max_bytes
