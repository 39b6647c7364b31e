"""The drainer's verbs: take a page or what is due, settle it; always outcome and cursor together."""

from collections import Counter
from collections.abc import Iterable, Sequence

import aiosqlite

from edge.delivery import Fate, Payload
from edge.ledger.database import Database, checksum, fetch, fetch_in, put
from edge.ledger.fates import encode_fates
from edge.ledger.receipts import keep_receipts
from edge.ledger.records import Page, Pauses, Revision, Settlement, WaitingRow
from edge.ledger.releasing import (
    MARK,
    SWEPT_TO,
    TALLY,
    end_unanswered,
    hasten,
    keep_firsts_due,
    release_held_now,
    release_marked,
)
from edge.ledger.revisions import revision_at, run
from edge.ledger.taking import IS_DUE, WHO_WAITS, read_due, read_entries
from edge.ledger.tombstones import erased_among

PLACE = """
SELECT cursor, taken_to, attempts, alone_to, head, rendered_to, rendered_by, (SELECT cursor FROM resolver)
FROM pipeline WHERE id = ?
"""
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

# What was released is rendered by now: from here on its bytes stay as they are. Until it is settled nobody knows
# whether it arrived.
TAKE_DUE = """
UPDATE waiting SET deaths = deaths + 1, alone = 1, revision = iif(payload IS ?1, revision, ?4), payload = ?1,
    time_ms = ?2, told = ?8, checksum = ?3
WHERE pipeline = ?5 AND visitor = ?6 AND seq = ?7
"""
UNTAKE_DUE = "UPDATE waiting SET deaths = max(deaths - 1, 0) WHERE pipeline = ? AND visitor = ? AND seq = ?"
WAIT = """
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum,
                     revision, is_live, told, alone)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (pipeline, visitor, seq) DO UPDATE SET due_at_ms = excluded.due_at_ms, attempts = excluded.attempts,
    deaths = 0, time_ms = excluded.time_ms, payload = excluded.payload, reason = excluded.reason,
    checksum = excluded.checksum, is_live = max(is_live, excluded.is_live), told = excluded.told, alone = excluded.alone
"""
UNWAIT = "DELETE FROM waiting WHERE pipeline = ? AND visitor = ? AND seq = ?"
# Whom a pipeline may not have to hold for being strangers; releasing decides.
KNOWN_VISITORS = """
SELECT v.id FROM visitor v JOIN pipeline p ON p.id = ?
WHERE (v.person IS NOT NULL OR p.anonymous <> 'hold' OR p.by_click
    AND EXISTS (SELECT 1 FROM vendor_id c WHERE c.visitor = v.id AND c.kind = 'kx')) AND v.id IN ({})
"""
HOLD = "INSERT INTO held (pipeline, visitor, seq, waits) VALUES (?, ?, ?, ?)"
NOTE_STRANGER = "INSERT OR IGNORE INTO stranger (pipeline, visitor) VALUES (?, ?)"
NOTE_JOINED = "UPDATE stranger SET joined_seq = ? WHERE pipeline = ? AND visitor = ? AND joined_seq IS NULL"
UNHOLD = "DELETE FROM held WHERE pipeline = ? AND visitor = ? AND seq = ?"
OLDEST_HELD = """
SELECT h.visitor, h.seq, j.received_at_ms, h.waits FROM held h INDEXED BY held_seq CROSS JOIN journal j ON j.seq = h.seq
WHERE h.pipeline = ? ORDER BY h.seq LIMIT ?
"""
OLDEST_WAITING = "SELECT visitor, seq FROM waiting WHERE pipeline = ? AND since_ms < ? ORDER BY seq LIMIT ?"
BURY = """
INSERT OR REPLACE INTO dead (pipeline, seq, visitor, event_id, event_name, died_at_ms, attempts,
                             reason, request, response, payload, checksum, time_ms, told)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# The content that rendered what was sent, which a swap may have replaced since.
SETTLE_LATE = """
INSERT OR REPLACE INTO settled (pipeline, seq, fate, attempts, settled_at_ms, revision, reason)
SELECT ?1, ?2, ?3, ?4, ?5, coalesce(
    (SELECT revision FROM waiting WHERE pipeline = ?1 AND visitor = ?7 AND seq = ?2), ?6), ?8
