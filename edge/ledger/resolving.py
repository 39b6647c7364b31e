"""The resolver's verbs: what is known, and one transaction that records a page."""

from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite
import orjson

from edge.consent import Purpose, Said, Standing
from edge.ledger.consent_log import append_consents
from edge.ledger.database import Database, Value, checksum, fetch, fetch_in, put
from edge.ledger.persons import find_claims, find_graph, record_persons, vendor_ids_of
from edge.ledger.records import ClaimRow, Claims, JournalRow, Known, Resolution, VisitorState
from edge.ledger.releasing import release_resolved
from edge.ledger.tombstones import find_erased_keys, find_tombstones, newest_ms
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
# The newest visitors of each person; all that one browser or one server ever was would be too many.
FIND_LENDERS = """
SELECT id, browser, epoch, person, linked_seq, granted, denied, answer_source, answers, purchased_seq, sessions
FROM (SELECT *, row_number() OVER (PARTITION BY person ORDER BY id DESC) AS number
      FROM visitor WHERE person IS NOT NULL AND person IN ({})) WHERE number <= 50
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
INSERT INTO journal (seq, key, visitor, granted, waits, basis, fate, is_server, received_at_ms, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
ADD_ERASING = "INSERT OR IGNORE INTO erasing (seq, erasure) VALUES (?, NULL)"
MOVE_CURSOR = "UPDATE resolver SET cursor = ?"
NEWEST = "SELECT received_at_ms FROM journal ORDER BY seq DESC LIMIT 1"

KEPT_EPOCHS = 8


class ResolverLedger:
    """Identity, journal and the resolver's cursor."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cursor(self) -> int:
        """Give the last sequence number that was resolved."""
        async with self._database.snapshot() as db:
            seq: int = (await fetch(db, "SELECT cursor FROM resolver"))[0][0]
            return seq

    async def newest_ms(self) -> int:
        """Give when the event resolved last was accepted; 0 where there is none."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, NEWEST)
            return int(rows[0][0]) if rows else 0

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
        naming: Iterable[str] = (),
        persons: Iterable[int] = (),
    ) -> Known:
        """Give all that the ledger knows of one page's ids, order keys, browsers and identifiers.

        Args:
            claimants: browsers that claim something, on `days` since 1970: of those days the links of these browsers
                and of the values are given, of a value up to `claims_limit`.
            naming: those of `browsers` whose persons are asked for as well, besides the `persons` and the owners of
                the values.
        """
        values, claimants = set(values), list(claimants)
        async with self._database.snapshot() as db:
            cookies = [bytes.fromhex(browser) for browser in browsers]
            newest = [_visitor(row) for row in await fetch_in(db, FIND_VISITORS, cookies)]
            visitors = await _with_vendor_ids(db, newest)
            earlier = {v.browser: await _earlier(db, v) for v in visitors if v.epoch > 1}
            named = {browser: [*earlier.get(browser, ())] for browser in naming}
            everybody = [visitor for visitor in visitors if visitor.browser in named]
            everybody += [visitor for some in named.values() for visitor in some]
            claims: set[ClaimRow] = set()
            for day in days:
                claims |= await find_claims(db, day, map(bytes.fromhex, claimants), values, claims_limit)
            return Known(
                keys={row[0] for row in await fetch_in(db, FIND_KEYS, keys)},
                orders={row[0] for row in await fetch_in(db, FIND_ORDERS, orders)},
                visitors={visitor.browser: visitor for visitor in visitors},
                earlier=earlier,
                graph=await find_graph(
                    db,
                    {*persons, *(v.person for v in everybody if v.person is not None)},
                    [value for _, value in values],
                ),
                claims=Claims(claims),
            )

    async def buried_ms(self) -> int:
        """Give when somebody was erased last; 0 where nobody ever was."""
        async with self._database.snapshot() as db:
            return await newest_ms(db)

    async def find_late(self, hashes: Iterable[bytes], keys: Iterable[bytes]) -> tuple[dict[bytes, int], set[bytes]]:
        """Give the tombstones among some hashes, with their moments, and which events were erased."""
        async with self._database.snapshot() as db:
            return await find_tombstones(db, hashes), await find_erased_keys(db, keys)

    async def answers_of(self, persons: Iterable[int]) -> dict[int, dict[int, VisitorState]]:
        """Give the visitors of persons that ever answered about consent, by person and number."""
        found: dict[int, dict[int, VisitorState]] = {}
        async with self._database.snapshot() as db:
            for row in await fetch_in(db, FIND_ANSWERED, persons):
                found.setdefault(row[3], {})[row[0]] = _visitor(row)
        return found

    async def lenders_of(self, persons: Iterable[int]) -> dict[int, dict[int, VisitorState]]:
        """Give the newest visitors of persons with what vendors know them by, by person and number."""
        found: dict[int, dict[int, VisitorState]] = {}
        async with self._database.snapshot() as db:
            visitors = [_visitor(row) for row in await fetch_in(db, FIND_LENDERS, persons)]
            for one in await _with_vendor_ids(db, visitors):
                if one.person is not None:
                    found.setdefault(one.person, {})[one.id] = one
        return found

    async def record(self, page: Resolution) -> None:
        """Store one page's decisions, release what its links set free, and move the cursor: all or nothing."""
        async with self._database.transaction() as db:
            await record_persons(db, page)
            await put(db, PUT_VISITOR, [_visitor_values(visitor) for visitor in page.visitors.values()])
            await put(db, ADD_PURCHASE, page.purchases)
            await put(db, ADD_JOURNAL, _journal_values(page.journal))
            await append_consents(db, page.consents)
            await put(db, ADD_ERASING, [(seq,) for seq in page.erased])
            await release_resolved(db, page)
            await db.execute(MOVE_CURSOR, (page.cursor,))


async def _with_vendor_ids(db: aiosqlite.Connection, visitors: Sequence[VisitorState]) -> list[VisitorState]:
    kept = await vendor_ids_of(db, [visitor.id for visitor in visitors])
    return [one._replace(vendor_ids=kept[one.id]) if one.id in kept else one for one in visitors]


async def _earlier(db: aiosqlite.Connection, newest: VisitorState) -> list[VisitorState]:
    """Give the epochs before a browser's newest one, the latest first; no more than late events may ask for."""
    values = (bytes.fromhex(newest.browser), newest.epoch, KEPT_EPOCHS)
    return await _with_vendor_ids(db, [_visitor(row) for row in await fetch(db, FIND_EARLIER, values)])


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


def _journal_values(rows: Sequence[JournalRow]) -> list[tuple[Value, ...]]:
    """Give rows as their columns stand; by position, as this is done for every event."""
    values: list[tuple[Value, ...]] = []
    for seq, key, visitor, granted, basis, fate, received_at_ms, waits, is_told in rows:
        one = (seq, key, visitor, int(granted), int(waits), basis, int(fate), int(is_told), received_at_ms)
        values.append((*one, checksum(*one)))
    return values
