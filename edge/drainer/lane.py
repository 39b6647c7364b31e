"""One pipeline's work: what is due first, then the next page of the journal."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import structlog

from edge.budget import Budget
from edge.clock import Clock
from edge.delivery import CAP_S, DeadLetter, Fate, Payload
from edge.drainer.health import UNLIMITED, Health
from edge.drainer.sending import UNCLEAR, Job, Sender, waiting
from edge.errors import StorageFull
from edge.event import Event, decode
from edge.foreign_links import Hosts
from edge.ledger import DeliveryLedger
from edge.ledger.records import Entry, JournalFate, Page, Pause, Revision, Settlement, WaitingRow
from edge.metrics import DrainerMetrics
from edge.pipeline import Dead, Pipeline, Planned, SkippedBy, Unmapped, plan
from edge.spool import Row, SpoolReader

log = structlog.get_logger(__name__)

DEATHS_BEFORE_ALONE = 3
DEATHS_BEFORE_DEAD = 3
FULL_PAUSE_S = 1.0
CART_EVENTS = frozenset({"add_to_cart", "view_cart", "started_checkout"})
KILLER = "delivering it ended the process three times in a row"


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
    ) -> None:
        self.pipeline, self.ledger = pipeline, ledger
        self._spool, self._sender, self._pause, self._recall = spool, sender, pause, recall
        self._health, self._budget, self._clock, self._metrics = health, budget, clock, metrics
        self._hosts, self._page_events = hosts, page_events
        self._paused = Pause()
        self._is_page_first = False
        self._authors: dict[int, Pipeline | None] = {}

    async def open(self) -> None:
        """Remember a pause from before this process, or this content of the file, began."""
        self._paused = await self.ledger.pause()
        reason = self._paused.reason or self._health.paused_reason
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
        first, second = self._work_due, self._work_page
        if self._is_page_first:  # so that no single event takes every probe for itself
            first, second = second, first
        self._is_page_first = was_open and not self._is_page_first
        has_worked = await first(self._allowance())
        has_worked = await second(self._allowance()) or has_worked
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
        horizon_ms = self._clock.now_ms() + (0 if allowance == UNLIMITED else round(CAP_S * 1_000))
        rows = await self.ledger.look_due(horizon_ms, min(allowance, self._page_events))
        if not rows:
            return False
        if any(row.deaths >= DEATHS_BEFORE_ALONE for row in rows):
            rows = rows[:1]
        settled, jobs = await self._sort_due(rows)
        # First, and for good: what is not sent must not follow later events of its visitor after a death.
        await self._settle_due(settled)
        if jobs:
            sent = {job.seq: job.payload for job in jobs}
            taken = [row for row in rows if row.seq in sent]
            await self.ledger.take_due((row, sent[row.seq]) for row in taken)
            await self._settle_due(await self._send(jobs, lambda: self.ledger.untake_due(taken)))
        return True

    async def _settle_due(self, settled: Sequence[Settlement]) -> None:
        if settled:
            await self._store(lambda: self.ledger.settle_due(settled, self._clock.now_ms()))
            self._count(settled)

    async def _sort_due(self, rows: Sequence[WaitingRow]) -> tuple[list[Settlement], list[Job]]:
        envelopes = await self._spool.read_at(row.seq for row in rows)
        settled: list[Settlement] = []
        jobs: list[Job] = []
        for row in rows:
            sorted_as = self._sort_waiting(row, envelopes.get(row.seq))
            if isinstance(sorted_as, Job):
                jobs.append(sorted_as)
            else:
                settled.append(sorted_as)
        return settled, jobs

    def _sort_waiting(self, row: WaitingRow, envelope: Row | None) -> Settlement | Job:
        end = Settlement(seq=row.seq, visitor=row.visitor, fate=Fate.DEAD, attempts=row.attempts)
        if not self.pipeline.is_enabled:
            return replace(end, fate=Fate.SKIPPED)
        if self.pipeline.purposes & ~row.granted:
            return replace(end, fate=Fate.WITHHELD)
        if self._is_expired(row.since_ms):
            return replace(end, fate=Fate.EXPIRED)
        event = _event(envelope)
        if row.deaths >= DEATHS_BEFORE_ALONE + DEATHS_BEFORE_DEAD:
            return self._dead(end, event, KILLER, row.payload or b"")
        if row.payload is not None:
            payload = Payload(row.payload, row.time_ms, _is_overtaken(row, event))
            event_id, name = (event.id, event.canonical_name) if event else ("", "")
            was_unclear = row.reason.startswith(UNCLEAR)
            return Job(row.seq, row.visitor, payload, row.since_ms, row.attempts, event_id, name, was_unclear)
        if event is None:
            return replace(end, fate=Fate.DAMAGED)
        planned = self._plan(self.pipeline, end, event, row, since_ms=row.since_ms)
        if isinstance(planned, Job) and _is_overtaken(row, event):
            return replace(planned, payload=replace(planned.payload, is_backfill=True))
        return planned

    async def _work_page(self, allowance: int) -> bool:
        """Settle the next page, up to the first event that may not be sent now."""
        page = await self.ledger.look(self._page_events)
        if page is None:
            return False
        if page.deaths >= DEATHS_BEFORE_ALONE and len(page.entries) > 1:
            await self.ledger.take_alone()
            return True
        page, author = await self._authored(page)
        sorted_as = await self._sort_page(page, author)
        entries, settled, jobs = _up_to(allowance, page.entries, sorted_as)
        if not entries:
            return False
        last = entries[-1].seq
        if jobs:
            await self.ledger.take(page, last, self._clock.now_ms())
            settled += await self._send(jobs, self.ledger.untake)
        await self._store(lambda: self.ledger.settle(page, last, settled, self._clock.now_ms()))
        self._metrics.cursor.labels(self.pipeline.name).set(last)
        self._count(settled)
        return True

    async def _send(self, jobs: Sequence[Job], untake: Callable[[], Awaitable[None]]) -> list[Settlement]:
        """Send; only a death counts as one, not a polite stop."""
        try:
            return await self._sender.send(jobs)
        except asyncio.CancelledError:
            await untake()
            raise

    async def _sort_page(self, page: Page, author: Pipeline) -> list[Settlement | Job | None]:
        envelopes = await self._spool.read_at(e.seq for e in page.entries if e.fate is JournalFate.OPEN)
        if page.deaths >= DEATHS_BEFORE_DEAD and len(page.entries) == 1:
            return [self._killer(page.entries[0], envelopes)]
        return [self._sort_entry(entry, envelopes.get(entry.seq), author) for entry in page.entries]

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

    def _killer(self, entry: Entry, envelopes: dict[int, Row]) -> Settlement:
        end = Settlement(seq=entry.seq, visitor=entry.visitor, fate=Fate.DEAD, attempts=DEATHS_BEFORE_DEAD)
        return self._dead(end, _event(envelopes.get(entry.seq)), KILLER)

    def _sort_entry(self, entry: Entry, envelope: Row | None, author: Pipeline) -> Settlement | Job | None:
        """Give an event's settlement, or the job of sending it; None for a duplicate, which no pipeline counts.

        `author` says what is sent and to whom, as when the page was sent before; the file as it is now may only
        stop it. Who stayed behind then stays behind, and does not follow the same visitor's later events.
        """
        end = Settlement(seq=entry.seq, visitor=entry.visitor, fate=Fate.DAMAGED)
        if entry.fate is JournalFate.DUPLICATE:
            return None
        event = _event(envelope)
        if entry.fate is JournalFate.DAMAGED or event is None:
            return end
        if author.event_plan(event.canonical_name) is None:
            return replace(end, fate=Fate.UNMAPPED)
        if (self.pipeline.purposes | author.purposes) & ~entry.granted:
            return replace(end, fate=Fate.WITHHELD)
        if not author.is_deliverable(entry.identifiers) and self.pipeline.is_enabled:
            return replace(end, fate=Fate.HELD if author.anonymous == "hold" else Fate.SKIPPED)
        if self._is_expired(entry.received_at_ms):
            return replace(end, fate=Fate.EXPIRED)
        if not self.pipeline.is_enabled:
            return replace(end, fate=Fate.SKIPPED)
        sorted_as = self._plan(author, end, event, entry, since_ms=entry.received_at_ms)
        if isinstance(sorted_as, Job) and entry.is_behind:
            return waiting(sorted_as, None, "behind", attempts=0)
        return sorted_as

    def _plan(
        self, author: Pipeline, end: Settlement, event: Event, known: Entry | WaitingRow, *, since_ms: int
    ) -> Settlement | Job:
        match plan(author, event, known.identifiers, known.granted, self._hosts):
            case Planned(payload, stripped=stripped):
                self._metrics.stripped.labels(self.pipeline.name).inc(len(stripped))
                return Job(end.seq, end.visitor, payload, since_ms, end.attempts, event.id, event.canonical_name)
            case Unmapped():
                return replace(end, fate=Fate.UNMAPPED)
            case SkippedBy():
                return replace(end, fate=Fate.SKIPPED)
            case Dead(reason):
                return self._dead(end, event, reason)

    def _dead(self, end: Settlement, event: Event | None, reason: str, payload: bytes = b"") -> Settlement:
        event_id, name = (event.id, event.canonical_name) if event else ("", "")
        letter = DeadLetter(reason, payload=payload)
        return replace(end, fate=Fate.DEAD, reason=reason, letter=letter, event_id=event_id, event_name=name)

    def _is_expired(self, since_ms: int) -> bool:
        """Tell whether an event has tried for too long; while credentials are refused that clock stands still."""
        if self._health.paused_reason is not None:
            return False
        return self._paused.age_ms(since_ms, self._clock.now_ms()) > self.pipeline.max_age_s * 1_000

    async def _note_pause(self) -> None:
        reason = self._health.paused_reason
        if reason == self._paused.reason:
            return
        await self.ledger.note_pause(reason, self._clock.now_ms())
        self._paused = await self.ledger.pause()
        self._metrics.paused.labels(self.pipeline.name).set(1 if reason else 0)
        if reason:
            log.error("pipeline paused: its credentials are refused", pipeline=self.pipeline.name, reason=reason)
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
        for settlement in settled:
            self._metrics.settled.labels(self.pipeline.name, settlement.fate).inc()


def _is_overtaken(row: WaitingRow, event: Event | None) -> bool:
    """Tell a cart or checkout event whose visitor has bought since: it must not start an abandoned-cart flow."""
    is_cart = event is not None and event.canonical_name in CART_EVENTS
    return is_cart and row.purchased_seq is not None and row.purchased_seq > row.seq


def _event(envelope: Row | None) -> Event | None:
    if envelope is None or envelope.is_damaged:
        return None
    try:
        return decode(envelope.body)
    except ValueError:
        return None


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
