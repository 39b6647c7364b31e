"""What a pipeline meets: the next rows of the journal, and what is due, each with what is known of its visitor now."""

from itertools import takewhile
from typing import Any, NamedTuple, TypeAlias

import aiosqlite

from edge.consent import Purpose
from edge.consent_now import Decided, Since, as_of_now, asks_person
from edge.identity import NOBODY
from edge.ledger.answers import JOURNAL_COLUMNS, JOURNAL_WIDTH, SINCE_COLUMNS, Elsewhere, find_elsewhere
from edge.ledger.database import checksum, fetch, fetch_in
from edge.ledger.persons import identifiers_of, vendor_ids_of
from edge.ledger.records import Entry, JournalFate, WaitingRow
from edge.person import Identifiers, VendorId, anonymous_id
from edge.vendor_ids import known_at

# The next journal rows with their visitor's person, as far as head knew it, and what was answered by now; then whether
# earlier events of the visitor wait in the pipeline or are held, and whether the event may say who a stranger was.
LOOK = f"""
SELECT {JOURNAL_COLUMNS}, iif(v.linked_seq <= ?2, v.person, NULL), v.person, v.epoch, {SINCE_COLUMNS},
       EXISTS (SELECT 1 FROM waiting w WHERE w.pipeline = ?1 AND w.visitor = j.visitor),
       EXISTS (SELECT 1 FROM held h WHERE h.pipeline = ?1 AND h.visitor = j.visitor),
       EXISTS (SELECT 1 FROM stranger s
               WHERE s.pipeline = ?1 AND s.visitor = j.visitor AND coalesce(s.joined_seq, j.seq) = j.seq)
FROM journal j LEFT JOIN visitor v ON v.id = j.visitor
WHERE j.seq > ?3 AND j.seq <= ?4 ORDER BY j.seq LIMIT ?5
"""  # noqa: S608  # the names of columns, which stand in this package
WHO_WAITS = """
SELECT v.id FROM visitor v WHERE EXISTS (SELECT 1 FROM waiting w WHERE w.pipeline = ? AND w.visitor = v.id)
    AND v.id IN ({})
"""
STRANGERS = "SELECT visitor, joined_seq FROM stranger WHERE pipeline = ? AND visitor IN ({})"
DUE_VISITORS = """
SELECT visitor FROM waiting WHERE pipeline = ? AND is_live = ? AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?
"""
IS_DUE = "SELECT EXISTS (SELECT 1 FROM waiting WHERE pipeline = ? AND is_live = ? AND due_at_ms <= ?)"
CHAIN = f"""
SELECT w.visitor, w.seq, w.since_ms, w.attempts, w.deaths, w.time_ms, w.payload, w.reason, w.checksum, w.is_live,
       w.told, w.alone, v.purchased_seq, coalesce(j.granted, 0), coalesce(j.waits, 0), coalesce(j.is_server, 0),
       coalesce(j.received_at_ms, w.since_ms), v.person, v.epoch, {SINCE_COLUMNS}
FROM waiting w LEFT JOIN journal j ON j.seq = w.seq LEFT JOIN visitor v ON v.id = w.visitor
WHERE w.pipeline = ? AND w.visitor = ? ORDER BY w.seq LIMIT ?
"""  # noqa: S608  # the names of columns, which stand in this package

FATES = tuple(JournalFate)  # by number

Known: TypeAlias = dict[int, Identifiers]
Kept: TypeAlias = dict[int, tuple[VendorId, ...]]


class _Visitor(NamedTuple):
    """Who did an event, by which numbers; `known_as` as far as head knew it."""

    number: int | None
    person: int | None
    known_as: int | None
    browser: bytes | None
    epoch: int | None


class _Whereabouts(NamedTuple):
    """What is known of the visitors and persons of some rows."""

    people: Known
    kept: Kept
    elsewhere: dict[int, Elsewhere]

    def since(self, one: _Visitor, granted: int, denied: int, browser_denied: int) -> Since:
        """Give what was answered by now: by a visitor, its browser, and its person elsewhere."""
        if one.person not in self.elsewhere:
            return Since(granted, denied, browser_denied)
        return Since(granted, denied, browser_denied, self.elsewhere[one.person].but(one.browser or b""))

    def persons(self, one: _Visitor) -> tuple[int, ...]:
        """Give all numbers of a visitor's person, where its answers elsewhere count."""
        return self.elsewhere[one.person].persons if one.person in self.elsewhere else ()

    def who(self, one: _Visitor, accepted_at_ms: int, *, may_join: bool) -> Identifiers:
        """Give what a visitor is known by: its person's identifiers, vendors' ids as its event knew them, its own."""
        known, kept = self.people.get(one.known_as or 0, NOBODY), self.kept.get(one.number or 0, ())
        if one.browser is None or one.epoch is None:
            return known_at(known, kept, accepted_at_ms)
        own_id = anonymous_id(one.browser, one.epoch)
        return known_at(known, kept, accepted_at_ms, own_id=own_id, introduces=may_join)


