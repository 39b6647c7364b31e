"""Dead letters as the verbs choose them: by pipeline, event, class of the reason, moment, error, or number."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import aiosqlite

from edge.ledger.database import Database, fetch

# The closed set of why a delivery is dead. The two texts are what the drainer writes.
KILLER_REASON = "delivering it ended the process three times in a row"
UNCLEAR_REASON = "answer not understood"
REASON_CLASSES: Final[Mapping[str, str]] = {
    "rejected": "the destination answered that it will never take this payload",
    "unclear": "the destination's answer was not understood, also when asked again where that does no harm",
    "unrendered": "the pipeline's file could not make a payload of the event; nothing was sent",
    "killer": "delivering it ended the process three times in a row",
}
CLASS = f"""
CASE WHEN reason = '{KILLER_REASON}' THEN 'killer' WHEN reason LIKE '{UNCLEAR_REASON}%' THEN 'unclear'
     WHEN length(payload) = 0 THEN 'unrendered' ELSE 'rejected' END
"""
MATCHES = f"""
    (:event IS NULL OR event_name = :event) AND (:reason_class IS NULL OR {CLASS} = :reason_class)
    AND (:text IS NULL OR instr(lower(reason || char(10) || response), :text) > 0)
    AND died_at_ms >= :since_ms AND died_at_ms < :until_ms
    AND (:ids IS NULL OR event_id IN (SELECT value FROM json_each(:ids)) OR seq IN (SELECT value FROM json_each(:ids)))
"""  # noqa: S608 - our own words
PIPELINES = "SELECT id, name FROM pipeline WHERE ?1 IS NULL OR name = ?1 ORDER BY name"
# Of one pipeline, by the index on when they died: from when on only so many are looked at, and the newest of those.
SEARCHED_FROM = """
SELECT died_at_ms FROM dead INDEXED BY dead_died WHERE pipeline = :pipeline AND died_at_ms >= :since_ms
    AND died_at_ms < :until_ms ORDER BY died_at_ms DESC LIMIT 1 OFFSET :searched
"""
NEWEST = f"""
SELECT seq, event_id, event_name, died_at_ms, attempts, reason, {CLASS} FROM dead INDEXED BY dead_died
WHERE pipeline = :pipeline AND {MATCHES} ORDER BY died_at_ms DESC LIMIT :limit
"""  # noqa: S608 - our own words
WHOLE = f"""
SELECT seq, event_id, event_name, died_at_ms, attempts, reason, {CLASS}, request, response, payload
FROM dead WHERE pipeline = ? AND seq = ?
"""  # noqa: S608
BY_EVENT_ID = "SELECT pipeline, seq FROM dead INDEXED BY dead_event WHERE event_id = ? ORDER BY died_at_ms DESC LIMIT ?"
BY_SEQ = "SELECT pipeline, seq FROM dead WHERE pipeline = ? AND seq = ?"
# How many match, and of these how many are stored no more, and of those how many have no payload either.
COUNT = f"""
SELECT count(*), coalesce(sum(seq < :kept_from), 0), coalesce(sum(seq < :kept_from AND length(payload) = 0), 0)
FROM dead WHERE pipeline = :pipeline AND {MATCHES}
"""  # noqa: S608
# One bounded step through a pipeline's letters, in the order of the events.
STEP = "SELECT max(seq) FROM (SELECT seq FROM dead WHERE pipeline = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?)"
IN_STEP = f"""
SELECT seq, visitor, payload, checksum, time_ms, told FROM dead
WHERE pipeline = :pipeline AND seq > :after AND seq <= :to AND {MATCHES} ORDER BY seq LIMIT :limit
"""  # noqa: S608
DROP = f"DELETE FROM dead WHERE pipeline = :pipeline AND seq > :after AND seq <= :to AND {MATCHES}"  # noqa: S608

MAX_SEARCHED = 20_000
STEP_LETTERS = 2_000
FOR_EVER_MS = 2**62


@dataclass(frozen=True, slots=True)
class Letters:
    """Which dead letters are meant; None asks for all. Moments are those of the death, `until_ms` not included.

    `text` is looked for in reason and answer. `ids` are events' ids and numbers (as text or int).
    """

    pipeline: str | None = None
    event: str | None = None
    reason_class: str | None = None
    since_ms: int = 0
    until_ms: int = FOR_EVER_MS
    text: str | None = None
    ids: tuple[str | int, ...] = ()

    def told(self) -> dict[str, Any]:
        """Write it as JSON's words."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter; `request` and `response` are JSON texts, credentials masked, where it was read whole."""

    pipeline: str
    seq: int
    event_id: str
    event_name: str
    died_at_ms: int
    attempts: int
    reason: str
    reason_class: str
    request: str = ""
    response: str = ""
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class LetterCount:
    """How many letters of a pipeline are meant: `anew` can be rendered from the spool, `as_was` have their payload.

    `lost` have neither: nothing can be sent.
    """

    pipeline: str
    letters: int
    anew: int
    as_was: int
    lost: int


