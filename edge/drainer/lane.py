"""One pipeline's work: what is due first, then the next page of the journal."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial

import structlog

from edge.budget import Budget
from edge.clock import Clock
from edge.delivery import CAP_S, Fate, told_of
from edge.drainer.batching import batch_size, is_backlog
from edge.drainer.health import UNLIMITED, Health
from edge.drainer.jobs import Job
from edge.drainer.sending import HASTE_S, Sender
from edge.drainer.sorting import DEATHS_BEFORE_ALONE, Sorter
from edge.errors import StorageFull
from edge.foreign_links import Hosts
from edge.ledger import DeliveryLedger
from edge.ledger.records import Entry, JournalFate, Page, Revision, Settlement, WaitingRow
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline
from edge.spool import Row, SpoolReader

log = structlog.get_logger(__name__)

FULL_PAUSE_S = 1.0
# Of what waits so much is sent at a time as goes out in about half a second; of a bulk call one conversation. One
# visitor's events go one by one, so there are fewer of them.
SOON_EVENTS, SOON_OF_VISITOR = 100, 20
# A page grows to a whole conversation while it lags; it is read and rendered in slices, so that nobody waits for it.
MAX_PAGE_EVENTS, PAGE_BYTES, SLICE_EVENTS = 1_000, 8_000_000, 100
# Among so many a probe finds its event; what is not sent is not rendered for it.
PROBE_EVENTS = 20


class PipelineDrainer:
    """Steps through one pipeline. A step takes, sends and settles; a death anywhere repeats it with the same ids.

    `hosts` are the shop's own, to which links in browsers' words may lead. `recall` compiles what a file said before,
    None where it cannot: what was rendered once is rendered alike again.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        ledger: DeliveryLedger,
        spool: SpoolReader,
        sender: Sender,
        health: Health,
        budget: Budget,
        clock: Clock,
        metrics: DrainerMetrics,
        pause: Callable[[float], Awaitable[None]],
        recall: Callable[[Revision], Pipeline | None],
        hosts: Hosts | None = None,
        page_events: int = 100,
        page_bytes: int = PAGE_BYTES,
    ) -> None:
        self.pipeline, self.ledger = pipeline, ledger
        self._spool, self._sender, self._pause, self._recall = spool, sender, pause, recall
        self._health, self._budget, self._clock, self._metrics = health, budget, clock, metrics
        self._page_events, self._page_bytes = page_events, page_bytes
        self._sorter = Sorter(pipeline, health=health, clock=clock, metrics=metrics, hosts=hosts)
        self._is_page_first = False
        self._behind = self._aside_to = 0
        self._is_passing = False
        self._authors: dict[int, Pipeline | None] = {}

    async def open(self) -> None:
        """Show where it stands; remember a pause from before this process, or this content of the file, began."""
        self._metrics.cursor.labels(self.pipeline.name).set(await self.ledger.cursor())
        self._sorter.pauses = await self.ledger.pauses()
        reason = self._sorter.pauses.reason or self._health.paused_reason
        self._metrics.paused.labels(self.pipeline.name).set(1 if reason else 0)
        if reason:
            self._health.stay_paused(reason)

    @property
    def is_blocked(self) -> bool:
        """Whether news from the resolver are of no use now: the destination is to be left alone for a while."""
        return self._allowance() < UNLIMITED

    async def step(self) -> bool:
        """Do the next piece of work, both what is due and what is new; False when there is none for now."""
        was_open = self._health.is_open
        works = [self._work_due, self._work_page, self._work_backlog]
        if self._is_page_first:  # so that no single event takes every probe for itself
            works = [self._work_page, self._work_due, self._work_backlog]
        has_worked = await self.ledger.release_more(self._clock.now_ms())
        for work in works:
            has_worked = await work(self._allowance()) or has_worked
        self._is_page_first = was_open and self._is_page_first is not has_worked
        if was_open and not self._health.is_open:
            await self.ledger.hurry(self._clock.now_ms())
        await self._note_pause()
        return has_worked

    def _allowance(self) -> int:
        now_s = self._clock.monotonic_s()
        return 0 if self._budget.pause_s(now_s) > 0 else self._health.allowance(now_s)

    async def _work_due(self, allowance: int) -> bool:
        """Send what waits and is due; a probe takes the next waiting event, due or not."""
        if allowance == 0:
            return False
        limit = min(allowance, self._page_events)
        rows = await self.ledger.look_due(self._horizon_ms(allowance), limit)
        are_many = len(rows) == self._page_events  # and more are likely to be due
        size = batch_size(self.pipeline.destination, is_backlog=are_many)
        return await self._work_rows(rows[: size * self._soon()], is_backlog=are_many)

    async def _work_backlog(self, allowance: int) -> bool:
        """Send some of what may take its time: briefly, so that what came meanwhile does not wait for it."""
        if allowance == 0 or self._is_passing:
            return False
        bulk = min(batch_size(self.pipeline.destination, is_backlog=True), MAX_PAGE_EVENTS)
        soon, each = self._soon(), SOON_OF_VISITOR if bulk == 1 else bulk
        limit = min(allowance, soon if bulk == 1 else bulk)
        rows = await self.ledger.look_backlog(self._horizon_ms(allowance), limit, each=each)
        return await self._work_rows(rows, is_backlog=len(rows) > soon)

    def _soon(self) -> int:
        """Give how many requests the account has for us until who is not live has to stand back."""
        per_s = self._budget.per_min(self._clock.monotonic_s()) / 60
        return max(1, min(round(per_s * HASTE_S), self._page_events, SOON_EVENTS))

    def _horizon_ms(self, allowance: int) -> int:
        return self._clock.now_ms() + (0 if allowance == UNLIMITED else round(CAP_S * 1_000))

    async def _work_rows(self, rows: Sequence[WaitingRow], *, is_backlog: bool) -> bool:
        if not rows:
            return False
        if any(row.deaths >= DEATHS_BEFORE_ALONE for row in rows):
            rows = rows[:1]
        settled, jobs = await self._sort_due(rows)
        # First, and for good: what is not sent must not follow later events of its visitor after a death.
        await self._settle_due(settled)
        if jobs:
            sent = {job.seq: job for job in jobs}
            taken = [row._replace(told=sent[row.seq].told) for row in rows if row.seq in sent]
            rendered = [(row, sent[row.seq].payload) for row in taken]
            await self.ledger.take_due(rendered, joined=_joined(jobs))
            untake = partial(self.ledger.untake_due, taken)
            await self._settle_due(await self._send(jobs, untake, is_backlog=is_backlog))
        return True

    async def _sort_due(self, rows: Sequence[WaitingRow]) -> tuple[list[Settlement], list[Job]]:
        """Sort what waits, or as much from its beginning as its rendered bytes allow; the rest is left alone."""
        sorted_as: list[Settlement | Job] = []
        size_bytes = 0
        while len(sorted_as) < len(rows) and size_bytes < self._page_bytes:
            part = rows[len(sorted_as) : len(sorted_as) + SLICE_EVENTS]
            envelopes = await self._spool.read_at([row.seq for row in part])
            made = self._sorter.sort_due(part, envelopes, sorted_as)
            size_bytes += sum(map(_payload_bytes, made))
            sorted_as += made
        settled = [one for one in sorted_as if isinstance(one, Settlement)]
        return settled, [one for one in sorted_as if isinstance(one, Job)]

    async def _settle_due(self, settled: Sequence[Settlement]) -> None:
        if settled:
            await self._store(lambda: self.ledger.settle_due(settled, self._clock.now_ms()))
            self._count(settled)

    async def _work_page(self, allowance: int) -> bool:
        """Settle the next page, up to the first event that may not be sent now; or set a backlog aside."""
        self._is_passing = False
        if allowance == 0:
            return False
        page = await self.ledger.look(self._page_limit() if allowance == UNLIMITED else PROBE_EVENTS)
        if page is None:
            self._behind = 0
            return False
        if page.deaths >= DEATHS_BEFORE_ALONE and len(page.entries) > 1:
            await self.ledger.take_alone()
            return True
        is_repeat, is_far = page.rendered_by is not None, is_backlog(self.pipeline.destination, page.head - page.cursor)
        if is_far and not is_repeat and allowance == UNLIMITED:
            self._aside_to = page.head
        if page.cursor < self._aside_to and not is_repeat and allowance == UNLIMITED and await self._set_aside():
            return True
        page, author = await self._authored(page)
        sorting = self._sorter.page_sorting(page, author, is_repeat=is_repeat)
        page, sorted_as = await self._sort_page(page, sorting.sort)
        entries, settled, jobs = _up_to(allowance, page.entries, sorted_as)
        if not entries:
            return False
        self._is_passing = not jobs  # what may be sent at once can be on the very next page
        last = entries[-1].seq
        self._behind = page.head - last
        if jobs:
            await self.ledger.take(page, last, self._clock.now_ms(), joined=_joined(jobs))
            settled += await self._send(jobs, self.ledger.untake, is_backlog=is_far)
        await self._store(lambda: self.ledger.settle(page, last, settled, self._clock.now_ms()))
        self._metrics.cursor.labels(self.pipeline.name).set(last)
        self._count(settled)
        return True

    async def _set_aside(self) -> bool:
        """Let a backlog wait in the background, unrendered, so that what comes now need not wait until it is gone.

        For half a second at a time, so that what is due meanwhile need not wait for that. False where the disk has no
        room for it.
        """
        until_s = self._clock.monotonic_s() + HASTE_S
        while not self._sender.is_stopping and self._allowance() == UNLIMITED:
            page = await self.ledger.look(MAX_PAGE_EVENTS)
            if page is None or page.cursor >= self._aside_to:
                return True
            page = replace(page, entries=tuple([entry for entry in page.entries if entry.seq <= self._aside_to]))
            sorting = self._sorter.page_sorting(page, self.pipeline, is_repeat=False)
            page, sorted_as = await self._sort_page(page, sorting.set_aside)
            settled = [one for one in sorted_as if isinstance(one, Settlement)]
            try:
                await self.ledger.settle(page, page.entries[-1].seq, settled, self._clock.now_ms())
            except StorageFull:
                self._aside_to = 0
                return False
            self._metrics.cursor.labels(self.pipeline.name).set(page.entries[-1].seq)
            self._count(settled)
            if self._clock.monotonic_s() >= until_s:
                break
        self._is_passing = True
        return True

    def _page_limit(self) -> int:
        """Give how many events to look at: while more than a page lags, as many as one conversation takes."""
        if self._behind <= self._page_events:
            return self._page_events
        destination = self.pipeline.destination
        most = batch_size(destination, is_backlog=is_backlog(destination, self._behind))
        return max(self._page_events, min(most, MAX_PAGE_EVENTS))

    async def _send(
        self,
        jobs: Sequence[Job],
        untake: Callable[[], Awaitable[None]],
        *,
        is_backlog: bool,
    ) -> list[Settlement]:
        """Send; only a death counts as one, not a polite stop."""
        try:
            return await self._sender.send(jobs, is_backlog=is_backlog)
        except asyncio.CancelledError:
            await untake()
            raise

    async def _sort_page(
        self, page: Page, sort: Callable[[Entry, Row | None], Settlement | Job | None]
    ) -> tuple[Page, list[Settlement | Job | None]]:
        """Sort a page, or as much from its beginning as its rendered bytes allow."""
        sorted_as: list[Settlement | Job | None] = []
        size_bytes = 0
        while len(sorted_as) < len(page.entries) and size_bytes < self._page_bytes:
            entries = page.entries[len(sorted_as) : len(sorted_as) + SLICE_EVENTS]
            envelopes = await self._spool.read_at([e.seq for e in entries if e.fate is JournalFate.OPEN])
            made = [sort(entry, envelopes.get(entry.seq)) for entry in entries]
            size_bytes += sum(map(_payload_bytes, made))
            sorted_as += made
        return replace(page, entries=page.entries[: len(sorted_as)]), sorted_as

    async def _authored(self, page: Page) -> tuple[Page, Pipeline]:
        """Find what rendered a page before: a repeat has the same content, whatever the file says by now."""
        if page.rendered_by is None:
            return page, self.pipeline
        if page.rendered_by not in self._authors:
            self._authors[page.rendered_by] = await self._find_author(page.rendered_by)
        author = self._authors[page.rendered_by]
        return (page, author) if author else (replace(page, rendered_by=None), self.pipeline)

    async def _find_author(self, number: int) -> Pipeline | None:
        revision = await self.ledger.revision(number)
        if revision.hash == self.pipeline.hash:
            return self.pipeline
        recalled = await asyncio.to_thread(self._recall, revision)
        if recalled is None:
            log.warning("an unfinished page is rendered anew", pipeline=self.pipeline.name, was=revision.hash)
        return recalled

    async def _note_pause(self) -> None:
        reason = self._health.paused_reason
        if reason == self._sorter.pauses.reason:
            return
        await self.ledger.note_pause(reason, self._clock.now_ms())
        self._sorter.pauses = await self.ledger.pauses()
        self._metrics.paused.labels(self.pipeline.name).set(1 if reason else 0)
        if reason:
            log.error(
                "pipeline paused: its credentials are refused", pipeline=self.pipeline.name, reason=told_of(reason)
            )
        else:
            log.info("pipeline goes on", pipeline=self.pipeline.name)

    async def _store(self, settle: Callable[[], Awaitable[None]]) -> None:
        """Settle; where the disk is full, again and again, for what was sent must not be sent anew."""
        while True:
            try:
                return await settle()
            except StorageFull as error:
                if self._sender.is_stopping:
                    raise
                log.warning("settling waits for room", pipeline=self.pipeline.name, error=str(error))
                await self._pause(FULL_PAUSE_S)

    def _count(self, settled: Sequence[Settlement]) -> None:
        for fate, events in Counter([settlement.fate for settlement in settled]).items():
            self._metrics.settled.add(events, self.pipeline.name, fate)


def _joined(jobs: Sequence[Job]) -> list[tuple[int, int]]:
    """Give the visitors who are introduced, each with the event that does it."""
    return [(job.visitor, job.seq) for job in jobs if job.joins]


def _payload_bytes(one: Settlement | Job | None) -> int:
    """Give how large what is sent, or kept to be sent later, is."""
    if isinstance(one, Job):
        return len(one.payload.body)
    return len(one.payload or b"") if one else 0


def _up_to(
    allowance: int, entries: Sequence[Entry], sorted_as: Sequence[Settlement | Job | None]
) -> tuple[list[Entry], list[Settlement], list[Job]]:
    """Cut a page before the first job over the allowance; while only probes go out, nothing is copied to wait."""
    kept: list[Entry] = []
    settled: list[Settlement] = []
    jobs: list[Job] = []
    for entry, one in zip(entries, sorted_as, strict=True):
        if isinstance(one, Job):
            if len(jobs) >= allowance:
                break
            jobs.append(one)
        elif one is not None:
            if one.fate is Fate.WAITING and allowance < UNLIMITED:
                break
            settled.append(one)
        kept.append(entry)
    return kept, settled, jobs
