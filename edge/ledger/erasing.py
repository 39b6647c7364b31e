"""Erasing a person: one transaction that takes it out of everything here, and the way through the files after it.

States: asked → sealed (the spool's part lies in files that are ours) → found (what else names the person is marked)
→ emptied (no file of the spool holds a body of theirs) → done (the ledger's file holds no freed page of it). Each
change of state is one transaction, and what it stands for may be done again.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite
import orjson

from edge.identity import Named, Traces
from edge.ledger.database import Database, fetch, fetch_in
from edge.ledger.marking import MARK, MARK_REPEATS, blank_letters, erase_marked, find_in_payloads, mark_of
from edge.ledger.theirs import Found, Whom, find_theirs
from edge.ledger.tombstones import bury, tombstone_of, tombstone_of_browser, tombstone_of_session
from edge.ledger.vendor_erasing import VendorCall, add_vendor_calls
from edge.secret import Secret

SESSIONS_OF = "SELECT id, browser, sessions FROM visitor WHERE browser IN ({})"
SESSION_BYTES = 8

ASK = """
INSERT INTO erasure (asked_at_ms, state, persons, visitors, identifiers) VALUES (?, 'asked', ?, ?, ?)
"""
ADD_NAME = "INSERT OR IGNORE INTO erasure_name (erasure, kind, value) VALUES (?, ?, ?)"
# Numbers stay, and so does the row that says so: a number is never used for somebody else.
EMPTY_PERSON = "UPDATE person SET founder = x'', created_at_ms = 0 WHERE id = ?"
FORGET_NAMES = "DELETE FROM identifier WHERE person = ?"
FORGET_VALUE = "DELETE FROM identifier WHERE kind = ? AND value = ?"
FORGET_ALIASES = "DELETE FROM alias WHERE person = ?1 OR canonical = ?1"
# Nothing leads from the browser to what it was, and nothing of it is granted to anybody.
EMPTY_VISITOR = """
UPDATE visitor SET browser = randomblob(16), person = NULL, linked_seq = NULL, granted = 0, denied = 15,
    answer_source = NULL, answers = NULL, purchased_seq = NULL, sessions = x'' WHERE id = ?
"""
FORGET_VENDOR_IDS = "DELETE FROM vendor_id WHERE visitor = ?"
FORGET_STRANGER = "DELETE FROM stranger WHERE visitor = ?"
FORGET_RELEASING = "DELETE FROM releasing WHERE visitor = ?"
# Where nobody else has used the browser, what it claimed of others goes too.
FORGET_CLAIMS_OF = """
DELETE FROM claim WHERE browser = ?1 AND NOT EXISTS (SELECT 1 FROM visitor WHERE browser = ?1)
"""
FORGET_CLAIMS = "DELETE FROM claim WHERE kind = ? AND value = ?"
FORGET_QUARANTINED = "DELETE FROM quarantine WHERE kind = ? AND value = ?"
FORGET_QUARANTINED_OF = "DELETE FROM quarantine WHERE visitor = ?"

COLUMNS = "id, asked_at_ms, state, sealed_to, persons, visitors, identifiers, events, deliveries, left_over, done_at_ms"
UNFINISHED = f"SELECT {COLUMNS} FROM erasure WHERE state <> 'done' ORDER BY id LIMIT 1"  # noqa: S608 - our own words
ONE = f"SELECT {COLUMNS} FROM erasure WHERE id = ?"  # noqa: S608
RECENT = f"SELECT {COLUMNS} FROM erasure ORDER BY id DESC LIMIT ?"  # noqa: S608
NAMES = "SELECT kind, value FROM erasure_name WHERE erasure = ? ORDER BY kind, value"
NOTE_SEALED = "UPDATE erasure SET state = 'sealed', sealed_to = ? WHERE id = ? AND state = 'asked'"
NOTE_FOUND = """
UPDATE erasure SET state = 'found', left_over = ?2, events = (SELECT count(*) FROM erasing WHERE erasure = ?1)
WHERE id = ?1
"""
FORGET_SOUGHT = "DELETE FROM erasure_name WHERE erasure = ?"
NOTE_EMPTIED = "UPDATE erasure SET state = 'emptied', left_over = ? WHERE id = ?"
NOTE_DONE = "UPDATE erasure SET state = 'done', done_at_ms = coalesce(done_at_ms, ?) WHERE id = ? AND state = 'emptied'"
MARKED_SEQS = "SELECT seq FROM erasing ORDER BY seq"
EMPTIED = "DELETE FROM erasing WHERE seq BETWEEN ? AND ?"
KEYS_OF = (
    "SELECT DISTINCT j.key FROM erasing e JOIN journal j ON j.seq = e.seq WHERE e.erasure = ? AND length(j.key) > 0"
)


@dataclass(frozen=True, slots=True)
class LeftOver:
    """A file that still holds something: which, why, and when it goes; None where only a person can tell."""

    file: str
    why: str
    until_ms: int | None


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasure and how far it is; the figures count what it took away."""

    id: int
    asked_at_ms: int
    state: str
    sealed_to: int | None
    persons: int
    visitors: int
    identifiers: int
    events: int
    deliveries: int
    left_over: tuple[LeftOver, ...]
    done_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """What an erasure took out of the ledger: for whoever remembers some of it."""

    number: int
    visitors: tuple[int, ...]


