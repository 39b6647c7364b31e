"""Erasing a person out of the files: one step of it a call, and each may be done again after a death.

What is asked stands in the ledger before anything here happens; see `edge.ledger.erasing` for the states.
"""

import asyncio
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import structlog

from edge.clock import Clock
from edge.errors import StorageBusy, StorageFull, StorageTaken
from edge.identity import Traces
from edge.ledger.erasing import Erasure, ErasureLedger, LeftOver
from edge.metrics import DrainerMetrics
from edge.spool import SpoolReader
from edge.spool.rewriting import find_full, find_holding, is_sealed, rewrite
from edge.spool.segment import Segment, list_segments, remove_replaced

log = structlog.get_logger(__name__)

NO_END = 2**63 - 1
DAMAGED = "it is damaged and cannot be read as a whole"
UNSEALED = "the collector could not seal it; it is written anew once that is done"


class Erasable(Protocol):
    """Another store of events, e.g. an archive of files by day: it joins by standing in the eraser's `stores`.

    It is called before the erasure is found, while it is still known who it is, and again after a death: a second call
    with the same arguments must do no harm.
    """

    async def erase(self, keys: set[bytes], traces: Traces) -> Sequence[LeftOver]:
        """Take out every event of some keys (`edge.resolver.event_key` of source and id), and each that names them.

        Returns:
            The files that still hold something, with why and until when.
        """
        ...


@dataclass(frozen=True, slots=True)
class EraserParts:
    """What an eraser works with.

    `seal` lets the collector's open segment be sealed and gives the last number in sealed ones; it raises StorageError
    while nobody can. `resolved_to` is how far the resolver is. `readers` have segments open. `keep_for_s` is how long
    the spool keeps what nobody needs.
    """

    directory: Path
    ledger: ErasureLedger
    clock: Clock
    region: str
    keep_for_s: float
    seal: Callable[[], Awaitable[int]]
    resolved_to: Callable[[], int]
    metrics: DrainerMetrics
    readers: Sequence[SpoolReader] = ()
    stores: Sequence[Erasable] = ()
    reached: Callable[[str], None] = field(default=lambda place: None)


