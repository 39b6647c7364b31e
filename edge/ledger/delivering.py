"""The drainer's verbs: take a page or what is due, settle it; always outcome and cursor together."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import aiosqlite

from edge.consent import ALL_PURPOSES, Purpose
from edge.delivery import Fate, Payload
from edge.identity import NOBODY
from edge.ledger.database import Database, checksum, fetch, fetch_in
from edge.ledger.fates import encode_fates
from edge.ledger.persons import NO_HEAD, clicks_of, identifiers_of
from edge.ledger.records import Entry, JournalFate, Page, Pause, Revision, Settlement, WaitingRow
from edge.ledger.resolving import TALLY, keep_one_due
from edge.ledger.revisions import revision_at, run
from edge.person import Identifiers

Known: TypeAlias = dict[int, Identifiers]

PLACE = "SELECT cursor, taken_to, attempts, alone_to, head, rendered_to, rendered_by FROM pipeline WHERE id = ?"
# The next journal rows with their visitor's person, and what it, or the browser's newest epoch, has denied by now.
LOOK = """
SELECT j.seq, j.key, j.visitor, j.granted, j.basis, j.fate, j.received_at_ms, j.checksum,
       iif(v.linked_seq <= ?, v.person, NULL),
       coalesce(v.denied, 0) | coalesce(
           (SELECT n.denied FROM visitor n WHERE n.browser = v.browser ORDER BY n.epoch DESC LIMIT 1), 0)
FROM journal j LEFT JOIN visitor v ON v.id = j.visitor
WHERE j.seq > ? AND j.seq <= ? ORDER BY j.seq LIMIT ?
"""
RESOLVED = "SELECT cursor FROM resolver"
WHO_WAITS = "SELECT DISTINCT visitor FROM waiting WHERE pipeline = ? AND visitor IN ({})"
# The attempt is counted before it is made: whoever dies with a page is known by it.
TAKE_PAGE = """
UPDATE pipeline SET taken_to = ?1, taken_at_ms = ?2, head = ?3, rendered_to = max(rendered_to, ?1), rendered_by = ?4,
    attempts = attempts + 1 WHERE id = ?5
"""
UNTAKE_PAGE = "UPDATE pipeline SET attempts = max(attempts - 1, 0) WHERE id = ?"
TAKE_ALONE = "UPDATE pipeline SET alone_to = max(alone_to, taken_to), taken_to = 0, attempts = 0 WHERE id = ?"
SETTLE_PAGE = """
INSERT INTO page (pipeline, last, first, taken_at_ms, settled_at_ms, attempts, revision, fates)
SELECT id, ?, ?, iif(attempts > 0, taken_at_ms, ?), ?, max(attempts, 1), ?, ? FROM pipeline WHERE id = ?
"""
MOVE_CURSOR = "UPDATE pipeline SET cursor = ?, taken_to = 0, attempts = 0 WHERE id = ?"

DUE_VISITORS = """
SELECT visitor FROM waiting WHERE pipeline = ? AND due_at_ms <= ? ORDER BY due_at_ms LIMIT ?
"""
CHAIN = """
SELECT w.visitor, w.seq, w.since_ms, w.attempts, w.deaths, w.time_ms, w.payload, w.reason, w.checksum,
       j.granted, v.person,
       coalesce(v.denied, 0) | coalesce(
           (SELECT n.denied FROM visitor n WHERE n.browser = v.browser ORDER BY n.epoch DESC LIMIT 1), 0),
       v.purchased_seq
FROM waiting w LEFT JOIN journal j ON j.seq = w.seq LEFT JOIN visitor v ON v.id = w.visitor
WHERE w.pipeline = ? AND w.visitor = ? ORDER BY w.seq LIMIT ?
"""
# What was released is rendered by now: from here on its bytes stay as they are.
TAKE_DUE = """
UPDATE waiting SET deaths = deaths + 1, revision = iif(payload IS ?1, revision, ?4), payload = ?1, time_ms = ?2,
    checksum = ?3
WHERE pipeline = ?5 AND visitor = ?6 AND seq = ?7
"""
UNTAKE_DUE = "UPDATE waiting SET deaths = max(deaths - 1, 0) WHERE pipeline = ? AND visitor = ? AND seq = ?"
WAIT = """
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum,
                     revision)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (pipeline, visitor, seq) DO UPDATE SET due_at_ms = excluded.due_at_ms, attempts = excluded.attempts,
    deaths = 0, time_ms = excluded.time_ms, payload = excluded.payload, reason = excluded.reason,
    checksum = excluded.checksum