class ErasureLedger:
    """Every change of an erasure; `key` hides whom a tombstone is about."""

    def __init__(self, database: Database, key: Secret) -> None:
        self._database, self._key = database, key

    async def ask(self, whom: Whom, vendors: Callable[[Sequence[Named]], Iterable[VendorCall]], now_ms: int) -> Asked:
        """Take a person out of everything here, keep the tombstones, and note what is left to do: all or nothing.

        Nobody may resolve a page meanwhile.

        Args:
            vendors: gives the calls that vendors offer, for the identifiers that were known.
        Returns:
            The erasure's number, 0 where there is nobody and nothing to look for; and whom it took away.
        Raises:
            ValueError: several persons are meant.
        """
        async with self._database.transaction() as db:
            found = await find_theirs(db, whom)
            if len(found.groups) > 1:
                raise ValueError("several persons are meant")
            if not found:
                return Asked(0, ())
            persons = [person for group in found.groups for person in group]
            await db.execute(ASK, (now_ms, len(persons), len(found.visitors), len(found.names)))
            number: int = (await fetch(db, "SELECT last_insert_rowid()"))[0][0]
            await db.executemany(ADD_NAME, [(number, kind, value) for kind, value in found.names])
            hashes = [tombstone_of(kind, value, self._key) for kind, value in found.names]
            hashes += [tombstone_of_browser(browser, self._key) for browser in set(found.visitors.values())]
            hashes += await self._sessions(db, found)
            await bury(db, hashes, now_ms)
            await mark_of(db, number, found.visitors)
            await erase_marked(db, number, now_ms)
            await _forget(db, persons, found)
            await add_vendor_calls(db, number, vendors(found.names), now_ms)
        return Asked(number, tuple(found.visitors))

    async def _sessions(self, db: aiosqlite.Connection, found: Found) -> list[bytes]:
        """Give the tombstones of sessions that are nobody else's: a browser may be shared, and others' events count."""
        theirs: set[tuple[str, bytes]] = set()
        others: set[tuple[str, bytes]] = set()
        browsers = [bytes.fromhex(browser) for browser in found.visitors.values()]
        for visitor, browser, sessions in await fetch_in(db, SESSIONS_OF, browsers):
            parts = [sessions[at : at + SESSION_BYTES] for at in range(0, len(sessions), SESSION_BYTES)]
            (theirs if visitor in found.visitors else others).update((browser.hex(), part) for part in parts)
        return [tombstone_of_session(browser, part, self._key) for browser, part in sorted(theirs - others)]

    async def unfinished(self) -> Erasure | None:
        """Give the oldest erasure that is not done."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, UNFINISHED)
        return _erasure(rows[0]) if rows else None

    async def find(self, number: int) -> Erasure:
        """Give one erasure."""
        async with self._database.snapshot() as db:
            return _erasure((await fetch(db, ONE, (number,)))[0])

    async def names(self, number: int) -> tuple[Named, ...]:
        """Give what is looked for; nothing once it is found."""
        async with self._database.snapshot() as db:
            return tuple(await fetch(db, NAMES, (number,)))

    async def keys(self, number: int) -> set[bytes]:
        """Give the keys of an erasure's events, for other stores that hold events."""
        async with self._database.snapshot() as db:
            return {row[0] for row in await fetch(db, KEYS_OF, (number,))}

    async def note_sealed(self, number: int, sealed_to: int) -> None:
        """Note that all that was accepted before the erasure lies in sealed segments."""
        async with self._database.transaction() as db:
            await db.execute(NOTE_SEALED, (sealed_to, number))

    async def note_found(
        self, number: int, seqs: Collection[int], traces: Traces, left_over: Sequence[LeftOver], now_ms: int
    ) -> None:
        """Mark what else names the person, end what is open of it, and forget what was looked for."""
        async with self._database.transaction() as db:
            named = {*seqs, *await find_in_payloads(db, traces)}
            await db.executemany(MARK, [(seq, number) for seq in named])
            await db.execute(MARK_REPEATS, (number,))
            await erase_marked(db, number, now_ms)
            await blank_letters(db, traces)
            await db.execute(NOTE_FOUND, (number, _told(left_over)))
            await db.execute(FORGET_SOUGHT, (number,))

    async def marked(self) -> list[int]:
        """Give which numbers the spool must still lose, in order."""
        async with self._database.snapshot() as db:
            return await marked_seqs(db)

    async def note_gone(self, first: int, last: int) -> None:
        """Note that no body of a span is left of what was marked."""
        async with self._database.transaction() as db:
            await db.execute(EMPTIED, (first, last))

    async def note_emptied(self, number: int, left_over: Sequence[LeftOver]) -> None:
        """Note that the spool's files are done, but for those that are listed."""
        async with self._database.transaction() as db:
            before = _erasure((await fetch(db, ONE, (number,)))[0]).left_over
            files = {one.file: one for one in (*before, *left_over)}
            await db.execute(NOTE_EMPTIED, (_told(list(files.values())), number))

    async def clean_up(self, number: int, now_ms: int) -> bool:
        """Write the ledger's file anew without its freed pages, and empty its log; False while a reader forbids it."""
        if not await self._database.compact():
            return False
        async with self._database.transaction() as db:
            await db.execute(NOTE_DONE, (now_ms, number))
        return True


