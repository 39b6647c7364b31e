"""The resolver: reads the spool once, in order, and decides each event's visitor, person and consent."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from edge.clock import Clock
from edge.consent import Purpose, Standing
from edge.consent_platforms import MEANINGS, Meanings, hear
from edge.consent_rules import ConsentSettings, Verdict, judge
from edge.errors import StorageFull
from edge.event import BROWSER_SOURCE, Event, decode
from edge.identity import BROWSER_LEVEL, Link, claim_from, level_of, link
from edge.ledger import ResolverLedger
from edge.ledger.consent_log import consent_rows
from edge.ledger.records import IdentifierRow, JournalFate, JournalRow, Known, Resolution, VisitorState
from edge.metrics import DrainerMetrics
from edge.person import Identifiers, Kind
from edge.secret import Secret
from edge.spool import Row, SpoolReader
from edge.wire import REFUSED

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
    consent_key: Secret = field(kw_only=True)
    consent_meanings: Meanings = field(kw_only=True, default_factory=lambda: MEANINGS)


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A spool row with its parsed event; None when its bytes are damaged."""

    row: Row
    event: Event | None
    key: bytes
    claimed: Identifiers


def event_key(source: str, event_id: str) -> bytes:
    """Give the 128-bit hash by which an event is known once per source."""
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def order_key(order_id: str) -> bytes:
    """Give the 128-bit hash by which a purchase is known once, whatever its source."""
    return hashlib.blake2b(f"order\0{order_id}".encode(), digest_size=16).digest()


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
        page = _Page(self, await self._known(arrived), resolution)
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

    def _parse(self, row: Row) -> _Arrived:
        if row.is_damaged:
            return _Arrived(row, None, b"", Identifiers())
        try:
            event = decode(row.body)
        except ValueError:
            log.error("envelope not understood", seq=row.seq)
            return _Arrived(row, None, b"", Identifiers())
        claimed, dropped = claim_from(event.traits, self._settings.phone_region)
        for kind in dropped:
            self._metrics.identifiers_dropped.labels(kind).inc()
        return _Arrived(row, event, event_key(event.source, event.id), claimed)

    async def _known(self, arrived: Sequence[_Arrived]) -> Known:
        events = [one.event for one in arrived if one.event is not None]
        return await self._ledger.find(
            keys=[one.key for one in arrived if one.event is not None],
            orders=[order_key(event.order_id) for event in events if event.order_id is not None],
            browsers=[event.browser for event in events],
            values=[value for one in arrived for _, value in one.claimed.items()],
        )

    def new_visitor_id(self) -> int:
        """Give the next visitor id; this process is the only one that makes them."""
        self._last_visitor += 1
        return self._last_visitor

    def new_person_id(self) -> int:
        """Give the next person id."""
        self._last_person += 1
        return self._last_person

    @property
    def settings(self) -> ResolverSettings:
        """The site's rules."""
        return self._settings

    def judge(self, event: Event, standing: Standing | None) -> Verdict:
        """Decide an event's consent from its own evidence and what held for its visitor."""
        heard = hear(event.context, self._settings.consent_meanings)
        for platform in heard.unreadable:
            self._metrics.consent_unreadable.labels(platform).inc()
        return judge(
            heard.answers,
            standing,
            has_gpc=heard.has_gpc or (None if event.source != BROWSER_SOURCE else False),
            received_ms=event.received_at_ms,
            settings=self._settings.consent.of_source(event.source),
            is_act=event.name == "consent" and REFUSED not in event.properties,
        )

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


