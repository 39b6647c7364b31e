"""The resolver's verbs: what is known, and one transaction that records a page."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import aiosqlite
import orjson

from edge.consent import Purpose, Said, Standing
from edge.ledger.consent_log import append_consents
from edge.ledger.database import Database, Value, checksum, fetch, fetch_in
from edge.ledger.persons import clicks_of, find_claims, find_graph, record_persons
from edge.ledger.records import ClaimRow, Claims, JournalRow, Known, Resolution, VisitorState
from edge.person import Kind

FIND_KEYS = "SELECT key FROM journal WHERE key IN ({})"
FIND_ORDERS = "SELECT order_key FROM purchase WHERE order_key IN ({})"
# The newest epoch of each browser; and those before it, as late events may belong to them.
FIND_VISITORS = """
SELECT id, browser, max(epoch), person, linked_seq, granted, denied, answer_source, answers, purchased_seq, sessions
FROM visitor WHERE browser IN ({}) GROUP BY browser
"""
FIND_EARLIER = """
SELECT id, browser, epoch, person, linked_seq, granted, denied, answer_source, answers, purchased_seq, sessions
FROM visitor WHERE browser = ? AND epoch < ? ORDER BY epoch DESC LIMIT ?
"""
# The condition is that of the index.
FIND_ANSWERED = """
SELECT id, browser, epoch, person, linked_seq, granted, denied, answer_source, answers, purchased_seq, sessions
FROM visitor WHERE person IS NOT NULL AND answer_source IS NOT NULL AND person IN ({})
"""
ADD_PURCHASE = "INSERT INTO purchase (order_key, seq) VALUES (?, ?)"
PUT_VISITOR = """
INSERT INTO visitor (id, browser, epoch, person, linked_seq, granted, denied, answer_source, answers, purchased_seq,
                     sessions)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET person = excluded.person, linked_seq = excluded.linked_seq,
    granted = excluded.granted, denied = excluded.denied, answer_source = excluded.answer_source,
    answers = excluded.answers, purchased_seq = excluded.purchased_seq, sessions = excluded.sessions
"""
ADD_JOURNAL = """
INSERT INTO journal (seq, key, visitor, granted, basis, fate, received_at_ms, checksum) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
MOVE_CURSOR = "UPDATE resolver SET cursor = ?"

# A link releases what was held for its visitor and is not too old, in order; a click, where a token is enough.
COUNT_RELEASED = """
SELECT h.pipeline, count(*) FROM held h JOIN journal j ON j.seq = h.seq JOIN pipeline p ON p.id = h.pipeline
WHERE h.visitor = ? AND j.received_at_ms >= ? AND p.by_click >= ? GROUP BY h.pipeline
"""
RELEASE = """
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum)
SELECT h.pipeline, h.visitor, h.seq, NULL, ?, 0, 0, NULL, 'released', 0
FROM held h JOIN journal j ON j.seq = h.seq JOIN pipeline p ON p.id = h.pipeline
WHERE h.visitor = ? AND j.received_at_ms >= ? AND p.by_click >= ?
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

KEPT_EPOCHS = 8
ANY_PIPELINE, BY_CLICK = 0, 1


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
        self,
        *,
        keys: Iterable[bytes],
        orders: Iterable[bytes],
        browsers: Iterable[str],
        values: Iterable[tuple[Kind, str]],
        claimants: Iterable[str] = (),
        days: Iterable[int] = (),
        claims_limit: int = 0,
    ) -> Known:
        """Give all that the ledger knows of one page's ids, order keys, browsers and identifiers.

        Args:
            claimants: browsers that claim something, on `days` since 1970: of those days the links of these browsers
                and of the values are given, of a value up to `claims_limit`.
        """
        values, claimants = set(values), list(claimants)
        async with self._database.snapshot() as db:
            cookies = [bytes.fromhex(browser) for browser in browsers]
            newest = [_visitor(row) for row in await fetch_in(db, FIND_VISITORS, cookies)]
            visitors = await _with_clicks(db, newest)
            earlier = {v.browser: await _earlier(db, v) for v in visitors if v.epoch > 1}
            everybody = [*visitors, *(visitor for some in earlier.values() for visitor in some)]
            claims: set[ClaimRow] = set()
            for day in days:
                claims |= await find_claims(db, day, map(bytes.fromhex, claimants), values, claims_limit)
            return Known(
                keys={row[0] for row in await fetch_in(db, FIND_KEYS, keys)},
                orders={row[0] for row in await fetch_in(db, FIND_ORDERS, orders)},
                visitors={visitor.browser: visitor for visitor in visitors},
                earlier=earlier,
                graph=await find_graph(
                    db, {v.person for v in everybody if v.person is not None}, (value for _, value in values)
                ),
                claims=Claims(claims),
            )

    async def answers_of(self, persons: Iterable[int]) -> dict[int, dict[int, VisitorState]]:
        """Give the visitors of persons that ever answered about consent, by person and number."""
        found: dict[int, dict[int, VisitorState]] = {}
        async with self._database.snapshot() as db:
            for row in await fetch_in(db, FIND_ANSWERED, persons):
                found.setdefault(row[3], {})[row[0]] = _visitor(row)
        return found

    async def record(self, page: Resolution) -> None:
        """Store one page's decisions, release what its links set free, and move the cursor: all or nothing."""
        async with self._database.transaction() as db:
            await record_persons(db, page)
            await db.executemany(PUT_VISITOR, [_visitor_values(visitor) for visitor in page.visitors.values()])
            await db.executemany(ADD_PURCHASE, page.purchases)
            await db.executemany(ADD_JOURNAL, [_journal_values(row) for row in page.journal])
            await append_consents(db, page.consents)
            for visitor in page.linked:
                await _release(db, visitor, page, ANY_PIPELINE)
            for visitor, _, _ in page.clicks:
                await _release(db, visitor, page, BY_CLICK)
            await db.execute(MOVE_CURSOR, (page.cursor,))