async def marked_seqs(db: aiosqlite.Connection) -> list[int]:
    """Give which numbers the spool must still lose, in order."""
    return [row[0] for row in await fetch(db, MARKED_SEQS)]


async def recent_erasures(db: aiosqlite.Connection, limit: int) -> list[Erasure]:
    """Give the latest erasures, the newest first."""
    return [_erasure(row) for row in await fetch(db, RECENT, (limit,))]


async def _forget(db: aiosqlite.Connection, persons: Sequence[int], found: Found) -> None:
    for sql in (FORGET_NAMES, FORGET_ALIASES, EMPTY_PERSON):
        await db.executemany(sql, [(person,) for person in persons])
    for sql in (FORGET_VALUE, FORGET_CLAIMS, FORGET_QUARANTINED):
        await db.executemany(sql, found.names)
    for sql in (FORGET_VENDOR_IDS, FORGET_STRANGER, FORGET_RELEASING, FORGET_QUARANTINED_OF, EMPTY_VISITOR):
        await db.executemany(sql, [(visitor,) for visitor in found.visitors])
    await db.executemany(FORGET_CLAIMS_OF, [(bytes.fromhex(browser),) for browser in set(found.visitors.values())])


def _told(left_over: Sequence[LeftOver]) -> str:
    return orjson.dumps([[one.file, one.why, one.until_ms] for one in left_over]).decode()


def _erasure(row: tuple[Any, ...]) -> Erasure:
    left_over = tuple(LeftOver(*one) for one in orjson.loads(row[9]))
    return Erasure(*(*row[:9], left_over, row[10]))
