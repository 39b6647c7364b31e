"""One page on its way: the ledger's knowledge, carried forward event by event."""

import hashlib
from dataclasses import dataclass, replace
from typing import Protocol

from edge.consent import Answer, Decision, Purpose
from edge.consent_platforms import Heard
from edge.consent_rules import ConsentSettings, Verdict, agreed, judge
from edge.event import BROWSER_SOURCE, Event, is_server
from edge.identity import BROWSER_LEVEL, Change, Claim, click_token, link, session_of
from edge.ledger.consent_log import consent_rows
from edge.ledger.records import (
    ClaimRow,
    Ended,
    JournalFate,
    JournalRow,
    Known,
    Quarantined,
    Resolution,
    VisitorState,
)
from edge.person import Alias, Fact, Identifiers, Kind
from edge.secret import Secret
from edge.spool import Row
from edge.wire import REFUSED

DAY_MS = 86_400_000
SESSION_BYTES = 8
KEPT_SESSIONS = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """How many links a day browsers may make by their own word: values of a kind a browser, browsers a value."""

    values_per_browser: int = 3
    browsers_per_value: int = 20


class Rules(Protocol):
    """What a page asks of whoever steps through the spool."""

    @property
    def consent(self) -> ConsentSettings:
        """The site's rules of consent."""
        ...

    @property
    def consent_key(self) -> Secret:
        """What hides whom a row of the consent log is about."""
        ...

    @property
    def limits(self) -> Limits:
        """The limits against poisoning."""
        ...

    def hear(self, event: Event) -> Heard:
        """Read an event's evidence about consent."""
        ...

    def new_visitor_id(self) -> int:
        """Give the next visitor id."""
        ...

    def new_person_id(self) -> int:
        """Give the next person id."""
        ...


@dataclass(frozen=True, slots=True)
class Arrived:
    """A spool row with its parsed event, None when its bytes are damaged; and what it claims on which evidence."""

    row: Row
    event: Event | None
    key: bytes
    claimed: Identifiers
    level: int = BROWSER_LEVEL


def event_key(source: str, event_id: str) -> bytes:
    """Give the 128-bit hash by which an event is known once per source."""
    return hashlib.blake2b(f"{source}\0{event_id}".encode(), digest_size=16).digest()


def order_key(order_id: str) -> bytes:
    """Give the 128-bit hash by which a purchase is known once, whatever its source."""
    return hashlib.blake2b(f"order\0{order_id}".encode(), digest_size=16).digest()


