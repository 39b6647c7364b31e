"""Step by step through the spool: a page is read, decided, and recorded in one transaction."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from edge.clock import Clock
from edge.consent import Purpose
from edge.consent_platforms import MEANINGS, Heard, Meanings, hear
from edge.consent_rules import ConsentSettings
from edge.errors import StorageFull
from edge.event import Event, decode, is_server
from edge.identity import BROWSER_LEVEL, NOBODY, claim_from, level_of
from edge.ledger import ResolverLedger
from edge.ledger.records import Known, Resolution
from edge.metrics import DrainerMetrics
from edge.resolver.page import DAY_MS, Arrived, Limits, Page, event_key, order_key
from edge.secret import Secret
from edge.spool import Row, SpoolReader

log = structlog.get_logger(__name__)

PAGE_EVENTS = 500
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
    ) -> None:
        self._settings, self._spool, self._ledger = settings, spool, ledger
        self._clock, self._metrics = clock, metrics
        self._cursor = 0
        self._lag_ms = 0
        self._stepped_at_s = float("-inf")
        self._is_waiting_for_room = False
        self._denied: dict[int, Purpose] = {}
        self._followed_by: dict[int, int] = {}
        self._last_visitor = self._last_person = 0

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
        """Find the place to go on from."""
        self._cursor = await self._ledger.cursor()
        self._last_visitor, self._last_person = await self._ledger.highest_ids()

    async def step(self) -> int:
        """Resolve the next page; give how many rows it had (0: nothing new, or no room for now)."""
        rows = await self._spool.read(self._cursor, PAGE_EVENTS)
        if not rows:
            self._lag_ms = 0
            self._stepped_at_s = self._clock.monotonic_s()
            return 0
        self._report_gaps(rows)
        arrived = [self._parse(row) for row in rows]
        now_ms = self._clock.now_ms()
        resolution = Resolution(rows[-1].seq, now_ms, now_ms - round(self._settings.retroactive_for_s * 1_000))
        page = Page(self, await self._known(arrived), resolution)
        for one in arrived:
            page.resolve(one)
        try:
            await self._ledger.record(page.resolution)
        except StorageFull as error:
            if not self._is_waiting_for_room:
                log.warning("resolving waits for room", error=str(error))
            self._is_waiting_for_room = True
            await self.open()
            return 0
        self._is_waiting_for_room = False
        self._cursor = rows[-1].seq
        self._remember_withdrawals(page.resolution)
        self._stepped_at_s = self._clock.monotonic_s()
        is_head = len(rows) < PAGE_EVENTS
        self._lag_ms = 0 if is_head else self._clock.now_ms() - page.resolution.journal[-1].received_at_ms
        self._count(page.resolution)
        return len(rows)

    def _parse(self, row: Row) -> Arrived:
        if row.is_damaged:
            return Arrived(row, None, b"", NOBODY)
        try:
            event = decode(row.body)
        except ValueError:
            log.error("envelope not understood", seq=row.seq)
            return Arrived(row, None, b"", NOBODY)
        claimed, dropped = claim_from(event.traits, self._settings.phone_region)
        for kind in dropped:
            self._metrics.identifiers_dropped.labels(kind).inc()
        return Arrived(row, event, event_key(event.source, event.id), claimed, level_of(event.source))

    async def _known(self, arrived: Sequence[Arrived]) -> Known:
        events = [one.event for one in arrived if one.event is not None]
        claiming = [one.event for one in arrived if one.event and one.claimed and one.level == BROWSER_LEVEL]
        known = await self._ledger.find(
            keys=[one.key for one in arrived if one.event is not None],
            orders=[order_key(event.order_id) for event in events if event.order_id is not None],
            browsers=[event.browser for event in events],
            values=[claim for one in arrived for claim in one.claimed.items()],
            claimants=[event.browser for event in claiming],
            days={event.received_at_ms // DAY_MS for event in claiming},
            claims_limit=self._settings.limits.browsers_per_value + 1,
        )
        if any(is_server(event.source) for event in events):
            known.answers = await self._ledger.answers_of(known.graph.persons())
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
        heard = hear(event.context, self._settings.consent_meanings)
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

    def denied(self, visitor: int) -> Purpose:
        """Give what a visitor, or its browser since, has lately denied: for deliveries on their way right now."""
        denied = Purpose.NONE
        following: int | None = visitor
        while following is not None:
            denied |= self._denied.get(following, Purpose.NONE)
            following = self._followed_by.get(following)
        return denied

    def _remember_withdrawals(self, page: Resolution) -> None:
        for visitor in page.visitors.values():
            if visitor.answer is not None:
                self._denied.pop(visitor.id, None)
                self._denied[visitor.id] = visitor.answer.denied
        self._followed_by |= page.followed
        for memory in (self._denied, self._followed_by):
            while len(memory) > MAX_DENIED:
                del memory[next(iter(memory))]

    def _count(self, page: Resolution) -> None:
        for row in page.journal:
            self._metrics.resolved.labels(row.fate.name.lower()).inc()
        self._metrics.links.inc(len(page.linked))
        self._metrics.merges.labels("joined").inc(len(page.aliases))
        for one in page.quarantined:
            self._metrics.quarantined.labels(one.reason).inc()
        for kind, times in page.left_out.items():
            self._metrics.left_out.labels(kind).inc(times)
        self._metrics.merges.labels("refused").inc(page.refused)