class _Page:
    """One page on its way: the ledger's knowledge, carried forward event by event."""

    def __init__(self, resolver: Resolver, known: Known, resolution: Resolution) -> None:
        self._resolver, self._known, self.resolution = resolver, known, resolution

    def resolve(self, one: _Arrived) -> None:
        """Decide one event and note the decision."""
        event = one.event
        if event is None:
            self._note(one, None, JournalFate.DAMAGED)
            return
        is_repeat = one.key in self._known.keys
        if is_repeat and not self._is_first_contact(one):
            self._note(one, None, JournalFate.DUPLICATE)
            return
        self._known.keys.add(one.key)
        visitor = self._visitor(event)
        if event.name == "reset":
            visitor = self._open_epoch(visitor)
        visitor = self._link(visitor, one)
        verdict = self._resolver.judge(event, visitor.answer)
        if verdict.news:
            visitor = self._put(replace(visitor, answer=verdict.standing))
            self.resolution.consents += consent_rows(verdict, one.row.seq, event, self._resolver.settings.consent_key)
        # A repeated order is no second purchase, but who says it and what they answered counts.
        is_repeat = self._is_known_order(event.order_id, one.row.seq) or is_repeat
        if event.order_id is not None and not is_repeat:
            visitor = self._put(replace(visitor, purchased_seq=one.row.seq))
        fate = JournalFate.DUPLICATE if is_repeat else JournalFate.OPEN
        self._note(one, visitor.id, fate, verdict.decision.granted, verdict.decision.basis)

    def _is_first_contact(self, one: _Arrived) -> bool:
        """Tell a repeat that says who a new browser is: its first answer, with the cookie, was lost on the way."""
        return one.event is not None and bool(one.claimed) and one.event.browser not in self._known.visitors

    def _is_known_order(self, order_id: str | None, seq: int) -> bool:
        if order_id is None:
            return False
        order = order_key(order_id)
        if order in self._known.orders:
            return True
        self._known.orders.add(order)
        self.resolution.purchases.append((order, seq))
        return False

    def _visitor(self, event: Event) -> VisitorState:
        found = self._known.visitors.get(event.browser)
        if found is not None:
            return found
        return self._put(VisitorState(self._resolver.new_visitor_id(), event.browser, epoch=1))

    def _open_epoch(self, visitor: VisitorState) -> VisitorState:
        """Begin the browser's next epoch; what the visitor answered about consent was the browser's answer too."""
        fresh = self._resolver.new_visitor_id()
        self.resolution.followed[visitor.id] = fresh
        return self._put(VisitorState(fresh, visitor.browser, visitor.epoch + 1, answer=visitor.answer))

    def _put(self, visitor: VisitorState) -> VisitorState:
        self._known.visitors[visitor.browser] = visitor
        self.resolution.visitors[visitor.id] = visitor
        return visitor

    def _link(self, visitor: VisitorState, one: _Arrived) -> VisitorState:
        change = link(
            visitor.person,
            one.claimed,
            owner=lambda kind, value: self._known.owners.get((kind, value)),
            known=lambda person: self._known.persons.get(person, Identifiers()),
        )
        if change is None:
            return visitor
        if change.opens_epoch:
            visitor = self._open_epoch(visitor)
        person = self._person(change)
        self._gain(person, change.gained, one)
        if visitor.person == person:
            return visitor
        self.resolution.linked.append(visitor.id)
        return self._put(replace(visitor, person=person, linked_seq=one.row.seq))

    def _person(self, change: Link) -> int:
        if change.person is not None:
            return change.person
        person = self._resolver.new_person_id()
        self.resolution.persons.append(person)
        return person

    def _gain(self, person: int, gained: Sequence[tuple[Kind, str]], one: _Arrived) -> None:
        level = level_of(one.event.source) if one.event is not None else BROWSER_LEVEL
        values = dict(self._known.persons.get(person, Identifiers()).items())
        for kind, value in gained:
            self.resolution.identifiers.append(IdentifierRow(kind, value, person, level, one.row.seq))
            self._known.owners[kind, value] = person
            values[kind] = value
        self._known.persons[person] = Identifiers(**values)

    def _note(
        self, one: _Arrived, visitor: int | None, fate: JournalFate, granted: Purpose = Purpose.NONE, basis: str = ""
    ) -> None:
        received_at_ms = one.event.received_at_ms if one.event else self.resolution.now_ms
        self.resolution.journal.append(JournalRow(one.row.seq, one.key, visitor, granted, basis, fate, received_at_ms))