class Page:
    """Decides the events of one page, in order, into one resolution."""

    def __init__(self, rules: Rules, known: Known, resolution: Resolution) -> None:
        self._rules, self._known, self.resolution = rules, known, resolution

    def resolve(self, one: Arrived) -> None:
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
        session = session_of(event.context)
        visitor = self._visitor(event, session)
        if event.name == "reset":
            visitor = self._open_epoch(visitor, b"")
        visitor = self._link(visitor, one, session)
        visitor = self._click(visitor, one)
        visitor, decision = self._consent(visitor, one.row.seq, event)
        # A repeated order is no second purchase, but who says it and what they answered counts.
        is_repeat = self._is_known_order(event.order_id, one.row.seq) or is_repeat
        if event.order_id is not None and not is_repeat:
            visitor = self._put(replace(visitor, purchased_seq=one.row.seq))
        fate = JournalFate.DUPLICATE if is_repeat else JournalFate.OPEN
        self._note(one, visitor.id, fate, decision.granted, decision.basis)

    def _consent(self, visitor: VisitorState, seq: int, event: Event) -> tuple[VisitorState, Decision]:
        """Decide an event's consent; remember and log what was news. A late answer is the browser's all the same."""
        heard, newest = self._rules.hear(event), self._known.visitors[visitor.browser]
        verdict = self._judge(visitor, event, heard)
        of_browser = verdict if newest.id == visitor.id else self._judge(newest, event, heard)
        if of_browser.news:
            self._put(replace(newest, answer=of_browser.standing))
        if verdict.news:
            visitor = self._put(replace(visitor, answer=verdict.standing))
        logged = of_browser if of_browser.news else verdict
        if logged.news:
            self.resolution.consents += consent_rows(logged, seq, event, self._rules.consent_key)
        return visitor, verdict.decision

    def _judge(self, visitor: VisitorState, event: Event, heard: Heard) -> Verdict:
        return judge(
            heard.answers,
            visitor.answer,
            has_gpc=heard.has_gpc or (None if event.source != BROWSER_SOURCE else False),
            received_ms=event.received_at_ms,
            settings=self._rules.consent.of_source(event.source),
            is_act=event.name == "consent" and REFUSED not in event.properties,
            elsewhere=self._elsewhere(visitor) if is_server(event.source) else None,
        )

    def _elsewhere(self, visitor: VisitorState) -> Answer | None:
        """Give what a visitor's person answered in other browsers, in each as it is now."""
        newest: dict[str, VisitorState] = {}
        for member in self._known.graph.members(visitor.person) if visitor.person is not None else ():
            for found in self._known.answers.get(member, {}).values():
                one = self.resolution.visitors.get(found.id, found)
                is_newer = one.browser not in newest or newest[one.browser].epoch < one.epoch
                if one.person == member and one.browser != visitor.browser and is_newer:
                    newest[one.browser] = one
        return agreed(one.answer for one in newest.values() if one.answer is not None)

    def _is_first_contact(self, one: Arrived) -> bool:
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

    def _visitor(self, event: Event, session: bytes | None) -> VisitorState:
        """Give the newest epoch of an event's browser, or the one before it that knows the event's session."""
        newest = self._known.visitors.get(event.browser)
        if newest is None:
            fresh = VisitorState(self._rules.new_visitor_id(), event.browser, epoch=1, sessions=session or b"")
            return self._put(fresh)
        if session is None or _knows(newest, session):
            return newest
        for earlier in self._known.earlier.get(event.browser, ()):
            if _knows(earlier, session):
                return earlier
        sessions = (newest.sessions + session)[-KEPT_SESSIONS * SESSION_BYTES :]
        return self._put(replace(newest, sessions=sessions))

    def _open_epoch(self, visitor: VisitorState, sessions: bytes) -> VisitorState:
        """Begin the browser's next epoch; what the visitor answered about consent was the browser's answer too."""
        newest = self._known.visitors[visitor.browser]
        fresh = self._rules.new_visitor_id()
        self.resolution.followed[newest.id] = fresh
        self._known.earlier.setdefault(visitor.browser, []).insert(0, newest)
        opened = VisitorState(fresh, visitor.browser, newest.epoch + 1, answer=newest.answer, sessions=sessions)
        self._known.visitors[visitor.browser] = opened
        return self._put(opened)

    def _put(self, visitor: VisitorState) -> VisitorState:
        self.resolution.visitors[visitor.id] = visitor
        if visitor.person is not None and visitor.answer is not None:
            self._known.answers.setdefault(visitor.person, {})[visitor.id] = visitor
        newest = self._known.visitors.get(visitor.browser)
        if newest is None or newest.id == visitor.id:
            self._known.visitors[visitor.browser] = visitor
        else:
            earlier = self._known.earlier[visitor.browser]
            self._known.earlier[visitor.browser] = [visitor if one.id == visitor.id else one for one in earlier]
        return visitor

    def _link(self, visitor: VisitorState, one: Arrived, session: bytes | None) -> VisitorState:
        """Change what an event's claim changes, unless it is over a limit; and count what it says in vain."""
        if not one.claimed:
            return visitor
        claim = Claim(one.claimed, one.level, visitor.browser, session)
        change = link(visitor.person, claim, self._known.graph)
        if change is not None:
            if one.level == BROWSER_LEVEL and self._is_over(visitor, one):
                return visitor
            visitor = self._changed(visitor, change, claim, one.row.seq)
        known = self._known.graph.identifiers(visitor.person)
        for kind, value in one.claimed.items():
            if getattr(known, kind) != value:
                self.resolution.left_out[kind] += 1
        return visitor

    def _changed(self, visitor: VisitorState, change: Change, claim: Claim, seq: int) -> VisitorState:
        graph, resolution = self._known.graph, self.resolution
        if change.opens_epoch:
            visitor = self._open_epoch(visitor, claim.session or visitor.sessions[-SESSION_BYTES:])
        person = change.person if change.person is not None else self._new_person(visitor.browser)
        for fact in change.lost:
            self._end(fact, seq)
        for other in change.joined:
            alias = Alias(max(person, other), min(person, other), claim.level, seq)
            graph.join(alias)
            resolution.aliases.append(alias)
        for kind, value in change.gained:
            self._gain(person, kind, value, claim, seq)
        for fact in change.firm:
            graph.put(replace(fact, session=None))
            resolution.firmed.append(fact)
        resolution.refused += len(change.refused)
        if graph.are_one(visitor.person, person):
            return visitor
        resolution.linked.append(visitor.id)
        return self._put(replace(visitor, person=person, linked_seq=seq))

    def _new_person(self, browser: str) -> int:
        person = self._rules.new_person_id()
        self._known.graph.found(person, browser)
        self.resolution.persons.append((person, browser))
        return person

    def _gain(self, person: int, kind: Kind, value: str, claim: Claim, seq: int) -> None:
        """Note an identifier, or that it was said again on better evidence: then it stays whose it is."""
        held = self._known.graph.owner(kind, value)
        if held is not None:
            self._end(held, seq)
            person = held.person
        is_correctable = claim.level == BROWSER_LEVEL and kind == "email"
        fact = Fact(kind, value, person, claim.level, seq, claim.session if is_correctable else None)
        self._known.graph.put(fact)
        self.resolution.facts.append(fact)

    def _end(self, fact: Fact, seq: int) -> None:
        self._known.graph.drop(fact)
        self.resolution.facts.append(Ended(fact, seq))

    def _is_over(self, visitor: VisitorState, one: Arrived) -> bool:
        """Quarantine a claim over a limit; note any other as a link of its day."""
        assert one.event is not None, "a claim is an event's"
        day = one.event.received_at_ms // DAY_MS
        said = [ClaimRow(visitor.browser, kind, day, value) for kind, value in one.claimed.items()]
        over = [(row, limit) for row in said if row not in self._known.claims and (limit := self._limit(row))]
        for row, limit in over:
            self.resolution.quarantined.append(Quarantined(one.row.seq, visitor.id, row.kind, row.value, limit))
        for row in said if not over else ():
            if row not in self._known.claims:
                self.resolution.claims.append(row)
                self._known.claims.add(row)
        return bool(over)

    def _limit(self, row: ClaimRow) -> str:
        """Name the limit that a new link would exceed; "" for none."""
        claims, limits = self._known.claims, self._rules.limits
        if claims.values(row) >= limits.values_per_browser:
            return "values_per_browser"
        if claims.browsers(row) >= limits.browsers_per_value:
            return "browsers_per_value"
        return ""

    def _click(self, visitor: VisitorState, one: Arrived) -> VisitorState:
        """Keep the newest click token; one that the browser had before it became somebody else's is not taken again."""
        token = click_token(one.event.context) if one.event is not None and one.level == BROWSER_LEVEL else None
        if token is None or token == visitor.kx:
            return visitor
        if any(token == other.kx for other in self._known.earlier.get(visitor.browser, ())):
            return visitor
        self.resolution.clicks.append((visitor.id, one.row.seq, token))
        return self._put(replace(visitor, kx=token))

    def _note(
        self, one: Arrived, visitor: int | None, fate: JournalFate, granted: Purpose = Purpose.NONE, basis: str = ""
    ) -> None:
        received_at_ms = one.event.received_at_ms if one.event else self.resolution.now_ms
        self.resolution.journal.append(JournalRow(one.row.seq, one.key, visitor, granted, basis, fate, received_at_ms))


def _knows(visitor: VisitorState, session: bytes) -> bool:
    sessions = visitor.sessions
    return any(sessions[at : at + SESSION_BYTES] == session for at in range(0, len(sessions), SESSION_BYTES))