def letters_of(told: Mapping[str, Any]) -> Letters:
    """Read which letters a request means.

    Raises:
        ValueError: it has another shape.
    """
    texts = {name: told.get(name) for name in ("pipeline", "event", "reason_class", "text")}
    for name, value in texts.items():
        if value is not None and not (isinstance(value, str) and len(value) <= 1_000):
            raise ValueError(f"{name}: accepted is a text")
    if texts["reason_class"] is not None and texts["reason_class"] not in REASON_CLASSES:
        raise ValueError(f"reason_class: accepted is one of {', '.join(REASON_CLASSES)}")
    moments = [told.get("since_ms", 0), told.get("until_ms", FOR_EVER_MS)]
    if not all(type(at_ms) is int and 0 <= at_ms <= FOR_EVER_MS for at_ms in moments):
        raise ValueError("since_ms, until_ms: accepted are milliseconds since 1970")
    ids = told.get("ids", [])
    if not isinstance(ids, (list, tuple)) or not all(type(one) in (str, int) for one in ids):
        raise ValueError("ids: accepted is a list of events' ids and numbers")
    return Letters(
        pipeline=texts["pipeline"],
        event=texts["event"],
        reason_class=texts["reason_class"],
        since_ms=moments[0],
        until_ms=moments[1],
        text=texts["text"],
        ids=tuple(ids),
    )


async def newest(db: aiosqlite.Connection, wanted: Letters, limit: int) -> tuple[list[Letter], bool]:
    """Give the newest letters without what was said and answered, and whether older ones were not looked at."""
    found: list[Letter] = []
    is_cut = False
    for number, name in await fetch(db, PIPELINES, (wanted.pipeline,)):
        values = {**_values(wanted), "pipeline": number, "searched": MAX_SEARCHED, "limit": limit}
        oldest = next(iter(await db.execute_fetchall(SEARCHED_FROM, values)), None)
        if oldest is not None:
            values["since_ms"] = oldest[0]
        rows = list(await db.execute_fetchall(NEWEST, values))
        found += [Letter(name, *row) for row in rows]
        is_cut = is_cut or (oldest is not None and len(rows) < limit)
    found.sort(key=lambda letter: (letter.died_at_ms, letter.seq), reverse=True)
    return found[:limit], is_cut


async def whole(
    db: aiosqlite.Connection, pipeline: str | None, *, event_id: str | None = None, seq: int | None = None
) -> list[Letter]:
    """Give one event's letters with everything that is kept of them."""
    names = dict(await fetch(db, PIPELINES, (pipeline,)))
    places = [] if event_id is None else await fetch(db, BY_EVENT_ID, (event_id, STEP_LETTERS))
    if seq is not None:
        for number in names:
            places += await fetch(db, BY_SEQ, (number, seq))
    unique = [place for place in dict.fromkeys(tuple(place) for place in places) if place[0] in names]
    return [Letter(names[number], *row) for number, at in unique for row in await fetch(db, WHOLE, (number, at))]


async def count_letters(db: aiosqlite.Connection, wanted: Letters, kept_from: int) -> list[LetterCount]:
    """Count what is meant, by pipeline; envelopes are stored from a sequence number on."""
    counts = []
    for number, name in await fetch(db, PIPELINES, (wanted.pipeline,)):
        values = {**_values(wanted), "pipeline": number, "kept_from": kept_from}
        letters, gone, lost = next(iter(await db.execute_fetchall(COUNT, values)))
        if letters:
            counts.append(LetterCount(name, letters, letters - gone, gone - lost, lost))
    return counts


async def step(
    db: aiosqlite.Connection, pipeline: int, wanted: Letters, *, after: int, to: int, limit: int
) -> tuple[list[tuple[int, int, bytes, int, int, int]], int]:
    """Give the next matching letters and up to where was looked; bounded work.

    A letter is its number, visitor, payload, checksum, its event's time and what was granted when it was rendered.
    """
    end = (await fetch(db, STEP, (pipeline, after, to, STEP_LETTERS)))[0][0]
    if end is None:
        return [], to
    values = {**_values(wanted), "pipeline": pipeline, "after": after, "to": end, "limit": limit}
    rows: list[tuple[int, int, bytes, int, int, int]] = [
        tuple(row) for row in await db.execute_fetchall(IN_STEP, values)
    ]
    return rows, rows[-1][0] if len(rows) == limit else end


def _values(wanted: Letters) -> dict[str, Any]:
    told = wanted.told()
    told["text"] = _ascii_lower(wanted.text) if wanted.text is not None else None
    told["ids"] = _json_list(wanted.ids) if wanted.ids else None
    return told


def _json_list(ids: Sequence[str | int]) -> str:
    """Give ids as SQLite's json_each reads them: a number also stands as one, so that it is compared with numbers."""
    both = [*ids, *(int(one) for one in ids if isinstance(one, str) and one.isascii() and one.isdecimal())]
    return json.dumps(both)


def _ascii_lower(text: str) -> str:
    """Give a text as SQLite's lower() makes it."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


class LetterLedger:
    """Letting letters go, over the ledger's one writing connection."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pipelines(self, name: str | None) -> list[tuple[int, str]]:
        """Give the pipelines that letters may be of, with their numbers."""
        async with self._database.snapshot() as db:
            return [(number, text) for number, text in await fetch(db, PIPELINES, (name,))]

    async def drop(self, pipeline: int, wanted: Letters, after: int) -> tuple[int, int | None]:
        """Delete the next matching letters, one bounded step: how many, and up to where; None when that was all.

        The events stay `dead`, in the tally and in what is kept of their pages.
        """
        async with self._database.transaction() as db:
            end = (await fetch(db, STEP, (pipeline, after, FOR_EVER_MS, STEP_LETTERS)))[0][0]
            if end is None:
                return 0, None
            values = {**_values(wanted), "pipeline": pipeline, "after": after, "to": end}
            cursor = await db.execute(DROP, values)
            return max(0, cursor.rowcount), end