class Eraser:
    """Leads the oldest erasure on, and empties what came late to earlier ones."""

    def __init__(self, parts: EraserParts) -> None:
        self._parts, self._ledger = parts, parts.ledger
        self._told: tuple[int, str] = (0, "")
        self._is_tidy = False

    async def step(self) -> bool:
        """Do the next piece of work; False when there is none, or nobody can do it for now."""
        erasure = await self._ledger.unfinished()
        self._parts.metrics.erasing.set(0 if erasure is None else 1)
        if erasure is None:
            return await self._empty_next(NO_END) is not None
        try:
            return await self._lead_on(erasure)
        except (StorageBusy, StorageFull, StorageTaken) as error:
            self._tell_wait(erasure, str(error))
            return False

    async def _lead_on(self, erasure: Erasure) -> bool:
        match erasure.state:
            case "asked":
                await self._ledger.note_sealed(erasure.id, await self._parts.seal())
            case "sealed":
                return await self._find(erasure)
            case "found":
                return await self._empty(erasure)
            case _:
                if not await self._ledger.clean_up(erasure.id, self._parts.clock.now_ms()):
                    self._tell_wait(erasure, "a reader keeps the ledger's log")
                    return False
                if erasure.done_at_ms is None:  # a vendor's answer begins the last state anew
                    self._parts.metrics.erasures.inc()
                    log.info("erasure done", erasure=erasure.id, events=erasure.events, deliveries=erasure.deliveries)
        self._parts.reached(f"{erasure.state} left")
        return True

    async def _find(self, erasure: Erasure) -> bool:
        """Look through every sealed segment for what names the person; wait until all that was accepted is resolved."""
        if self._parts.resolved_to() < (erasure.sealed_to or 0):
            return False
        traces = Traces(await self._ledger.names(erasure.id), self._parts.region)
        seqs: list[int] = []
        for segment in self._sealed():
            try:
                seqs += await asyncio.to_thread(find_holding, segment, traces.needles, traces.in_body)
            except sqlite3.Error as error:
                log.error("segment cannot be searched", segment=segment.path.name, error=str(error))
        left_over: list[LeftOver] = []
        keys = await self._ledger.keys(erasure.id) if self._parts.stores else set()
        for store in self._parts.stores:
            left_over += await store.erase(keys, traces)
        self._parts.reached("searched")
        await self._ledger.note_found(erasure.id, seqs, traces, left_over, self._parts.clock.now_ms())
        return True

    async def _empty(self, erasure: Erasure) -> bool:
        """Empty one segment, or note that there is none left."""
        if await self._empty_next((erasure.sealed_to or 0) + 1) is not None:
            return True
        await self._ledger.note_emptied(erasure.id, await self._left_over())
        self._parts.reached("emptied noted")
        return True

    async def _empty_next(self, before_seq: int) -> Segment | None:
        """Empty the first sealed segment that holds marked numbers; what it replaced goes after the ledger's commit."""
        marked = await self._ledger.marked()
        if not marked and self._is_tidy:
            return None
        await self._remove_replaced()
        segments = list_segments(self._parts.directory)
        if segments and marked and marked[0] < segments[0].first:
            await self._ledger.note_gone(0, segments[0].first - 1)
        for segment, following in pairwise(segments):
            here = _between(marked, segment.first, following.first - 1)
            if here and segment.first < before_seq and await self._empty_one(segment, here, following.first - 1):
                return segment
        return None

    async def _empty_one(self, segment: Segment, marked: Sequence[int], last: int) -> bool:
        try:
            if not await asyncio.to_thread(is_sealed, segment):
                return False
            if await asyncio.to_thread(find_full, segment, marked):
                await asyncio.to_thread(rewrite, segment, frozenset(marked))
                self._parts.reached("rewritten")
        except sqlite3.Error as error:
            self._note_damaged(segment, error)
            return False
        except OSError as error:
            raise StorageFull(f"no room to write {segment.path.name} anew") from error
        await self._ledger.note_gone(segment.first, last)
        self._parts.reached("segment noted")
        await self._remove_replaced()
        self._parts.reached("segment unlinked")
        return True

    async def _remove_replaced(self) -> None:
        """Remove files that a newer generation has replaced: the ledger has known what to empty since before it was."""
        self._is_tidy = True
        if remove_replaced(self._parts.directory):
            for reader in self._parts.readers:
                await reader.close_gone()

    def _sealed(self) -> list[Segment]:
        return list_segments(self._parts.directory)[:-1]

    async def _left_over(self) -> list[LeftOver]:
        """Name the files before the open one that cannot be read, and those that still hold something marked."""
        found, marked = [], await self._ledger.marked()
        until_ms = self._parts.clock.now_ms() + round(self._parts.keep_for_s * 1_000)
        for segment, following in pairwise(list_segments(self._parts.directory)):
            try:
                why = "" if await asyncio.to_thread(is_sealed, segment) else UNSEALED
            except sqlite3.Error:
                why = DAMAGED
            if why == DAMAGED or _between(marked, segment.first, following.first - 1):
                found.append(LeftOver(segment.path.name, why or DAMAGED, until_ms))
        return found

    def _note_damaged(self, segment: Segment, error: sqlite3.Error) -> None:
        if self._is_news(segment.first, "damaged"):
            log.warning("segment cannot be emptied", segment=segment.path.name, error=str(error))

    def _tell_wait(self, erasure: Erasure, why: str) -> None:
        if self._is_news(erasure.id, "waits"):
            log.warning("erasure waits", erasure=erasure.id, state=erasure.state, reason=why)

    def _is_news(self, about: int, what: str) -> bool:
        """Tell whether this was not the last that was said: what stays the same from step to step is said once."""
        before, self._told = self._told, (about, what)
        return before != self._told


def _between(numbers: Sequence[int], first: int, last: int) -> Sequence[int]:
    return numbers[bisect_left(numbers, first) : bisect_right(numbers, last)]
