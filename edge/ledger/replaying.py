"""Sending again: what goes through a pipeline once more becomes a waiting row, with the same number and ids.

An event stands at one fate a pipeline at every moment: it leaves the one it had in the transaction in which it waits.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import aiosqlite
import orjson

from edge.consent import Purpose
from edge.delivery import Fate
from edge.identity import NOBODY
from edge.ledger.database import Database, checksum, fetch, fetch_in
from edge.ledger.decisions import DecisionView, read_decisions
from edge.ledger.fates import fate_at
from edge.ledger.letters import Letters, letters_of, step
from edge.ledger.persons import identifiers_of, vendor_ids_of
from edge.ledger.records import JournalFate
from edge.ledger.releasing import TALLY, keep_firsts_due
from edge.ledger.tombstones import erased_among
from edge.person import Identifiers
from edge.vendor_ids import known_at

PLACE = "SELECT id, cursor FROM pipeline WHERE name = ?"
PAGES_OVER = "SELECT first, last, fates FROM page WHERE pipeline = ? AND last >= ? AND first <= ? ORDER BY last"
SETTLED_AMONG = "SELECT seq, fate FROM settled WHERE pipeline = ? AND seq IN ({})"
WAITING_AMONG = "SELECT seq FROM waiting INDEXED BY waiting_seq WHERE pipeline = ? AND seq IN ({})"
HELD_AMONG = "SELECT seq FROM held INDEXED BY held_seq WHERE pipeline = ? AND seq IN ({})"
JOURNAL_AFTER = "SELECT seq FROM journal WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"

ASK = "INSERT INTO replay (pipeline, kind, wanted, asked_at_ms, cursor, last) VALUES (?, ?, ?, ?, ?, ?)"
REPLAYS = """
SELECT r.id, p.name, r.pipeline, r.kind, r.wanted, r.asked_at_ms, r.cursor, r.last, r.chosen, r.anew, r.outcomes,
       r.left_out, r.done_at_ms, (SELECT count(*) FROM replaying WHERE replay = r.id)
FROM replay r JOIN pipeline p ON p.id = r.pipeline WHERE {} ORDER BY r.id
"""
OPEN, OF_ID = REPLAYS.format("r.done_at_ms IS NULL"), REPLAYS.format("r.id = ?")
# In the background lane; the vendor may have it already, so no request has it with others.
SEND_AGAIN = """
INSERT OR IGNORE INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason,
    checksum, told, is_live, alone)
VALUES (?, ?, ?, NULL, ?, 0, ?, ?, 'replay', ?, ?, 0, 1)
"""
LETTER = "SELECT 1 FROM dead WHERE pipeline = ? AND seq = ?"
UNBURY = "DELETE FROM dead WHERE pipeline = ? AND seq = ?"
ON_ITS_WAY = "INSERT OR IGNORE INTO replaying (replay, visitor, seq) VALUES (?, ?, ?)"
# Those of a replay that wait no more, with how they ended.
ENDED = """
SELECT y.seq, coalesce((SELECT s.fate FROM settled s WHERE s.pipeline = r.pipeline AND s.seq = y.seq), 'erased')
FROM replaying y JOIN replay r ON r.id = y.replay
WHERE y.replay = ? AND NOT EXISTS (
    SELECT 1 FROM waiting w WHERE w.pipeline = r.pipeline AND w.visitor = y.visitor AND w.seq = y.seq)