async def read_entries(
    db: aiosqlite.Connection, pipeline: int, *, after: int, to: int, head: int, limit: int
) -> tuple[Entry, ...]:
    """Give the journal's rows in (after, to], with what was known of their visitors at a sequence number."""
    rows = await fetch(db, LOOK, (pipeline, head, after, to, limit))
    if not rows:
        return ()
    about = _Whereabouts(
        await identifiers_of(db, {row[10] for row in rows if row[10] is not None}, head=head),
        await vendor_ids_of(db, {row[2] for row in rows if row[2] is not None}, head=head),
        await find_elsewhere(db, {row[11] for row in rows if row[7] and row[11] is not None}),
    )
    return tuple([_entry(row, about) for row in rows])


async def read_due(
    db: aiosqlite.Connection, pipeline: int, now_ms: int, *, is_live: bool, limit: int, each: int
) -> list[WaitingRow]:
    """Give what is due in a lane: the waiting events of due visitors, each visitor's in order, at most `each`."""
    rows: list[tuple[Any, ...]] = []
    for (visitor,) in await fetch(db, DUE_VISITORS, (pipeline, int(is_live), now_ms, limit)):
        if len(rows) >= limit:
            break
        chain = await fetch(db, CHAIN, (pipeline, visitor, min(each, limit - len(rows))))
        rows += takewhile(lambda row: bool(row[9]) is is_live, chain)
    if not rows:
        return []
    visitors = {row[0] for row in rows}
    about = _Whereabouts(
        await identifiers_of(db, {row[17] for row in rows if row[17] is not None}),
        await vendor_ids_of(db, visitors),
        await find_elsewhere(db, {row[17] for row in rows if row[15] and row[17] is not None}),
    )
    strangers = dict(await fetch_in(db, STRANGERS, visitors, pipeline))
    return [_waiting_row(row, about, strangers) for row in rows]


def _entry(row: tuple[Any, ...], about: _Whereabouts) -> Entry:
    """Read a row by position, as this is done for every event and pipeline."""
    seq, _, visitor, granted, waits, _, fate, is_server, received_at_ms, check, known_as, *rest = row
    person, epoch, browser, own_granted, own_denied, browser_denied, is_behind, is_held, may_join = rest
    one = _Visitor(visitor, person, known_as, browser, epoch)
    decided, since = Decided(granted, waits, bool(is_server)), about.since(one, own_granted, own_denied, browser_denied)
    now = as_of_now(decided, since)
    return Entry(
        seq,
        visitor or 0,
        now.granted,
        now.waits,
        FATES[fate] if check == checksum(*row[:JOURNAL_WIDTH]) else JournalFate.DAMAGED,
        received_at_ms,
        about.who(one, received_at_ms, may_join=bool(may_join)),
        about.persons(one),
        asks_person(decided, since),
        bool(is_behind),
        bool(is_held),
        bool(may_join),
    )


def _waiting_row(row: tuple[Any, ...], about: _Whereabouts, strangers: dict[int, int | None]) -> WaitingRow:
    visitor, seq, since_ms, attempts, deaths, time_ms, payload, reason, check, is_live, told, alone, *rest = row
    purchased_seq, granted, waits, is_server, received_at_ms, person, epoch, browser, *answers = rest
    one = _Visitor(visitor, person, person, browser, epoch)
    decided, since = Decided(granted, waits, bool(is_server)), about.since(one, *answers)
    is_damaged = payload is not None and check != checksum(seq, payload)
    return WaitingRow(
        visitor=visitor,
        seq=seq,
        since_ms=since_ms,
        attempts=attempts,
        deaths=deaths,
        time_ms=time_ms,
        payload=None if is_damaged else payload,
        reason=reason,
        granted=as_of_now(decided, since).granted,
        identifiers=about.who(one, received_at_ms, may_join=strangers.get(visitor, 0) in (None, seq)),
        purchased_seq=purchased_seq,
        persons=about.persons(one),
        asks=asks_person(decided, since),
        is_live=bool(is_live),
        told=Purpose(told),
        is_alone=bool(alone),
    )
