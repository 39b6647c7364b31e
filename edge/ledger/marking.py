"""Marking events that are erased: their deliveries end, no pipeline takes them, and the spool is to lose them."""

from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite

from edge.delivery import Fate
from edge.identity import Traces
from edge.ledger.answers import JOURNAL_COLUMNS, JOURNAL_FATE, JOURNAL_WIDTH
from edge.ledger.database import checksum, fetch, fetch_in, put
from edge.ledger.records import JournalFate
from edge.ledger.releasing import MARK as MARK_RELEASING
from edge.ledger.releasing import TALLY, keep_one_due

MARK_OF_VISITORS = tuple(
    f"INSERT OR IGNORE INTO erasing (seq, erasure) SELECT seq, ? FROM {table} WHERE visitor IN ({{}})"  # noqa: S608
    for table in ("journal", "dead")
)
MARK = "INSERT OR IGNORE INTO erasing (seq, erasure) VALUES (?, ?)"
MARK_REPEATS = """
INSERT OR IGNORE INTO erasing (seq, erasure)
SELECT again.seq, ?1 FROM erasing e JOIN journal j ON j.seq = e.seq JOIN journal again ON again.key = j.key
WHERE e.erasure = ?1 AND length(j.key) > 0
"""
MARKED = f"""
SELECT {JOURNAL_COLUMNS} FROM erasing e JOIN journal j ON j.seq = e.seq WHERE e.erasure = ? AND j.fate = 0
"""  # noqa: S608 - the names of columns, which stand in this package
ERASE = "UPDATE journal SET fate = ?, checksum = ? WHERE seq = ?"

# What is open or dead of the marked events, by the tables' own keys.
OPEN_OF = """
FROM erasing e CROSS JOIN journal j ON j.seq = e.seq CROSS JOIN pipeline p
    CROSS JOIN {table} o ON o.pipeline = p.id AND o.visitor = j.visitor AND o.seq = e.seq WHERE e.erasure = ?1
"""
WAITING_OF, HELD_OF = OPEN_OF.format(table="waiting"), OPEN_OF.format(table="held")
# Letters outlive the journal.
DEAD_OF = """
FROM erasing e CROSS JOIN pipeline p CROSS JOIN dead o ON o.pipeline = p.id AND o.seq = e.seq WHERE e.erasure = ?1
"""
COUNT_OPEN = "SELECT o.pipeline, count(*) {} GROUP BY o.pipeline"
VISITORS_WAITING = "SELECT DISTINCT o.pipeline, o.visitor " + WAITING_OF
VISITORS_HELD = "SELECT DISTINCT o.pipeline, o.visitor, 0 " + HELD_OF
END_OPEN = """
INSERT OR REPLACE INTO settled (pipeline, seq, fate, attempts, settled_at_ms, revision)
SELECT o.pipeline, o.seq, 'erased', 0, ?2, coalesce(
    (SELECT g.revision FROM page g WHERE g.pipeline = o.pipeline AND g.last >= o.seq ORDER BY g.last LIMIT 1), 0)
"""
HOLDERS = (
    (Fate.WAITING, WAITING_OF, f"DELETE FROM waiting WHERE rowid IN (SELECT o.rowid {WAITING_OF})"),  # noqa: S608
    (
        Fate.HELD,
        HELD_OF,
        f"DELETE FROM held WHERE (pipeline, visitor, seq) IN (SELECT o.pipeline, o.visitor, o.seq {HELD_OF})",  # noqa: S608
    ),
    (Fate.DEAD, DEAD_OF, f"DELETE FROM dead WHERE rowid IN (SELECT o.rowid {DEAD_OF})"),  # noqa: S608
)

ADD_DELIVERIES = "UPDATE erasure SET deliveries = deliveries + ? WHERE id = ?"

PAYLOADS = """
SELECT seq, payload FROM waiting WHERE payload IS NOT NULL AND ({0})
UNION SELECT seq, payload FROM dead WHERE ({0})
"""
HOLDS_PAYLOAD = "instr(lower(CAST(payload AS TEXT)), ?) > 0"
LETTERS = "SELECT pipeline, seq, request, response FROM dead WHERE {}"
HOLDS_LETTER = "instr(lower(request || response), ?) > 0"
# A replay that chooses by a text that names somebody chooses nothing more.
END_REPLAY = "UPDATE replay SET wanted = '{}', cursor = last WHERE instr(lower(wanted), ?) > 0"
BLANK_LETTER = "UPDATE dead SET request = '', response = '' WHERE pipeline = ? AND seq = ?"


async def mark_of(db: aiosqlite.Connection, number: int, visitors: Iterable[int]) -> None:
    """Mark what visitors did, and the repeats of it. Without an index on the visitor: one walk through the journal."""
    for sql in MARK_OF_VISITORS:
        await fetch_in(db, sql, visitors, number)
    await db.execute(MARK_REPEATS, (number,))


async def erase_marked(db: aiosqlite.Connection, number: int, now_ms: int) -> None:
    """End every delivery of the marked events that is open or dead, and let no pipeline take them any more."""
    ended = 0
    visitors = await fetch(db, VISITORS_WAITING, (number,))
    # Who else's event named the person: what was held behind it need not wait for it any more.
    await put(db, MARK_RELEASING, await fetch(db, VISITORS_HELD, (number,)))
    for fate, theirs, remove in HOLDERS:
        counts = await fetch(db, COUNT_OPEN.format(theirs), (number,))
        await db.execute(END_OPEN + theirs, (number, now_ms))
        await db.execute(remove, (number,))
        await db.executemany(TALLY, [(pipeline, fate.value, -events) for pipeline, events in counts])
        await db.executemany(TALLY, [(pipeline, Fate.ERASED.value, events) for pipeline, events in counts])
        ended += sum(events for _, events in counts)
    for pipeline, visitor in visitors:
        await keep_one_due(db, pipeline, visitor, now_ms)
    await db.execute(ADD_DELIVERIES, (ended, number))
    rows = [row[:JOURNAL_WIDTH] for row in await fetch(db, MARKED, (number,)) if row[JOURNAL_WIDTH] == _check(row)]
    erased = [(*row[:JOURNAL_FATE], int(JournalFate.ERASED), *row[JOURNAL_FATE + 1 :]) for row in rows]
    await put(db, ERASE, [(row[JOURNAL_FATE], _check(row), row[0]) for row in erased])


def _check(row: Sequence[Any]) -> int:
    return checksum(*row[:JOURNAL_WIDTH])


async def find_in_payloads(db: aiosqlite.Connection, traces: Traces) -> set[int]:
    """Find rendered payloads that name somebody: they outlive the segments that they came from."""
    needles = traces.needles
    if not needles:
        return set()
    sql = PAYLOADS.format(" OR ".join([HOLDS_PAYLOAD] * len(needles)))
    return {seq for seq, payload in await fetch(db, sql, (*needles, *needles)) if traces.in_body(payload)}


async def blank_letters(db: aiosqlite.Connection, traces: Traces) -> None:
    """Blank what was said and answered in others' letters that name somebody: one request may carry several persons."""
    needles = traces.needles
    if not needles:
        return
    rows = await fetch(db, LETTERS.format(" OR ".join([HOLDS_LETTER] * len(needles))), needles)
    named = [row[:2] for row in rows if traces.in_text(row[2]) or traces.in_text(row[3])]
    await db.executemany(BLANK_LETTER, named)
    await db.executemany(END_REPLAY, [(needle,) for needle in needles])