"""
UNWAIT = "DELETE FROM waiting WHERE pipeline = ? AND visitor = ? AND seq = ?"
KNOWN_VISITORS = """
SELECT id FROM visitor WHERE (person IS NOT NULL OR (SELECT by_click FROM pipeline WHERE id = ?)
    AND EXISTS (SELECT 1 FROM vendor_id WHERE visitor = visitor.id AND kind = 'kx')) AND id IN ({})
"""
HOLD = "INSERT INTO held (pipeline, visitor, seq) VALUES (?, ?, ?)"
UNHOLD = "DELETE FROM held WHERE pipeline = ? AND visitor = ? AND seq = ?"
OLDEST_HELD = """
SELECT h.visitor, h.seq, j.received_at_ms FROM held h INDEXED BY held_seq CROSS JOIN journal j ON j.seq = h.seq
WHERE h.pipeline = ? ORDER BY h.seq LIMIT ?
"""
OLDEST_WAITING = "SELECT visitor, seq FROM waiting WHERE pipeline = ? AND since_ms < ? ORDER BY seq LIMIT ?"
BURY = """
INSERT OR REPLACE INTO dead (pipeline, seq, visitor, event_id, event_name, died_at_ms, attempts,
                             reason, request, response, payload, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The content that rendered what was sent, which a swap may have replaced since.
SETTLE_LATE = """
INSERT OR REPLACE INTO settled (pipeline, seq, fate, attempts, settled_at_ms, revision)
SELECT ?1, ?2, ?3, ?4, ?5, coalesce(
    (SELECT revision FROM waiting WHERE pipeline = ?1 AND visitor = ?7 AND seq = ?2), ?6)
"""
HURRY = "UPDATE waiting SET due_at_ms = ? WHERE pipeline = ? AND due_at_ms > ?"
PAUSE = """
UPDATE pipeline SET paused_at_ms = iif(paused IS NULL, ?, paused_at_ms), paused = ?, resumed_at_ms = NULL WHERE id = ?
"""
RESUME = "UPDATE pipeline SET paused = NULL, resumed_at_ms = ? WHERE id = ?"
PAUSED = "SELECT paused, paused_at_ms, resumed_at_ms FROM pipeline WHERE id = ?"


class DeliveryLedger:
    """One pipeline's cursor, its waiting, held and dead events. Made by `register`."""

    def __init__(self, database: Database, pipeline: int, revision: int) -> None:
        self._database, self._pipeline, self._revision = database, pipeline, revision

    @classmethod
    async def register(cls, database: Database, revision: Revision, now_ms: int) -> "DeliveryLedger":
        """Find a pipeline by its name, or start a new one at the resolver's place; from now on this content runs."""
        return cls(database, *await run(database, revision, now_ms))

    async def revision(self, number: int) -> Revision:
        """Give a content that delivered before."""
        return await revision_at(self._database, number)

    async def look(self, limit: int) -> Page | None:
        """Give the next page without taking it; None when the journal has no more.

        A page that a process died with comes again as it was; after three deaths its events come one by one.
        """
        async with self._database.snapshot() as db:
            place = (await fetch(db, PLACE, (self._pipeline,)))[0]
            cursor, taken_to, attempts, alone_to, head, rendered_to, rendered_by = place
            is_taken = taken_to > cursor
            end = taken_to if is_taken else rendered_to
            if rendered_to <= cursor:
                head, end, rendered_by = (await fetch(db, RESOLVED))[0][0], NO_HEAD, None
            rows = await fetch(db, LOOK, (head, cursor, end, 1 if cursor < alone_to else limit))
            if not rows:
                return None
            entries = await self._entries(db, rows, head)
            return Page(cursor, entries, attempts if is_taken else 0, head, rendered_by)

    async def take_alone(self) -> None:
        """From now on take the span that keeps ending processes one event at a time."""
        async with self._database.transaction() as db:
            await db.execute(TAKE_ALONE, (self._pipeline,))

    async def take(self, page: Page, last: int, now_ms: int) -> None:
        """Count an attempt at a page up to `last`, before it is made."""
        async with self._database.transaction() as db:
            rendered_by = page.rendered_by or self._revision
            await db.execute(TAKE_PAGE, (last, now_ms, page.head, rendered_by, self._pipeline))

    async def untake(self) -> None:
        """Take the count back: the attempt ended, but not with its process."""
        async with self._database.transaction() as db:
            await db.execute(UNTAKE_PAGE, (self._pipeline,))

    async def settle(self, page: Page, last: int, settlements: Sequence[Settlement], now_ms: int) -> None:
        """Record what became of every event of a page up to `last` and move the cursor, in one transaction."""
        first, revision = page.cursor + 1, page.rendered_by or self._revision
        async with self._database.transaction() as db:
            settlements = await self._release_known(db, settlements, now_ms)
            fates = encode_fates(first, last, [(s.seq, s.fate) for s in settlements])
            await self._store_open(db, settlements, now_ms, revision)
            values = (last, first, now_ms, now_ms, revision, fates, self._pipeline)
            await db.execute(SETTLE_PAGE, values)
            await db.execute(MOVE_CURSOR, (last, self._pipeline))
            await self._count(db, Counter(s.fate for s in settlements))

    async def look_due(self, now_ms: int, limit: int) -> list[WaitingRow]:
        """Give what is due: the waiting events of due visitors, each visitor's in order."""
        rows: list[WaitingRow] = []
        async with self._database.snapshot() as db:
            for (visitor,) in await fetch(db, DUE_VISITORS, (self._pipeline, now_ms, limit)):
                if len(rows) >= limit:
                    break
                chain = await fetch(db, CHAIN, (self._pipeline, visitor, limit - len(rows)))
                people = await identifiers_of(db, [row[10] for row in chain if row[10] is not None])
                clicks = await clicks_of(db, [visitor])
                rows += [_waiting_row(row, _who(row[10], visitor, people, clicks)) for row in chain]
        return rows

    async def take_due(self, taken: Iterable[tuple[WaitingRow, Payload]]) -> None:
        """Count an attempt at waiting events, and keep what is going to be sent, before it is."""
        values = [
            (*(sent.body, sent.time_ms, checksum(row.seq, sent.body)), self._revision, *self._place(row))
            for row, sent in taken
        ]
        async with self._database.transaction() as db:
            await db.executemany(TAKE_DUE, values)

    async def untake_due(self, rows: Iterable[WaitingRow]) -> None:
        """Take the count back for waiting events."""
        async with self._database.transaction() as db:
            await db.executemany(UNTAKE_DUE, [self._place(row) for row in rows])

    async def settle_due(self, settlements: Sequence[Settlement], now_ms: int) -> None:
        """Record what became of waiting events: gone for good, or waiting again."""
        async with self._database.transaction() as db:
            ended = [s for s in settlements if s.fate is not Fate.WAITING]
            await self._end_late(db, ended, Fate.WAITING, now_ms)
            await db.executemany(UNWAIT, [self._place(s) for s in ended])
            await self._store_open(db, settlements, now_ms, self._revision)

    async def expire_held(self, before_ms: int, limit: int, now_ms: int) -> int:
        """End held events that were accepted before a moment; give how many."""
        async with self._database.transaction() as db:
            oldest = await fetch(db, OLDEST_HELD, (self._pipeline, limit))
            over = [(visitor, seq) for visitor, seq, received_at_ms in oldest if received_at_ms < before_ms]
            ended = [Settlement(seq=seq, visitor=visitor, fate=Fate.EXPIRED) for visitor, seq in over]
            await db.executemany(UNHOLD, [self._place(s) for s in ended])
            await self._end_late(db, ended, Fate.HELD, now_ms)
        return len(ended)

    async def expire_waiting(self, before_ms: int, limit: int, now_ms: int) -> int:
        """End waiting events that have waited since before a moment; give how many."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, OLDEST_WAITING, (self._pipeline, before_ms, limit))
        await self.settle_due([Settlement(seq=s, visitor=v, fate=Fate.EXPIRED) for v, s in rows], now_ms)
        return len(rows)

    async def hurry(self, now_ms: int) -> None:
        """Make everything due that waits: the destination works again."""
        async with self._database.transaction() as db:
            await db.execute(HURRY, (now_ms, self._pipeline, now_ms))

    async def pause(self) -> Pause:
        """Give the latest pause."""
        async with self._database.snapshot() as db:
            return Pause(*(await fetch(db, PAUSED, (self._pipeline,)))[0])

    async def note_pause(self, reason: str | None, now_ms: int) -> None:
        """Remember that the credentials were refused, or that they work again (None)."""
        async with self._database.transaction() as db:
            if reason is None:
                await db.execute(RESUME, (now_ms, self._pipeline))
            else:
                await db.execute(PAUSE, (now_ms, reason, self._pipeline))

    async def _entries(self, db: aiosqlite.Connection, rows: Sequence[tuple[Any, ...]], head: int) -> tuple[Entry, ...]:
        people = await identifiers_of(db, {row[8] for row in rows if row[8] is not None}, head=head)
        visitors = {row[2] for row in rows if row[2] is not None}
        clicks = await clicks_of(db, visitors, head=head)
        behind = {row[0] for row in await fetch_in(db, WHO_WAITS, visitors, self._pipeline)}
        return tuple(_entry(row, _who(row[8], row[2], people, clicks), behind) for row in rows)

    async def _release_known(
        self, db: aiosqlite.Connection, settlements: Sequence[Settlement], now_ms: int
    ) -> list[Settlement]:
        """Turn a hold into a wait where the visitor became known since the page was looked at."""
        held = {s.visitor for s in settlements if s.fate is Fate.HELD}
        known = {row[0] for row in await fetch_in(db, KNOWN_VISITORS, held, self._pipeline)}
        return [
            Settlement(
                seq=s.seq, visitor=s.visitor, fate=Fate.WAITING, due_at_ms=now_ms, since_ms=now_ms, reason="released"
            )
            if s.fate is Fate.HELD and s.visitor in known
            else s
            for s in settlements
        ]

    async def _store_open(
        self, db: aiosqlite.Connection, settlements: Sequence[Settlement], now_ms: int, revision: int
    ) -> None:
        """Store held, waiting and dead rows; then let only each visitor's first waiting event be due."""
        await db.executemany(HOLD, [self._place(s) for s in settlements if s.fate is Fate.HELD])
        waiting = [s for s in settlements if s.fate is Fate.WAITING]
        await db.executemany(WAIT, [self._waiting_values(s, revision) for s in waiting])
        await db.executemany(BURY, [self._dead_values(s, now_ms) for s in settlements if s.fate is Fate.DEAD])
        for visitor in {s.visitor for s in settlements}:
            await keep_one_due(db, self._pipeline, visitor, now_ms)

    async def _end_late(self, db: aiosqlite.Connection, ended: Sequence[Settlement], was: Fate, now_ms: int) -> None:
        rows = [(self._pipeline, s.seq, s.fate, s.attempts, now_ms, self._revision, s.visitor) for s in ended]
        await db.executemany(SETTLE_LATE, rows)
        await self._count(db, Counter(s.fate for s in ended))
        await self._count(db, {was: -len(ended)})

    async def _count(self, db: aiosqlite.Connection, counts: dict[Fate, int]) -> None:
        await db.executemany(TALLY, [(self._pipeline, fate, events) for fate, events in counts.items() if events])

    def _place(self, one: WaitingRow | Settlement) -> tuple[int, int, int]:
        return self._pipeline, one.visitor, one.seq

    def _waiting_values(self, s: Settlement, revision: int) -> tuple[int | str | bytes | None, ...]:
        check, rendered_by = checksum(s.seq, s.payload), None if s.payload is None else revision
        return (
            *(*self._place(s), s.due_at_ms, s.since_ms, s.attempts, s.time_ms),
            *(s.payload, s.reason, check, rendered_by),
        )

    def _dead_values(self, s: Settlement, now_ms: int) -> tuple[int | str | bytes, ...]:
        letter = s.letter
        assert letter is not None, "a dead event has a letter"
        return (
            *(self._pipeline, s.seq, s.visitor, s.event_id, s.event_name, now_ms, s.attempts),
            *(letter.reason, letter.request, letter.response, letter.payload, checksum(s.seq, letter.payload)),
        )


def _granted(granted: int, denied: int | None) -> Purpose:
    """What was decided, less what the visitor has withdrawn since."""
    return Purpose(granted) & ~Purpose(denied or 0) & ALL_PURPOSES


def _who(person: int | None, visitor: int | None, people: Known, clicks: dict[int, str]) -> Identifiers:
    """Give what a visitor is known by: its person's identifiers, and its own click token."""
    known, kx = people.get(person or 0, NOBODY), clicks.get(visitor or 0)
    return known if kx is None else replace(known, kx=kx)


def _entry(row: tuple[Any, ...], identifiers: Identifiers, behind: set[int]) -> Entry:
    seq, _, visitor, granted, _, fate, received_at_ms, check, _, denied = row
    return Entry(
        seq=seq,
        visitor=visitor or 0,
        granted=_granted(granted, denied),
        fate=JournalFate(fate) if check == checksum(*row[:7]) else JournalFate.DAMAGED,
        received_at_ms=received_at_ms,
        identifiers=identifiers,
        is_behind=visitor in behind,
    )


def _waiting_row(row: tuple[Any, ...], identifiers: Identifiers) -> WaitingRow:
    visitor, seq, since_ms, attempts, deaths, time_ms, payload, reason, check, *known = row
    granted, _, denied, purchased_seq = known
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
        granted=_granted(granted or 0, denied),
        identifiers=identifiers,
        purchased_seq=purchased_seq,
    )
