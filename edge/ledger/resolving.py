"""The resolver's verbs: what is known, and one transaction that records a page."""

from collections.abc import Iterable
from typing import Any

import aiosqlite
import orjson

from edge.consent import Purpose, Said, Standing
from edge.ledger.consent_log import append_consents
from edge.ledger.database import Database, Value, checksum, fetch, fetch_in
from edge.ledger.records import JournalRow, Known, Resolution, VisitorState
from edge.person import Identifiers, Kind

FIND_KEYS = "SELECT key FROM journal WHERE key IN ({})"
FIND_ORDERS = "SELECT order_key FROM purchase WHERE order_key IN ({})"
# The newest epoch of each browser.
FIND_VISITORS = """
SELECT id, browser, max(epoch), person, linked_seq, granted, denied, answer_source, answers, purchased_seq
FROM visitor WHERE browser IN ({}) GROUP BY browser
"""
# Every kind is named, or the index could not be used.
FIND_OWNERS = """
SELECT kind, value, person FROM identifier WHERE kind IN ('customer_id', 'email', 'phone') AND value IN ({})
"""
FIND_IDENTIFIERS = "SELECT person, kind, value FROM identifier WHERE seq <= ? AND person IN ({}) ORDER BY seq"

ADD_PERSON = "INSERT INTO person (id, created_at_ms) VALUES (?, ?)"
ADD_IDENTIFIER = "INSERT INTO identifier (kind, value, person, level, seq) VALUES (?, ?, ?, ?, ?)"
ADD_PURCHASE = "INSERT INTO purchase (order_key, seq) VALUES (?, ?)"
PUT_VISITOR = """
INSERT INTO visitor (id, browser, epoch, person, linked_seq, granted, denied, answer_source, answers, purchased_seq)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET person = excluded.person, linked_seq = excluded.linked_seq,
    granted = excluded.granted, denied = excluded.denied, answer_source = excluded.answer_source,
    answers = excluded.answers, purchased_seq = excluded.purchased_seq
"""
ADD_JOURNAL = """
INSERT INTO journal (seq, key, visitor, granted, basis, fate, received_at_ms, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
MOVE_CURSOR = "UPDATE resolver SET cursor = ?"

# A link releases what was held for its visitor and is not too old, in order.
COUNT_RELEASED = """
SELECT h.pipeline, count(*) FROM held h JOIN journal j ON j.seq = h.seq
WHERE h.visitor = ? AND j.received_at_ms >= ? GROUP BY h.pipeline
"""
RELEASE = """
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum)
SELECT h.pipeline, h.visitor, h.seq, NULL, ?, 0, 0, NULL, 'released', 0
FROM held h JOIN journal j ON j.seq = h.seq WHERE h.visitor = ? AND j.received_at_ms >= ?
"""
UNHOLD = """
DELETE FROM held WHERE visitor = ?1 AND pipeline = ?2
    AND seq IN (SELECT seq FROM waiting WHERE pipeline = ?2 AND visitor = ?1)
"""
# Of a visitor's waiting events only the first may be due.
BLOCK_FOLLOWERS = """
UPDATE waiting SET due_at_ms = NULL WHERE pipeline = ?1 AND visitor = ?2 AND due_at_ms IS NOT NULL
    AND seq > (SELECT min(seq) FROM waiting WHERE pipeline = ?1 AND visitor = ?2)
"""
UNBLOCK_FIRST = """
UPDATE waiting SET due_at_ms = ?3 WHERE pipeline = ?1 AND visitor = ?2 AND due_at_ms IS NULL
    AND seq = (SELECT min(seq) FROM waiting WHERE pipeline = ?1 AND visitor = ?2)
