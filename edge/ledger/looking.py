"""Looking from outside: what the verbs that show something read. Read-only, while the service runs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiosqlite

from edge.ledger.balancing import Balance, read_balance
from edge.ledger.consent_log import ChainReport, LoggedConsent, check_chain, read_consents
from edge.ledger.database import fetch, fetch_in, open_read_only
from edge.ledger.decisions import DecisionView, find_first_since, find_open_from, read_decisions
from edge.ledger.erasing import Erasure, marked_seqs, recent_erasures
from edge.ledger.knowing import PersonView, find_person
from edge.ledger.letters import Letter, LetterCount, Letters, count_letters, newest, whole
from edge.ledger.persons import identifiers_of, one_with, vendor_ids_of
from edge.ledger.receipts import Afterwards, told_since
from edge.ledger.records import JournalFate, Quarantined
from edge.ledger.replaying import Candidate, stored_after
from edge.ledger.standing import JournalEntry, PipelineFate, find_fates
from edge.ledger.theirs import Found, Whom, find_theirs
from edge.ledger.vendor_erasing import VendorErasure, vendor_erasures
from edge.person import Identifiers, Kind, VendorId
from edge.vendor_ids import known_at

# One statement, so that a page settled meanwhile is in the cursor and in the tally, or in neither.
DEPTHS = """
SELECT p.name, p.cursor, p.paused, r.cursor, t.fate, t.events
FROM pipeline p CROSS JOIN resolver r LEFT JOIN tally t ON t.pipeline = p.id ORDER BY p.name
"""
JOURNAL_BY_KEY = (
    "SELECT seq, key, visitor, granted, basis, fate, received_at_ms, waits FROM journal WHERE key IN ({}) ORDER BY seq"
)
JOURNAL_BY_SEQ = (
    "SELECT seq, key, visitor, granted, basis, fate, received_at_ms, waits FROM journal WHERE seq IN ({}) ORDER BY seq"
)
VISITOR = "SELECT id, browser, epoch, person, linked_seq FROM visitor WHERE id = ?"
QUARANTINED = "SELECT seq, visitor, kind, value, reason FROM quarantine WHERE seq = ? ORDER BY kind"
HELD_FOR_CONSENT = """
SELECT count(*) FROM held WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?) AND waits <> 0
"""
# By indexes that lead with the pipeline: the lowest number is found without reading what is open, its own or others'.
OLDEST_HELD = """
SELECT min(seq) FROM held INDEXED BY held_seq WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?)
"""
OLDEST_WAITING = """
SELECT min(seq) FROM waiting INDEXED BY waiting_seq WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?)
"""
REASON_OF_OLDEST = """
SELECT reason FROM waiting INDEXED BY waiting_seq WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?)
ORDER BY seq LIMIT 1
"""
ANY_LETTER = "SELECT 1 FROM dead WHERE pipeline = (SELECT id FROM pipeline WHERE name = ?) LIMIT 1"
BROWSERS_OF = """
SELECT browser, min(id) AS first FROM visitor WHERE person IN ({}) GROUP BY browser ORDER BY first
"""
COUNTS_OF = tuple(
    f"SELECT count(*) FROM {table} WHERE visitor IN ({{}})"  # noqa: S608 - our own words
    for table in ("journal", "waiting", "held", "dead")
)
# What repeats an event is nobody's; by the index of keys, from what a visitor did.
REPEATS_OF = """
SELECT count(DISTINCT again.seq) FROM journal j CROSS JOIN journal again ON again.key = j.key
WHERE again.visitor IS NULL AND length(j.key) > 0 AND j.visitor IN ({})
"""
OWNER = "SELECT person FROM identifier WHERE kind = ? AND value = ? AND until_seq IS NULL"
FIRST_OF_ORDER = "SELECT seq FROM purchase WHERE order_key = ?"


@dataclass(frozen=True, slots=True)
class PipelineDepth:
    """Where one pipeline stands; `behind` are sequence numbers it has not passed."""

    name: str
    cursor: int
    behind: int
    paused: str | None
    events: dict[str, int]


@dataclass(frozen=True, slots=True)
class VisitorView:
    """A visitor and who it is."""

    id: int
    browser: str
    epoch: int
    person: int | None
    linked_seq: int | None
    identifiers: Identifiers


class LedgerView:
    """A read-only look at the ledger of a running or stopped service."""

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open the file read-only.

        Raises:
            sqlite3.OperationalError: there is no such ledger.
        """
        return cls(await open_read_only(path))

    async def close(self) -> None:
        """Close the file."""
        await self._db.close()

    async def resolved_to(self) -> int:
        """Give the resolver's cursor."""
        seq: int = (await fetch(self._db, "SELECT cursor FROM resolver"))[0][0]
        return seq

    async def depths(self) -> list[PipelineDepth]:
        """Give every pipeline's place and how many of its events stand at which fate."""
        depths: dict[str, PipelineDepth] = {}
        for name, cursor, paused, resolved, fate, count in await fetch(self._db, DEPTHS):
            depth = depths.setdefault(name, PipelineDepth(name, cursor, max(0, resolved - cursor), paused, {}))
            if fate is not None:
                depth.events[fate] = count
        return list(depths.values())

    async def by_keys(self, keys: Sequence[bytes]) -> list[JournalEntry]:
        """Give journal entries by event key, oldest first."""
        return [_entry(row) for row in await fetch_in(self._db, JOURNAL_BY_KEY, keys)]

    async def by_seqs(self, seqs: Sequence[int]) -> list[JournalEntry]:
        """Give journal entries by sequence number."""
        return [_entry(row) for row in await fetch_in(self._db, JOURNAL_BY_SEQ, seqs)]

    async def decisions(self, seqs: Iterable[int]) -> list[DecisionView]:
        """Give what holds for events now; those that are not in the journal are missing."""
        return await read_decisions(self._db, seqs)

    async def people(self, persons: Iterable[int]) -> dict[int, Identifiers]:
        """Give what persons are known by."""
        return await identifiers_of(self._db, persons)

    async def vendor_ids(self, visitors: Iterable[int]) -> dict[int, tuple[VendorId, ...]]:
        """Give the newest of each kind of visitors' vendor ids, also those too old."""
        return await vendor_ids_of(self._db, visitors)

    async def known_of(self, *, values: Iterable[str], browser: str | None, visitor: int | None) -> list[PersonView]:
        """Give all that is known of everybody whom identifiers, a browser or a visitor lead to."""
        return await find_person(self._db, values=values, browser=browser, visitor=visitor)

    async def theirs(self, whom: Whom) -> Found:
        """Give what an erasure of somebody would take away."""
        return await find_theirs(self._db, whom)

    async def count_of(self, visitors: Iterable[int]) -> tuple[int, int]:
        """Count visitors' events, and those of their deliveries that are open or dead."""
        visitors = list(visitors)
        counts = [sum(row[0] for row in await fetch_in(self._db, sql, visitors)) for sql in COUNTS_OF]
        return counts[0], sum(counts[1:])

    async def repeats_of(self, visitors: Iterable[int]) -> int:
        """Count later arrivals of visitors' events, which an erasure takes away with them."""
        return sum(row[0] for row in await fetch_in(self._db, REPEATS_OF, visitors))

    async def erasures(self, limit: int = 20) -> list[tuple[Erasure, list[VendorErasure]]]:
        """Give the latest erasures, the newest first, each with what vendors were asked."""
        found = await recent_erasures(self._db, limit)
        return [(one, await vendor_erasures(self._db, one.id)) for one in found]

    async def marked(self) -> list[int]:
        """Give which numbers the spool must still lose, in order."""
        return await marked_seqs(self._db)

    async def told_later(self, since_ms: int) -> dict[str, Afterwards]:
        """Give what vendors said afterwards of events that were delivered since a moment, by pipeline."""
        return await told_since(self._db, since_ms)

    async def late_bodies(self) -> int:
        """Count late arrivals of erased persons whose bodies still lie in the spool."""
        count: int = (await fetch(self._db, "SELECT count(*) FROM erasing WHERE erasure IS NULL"))[0][0]
        return count

    async def quarantined(self, seq: int) -> list[Quarantined]:
        """Give what an event claimed over a limit."""
        return [Quarantined(*row) for row in await fetch(self._db, QUARANTINED, (seq,))]

    async def first_since(self, at_ms: int) -> int:
        """Give the sequence number from which on events were accepted at a moment or later, give or take seconds."""
        return await find_first_since(self._db, at_ms)

    async def open_from(self, seqs: Iterable[int], last: int) -> list[int]:
        """Give, for each of rising numbers, the first event from it up to `last` that goes on to the pipelines."""
        return await find_open_from(self._db, seqs, last)

    async def visitor(self, visitor: int, at_ms: int) -> VisitorView | None:
        """Give a visitor with its person's identifiers, and of its vendor ids what holds for an event of a moment."""
        rows = await fetch(self._db, VISITOR, (visitor,))
        if not rows:
            return None
        number, browser, epoch, person, linked_seq = rows[0]
        people = await identifiers_of(self._db, [person] if person is not None else [])
        kept = (await self.vendor_ids([visitor])).get(visitor, ())
        known = known_at(people.get(person, Identifiers()), kept, at_ms)
        return VisitorView(number, browser.hex(), epoch, person, linked_seq, known)

    async def fates(self, entry: JournalEntry) -> list[PipelineFate]:
        """Give where one event stands in every pipeline, all at one moment."""
        await self._db.execute("BEGIN")
        try:
            return await find_fates(self._db, entry)
        finally:
            await self._db.execute("COMMIT")

    async def check_consents(self, seen: bytes | None = None) -> ChainReport:
        """Check the consent log, and that a head noted earlier is in it, at one moment."""
        await self._db.execute("BEGIN")
        try:
            return await check_chain(self._db, seen)
        finally:
            await self._db.execute("COMMIT")

    async def consents(self, who: Sequence[bytes]) -> list[LoggedConsent]:
        """Give what the consent log has of some browsers, by their keyed hashes, the oldest first."""
        return await read_consents(self._db, who)

    async def browsers_of(self, kind: Kind, value: str) -> list[str]:
        """Give the browsers of the person that an identifier names, with those of all who are one with it."""
        members: set[int] = set()
        for (owner,) in await fetch(self._db, OWNER, (kind, value)):
            members |= await one_with(self._db, owner)
        return [row[0].hex() for row in await fetch_in(self._db, BROWSERS_OF, members)]

    async def oldest_held(self, pipeline: str) -> int | None:
        """Give the lowest sequence number that a pipeline holds."""
        return await self._one(OLDEST_HELD, pipeline)

    async def held_for_consent(self, pipeline: str) -> int:
        """Count what a pipeline holds until somebody answers about consent."""
        return await self._one(HELD_FOR_CONSENT, pipeline) or 0

    async def oldest_waiting(self, pipeline: str) -> int | None:
        """Give the lowest sequence number that waits in a pipeline."""
        return await self._one(OLDEST_WAITING, pipeline)

    async def reason_of_oldest(self, pipeline: str) -> str:
        """Give why the event of the lowest number waits in a pipeline; "" where none does or nothing is known."""
        rows = await fetch(self._db, REASON_OF_OLDEST, (pipeline,))
        return str(rows[0][0]) if rows else ""

    async def has_letters(self, pipeline: str) -> bool:
        """Tell whether any dead letter of a pipeline is kept; one that is dropped leaves its event counted as dead."""
        return await self._one(ANY_LETTER, pipeline) is not None

    async def first_of_order(self, order_key: bytes) -> int | None:
        """Give the event that reported an order first."""
        return await self._one(FIRST_OF_ORDER, order_key)

    async def newest_letters(self, wanted: Letters, limit: int) -> tuple[list[Letter], bool]:
        """Give the newest dead letters, without what was said and answered; and whether older ones were left aside."""
        return await newest(self._db, wanted, limit)

    async def letters_of(self, pipeline: str | None, *, event_id: str | None, seq: int | None) -> list[Letter]:
        """Give one event's dead letters, whole."""
        return await whole(self._db, pipeline, event_id=event_id, seq=seq)

    async def count_letters(self, wanted: Letters, kept_from: int) -> list[LetterCount]:
        """Count dead letters by pipeline; envelopes are stored from a number on."""
        return await count_letters(self._db, wanted, kept_from)

    async def candidates(self, pipeline: str, *, after: int, last: int, limit: int) -> list[Candidate]:
        """Give the next stored events that may go through a pipeline again."""
        return await stored_after(self._db, pipeline, after=after, last=last, limit=limit)

    async def balance(self, first: int, last: int) -> Balance:
        """Add up a span of sequence numbers, all at one moment."""
        await self._db.execute("BEGIN")
        try:
            return await read_balance(self._db, first, last)
        finally:
            await self._db.execute("COMMIT")

    async def _one(self, sql: str, value: str | bytes) -> int | None:
        rows = await fetch(self._db, sql, (value,))
        seq: int | None = rows[0][0] if rows else None
        return seq


def _entry(row: tuple[Any, ...]) -> JournalEntry:
    seq, key, visitor, granted, basis, fate, received_at_ms, waits = row
    return JournalEntry(seq, key, visitor, granted, basis, JournalFate(fate), received_at_ms, waits)
