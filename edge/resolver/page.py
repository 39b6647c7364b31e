"""One page on its way: the ledger's knowledge, carried forward event by event."""

from collections.abc import Sequence
from dataclasses import replace

from edge.consent import Answer, Decision, Purpose
from edge.consent_platforms import Heard
from edge.consent_rules import Verdict, agreed, judge
from edge.event import BROWSER_SOURCE, Event, is_server, order_key
from edge.identity import BROWSER_LEVEL, NOBODY, Change, Claim, link, says_nothing_new, session_of
from edge.jsontree import JSON
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
from edge.person import Alias, Fact, Kind, VendorId
from edge.resolver.arriving import Arrived
from edge.resolver.late import is_named_late, is_of_late_browser
from edge.resolver.rules import Rules
from edge.resolver.vendor_news import device_of, lent, told_by
from edge.vendor_ids import BROWSERS_OWN, VENDOR_IDS_KEY, brings_any, page_url
from edge.wire import REFUSED

DAY_MS = 86_400_000
SESSION_BYTES = 8
KEPT_SESSIONS = 4
UNDECIDED = Decision(Purpose.NONE, "")


class Page:
    """Decides the events of one page, in order, into one resolution."""

    def __init__(self, rules: Rules, known: Known, resolution: Resolution) -> None:
        self._rules, self._known, self.resolution = rules, known, resolution
        self._told: dict[int, tuple[JSON, str]] = {}

    @property
    def known(self) -> Known:
        """What is known after the events decided so far."""
        return self._known

    def resolve(self, one: Arrived) -> None:
        """Decide one event and note the decision."""
        event = one.event
        if event is None:
            self._note(one, None, JournalFate.ERASED if one.row.is_erased else JournalFate.DAMAGED)
            return
        is_repeat = one.key in self._known.keys
        if one.key in self._known.erased_keys:
            self._bury(one, JournalFate.DUPLICATE)
            return
        if is_repeat and not self._is_first_contact(one):
            self._note(one, None, JournalFate.DUPLICATE)
            if self._is_late(one, event):
                self.resolution.erased.append(one.row.seq)
            return
        self._known.keys.add(one.key)
        if self._is_late(one, event):
            self._known.erased_keys.add(one.key)
            self._bury(one, JournalFate.ERASED)
            return
        session, order_id = session_of(event.context), one.order_id
        visitor = self._visitor(event, session)
        if event.name == "reset":
            visitor = self._open_epoch(visitor, b"", one.row.seq, one.level)
        if one.claimed is not NOBODY and one.claimed:
            visitor = self._link(visitor, one, session)
        visitor, decision = self._consent(visitor, one.row.seq, event)
        visitor = self._keep(visitor, self._vendor_news(visitor, one, decision.granted))
        # A repeated order is no second purchase, but who says it and what they answered counts.
        if order_id is not None:
            is_repeat = self._is_known_order(order_id, one.row.seq) or is_repeat
        if order_id is not None and not is_repeat:
            visitor = self._put(visitor._replace(purchased_seq=one.row.seq))
        fate = JournalFate.DUPLICATE if is_repeat else JournalFate.OPEN
        self._note(one, visitor.id, fate, decision)

    def _bury(self, one: Arrived, fate: JournalFate) -> None:
        """Decide that an event goes nowhere, and that the spool loses it."""
        self._note(one, None, fate)
        self.resolution.erased.append(one.row.seq)

    def _is_late(self, one: Arrived, event: Event) -> bool:
        """Tell an event of before an erasure, of whom it erased; not one of somebody else in the same browser."""
        if one.marks is None or not self._known.buried:
            return False
        if is_named_late(event, one.marks, self._known.buried):
            return True
        return is_of_late_browser(event, one.marks, self._known.buried) and not self._is_somebody_elses(event)

    def _is_somebody_elses(self, event: Event) -> bool:
        """Tell whether a visitor that is left in an event's browser knows its session."""
        session, newest = session_of(event.context), self._known.visitors.get(event.browser)
        if session is None or newest is None:
            return False
        return any(_knows(one, session) for one in (newest, *self._known.earlier.get(event.browser, ())))

    def _consent(self, visitor: VisitorState, seq: int, event: Event) -> tuple[VisitorState, Decision]:
        """Decide an event's consent; remember and log what was news. A late answer is the browser's all the same.

        Where nothing but what a browser's event brings and what holds for its visitor decides, and both are what they
        were the last time, so is the decision: without news it depends on no moment.
        """
        heard, newest = self._rules.hear(event), self._known.visitors[visitor.browser]
        is_told = event.source == BROWSER_SOURCE and not _is_act(event) and event.received_at_ms > 0
        if is_told and newest is visitor:
            before = self._known.decided.get(visitor.id)
            if before is not None and before[0] is heard and before[1] is visitor.answer:
                return visitor, before[2]
        verdict = self._judge(visitor, event, heard)
        if is_told and not verdict.news:
            self._known.decided[visitor.id] = (heard, visitor.answer, verdict.decision)
        of_browser = verdict if newest.id == visitor.id else self._judge(newest, event, heard)
        if of_browser.news:
            self._put(newest._replace(answer=of_browser.standing))
            self.resolution.answered.append(newest.id)
        if verdict.news:
            visitor = self._put(visitor._replace(answer=verdict.standing))
            self.resolution.answered.append(visitor.id)
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
            is_act=_is_act(event),
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

    def _is_known_order(self, order_id: str, seq: int) -> bool:
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
        return self._put(newest._replace(sessions=sessions))

    def _open_epoch(self, visitor: VisitorState, sessions: bytes, seq: int, level: int) -> VisitorState:
        """Begin the browser's next epoch; what the visitor answered about consent was the browser's answer too.

        So are its own ids the browser's; a server's visitor has none, but what its person's browsers lent it.
        """
        newest = self._known.visitors[visitor.browser]
        fresh = self._rules.new_visitor_id()
        self.resolution.followed[newest.id] = fresh
        self._known.earlier.setdefault(visitor.browser, []).insert(0, newest)
        opened = VisitorState(fresh, visitor.browser, newest.epoch + 1, answer=newest.answer, sessions=sessions)
        self._known.visitors[visitor.browser] = opened
        own = (one for one in newest.vendor_ids if one.kind in BROWSERS_OWN and level == BROWSER_LEVEL)
        return self._keep(self._put(opened), [one._replace(seq=seq) for one in own])

    def _put(self, visitor: VisitorState) -> VisitorState:
        self.resolution.visitors[visitor.id] = visitor
        if visitor.person is not None:
            self._known.lenders.setdefault(visitor.person, {})[visitor.id] = visitor
            if visitor.answer is not None:
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
        spoken = self._known.spoken.get(visitor.person) if visitor.person is not None else None
        if one.level == BROWSER_LEVEL and says_nothing_new(one.claimed, spoken):
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
            visitor = self._open_epoch(visitor, claim.session or visitor.sessions[-SESSION_BYTES:], seq, claim.level)
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
        return self._put(visitor._replace(person=person, linked_seq=seq))

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

    def _vendor_news(self, visitor: VisitorState, one: Arrived, granted: Purpose) -> list[VendorId]:
        """Give what an event tells of vendors' ids; what was told of a visitor just before is no news."""
        event, seq = one.event, one.row.seq
        assert event is not None, "only an event tells anything"
        if one.level != BROWSER_LEVEL:
            members = self._known.graph.members(visitor.person) if visitor.person is not None else ()
            found = [other for member in members for other in self._known.lenders.get(member, {}).values()]
            return lent(visitor, (self.resolution.visitors.get(other.id, other) for other in found), seq, granted)
        news = device_of(visitor, event, seq, granted)
        told = (event.context.get(VENDOR_IDS_KEY), page_url(event.context))
        if brings_any(*told) and self._told.get(visitor.id) != told:
            self._told[visitor.id] = told
            is_newest = self._known.visitors[visitor.browser].id == visitor.id
            news += told_by(event, visitor, seq, self._known.earlier.get(visitor.browser, ()), is_newest=is_newest)
        return news

    def _keep(self, visitor: VisitorState, news: Sequence[VendorId]) -> VisitorState:
        if not news:
            return visitor
        self.resolution.vendor_ids += [(visitor.id, one) for one in news]
        changed = {one.kind for one in news}
        kept = (one for one in visitor.vendor_ids if one.kind not in changed)
        return self._put(visitor._replace(vendor_ids=(*kept, *news)))

    def _note(self, one: Arrived, visitor: int | None, fate: JournalFate, decision: Decision = UNDECIDED) -> None:
        event, is_told, received_at_ms = one.event, False, self.resolution.now_ms
        if event is not None:
            is_told, received_at_ms = one.level != BROWSER_LEVEL and is_server(event.source), event.received_at_ms
        granted, basis, waits = decision.granted, decision.basis, decision.waits
        row = JournalRow(one.row.seq, one.key, visitor, granted, basis, fate, received_at_ms, waits, is_told)
        self.resolution.journal.append(row)


def _is_act(event: Event) -> bool:
    return event.name == "consent" and REFUSED not in event.properties


def _knows(visitor: VisitorState, session: bytes) -> bool:
    sessions = visitor.sessions
    if sessions == session:
        return True
    places = range(0, len(sessions), SESSION_BYTES) if session in sessions else ()
    return any(sessions[at : at + SESSION_BYTES] == session for at in places)
