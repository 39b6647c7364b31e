"""Step by step through the spool: a page is read, decided, and recorded in one transaction."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from edge.clock import Clock
from edge.consent import ALL_PURPOSES, Purpose
from edge.consent_platforms import MEANINGS, Heard, Hearing, Meanings
from edge.consent_rules import ConsentSettings
from edge.errors import StorageFull
from edge.event import BROWSER_SOURCE, Event, decode, event_key, is_server, order_key
from edge.identity import BROWSER_LEVEL, NOBODY, claim_from, level_of
from edge.ledger import ResolverLedger
from edge.ledger.records import Known, Resolution, VisitorState
from edge.metrics import DrainerMetrics
from edge.resolver.arriving import Arrived
from edge.resolver.late import marks_of, may_be_late
from edge.resolver.moments import plausible_ms
from edge.resolver.page import DAY_MS, Page
from edge.resolver.remembering import MAX_BROWSERS, Memory
from edge.resolver.rules import Limits
from edge.secret import Secret
from edge.spool import Row, SpoolReader

log = structlog.get_logger(__name__)

# A page is read in parts of so many rows, until it has enough rows or bytes; while it is decided, others get their turn
# after each slice.
READ_EVENTS = 500
PAGE_EVENTS = 2_000
PAGE_BYTES = 4_000_000
SLICE_EVENTS = 250
MAX_LAG_S = 1_000_000.0
MAX_DENIED = 20_000


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """The site's rules that resolving needs; `consent_key` hides whom a row of the consent log is about."""

    phone_region: str
    consent: ConsentSettings
    retroactive_for_s: float = 14 * 86_400.0
    limits: Limits = field(default_factory=Limits)
    consent_key: Secret = field(kw_only=True)
    consent_meanings: Meanings = field(kw_only=True, default_factory=lambda: MEANINGS)