"""
TALLY = """
INSERT INTO tally (pipeline, fate, events) VALUES (?, ?, ?)
ON CONFLICT (pipeline, fate) DO UPDATE SET events = events + excluded.events
"""


NO_HEAD = 2**63 - 1


class ResolverLedger:
    """Identity, journal and the resolver's cursor."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self) -> int:
        """Give the last sequence number that was resolved."""
        async with self._database.snapshot() as db:
            seq: int = (await fetch(db, "SELECT cursor FROM resolver"))[0][0]
            return seq

    async def highest_ids(self) -> tuple[int, int]:
        """Give the highest visitor and person ids in use."""
        async with self._database.snapshot() as db:
            row = (await fetch(db, "SELECT (SELECT max(id) FROM visitor), (SELECT max(id) FROM person)"))[0]
            return row[0] or 0, row[1] or 0

    async def find(
        self, *, keys: Iterable[bytes], orders: Iterable[bytes], browsers: Iterable[str], values: Iterable[str]
    ) -> Known:
        """Give all that the ledger knows of one page's ids, order keys, browsers and identifier values."""
        async with self._database.snapshot() as db:
            visitors = {}
            for row in await fetch_in(db, FIND_VISITORS, [bytes.fromhex(browser) for browser in browsers]):
                visitor = _visitor(row)
                visitors[visitor.browser] = visitor
            owners = {(row[0], row[1]): row[2] for row in await fetch_in(db, FIND_OWNERS, values)}
            people = {v.person for v in visitors.values() if v.person is not None} | set(owners.values())
            return Known(
                keys={row[0] for row in await fetch_in(db, FIND_KEYS, keys)},
                orders={row[0] for row in await fetch_in(db, FIND_ORDERS, orders)},
                visitors=visitors,
                owners=owners,
                persons=await identifiers_of(db, people),
            )

    async def record(self, page: Resolution) -> None:
        """Store one page's decisions, release what its links set free, and move the cursor: all or nothing."""
        async with self._database.transaction() as db:
            await db.executemany(ADD_PERSON, [(person, page.now_ms) for person in page.persons])
            await db.executemany(
                ADD_IDENTIFIER, [(i.kind, i.value, i.person, i.level, i.seq) for i in page.identifiers]
            )
            await db.executemany(PUT_VISITOR, [_visitor_values(visitor) for visitor in page.visitors.values()])
            await db.executemany(ADD_PURCHASE, page.purchases)
            await db.executemany(ADD_JOURNAL, [_journal_values(row) for row in page.journal])
            await append_consents(db, page.consents)
            for visitor in page.linked:
                await _release(db, visitor, page.now_ms, page.retroactive_from_ms)
            await db.execute(MOVE_CURSOR, (page.cursor,))


async def _release(db: aiosqlite.Connection, visitor: int, now_ms: int, from_ms: int) -> None:
    counts = await fetch(db, COUNT_RELEASED, (visitor, from_ms))
    if not counts:
        return
    await db.execute(RELEASE, (now_ms, visitor, from_ms))
    for pipeline, events in counts:
        await db.execute(UNHOLD, (visitor, pipeline))
        await db.executemany(TALLY, [(pipeline, "held", -events), (pipeline, "waiting", events)])
        await keep_one_due(db, pipeline, visitor, now_ms)


async def keep_one_due(db: aiosqlite.Connection, pipeline: int, visitor: int, now_ms: int) -> None:
    """Let only a visitor's first waiting event be due."""
    await db.execute(BLOCK_FOLLOWERS, (pipeline, visitor))
    await db.execute(UNBLOCK_FIRST, (pipeline, visitor, now_ms))


async def identifiers_of(
    db: aiosqlite.Connection, people: Iterable[int], *, head: int = NO_HEAD
) -> dict[int, Identifiers]:
    """Give each person's identifiers as known at a sequence number; where a kind has several values, the latest."""
    latest: dict[int, dict[Kind, str]] = {}
    for person, kind, value in await fetch_in(db, FIND_IDENTIFIERS, people, head):
        latest.setdefault(person, {})[kind] = value
    return {person: Identifiers(**values) for person, values in latest.items()}


def _visitor(row: tuple[Any, ...]) -> VisitorState:
    number, browser, epoch, person, linked_seq, granted, denied, source, answers, purchased_seq = row
    standing = None if source is None else _standing(granted, denied, source, answers)
    return VisitorState(number, browser.hex(), epoch, person, linked_seq, standing, purchased_seq)


def _visitor_values(visitor: VisitorState) -> tuple[Value, ...]:
    browser = bytes.fromhex(visitor.browser)
    place = (visitor.id, browser, visitor.epoch, visitor.person, visitor.linked_seq)
    return (*place, *_standing_values(visitor.answer), visitor.purchased_seq)


def _standing(granted: int, denied: int, source: str, answers: str) -> Standing:
    has_gpc, *said = orjson.loads(answers)
    voices = tuple(Said(voice, name, tuple(at_ms), own_ms) for voice, name, at_ms, own_ms in said)
    return Standing(Purpose(granted), Purpose(denied), source, has_gpc, voices)


def _standing_values(standing: Standing | None) -> tuple[Value, ...]:
    if standing is None:
        return None, None, None, None
    said = [(one.voice, one.source, one.at_ms, one.own_ms) for one in standing.said]
    answers = orjson.dumps([standing.has_gpc, *said]).decode()
    return int(standing.granted), int(standing.denied), standing.source, answers


def _journal_values(row: JournalRow) -> tuple[Value, ...]:
    values = (row.seq, row.key, row.visitor, int(row.granted), row.basis, int(row.fate), row.received_at_ms)
    return (*values, checksum(*values))
