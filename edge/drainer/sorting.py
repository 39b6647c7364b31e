"""What becomes of each event that a pipeline meets: settled as it is, or the job of sending it. Opens nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edge.budget import Lane
from edge.clock import Clock
from edge.consent import MASKS
from edge.delivery import DeadLetter, Fate, Payload
from edge.drainer.health import Health
from edge.drainer.jobs import Job, waiting
from edge.event import Event, decode
from edge.foreign_links import Hosts
from edge.ledger.letters import KILLER_REASON
from edge.ledger.records import Entry, JournalFate, Page, Pauses, Settlement, WaitingRow
from edge.metrics import DrainerMetrics
from edge.person import Identifiers
from edge.pipeline import Dead, Pipeline, Planned, SkippedBy, Unmapped, plan
from edge.spool import Row

DEATHS_BEFORE_ALONE = 3
DEATHS_BEFORE_DEAD = 3
CART_EVENTS = frozenset({"add_to_cart", "view_cart", "started_checkout"})
TOLD_TOO_MUCH = "what it says of consent was withdrawn in part, and the event is gone from the spool"
SET_ASIDE = "backlog"
TRIED_TOO_LONG = "delivery was tried for longer than max_age"


class Sorter:
    """Sorts for one pipeline; `pauses` are those in which its events did not grow older."""

    def __init__(
        self, pipeline: Pipeline, *, health: Health, clock: Clock, metrics: DrainerMetrics, hosts: Hosts | None
    ) -> None:
        self.pipeline, self.pauses, self._asked = pipeline, Pauses(), int(pipeline.purposes)
        self._health, self._clock, self._metrics, self._hosts = health, clock, metrics, hosts

    def sort_due(
        self, rows: Sequence[WaitingRow], envelopes: Mapping[int, Row], before: Sequence[Settlement | Job] = ()
    ) -> list[Settlement | Job]:
        """Give what is settled without being sent, and the jobs of sending the others; `before` came before them."""
        sorted_as: list[Settlement | Job] = []
        now_ms = self._clock.now_ms()
        joined = {one.visitor for one in before if isinstance(one, Job) and one.joins}
        for row in rows:
            met = row._replace(identifiers=_introduced(row.identifiers)) if row.visitor in joined else row
            one = self._sort_waiting(met, envelopes.get(row.seq), now_ms)
            sorted_as.append(one)
            if isinstance(one, Job) and one.joins:
                joined.add(one.visitor)
        return sorted_as

    def _sort_waiting(self, row: WaitingRow, envelope: Row | None, now_ms: int) -> Settlement | Job:
        end = Settlement(row.seq, row.visitor, Fate.DEAD, row.attempts)
        if not self.pipeline.is_enabled:
            return end._replace(fate=Fate.SKIPPED)
        if self._asked & ~int(row.granted):
            return end._replace(fate=Fate.WITHHELD)
        if self._is_expired(row.since_ms, now_ms):
            return end._replace(fate=Fate.EXPIRED, reason=TRIED_TOO_LONG)
        if envelope is not None and envelope.is_erased:
            return end._replace(fate=Fate.ERASED)
        event = _event(envelope)
        time_ms = row.time_ms if row.payload is not None or event is None else event.time_ms
        if (row.payload is not None or event is not None) and self.pipeline.is_refused_at(time_ms, now_ms):
            return end._replace(fate=Fate.EXPIRED, reason=self.pipeline.age_limit)
        if row.deaths >= DEATHS_BEFORE_ALONE + DEATHS_BEFORE_DEAD:
            dead = self._dead(end, event, KILLER_REASON, row.payload or b"")
            return dead._replace(time_ms=row.time_ms, told=row.told)
        withdrawn = int(row.told) & ~int(row.granted) if row.payload is not None else 0
        if event is None and withdrawn & int(self.pipeline.discloses):
            return end._replace(fate=Fate.WITHHELD, reason=TOLD_TOO_MUCH)
        # The file may map what was answered, or vendors' ids, which have purposes of their own: so rather anew.
        if row.payload is not None and not (withdrawn and event is not None):
            payload = Payload(row.payload, row.time_ms, _is_overtaken(row, event))
            event_id, name = (event.id, event.canonical_name) if event else ("", "")
            told = (row.attempts, event_id, name, row.reason, _lane(row))
            job = Job(row.seq, row.visitor, payload, row.since_ms, *told, persons=row.persons, asks=row.asks)
            return job._replace(told=MASKS[int(row.told) & ~withdrawn], is_alone=row.is_alone)
        if event is None:
            return end._replace(fate=Fate.DAMAGED)
        planned = self._plan(self.pipeline, row, event, now_ms, since_ms=row.since_ms, end=end)
        if not isinstance(planned, Job):
            return planned
        payload = replace(planned.payload, is_backfill=_is_overtaken(row, event))
        return planned._replace(payload=payload, lane=_lane(row), is_alone=row.is_alone, reason=row.reason)

    def page_sorting(self, page: Page, author: Pipeline, *, is_repeat: bool) -> "PageSorting":
        """Begin to sort a page, as of now; what `author` rendered before it renders alike, and it goes alone."""
        return PageSorting(self, page, author, self._clock.now_ms(), is_repeat=is_repeat)

    def killer(self, entry: Entry, envelope: Row | None) -> Settlement:
        """End the one event that keeps ending processes."""
        end = Settlement(entry.seq, entry.visitor, Fate.DEAD, DEATHS_BEFORE_DEAD)
        return self._dead(end, _event(envelope), KILLER_REASON)

    def sort_entry(
        self, entry: Entry, envelope: Row | None, author: Pipeline, now_ms: int, *, is_repeat: bool
    ) -> Settlement | Job | None:
        """Give an event's settlement, or the job of sending it; None for a duplicate, which no pipeline counts.

        `author` says what is sent and to whom, as when the page was sent before; the file as it is now may only
        stop it. Who stayed behind then stays behind, and does not follow the same visitor's later events. What is
        repeated may have been sent with others, and goes alone.
        """
        event = self._open(entry, envelope, author, now_ms)
        if not isinstance(event, Event):
            return event
        job = self._plan(author, entry, event, now_ms, since_ms=entry.received_at_ms, is_alone=is_repeat)
        if not isinstance(job, Job):
            return job
        if not entry.is_behind:
            return job
        behind = waiting(job, None, "behind", attempts=0)
        # What may introduce a stranger is rendered when it is its turn: an earlier one may do so first.
        return behind._replace(payload=None) if entry.may_join else behind

    def set_aside(self, entry: Entry, envelope: Row | None, now_ms: int) -> Settlement | None:
        """Let what would be sent wait in the background, unrendered; None for a duplicate."""
        event = self._open(entry, envelope, self.pipeline, now_ms)
        if not isinstance(event, Event):
            return event
        return Settlement(
            seq=entry.seq,
            visitor=entry.visitor,
            fate=Fate.WAITING,
            due_at_ms=now_ms,
            since_ms=entry.received_at_ms,
            reason=SET_ASIDE,
            is_live=False,
        )

    def _open(self, entry: Entry, envelope: Row | None, author: Pipeline, now_ms: int) -> Event | Settlement | None:
        """Give the event that may be sent, else what became of it; None for a duplicate."""
        if entry.fate is JournalFate.DUPLICATE:
            return None
        if entry.fate is JournalFate.ERASED or (envelope is not None and envelope.is_erased):
            return _ended(entry, Fate.ERASED)
        event = _event(envelope)
        if entry.fate is JournalFate.DAMAGED or event is None:
            return _ended(entry, Fate.DAMAGED)
        if author.event_plan(event.canonical_name) is None:
            return _ended(entry, Fate.UNMAPPED)
        asked = int(author.purposes)
        missing = (self._asked | asked) & ~int(entry.granted)
        # What the file asks for beyond its author holds nothing: it may have been sent before, and only stops now.
        if missing and missing & ~(int(entry.waits) & asked):
            return _ended(entry, Fate.WITHHELD)
        is_stranger = not author.is_deliverable(entry.identifiers)
        if self.pipeline.is_enabled and is_stranger and author.anonymous == "drop":
            return _ended(entry, Fate.SKIPPED)
        if self.pipeline.is_enabled and (missing or is_stranger or entry.is_held):
            return Settlement(entry.seq, entry.visitor, Fate.HELD, waits=MASKS[missing])
        if self._is_expired(entry.received_at_ms, now_ms) or author.is_refused_at(event.time_ms, now_ms):
            return _ended(entry, Fate.EXPIRED)
        return event if self.pipeline.is_enabled else _ended(entry, Fate.SKIPPED)

    def _plan(
        self,
        author: Pipeline,
        known: Entry | WaitingRow,
        event: Event,
        now_ms: int,
        *,
        since_ms: int,
        is_alone: bool = False,
        end: Settlement | None = None,
    ) -> Settlement | Job:
        """Render an event; `end` is how it stands by now."""
        identifiers = known.identifiers
        made = plan(author, event, identifiers, known.granted, self._hosts)
        if not isinstance(made, Planned):
            return self._unplanned(made, event, end or _ended(known, Fate.DEAD))
        if made.stripped:
            self._metrics.stripped.labels(self.pipeline.name).inc(len(made.stripped))
        has_own_id = author.goes_by_own_id(identifiers)
        is_fresh = now_ms - event.time_ms <= author.fresh_for_s * 1_000
        return Job(
            known.seq,
            known.visitor,
            made.payload,
            since_ms,
            end.attempts if end else 0,
            event.id,
            event.canonical_name,
            lane=Lane.LIVE if is_fresh and made.lane == "live" else Lane.BACKLOG,
            is_stranger=has_own_id and not identifiers,
            joins=has_own_id and bool(identifiers),
            persons=known.persons,
            asks=known.asks,
            told=known.granted,
            is_alone=is_alone,
        )

    def _unplanned(self, why: Unmapped | SkippedBy | Dead, event: Event, end: Settlement) -> Settlement:
        match why:
            case Unmapped():
                return end._replace(fate=Fate.UNMAPPED)
            case SkippedBy():
                return end._replace(fate=Fate.SKIPPED)
            case Dead(reason):
                return self._dead(end, event, reason)

    def _dead(self, end: Settlement, event: Event | None, reason: str, payload: bytes = b"") -> Settlement:
        event_id, name = (event.id, event.canonical_name) if event else ("", "")
        letter = DeadLetter(reason, payload=payload)
        return end._replace(fate=Fate.DEAD, reason=reason, letter=letter, event_id=event_id, event_name=name)

    def _is_expired(self, since_ms: int, now_ms: int) -> bool:
        """Tell whether an event has tried for too long; while credentials are refused that clock stands still."""
        if self._health.paused_reason is not None:
            return False
        return self.pauses.age_ms(since_ms, now_ms) > self.pipeline.max_age_s * 1_000


class PageSorting:
    """Sorts one page entry by entry, in order: what came before says whom one introduces, and who is held."""

    def __init__(self, sorter: Sorter, page: Page, author: Pipeline, now_ms: int, *, is_repeat: bool) -> None:
        self._sorter, self._author, self._now_ms, self._is_repeat = sorter, author, now_ms, is_repeat
        self._is_killer = page.deaths >= DEATHS_BEFORE_DEAD and len(page.entries) == 1
        self._joined: set[int] = set()
        self._held: set[int] = set()

    def sort(self, entry: Entry, envelope: Row | None) -> Settlement | Job | None:
        """Give an entry's settlement or its job; None for a duplicate."""
        if self._is_killer and entry.fate is JournalFate.OPEN:
            return self._sorter.killer(entry, envelope)
        met = self._met(entry)
        if entry.visitor in self._joined:
            met = met._replace(identifiers=_introduced(entry.identifiers))
        one = self._sorter.sort_entry(met, envelope, self._author, self._now_ms, is_repeat=self._is_repeat)
        if isinstance(one, Job) and one.joins:
            self._joined.add(one.visitor)
        return self._noted(one)

    def set_aside(self, entry: Entry, envelope: Row | None) -> Settlement | Job | None:
        """Give an entry's settlement, nothing of it being sent now; None for a duplicate."""
        return self._noted(self._sorter.set_aside(self._met(entry), envelope, self._now_ms))

    def _met(self, entry: Entry) -> Entry:
        return entry._replace(is_held=True) if entry.visitor in self._held else entry

    def _noted(self, one: Settlement | Job | None) -> Settlement | Job | None:
        if isinstance(one, Settlement) and one.fate is Fate.HELD:
            self._held.add(one.visitor)
        return one


def _ended(one: Entry | WaitingRow, fate: Fate) -> Settlement:
    return Settlement(one.seq, one.visitor, fate)


def _lane(row: WaitingRow) -> Lane:
    return Lane.RETRY if row.is_live else Lane.BACKLOG


def _is_overtaken(row: WaitingRow, event: Event | None) -> bool:
    """Tell a cart or checkout event whose visitor has bought since: it must not start an abandoned-cart flow."""
    is_cart = event is not None and event.canonical_name in CART_EVENTS
    return is_cart and row.purchased_seq is not None and row.purchased_seq > row.seq


def _introduced(identifiers: Identifiers) -> Identifiers:
    """Let only the first of a visitor's events say who a stranger was: this one comes later."""
    return replace(identifiers, introduces=False)


def _event(envelope: Row | None) -> Event | None:
    if envelope is None or envelope.is_damaged:
        return None
    try:
        return decode(envelope.body)
    except ValueError:
        return None
