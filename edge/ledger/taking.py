"""What a pipeline meets: the next rows of the journal, and what is due, each with what is known of its visitor now."""

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, TypeAlias

import aiosqlite

from edge.consent import Purpose
from edge.consent_now import Decided, Now, Since, as_of_now, asks_person
from edge.identity import NOBODY
from edge.ledger.answers import JOURNAL_COLUMNS, JOURNAL_WIDTH, SINCE_COLUMNS, Elsewhere, find_elsewhere
from edge.ledger.database import checksum, fetch, fetch_in
from edge.ledger.persons import identifiers_of, vendor_ids_of
from edge.ledger.records import Entry, JournalFate, WaitingRow
from edge.person import Identifiers, VendorId, anonymous_id
from edge.vendor_ids import known_at

# The next journal rows with their visitor's person, as far as head knew it, and what was answered by now.
LOOK = f"""
SELECT {JOURNAL_COLUMNS}, iif(v.linked_seq <= ?, v.person, NULL), v.person, v.epoch, {SINCE_COLUMNS}
FROM journal j LEFT JOIN visitor v ON v.id = j.visitor
WHERE j.seq > ? AND j.seq <= ? ORDER BY j.seq LIMIT ?
"""  # noqa: S608  # the names of columns, which stand in this package
WHO_WAITS = """
SELECT v.id FROM visitor v WHERE EXISTS (SELECT 1 FROM waiting w WHERE w.pipeline = ? AND w.visitor = v.id)
    AND v.id IN ({})
"""
WHO_IS_HELD = """
SELECT v.id FROM visitor v WHERE EXISTS (SELECT 1 FROM held h WHERE h.pipeline = ? AND h.visitor = v.id)
    AND v.id IN ({})
"""
STRANGERS = "SELECT visitor, joined_seq FROM stranger WHERE pipeline = ? AND visitor IN ({})"
DUE_VISITORS = """
SELECT visitor FROM waiting WHERE pipeline = ? AND is_live = ? AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?
"""
CHAIN = f"""
SELECT w.visitor, w.seq, w.since_ms, w.attempts, w.deaths, w.time_ms, w.payload, w.reason, w.checksum, w.is_live,
       w.told, w.alone, v.purchased_seq, coalesce(j.granted, 0), coalesce(j.waits, 0), coalesce(j.is_server, 0),
       coalesce(j.received_at_ms, w.since_ms), v.person, v.epoch, {SINCE_COLUMNS}
FROM waiting w LEFT JOIN journal j ON j.seq = w.seq LEFT JOIN visitor v ON v.id = w.visitor
WHERE w.pipeline = ? AND w.visitor = ? ORDER BY w.seq LIMIT ?
"""  # noqa: S608  # the names of columns, which stand in this package

Known: TypeAlias = dict[int, Identifiers]
Kept: TypeAlias = dict[int, tuple[VendorId, ...]]


@dataclass(frozen=True, slots=True)
class _Visitor:
    """Who did an event, and what was answered."""

    person: int | None
    known_as: int | None
    browser: bytes | None
    epoch: int | None
    answers: tuple[int, int, int]

    def since(self, elsewhere: dict[int, Elsewhere]) -> Since:
        told = elsewhere[self.person].but(self.browser or b"") if self.person in elsewhere else None
        return Since(*self.answers, told)