"""
OVER = "DELETE FROM replaying WHERE replay = ? AND seq = ?"
MOVE = "UPDATE replay SET cursor = ?, chosen = chosen + ?, anew = anew + ?, left_out = ? WHERE id = ?"
NOTE = "UPDATE replay SET outcomes = ? WHERE id = ?"
# What was asked for may name somebody: it goes as soon as nobody needs it.
END = "UPDATE replay SET done_at_ms = ?, wanted = '{}' WHERE id = ?"
OPEN_OF = """
SELECT r.cursor - p.cursor, EXISTS (SELECT 1 FROM waiting w WHERE w.pipeline = p.id)
FROM pipeline p CROSS JOIN resolver r WHERE p.id = ?
"""

Kind: TypeAlias = Literal["dead", "stored"]
# Why an event is not sent again; a closed set, as screens show it.
NOT_AGAIN = {
    "withheld": "consent does not hold for it",
    "erased": "its person was erased",
    "open": "it waits or is held already",
    "dead": "it is a dead letter; `edge dead replay` is for those",
    "duplicate": "it repeats another event",
    "gone": "neither the envelope nor a payload is kept",
    "forgotten": "the journal no longer has it, so nobody knows what was granted",
    "unreached": "the pipeline has not come to it yet",
    "unwanted": "today's pipeline would not send it, or its visitor is not known",
    "unrendered": "today's pipeline cannot make a payload of it",
    "too_old": "the destination takes no event as old as it is",
    "other": "it is another event, or another visitor's",
}


@dataclass(frozen=True, slots=True)
class Stored:
    """Which stored events are meant: numbers in [first, last], and of them those of a name, of some visitors."""

    first: int
    last: int
    event: str | None = None
    visitors: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay and how far it is; `open` of the `chosen` are on their way, `anew` of them from their envelopes."""

    id: int
    pipeline: str
    pipeline_id: int
    kind: Kind
    wanted: Letters | Stored
    asked_at_ms: int
    cursor: int
    last: int
    chosen: int
    anew: int
    outcomes: Mapping[str, int]
    left_out: Mapping[str, int]
    done_at_ms: int | None
    open: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """An event that may be sent again, with what is known of it now; `now` None: the pipeline began after it.

    `journal` None: the journal does not have it any more.
    """

    seq: int
    visitor: int
    journal: JournalFate | None
    now: Fate | None
    is_reached: bool
    granted: Purpose
    received_at_ms: int = 0
    identifiers: Identifiers = field(default_factory=Identifiers)
    payload: bytes | None = None
    is_payload_sound: bool = True
    time_ms: int = 0
    told: Purpose = Purpose.NONE


@dataclass(frozen=True, slots=True)
class Again:
    """An event that is sent again; `payload` None: rendered from its envelope, by today's pipeline.

    Of a payload `time_ms` is its event's, and `told` what was granted when it was rendered.
    """

    seq: int
    visitor: int
    payload: bytes | None = None
    time_ms: int = 0
    told: Purpose = Purpose.NONE


async def fates_now(db: aiosqlite.Connection, pipeline: int, seqs: Sequence[int]) -> dict[int, Fate | None]:
    """Give where events stand in a pipeline; None where its pages do not have them."""
    if not seqs:
        return {}
    fates: dict[int, Fate | None] = dict.fromkeys(seqs)
    pages = await fetch(db, PAGES_OVER, (pipeline, min(seqs), max(seqs)))
    for first, last, encoded in pages:
        fates |= {seq: fate_at(encoded, seq - first) for seq in seqs if first <= seq <= last}
    fates |= {seq: Fate(fate) for seq, fate in await fetch_in(db, SETTLED_AMONG, seqs, pipeline)}
    for sql, fate in ((HELD_AMONG, Fate.HELD), (WAITING_AMONG, Fate.WAITING)):
        fates |= {seq: fate for (seq,) in await fetch_in(db, sql, seqs, pipeline)}
    return fates


async def stored_after(
    db: aiosqlite.Connection, pipeline: str, *, after: int, last: int, limit: int
) -> list[Candidate]:
    """Give the next journal rows of a span as candidates, in order."""
    number, cursor = (await fetch(db, PLACE, (pipeline,)))[0]
    seqs = [row[0] for row in await fetch(db, JOURNAL_AFTER, (after, last, limit))]
    return await _candidates(db, number, cursor, seqs)