"""
HURRY = "UPDATE waiting SET due_at_ms = ? WHERE pipeline = ? AND due_at_ms > ?"
PAUSE = "UPDATE pipeline SET paused_at_ms = coalesce(paused_at_ms, ?), paused = ? WHERE id = ?"
END_PAUSE = """
INSERT OR REPLACE INTO pause (pipeline, from_ms, to_ms)
SELECT id, paused_at_ms, ? FROM pipeline WHERE id = ? AND paused_at_ms IS NOT NULL
"""
RESUME = "UPDATE pipeline SET paused = NULL, paused_at_ms = NULL WHERE id = ?"
TRIM_PAUSES = """
DELETE FROM pause WHERE pipeline = ?1 AND from_ms <= (
    SELECT from_ms FROM pause WHERE pipeline = ?1 ORDER BY from_ms DESC LIMIT 1 OFFSET ?2)
"""
# One begins at most every quarter of an hour, so these are those of a week and more.
KEPT_PAUSES = 1_000
HELD_TOO_LONG = "it was held longer than hold_for, or the spool neared its cap"
WAITED_TOO_LONG = "it waited longer than spool.keep_for in a pipeline whose file is gone"
PAUSED = "SELECT paused, paused_at_ms FROM pipeline WHERE id = ?"
PAUSED_BEFORE = "SELECT from_ms, to_ms FROM pause WHERE pipeline = ? ORDER BY from_ms"


# Fates that keep something of an event, or that only its erasure brought about.
KEPT_FATES = frozenset({Fate.WAITING, Fate.HELD, Fate.DEAD, Fate.WITHHELD})


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

    async def cursor(self) -> int:
        """Give the last sequence number that it has passed."""
        async with self._database.snapshot() as db:
            seq: int = (await fetch(db, PLACE, (self._pipeline,)))[0][0]
            return seq

    async def look(self, limit: int) -> Page | None:
        """Give the next page without taking it; None when the journal has no more.

        A page that a process died with comes again as it was; after three deaths its events come one by one.
        """
        place = (await self._database.ask(PLACE, (self._pipeline,)))[0]
        cursor, taken_to, attempts, alone_to, head, rendered_to, rendered_by, resolved = place
        is_taken = taken_to > cursor
        end = taken_to if is_taken else rendered_to
        if rendered_to <= cursor:
            head, end, rendered_by = resolved, resolved, None
        if end <= cursor:
            return None
        limit = 1 if cursor < alone_to else limit
        async with self._database.snapshot() as db:
            entries = await read_entries(db, self._pipeline, after=cursor, to=end, head=head, limit=limit)
        return Page(cursor, entries, attempts if is_taken else 0, head, rendered_by) if entries else None

    async def take_alone(self) -> None:
        """From now on take the span that keeps ending processes one event at a time."""
        async with self._database.transaction() as db:
            await db.execute(TAKE_ALONE, (self._pipeline,))

    async def take(self, page: Page, last: int, now_ms: int, *, joined: Iterable[tuple[int, int]] = ()) -> None:
        """Count an attempt at a page up to `last`, before it is made.

        Args:
            joined: events that tell the vendor who a stranger was, with their visitors: only these do, in any repeat.
        """
        async with self._database.transaction() as db:
            rendered_by = page.rendered_by or self._revision
            await db.execute(TAKE_PAGE, (last, now_ms, page.head, rendered_by, self._pipeline))
            await self._note_joined(db, joined)

    async def untake(self) -> None:
        """Take the count back: the attempt ended, but not with its process."""
        async with self._database.transaction() as db:
            await db.execute(UNTAKE_PAGE, (self._pipeline,))

    async def settle(self, page: Page, last: int, settlements: Sequence[Settlement], now_ms: int) -> None:
        """Record what became of every event of a page up to `last` and move the cursor, in one transaction."""
        first, revision = page.cursor + 1, page.rendered_by or self._revision
        async with self._database.transaction() as db:
            settlements = await self._erase_known(db, settlements)
            fates = encode_fates(first, last, [(s.seq, s.fate) for s in settlements])
            await self._store_open(db, settlements, now_ms, revision)
            who_wait = {s.visitor for s in settlements if s.fate is Fate.WAITING}
            await keep_firsts_due(db, self._pipeline, who_wait, now_ms)
            await keep_receipts(db, self._pipeline, [s.receipt for s in settlements], now_ms)
            values = (last, first, now_ms, now_ms, revision, fates, self._pipeline)
            await db.execute(SETTLE_PAGE, values)
            await db.execute(MOVE_CURSOR, (last, self._pipeline))
            await self._count(db, Counter([s.fate for s in settlements]))
            held = {s.visitor for s in settlements if s.fate is Fate.HELD}
            known = {row[0] for row in await fetch_in(db, KNOWN_VISITORS, held, self._pipeline)}
            await release_held_now(db, self._pipeline, known, now_ms)

    async def look_due(self, now_ms: int, limit: int) -> list[WaitingRow]:
        """Give what is due of the live lane: the waiting events of due visitors, each visitor's in order."""
        return await self._look_waiting(now_ms, limit, is_live=True, each=limit)

    async def look_backlog(self, now_ms: int, limit: int, *, each: int) -> list[WaitingRow]:
        """Give what is due of the background lane, of each visitor at most `each`."""
        return await self._look_waiting(now_ms, limit, is_live=False, each=each)

    async def _look_waiting(self, now_ms: int, limit: int, *, is_live: bool, each: int) -> list[WaitingRow]:
        if not (await self._database.ask(IS_DUE, (self._pipeline, int(is_live), now_ms)))[0][0]:
            return []
        async with self._database.snapshot() as db:
            return await read_due(db, self._pipeline, now_ms, is_live=is_live, limit=limit, each=each)

    async def take_due(
        self, taken: Iterable[tuple[WaitingRow, Payload]], *, joined: Iterable[tuple[int, int]] = ()
    ) -> None:
        """Count an attempt at waiting events, and keep what is going to be sent, before it is."""
        values = [
            (sent.body, sent.time_ms, checksum(row.seq, sent.body), self._revision, *self._place(row), int(row.told))
            for row, sent in taken
        ]
        async with self._database.transaction() as db:
            await put(db, TAKE_DUE, values)
            await self._note_joined(db, joined)

    async def untake_due(self, rows: Iterable[WaitingRow]) -> None:
        """Take the count back for waiting events."""
        async with self._database.transaction() as db:
            await put(db, UNTAKE_DUE, [self._place(row) for row in rows])

    async def settle_due(self, settlements: Sequence[Settlement], now_ms: int) -> None:
        """Record what became of waiting events: gone for good, or waiting again."""
        async with self._database.transaction() as db:
            # What was erased meanwhile has ended as that, and its row is gone.
            erased = await erased_among(db, [s.seq for s in settlements])
            settlements = [s for s in settlements if s.seq not in erased]
            ended = [s for s in settlements if s.fate is not Fate.WAITING]
            await self._end_late(db, ended, Fate.WAITING, now_ms)
            await put(db, UNWAIT, [self._place(s) for s in ended])
            await self._store_open(db, settlements, now_ms, self._revision)
            who_wait = await fetch_in(db, WHO_WAITS, {s.visitor for s in settlements}, self._pipeline)
            await keep_firsts_due(db, self._pipeline, [visitor for (visitor,) in who_wait], now_ms)
            await keep_receipts(db, self._pipeline, [s.receipt for s in settlements], now_ms)

    async def expire_held(self, before_ms: int, limit: int, now_ms: int) -> int:
        """End held events that were accepted before a moment; give how many."""
        async with self._database.transaction() as db:
            oldest = await fetch(db, OLDEST_HELD, (self._pipeline, limit))
            over = [row for row in oldest if row[2] < before_ms]
            ended = [Settlement(seq=s, visitor=v, fate=Fate.EXPIRED, reason=HELD_TOO_LONG) for v, s, _, _ in over]
            # What came behind one that waited for an answer need wait no longer.
            asked = {visitor for visitor, _, _, waits in over if waits}
            await put(db, MARK, [(self._pipeline, visitor, 0) for visitor in asked])
            await put(db, UNHOLD, [self._place(s) for s in ended])
            await self._end_late(db, ended, Fate.HELD, now_ms)
        return len(ended)

    async def release_more(self, now_ms: int) -> bool:
        """Release the next slice of what is held and may go; False when there is none."""
        swept_to, has_marks = (await self._database.ask(SWEPT_TO, (self._pipeline,)))[0]
        if swept_to is None and not has_marks:
            return False
        async with self._database.transaction() as db:
            await release_marked(db, self._pipeline, now_ms)
        return True

    async def end_unanswered(self, before_ms: int, limit: int, now_ms: int) -> int:
        """End what was accepted before a moment and still waits for an answer about consent; 0 when there is none."""
        async with self._database.transaction() as db:
            return await end_unanswered(db, self._pipeline, before_ms, limit, now_ms)

    async def expire_waiting(self, before_ms: int, limit: int, now_ms: int) -> int:
        """End waiting events that have waited since before a moment; give how many."""
        rows = await self._database.ask(OLDEST_WAITING, (self._pipeline, before_ms, limit))
        await self.settle_due(
            [Settlement(seq=s, visitor=v, fate=Fate.EXPIRED, reason=WAITED_TOO_LONG) for v, s in rows], now_ms
        )
        return len(rows)

    async def hurry(self, now_ms: int) -> None:
        """Make everything due that waits: the destination works again."""
        async with self._database.transaction() as db:
            await db.execute(HURRY, (now_ms, self._pipeline, now_ms))

    async def pauses(self) -> Pauses:
        """Give when the credentials were refused, up to now."""
        async with self._database.snapshot() as db:
            reason, from_ms = (await fetch(db, PAUSED, (self._pipeline,)))[0]
            return Pauses(reason, from_ms, tuple(await fetch(db, PAUSED_BEFORE, (self._pipeline,))))

    async def note_pause(self, reason: str | None, now_ms: int) -> None:
        """Remember that the credentials were refused, or that they work again (None)."""
        async with self._database.transaction() as db:
            if reason is None:
                await db.execute(END_PAUSE, (now_ms, self._pipeline))
                await db.execute(TRIM_PAUSES, (self._pipeline, KEPT_PAUSES))
                await db.execute(RESUME, (self._pipeline,))
            else:
                await db.execute(PAUSE, (now_ms, reason, self._pipeline))

    async def _note_joined(self, db: aiosqlite.Connection, joined: Iterable[tuple[int, int]]) -> None:
        await put(db, NOTE_JOINED, [(seq, self._pipeline, visitor) for visitor, seq in joined])

    async def _erase_known(self, db: aiosqlite.Connection, settlements: Sequence[Settlement]) -> Sequence[Settlement]:
        """Keep nothing of an event that was erased since the page was looked at; what was delivered stays that."""
        kept = [s.seq for s in settlements if s.fate in KEPT_FATES]
        erased = await erased_among(db, kept) if kept else set()
        return [
            Settlement(seq=s.seq, visitor=s.visitor, fate=Fate.ERASED)
            if s.seq in erased and s.fate in KEPT_FATES
            else s
            for s in settlements
        ]

    async def _store_open(
        self, db: aiosqlite.Connection, settlements: Sequence[Settlement], now_ms: int, revision: int
    ) -> None:
        """Store held, waiting and dead rows."""
        await put(db, HOLD, [(*self._place(s), int(s.waits)) for s in settlements if s.fate is Fate.HELD])
        waiting = [s for s in settlements if s.fate is Fate.WAITING]
        await put(db, WAIT, [self._waiting_values(s, revision) for s in waiting])
        await hasten(db, [self._place(s) for s in waiting if s.is_live])
        await put(db, BURY, [self._dead_values(s, now_ms) for s in settlements if s.fate is Fate.DEAD])
        strangers = {s.visitor for s in settlements if s.is_stranger and s.fate in (Fate.DELIVERED, Fate.WAITING)}
        await put(db, NOTE_STRANGER, [(self._pipeline, visitor) for visitor in strangers])

    async def _end_late(self, db: aiosqlite.Connection, ended: Sequence[Settlement], was: Fate, now_ms: int) -> None:
        rows = [(self._pipeline, s.seq, s.fate, s.attempts, now_ms, self._revision, s.visitor, s.reason) for s in ended]
        await put(db, SETTLE_LATE, rows)
        await self._count(db, Counter([s.fate for s in ended]))
        await self._count(db, {was: -len(ended)})

    async def _count(self, db: aiosqlite.Connection, counts: dict[Fate, int]) -> None:
        await put(db, TALLY, [(self._pipeline, fate, events) for fate, events in counts.items() if events])

    def _place(self, one: WaitingRow | Settlement) -> tuple[int, int, int]:
        return self._pipeline, one.visitor, one.seq

    def _waiting_values(self, s: Settlement, revision: int) -> tuple[int | str | bytes | None, ...]:
        check, rendered_by = checksum(s.seq, s.payload), None if s.payload is None else revision
        return (
            *(*self._place(s), s.due_at_ms, s.since_ms, s.attempts, s.time_ms),
            *(s.payload, s.reason, check, rendered_by, int(s.is_live), int(s.told), int(s.is_alone)),
        )

    def _dead_values(self, s: Settlement, now_ms: int) -> tuple[int | str | bytes, ...]:
        letter = s.letter
        assert letter is not None, "a dead event has a letter"
        return (
            *(self._pipeline, s.seq, s.visitor, s.event_id, s.event_name, now_ms, s.attempts),
            *(letter.reason, letter.request, letter.response, letter.payload, checksum(s.seq, letter.payload)),
            *(s.time_ms, int(s.told)),
        )