async def read_entries(
    db: aiosqlite.Connection, pipeline: int, *, after: int, to: int, head: int, limit: int
) -> tuple[Entry, ...]:
    """Give the journal's rows in (after, to], with what was known of their visitors at a sequence number."""
    rows = await fetch(db, LOOK, (head, after, to, limit))
    if not rows:
        return ()
    visitors = {row[2] for row in rows if row[2] is not None}
    people = await identifiers_of(db, {row[10] for row in rows if row[10] is not None}, head=head)
    kept = await vendor_ids_of(db, visitors, head=head)
    elsewhere = await find_elsewhere(db, {row[11] for row in rows if row[7] and row[11] is not None})
    strangers = dict(await fetch_in(db, STRANGERS, visitors, pipeline))
    behind = {row[0] for row in await fetch_in(db, WHO_WAITS, visitors, pipeline)}
    held = {row[0] for row in await fetch_in(db, WHO_IS_HELD, visitors, pipeline)}
    entries = []
    for row in rows:
        entry = _entry(row, people, kept, elsewhere, strangers)
        entries.append(replace(entry, is_behind=entry.visitor in behind, is_held=entry.visitor in held))
    return tuple(entries)


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
    people = await identifiers_of(db, {row[17] for row in rows if row[17] is not None})
    kept = await vendor_ids_of(db, visitors)
    elsewhere = await find_elsewhere(db, {row[17] for row in rows if row[15] and row[17] is not None})
    strangers = dict(await fetch_in(db, STRANGERS, visitors, pipeline))
    return [_waiting_row(row, people, kept, elsewhere, strangers) for row in rows]


def _entry(
    row: tuple[Any, ...],
    people: Known,
    kept: Kept,
    elsewhere: dict[int, Elsewhere],
    strangers: dict[int, int | None],
) -> Entry:
    seq, _, visitor, granted, waits, _, fate, is_server, received_at_ms, check, known_as, *rest = row
    person, epoch, browser, *answers = rest
    one = _Visitor(person, known_as, browser, epoch, (answers[0], answers[1], answers[2]))
    decided, since = Decided(granted, waits, bool(is_server)), one.since(elsewhere)
    now = as_of_now(decided, since)
    may_join = strangers.get(visitor or 0, 0) in (None, seq)
    return Entry(
        seq=seq,
        visitor=visitor or 0,
        granted=now.granted,
        fate=JournalFate(fate) if check == checksum(*row[:JOURNAL_WIDTH]) else JournalFate.DAMAGED,
        received_at_ms=received_at_ms,
        identifiers=_who(one, people, kept.get(visitor or 0, ()), received_at_ms, may_join=may_join),
        is_behind=False,
        waits=now.waits,
        persons=_persons(one, elsewhere),
        asks=asks_person(decided, since),
        may_join=may_join,
    )


def _waiting_row(
    row: tuple[Any, ...],
    people: Known,
    kept: Kept,
    elsewhere: dict[int, Elsewhere],
    strangers: dict[int, int | None],
) -> WaitingRow:
    visitor, seq, since_ms, attempts, deaths, time_ms, payload, reason, check, is_live, told, alone, *rest = row
    purchased_seq, granted, waits, is_server, received_at_ms, person, epoch, browser, *answers = rest
    one = _Visitor(person, person, browser, epoch, (answers[0], answers[1], answers[2]))
    decided, since = Decided(granted, waits, bool(is_server)), one.since(elsewhere)
    now: Now = as_of_now(decided, since)
    may_join = strangers.get(visitor, 0) in (None, seq)
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
        granted=now.granted,
        identifiers=_who(one, people, kept.get(visitor or 0, ()), received_at_ms, may_join=may_join),
        purchased_seq=purchased_seq,
        persons=_persons(one, elsewhere),
        asks=asks_person(decided, since),
        may_join=may_join,
        is_live=bool(is_live),
        told=Purpose(told),
        is_alone=bool(alone),
    )


def _who(
    one: _Visitor, people: Known, kept: tuple[VendorId, ...], accepted_at_ms: int, *, may_join: bool
) -> Identifiers:
    """Give what a visitor is known by: its person's identifiers, what held of vendors' ids for its event, its own."""
    known = known_at(people.get(one.known_as or 0, NOBODY), kept, accepted_at_ms)
    if one.browser is None or one.epoch is None:
        return known
    own_id = anonymous_id(one.browser, one.epoch)
    return replace(known, anonymous_id=own_id, introduces=may_join and bool(known))


def _persons(one: _Visitor, elsewhere: dict[int, Elsewhere]) -> tuple[int, ...]:
    return elsewhere[one.person].persons if one.person in elsewhere else ()