async def _candidates(db: aiosqlite.Connection, pipeline: int, cursor: int, seqs: Sequence[int]) -> list[Candidate]:
    decisions = await read_decisions(db, seqs)
    fates = await fates_now(db, pipeline, [one.seq for one in decisions])
    people = await identifiers_of(db, {one.person for one in decisions if one.person is not None})
    kept = await vendor_ids_of(db, {one.visitor for one in decisions if one.visitor is not None})

    def known(one: DecisionView) -> Identifiers:
        named, ids = people.get(one.person or 0, NOBODY), kept.get(one.visitor or 0, ())
        return known_at(named, ids, one.received_at_ms, own_id=one.anonymous_id)

    return [
        Candidate(
            seq=one.seq,
            visitor=one.visitor or 0,
            journal=one.fate,
            now=fates[one.seq],
            is_reached=one.seq <= cursor,
            granted=one.granted & ~one.withdrawn,
            received_at_ms=one.received_at_ms,
            identifiers=known(one),
        )
        for one in sorted(decisions, key=lambda decision: decision.seq)
    ]


class ReplayLedger:
    """What is asked for, how far it is, and the step that makes events wait again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ask(self, pipeline: str, wanted: Letters | Stored, now_ms: int) -> int:
        """Store what is asked for; give its number.

        Raises:
            ValueError: no pipeline has this name.
        """
        async with self._database.transaction() as db:
            places = await fetch(db, PLACE, (pipeline,))
            if not places:
                raise ValueError("pipeline: no pipeline has this name")
            number, cursor = places[0]
            if isinstance(wanted, Letters):
                values = (number, "dead", orjson.dumps(wanted.told()).decode(), now_ms, 0, cursor)
            else:
                told = orjson.dumps({"event": wanted.event, "visitors": wanted.visitors}).decode()
                values = (number, "stored", told, now_ms, wanted.first - 1, min(wanted.last, cursor))
            await db.execute(ASK, values)
            return int((await fetch(db, "SELECT last_insert_rowid()"))[0][0])

    async def open_ones(self) -> list[Replay]:
        """Give what is not done, the oldest first."""
        async with self._database.snapshot() as db:
            return [_replay(row) for row in await fetch(db, OPEN)]

    async def find(self, number: int) -> Replay:
        """Give one replay."""
        async with self._database.snapshot() as db:
            return _replay((await fetch(db, OF_ID, (number,)))[0])

    async def open_of(self, one: Replay) -> tuple[int, bool]:
        """Give how many live events its pipeline has not come to, and whether any event waits in it."""
        async with self._database.snapshot() as db:
            behind, is_any_waiting = (await fetch(db, OPEN_OF, (one.pipeline_id,)))[0]
            return behind, bool(is_any_waiting)

    async def look(self, one: Replay, limit: int) -> tuple[list[Candidate], int]:
        """Give the next candidates, and up to where was looked; a bounded look."""
        async with self._database.snapshot() as db:
            if isinstance(one.wanted, Letters):
                return await self._look_at_letters(db, one, one.wanted, limit)
            found = await stored_after(db, one.pipeline, after=one.cursor, last=one.last, limit=limit)
            return found, found[-1].seq if found else one.last

    async def _look_at_letters(
        self, db: aiosqlite.Connection, one: Replay, wanted: Letters, limit: int
    ) -> tuple[list[Candidate], int]:
        # What dies again meanwhile is another letter.
        wanted = replace(wanted, until_ms=min(wanted.until_ms, one.asked_at_ms + 1))
        rows, end = await step(db, one.pipeline_id, wanted, after=one.cursor, to=one.last, limit=limit)
        known = {c.seq: c for c in await _candidates(db, one.pipeline_id, one.last, [row[0] for row in rows])}
        found = []
        for seq, visitor, payload, check, time_ms, told in rows:
            nobody = Candidate(seq, visitor, None, Fate.DEAD, True, Purpose.NONE)
            is_sound = check == checksum(seq, payload)
            one_of_them = replace(known.get(seq, nobody), time_ms=time_ms, told=Purpose(told))
            found.append(replace(one_of_them, payload=payload or None, is_payload_sound=is_sound))
        return found, end

    async def send(
        self, one: Replay, chosen: Sequence[Again], left_out: Counter[str], *, upto: int, now_ms: int
    ) -> None:
        """Let the chosen wait, taken from where they stand, and note how far it is: in one transaction."""
        async with self._database.transaction() as db:
            fates = await fates_now(db, one.pipeline_id, [again.seq for again in chosen])
            erased = await erased_among(db, fates)
            kept = [again for again in chosen if again.seq not in erased]
            sent = [again for again in kept if await _still(db, one, again, fates[again.seq])]
            late = Counter({"erased": len(chosen) - len(kept), "open": len(kept) - len(sent)})
            left_out = Counter(one.left_out) + left_out + late
            await db.executemany(SEND_AGAIN, [_waiting_values(one, again, now_ms) for again in sent])
            await db.executemany(UNBURY, [(one.pipeline_id, again.seq) for again in sent])
            await db.executemany(ON_ITS_WAY, [(one.id, again.visitor, again.seq) for again in sent])
            await keep_firsts_due(db, one.pipeline_id, {again.visitor for again in sent}, now_ms)
            moved = Counter(fate.value for again in sent if (fate := fates[again.seq]) is not None)
            counts = [(one.pipeline_id, fate, -events) for fate, events in moved.items()]
            await db.executemany(TALLY, [*counts, (one.pipeline_id, Fate.WAITING.value, len(sent))])
            anew = sum(again.payload is None for again in sent)
            told = orjson.dumps({why: events for why, events in left_out.items() if events}).decode()
            await db.execute(MOVE, (upto, len(sent), anew, told, one.id))

    async def note_ended(self, one: Replay, now_ms: int) -> bool:
        """Count those that wait no more; True when the replay is done with that."""
        async with self._database.transaction() as db:
            ended = await fetch(db, ENDED, (one.id,))
            outcomes = Counter(one.outcomes) + Counter(fate for _, fate in ended)
            if ended:
                await db.executemany(OVER, [(one.id, seq) for seq, _ in ended])
                await db.execute(NOTE, (orjson.dumps(outcomes).decode(), one.id))
            is_done = one.cursor >= one.last and one.open == len(ended)
            if is_done:
                await db.execute(END, (now_ms, one.id))
        return is_done


async def _still(db: aiosqlite.Connection, one: Replay, again: Again, fate: Fate | None) -> bool:
    """Tell whether an event may still go: nobody has let the letter go, or sent the event again, since the look."""
    if one.kind == "dead":
        return fate is Fate.DEAD and bool(await fetch(db, LETTER, (one.pipeline_id, again.seq)))
    return fate not in (Fate.WAITING, Fate.HELD, Fate.DEAD, Fate.WITHHELD, Fate.ERASED)


def _waiting_values(one: Replay, again: Again, now_ms: int) -> tuple[int | bytes | None, ...]:
    place = (one.pipeline_id, again.visitor, again.seq)
    return (*place, now_ms, again.time_ms, again.payload, checksum(again.seq, again.payload), int(again.told))


def _replay(row: Iterable[Any]) -> Replay:
    number, name, pipeline, kind, wanted, asked_at_ms, cursor, last, chosen, anew, outcomes, left_out, done, on_way = (
        row
    )
    told = orjson.loads(wanted)
    if kind == "dead":
        meant: Letters | Stored = letters_of(told)
    else:
        visitors = told.get("visitors")
        meant = Stored(cursor + 1, last, told.get("event"), None if visitors is None else tuple(visitors))
    return Replay(
        id=number,
        pipeline=name,
        pipeline_id=pipeline,
        kind=kind,
        wanted=meant,
        asked_at_ms=asked_at_ms,
        cursor=cursor,
        last=last,
        chosen=chosen,
        anew=anew,
        outcomes=orjson.loads(outcomes),
        left_out=orjson.loads(left_out),
        done_at_ms=done,
        open=on_way,
    )