async def _with_clicks(db: aiosqlite.Connection, visitors: Sequence[VisitorState]) -> list[VisitorState]:
    clicks = await clicks_of(db, [visitor.id for visitor in visitors])
    return [replace(one, kx=clicks[one.id]) if one.id in clicks else one for one in visitors]


async def _earlier(db: aiosqlite.Connection, newest: VisitorState) -> list[VisitorState]:
    """Give the epochs before a browser's newest one, the latest first; no more than late events may ask for."""
    values = (bytes.fromhex(newest.browser), newest.epoch, KEPT_EPOCHS)
    return await _with_clicks(db, [_visitor(row) for row in await fetch(db, FIND_EARLIER, values)])


async def _release(db: aiosqlite.Connection, visitor: int, page: Resolution, at_least: int) -> None:
    counts = await fetch(db, COUNT_RELEASED, (visitor, page.retroactive_from_ms, at_least))
    if not counts:
        return
    await db.execute(RELEASE, (page.now_ms, visitor, page.retroactive_from_ms, at_least))
    for pipeline, events in counts:
        await db.execute(UNHOLD, (visitor, pipeline))
        await db.executemany(TALLY, [(pipeline, "held", -events), (pipeline, "waiting", events)])
        await keep_one_due(db, pipeline, visitor, page.now_ms)


async def keep_one_due(db: aiosqlite.Connection, pipeline: int, visitor: int, now_ms: int) -> None:
    """Let only a visitor's first waiting event be due."""
    await db.execute(BLOCK_FOLLOWERS, (pipeline, visitor))
    await db.execute(UNBLOCK_FIRST, (pipeline, visitor, now_ms))


def _visitor(row: tuple[Any, ...]) -> VisitorState:
    number, browser, epoch, person, linked_seq, granted, denied, source, answers, purchased_seq, sessions = row
    standing = None if source is None else _standing(granted, denied, source, answers)
    return VisitorState(number, browser.hex(), epoch, person, linked_seq, standing, purchased_seq, sessions)


def _visitor_values(visitor: VisitorState) -> tuple[Value, ...]:
    browser = bytes.fromhex(visitor.browser)
    place = (visitor.id, browser, visitor.epoch, visitor.person, visitor.linked_seq)
    return (*place, *_standing_values(visitor.answer), visitor.purchased_seq, visitor.sessions)


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