class Resolver:
    """One step resolves one page in one ledger transaction; a death between steps changes nothing."""

    def __init__(
        self,
        settings: ResolverSettings,
        *,
        spool: SpoolReader,
        ledger: ResolverLedger,
        clock: Clock,
        metrics: DrainerMetrics,
        remembered: int = MAX_BROWSERS,
        denials: int = MAX_DENIED,
    ) -> None:
        self._settings, self._spool, self._ledger = settings, spool, ledger
        self._clock, self._metrics = clock, metrics
        self._cursor = 0
        self._lag_ms = 0
        self._stepped_at_s = float("-inf")
        self._is_waiting_for_room = False
        self._most_denied = denials
        self._denied: dict[int, Purpose] = {}
        self._denied_by: dict[int, dict[str, tuple[int, Purpose]]] = {}
        self._followed_by: dict[int, int] = {}
        self._last_visitor = self._last_person = 0
        self._memory, self._hearing = Memory(remembered), Hearing(settings.consent_meanings)
        self._is_astray = False
        self._forgotten = 0
        self._buried_ms = self._newest_ms = 0
        self._turn = asyncio.Lock()

    @property
    def cursor(self) -> int:
        """The last resolved sequence number."""
        return self._cursor

    @property
    def is_waiting_for_room(self) -> bool:
        """Whether the ledger is full: then only deliveries can give space back, and go on without waiting for us."""
        return self._is_waiting_for_room

    @property
    def lag_ms(self) -> int:
        """How far decisions may lie behind arrivals: 0 at the head, and growing while no step succeeds."""
        since_step_s = self._clock.monotonic_s() - self._stepped_at_s
        return max(self._lag_ms, round(min(since_step_s, MAX_LAG_S) * 1_000))

    async def open(self) -> None:
        """Find the place to go on from, as the ledger has it and nothing else."""
        self.forget_cached()
        self._cursor = await self._ledger.cursor()
        await self._refresh()

    async def _refresh(self) -> None:
        self._last_visitor, self._last_person = await self._ledger.highest_ids()
        self._buried_ms, self._newest_ms = await self._ledger.buried_ms(), await self._ledger.newest_ms()
        self._is_astray = False

    @asynccontextmanager
    async def between_pages(self) -> AsyncIterator[None]:
        """Hold the next page back while somebody else changes what it will build on.

        Whoever changes a visitor or a person says so with `forget_cached` before the block ends.
        """
        async with self._turn:
            try:
                yield
            finally:
                await self._refresh()

    def forget_cached(self, *, erased: Iterable[int] = ()) -> None:
        """Drop all that is remembered of the ledger, for whoever changes it beside this: call it between two pages.

        Of visitors who were erased nothing is sent any more, not even what is on its way right now.
        """
        self._memory.forget()
        self._hearing.forget()
        self._forgotten += 1
        for visitor in erased:
            self._followed_by.pop(visitor, None)
            self._deny(visitor, ALL_PURPOSES)

    async def step(self) -> int:
        """Resolve the next page; give how many rows it had (0: nothing new, or no room for now)."""
        async with self._turn:
            return await self._step()

    async def _step(self) -> int:
        if self._is_astray:
            await self.open()
        rows, is_head = await self._read()
        if not rows:
            self._lag_ms = 0
            self._stepped_at_s = self._clock.monotonic_s()
            return 0
        self._report_gaps(rows)
        self._is_astray = True  # what is numbered from here on counts only once it is committed
        forgotten = self._forgotten
        page = await self._resolve(rows)
        try:
            await self._ledger.record(page.resolution)
        except StorageFull as error:
            if not self._is_waiting_for_room:
                log.warning("resolving waits for room", error=str(error))
            self._is_waiting_for_room = True
            await self.open()
            return 0
        self._is_astray = self._is_waiting_for_room = False
        if forgotten == self._forgotten:
            self._memory.keep(page.known, page.resolution)
        self._cursor = rows[-1].seq
        self._remember_withdrawals(page.resolution)
        self._stepped_at_s = self._clock.monotonic_s()
        self._lag_ms = 0 if is_head else self._clock.now_ms() - page.resolution.journal[-1].received_at_ms
        self._count(page.resolution)
        return len(rows)

    async def _read(self) -> tuple[list[Row], bool]:
        """Give the next page's rows, more of them when more wait; and whether nothing waits behind them."""
        rows, size_bytes = list[Row](), 0
        while len(rows) < PAGE_EVENTS and size_bytes < PAGE_BYTES:
            part = await self._spool.read(rows[-1].seq if rows else self._cursor, READ_EVENTS)
            rows += part
            size_bytes += sum([len(row.body) for row in part])
            if len(part) < READ_EVENTS:
                return rows, True
        return rows, False

    async def _resolve(self, rows: Sequence[Row]) -> Page:
        arrived = list[Arrived]()
        for start in range(0, len(rows), SLICE_EVENTS):
            arrived += self._parsed(rows[start : start + SLICE_EVENTS])
            await asyncio.sleep(0)
        now_ms = self._clock.now_ms()
        resolution = Resolution(rows[-1].seq, now_ms, now_ms - round(self._settings.retroactive_for_s * 1_000))
        known = await self._known(arrived)
        if self._buried_ms:
            hashes = [mark for one in arrived if one.marks is not None for mark in one.marks.hashes()]
            known.buried, known.erased_keys = await self._ledger.find_late(hashes, [one.key for one in arrived])
        page = Page(self, known, resolution)
        for start in range(0, len(arrived), SLICE_EVENTS):
            for one in arrived[start : start + SLICE_EVENTS]:
                page.resolve(one)
            await asyncio.sleep(0)
        return page

    def _parsed(self, rows: Sequence[Row]) -> list[Arrived]:
        now_ms = self._clock.now_ms()
        return [self._parse(row, now_ms) for row in rows]

    def _parse(self, row: Row, now_ms: int) -> Arrived:
        if row.is_damaged or row.is_erased:
            return Arrived(row, None, b"", NOBODY)
        try:
            event = decode(row.body)
        except ValueError:
            log.error("envelope not understood", seq=row.seq)
            return Arrived(row, None, b"", NOBODY)
        accepted_ms = plausible_ms(event.received_at_ms, self._newest_ms, now_ms)
        self._newest_ms = max(self._newest_ms, accepted_ms)
        if accepted_ms != event.received_at_ms:
            event = replace(event, received_at_ms=accepted_ms)
        claimed, level = NOBODY, BROWSER_LEVEL
        if event.traits:
            claimed, dropped = claim_from(event.traits, self._settings.phone_region)
            for kind in dropped:
                self._metrics.identifiers_dropped.labels(kind).inc()
        if event.source != BROWSER_SOURCE:
            level = level_of(event.source)
        is_old = bool(self._buried_ms) and may_be_late(event, self._buried_ms)
        marks = marks_of(event, claimed, self._settings.consent_key) if is_old else None
        return Arrived(row, event, event_key(event.source, event.id), claimed, level, event.order_id, marks)

    async def _known(self, arrived: Sequence[Arrived]) -> Known:
        """Ask for what a page needs and is not remembered: always for repeats, for persons only where there is news."""
        recalled = self._memory.recall(arrived)
        naming = [(one, one.event) for one in recalled.naming if one.event is not None]
        claiming = [event for one, event in naming if one.claimed and one.level == BROWSER_LEVEL]
        known = await self._ledger.find(
            keys=[one.key for one in arrived if one.event is not None],
            orders=[order_key(one.order_id) for one in arrived if one.order_id is not None],
            browsers=recalled.unknown,
            values=[claim for one, _ in naming for claim in one.claimed.items()],
            claimants=[event.browser for event in claiming],
            days={event.received_at_ms // DAY_MS for event in claiming},
            claims_limit=self._settings.limits.browsers_per_value + 1,
            naming={event.browser for _, event in naming},
            persons=recalled.persons,
        )
        if any(is_server(event.source) for _, event in naming):
            known.answers = await self._ledger.answers_of(known.graph.persons())
            known.lenders = await self._ledger.lenders_of(known.graph.persons())
        known.visitors |= recalled.visitors
        known.earlier |= recalled.earlier
        known.spoken = {person: who for person, who in recalled.spoken.items() if not known.graph.knows(person)}
        known.decided = self._memory.decided
        return known

    def new_visitor_id(self) -> int:
        """Give the next visitor id; this process is the only one that makes them."""
        self._last_visitor += 1
        return self._last_visitor

    def new_person_id(self) -> int:
        """Give the next person id."""
        self._last_person += 1
        return self._last_person

    @property
    def consent(self) -> ConsentSettings:
        """The site's rules of consent."""
        return self._settings.consent

    @property
    def consent_key(self) -> Secret:
        """What hides whom a row of the consent log is about."""
        return self._settings.consent_key

    @property
    def limits(self) -> Limits:
        """The limits against poisoning."""
        return self._settings.limits

    def hear(self, event: Event) -> Heard:
        """Read an event's evidence about consent, and count what cannot be read."""
        heard = self._hearing.hear(event.context)
        for platform in heard.unreadable:
            self._metrics.consent_unreadable.labels(platform).inc()
        return heard

    def _report_gaps(self, rows: Sequence[Row]) -> None:
        expected = self._cursor + 1
        for row in rows:
            if row.seq != expected:
                log.error("numbers missing in the spool", first=expected, last=row.seq - 1)
                self._metrics.missing.inc(row.seq - expected)
            expected = row.seq + 1

    def denied(self, visitor: int, persons: Iterable[int] = (), asks: Purpose = Purpose.NONE) -> Purpose:
        """Give what has lately been denied, for deliveries on their way right now, by the ledger's own rule.

        Args:
            visitor: its answers count, and those of its browser's newest epoch.
            persons: who may deny `asks` in other browsers, the latest epoch of each.
        """
        newest = visitor
        while newest in self._followed_by:
            newest = self._followed_by[newest]
        denied = self._denied.get(visitor, Purpose.NONE) | self._denied.get(newest, Purpose.NONE)
        for person in persons if asks else ():
            for _, elsewhere in self._denied_by.get(person, {}).values():
                denied |= elsewhere & asks
        return denied

    def _remember_withdrawals(self, page: Resolution) -> None:
        for visitor in page.visitors.values():
            if visitor.answer is not None:
                self._deny(visitor.id, visitor.answer.denied)
                if visitor.person is not None:
                    self._remember_of_person(visitor.person, visitor, visitor.answer.denied)
        self._followed_by |= page.followed
        self._bound_memory()

    def _deny(self, visitor: int, denied: Purpose) -> None:
        self._denied.pop(visitor, None)
        if denied:
            self._denied[visitor] = denied

    def _bound_memory(self) -> None:
        memories: tuple[dict[int, Any], ...] = (self._denied, self._followed_by, self._denied_by)
        for memory in memories:
            while len(memory) > self._most_denied:
                del memory[next(iter(memory))]

    def _remember_of_person(self, person: int, visitor: VisitorState, denied: Purpose) -> None:
        by_browser = self._denied_by[person] = self._denied_by.pop(person, {})  # the youngest again
        if visitor.epoch >= by_browser.get(visitor.browser, (0, denied))[0]:
            by_browser[visitor.browser] = (visitor.epoch, denied)

    def _count(self, page: Resolution) -> None:
        for fate, events in Counter([row.fate for row in page.journal]).items():
            self._metrics.resolved.labels(fate.name.lower()).inc(events)
        self._metrics.links.inc(len(page.linked))
        self._metrics.merges.labels("joined").inc(len(page.aliases))
        for one in page.quarantined:
            self._metrics.quarantined.labels(one.reason).inc()
        for kind, times in page.left_out.items():
            self._metrics.left_out.labels(kind).inc(times)
        self._metrics.merges.labels("refused").inc(page.refused)
