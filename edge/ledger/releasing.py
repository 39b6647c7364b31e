"""Releasing what is held: in order, in slices, when its visitor is known and its consent is answered.

Of a visitor's held events in a pipeline the first that must still wait keeps those behind it, so that none overtakes.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import aiosqlite

from edge.consent import Purpose
from edge.consent_now import Decided, Since, as_of_now
from edge.delivery import Fate
from edge.ledger.answers import SINCE_COLUMNS, find_elsewhere
from edge.ledger.concerned import find_asked, find_named
from edge.ledger.database import fetch, fetch_in, put
from edge.ledger.persons import identifiers_of
from edge.ledger.records import Resolution

# What one transaction releases at most: it takes 20 to 40 ms, while which nobody else writes the ledger.
SLICE_EVENTS, SLICE_VISITORS = 500, 25
SWEPT_VISITORS = 200

WHO_IS_HELD = "SELECT DISTINCT pipeline, visitor FROM held WHERE visitor IN ({}) ORDER BY pipeline, visitor"
TERMS = "SELECT anonymous, by_click, purposes, is_enabled, fresh_ms FROM pipeline WHERE id = ?"
WHO = f"""
SELECT v.person, EXISTS (SELECT 1 FROM vendor_id c WHERE c.visitor = v.id AND c.kind = 'kx'), {SINCE_COLUMNS}
FROM visitor v WHERE v.id = ?
"""  # noqa: S608  # the names of columns, which stand in this package
# Only of servers' events does it count what the person answered elsewhere.
IS_TOLD = """
SELECT EXISTS (SELECT 1 FROM held h JOIN journal j ON j.seq = h.seq
               WHERE h.pipeline = ? AND h.visitor = ? AND h.waits <> 0 AND j.is_server)
"""
FIRST_HELD = """
SELECT h.seq, h.waits, j.granted, j.waits, j.is_server, j.received_at_ms FROM held h JOIN journal j ON j.seq = h.seq
WHERE h.pipeline = ? AND h.visitor = ? ORDER BY h.seq LIMIT ?
"""
ASKED_HELD = """
SELECT h.seq, h.waits, j.granted, j.waits, j.is_server, j.received_at_ms FROM held h JOIN journal j ON j.seq = h.seq
WHERE h.pipeline = ? AND h.visitor = ? AND h.waits <> 0 ORDER BY h.seq LIMIT ?
"""
OLDEST_ASKED = """
SELECT h.visitor, j.received_at_ms FROM held h INDEXED BY held_waits CROSS JOIN journal j ON j.seq = h.seq
WHERE h.pipeline = ? AND h.waits <> 0 ORDER BY h.seq LIMIT ?
"""
RELEASE = """
INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason, checksum, is_live)
VALUES (?, ?, ?, NULL, ?, 0, 0, NULL, 'released', 0, ?)
"""
UNHOLD = "DELETE FROM held WHERE pipeline = ? AND visitor = ? AND seq = ?"
WAIT_FOR_LESS = "UPDATE held SET waits = ? WHERE pipeline = ? AND visitor = ? AND seq = ?"
END = """
INSERT OR REPLACE INTO settled (pipeline, seq, fate, attempts, settled_at_ms, revision, reason)
SELECT id, ?2, ?3, 0, ?4, coalesce(revision, (SELECT max(id) FROM revision WHERE pipeline = ?1)), ?5
FROM pipeline WHERE id = ?1
"""
MARK = """
INSERT INTO releasing (pipeline, visitor, from_ms) VALUES (?, ?, ?)
ON CONFLICT (pipeline, visitor) DO UPDATE SET from_ms = max(from_ms, excluded.from_ms)
"""
MARKED = "SELECT visitor, from_ms FROM releasing WHERE pipeline = ? ORDER BY visitor LIMIT ?"
UNMARK = "DELETE FROM releasing WHERE pipeline = ? AND visitor = ?"
SWEPT_TO = "SELECT swept_to, EXISTS (SELECT 1 FROM releasing WHERE pipeline = pipeline.id) FROM pipeline WHERE id = ?"
SWEEP = "SELECT DISTINCT visitor FROM held WHERE pipeline = ? AND visitor > ? ORDER BY visitor LIMIT ?"
SWEPT = "UPDATE pipeline SET swept_to = ? WHERE id = ?"
# Of a visitor's waiting events only the first may be due.
BLOCK_FOLLOWERS = """
UPDATE waiting SET due_at_ms = NULL WHERE pipeline = ?1 AND visitor = ?2 AND due_at_ms IS NOT NULL
    AND seq > (SELECT min(seq) FROM waiting WHERE pipeline = ?1 AND visitor = ?2)
"""
UNBLOCK_FIRST = """
UPDATE waiting SET due_at_ms = ?3 WHERE pipeline = ?1 AND visitor = ?2 AND due_at_ms IS NULL
    AND seq = (SELECT min(seq) FROM waiting WHERE pipeline = ?1 AND visitor = ?2)
"""
# Nothing of the background stands in front of what is live of its visitor.
HASTEN = "UPDATE waiting SET is_live = 1 WHERE pipeline = ? AND visitor = ? AND seq < ? AND is_live = 0"
TALLY = """
INSERT INTO tally (pipeline, fate, events) VALUES (?, ?, ?)
ON CONFLICT (pipeline, fate) DO UPDATE SET events = events + excluded.events
"""

DENIED = "it waited for the visitor's answer, which was no"
UNANSWERED = "nobody answered about consent within consent.wait_for"
TOO_OLD = "when its visitor became known it was older than identity.retroactive_for"
DROPPED = "nobody knew the visitor when the file came to say anonymous: drop"
DISABLED = "the pipeline was disabled while it was held"


@dataclass(frozen=True, slots=True)
class _Terms:
    anonymous: str
    by_click: int
    purposes: int
    is_enabled: int
    fresh_ms: int


@dataclass(frozen=True, slots=True)
class _Visitor:
    """A visitor in one pipeline: whom it holds events of, what was answered, and what ends them."""

    pipeline: int
    visitor: int
    terms: _Terms
    is_known: bool
    since: Since
    from_ms: int
    unanswered_before_ms: int


@dataclass(frozen=True, slots=True)
class _Stays:
    """It must wait on; `waits` are the purposes that nobody has answered."""

    waits: Purpose


@dataclass(frozen=True, slots=True)
class _Goes:
    """It may be sent."""


@dataclass(frozen=True, slots=True)
class _Ends:
    """It will never be sent."""

    fate: Fate
    reason: str


_Verdict: TypeAlias = _Stays | _Goes | _Ends
_HeldRow: TypeAlias = tuple[int, int, int, int, int, int]


async def release_resolved(db: aiosqlite.Connection, page: Resolution) -> None:
    """Release what a page's links, clicks and answers set free; what is too much for its transaction is only marked."""
    known = await find_named(db, page)
    visitors = {*known, *page.answered, *await find_asked(db, page)}
    marks, left = [], SLICE_EVENTS
    for index, (pipeline, visitor) in enumerate(await fetch_in(db, WHO_IS_HELD, visitors)):
        from_ms = page.retroactive_from_ms if visitor in known else 0
        is_rest = True
        if left > 0 and index < SLICE_VISITORS:
            handled, is_rest = await release(db, pipeline, visitor, from_ms=from_ms, now_ms=page.now_ms, limit=left)
            left -= handled
        if is_rest:
            marks.append((pipeline, visitor, from_ms))
    await put(db, MARK, marks)


async def release_marked(db: aiosqlite.Connection, pipeline: int, now_ms: int) -> None:
    """Release the next slice of what is marked in a pipeline, and of what a change of its file may set free."""
    swept_to, _ = (await fetch(db, SWEPT_TO, (pipeline,)))[0]
    if swept_to is not None:
        found = [row[0] for row in await fetch(db, SWEEP, (pipeline, swept_to, SWEPT_VISITORS))]
        await put(db, MARK, [(pipeline, visitor, 0) for visitor in found])
        await db.execute(SWEPT, (found[-1] if found else None, pipeline))
    left = SLICE_EVENTS
    for visitor, from_ms in await fetch(db, MARKED, (pipeline, SLICE_VISITORS)):
        handled, is_rest = await release(db, pipeline, visitor, from_ms=from_ms, now_ms=now_ms, limit=left)
        left -= handled
        if not is_rest:
            await db.execute(UNMARK, (pipeline, visitor))
        if left <= 0:
            return


async def release_held_now(db: aiosqlite.Connection, pipeline: int, visitors: Iterable[int], now_ms: int) -> None:
    """Release what need not have been held: its visitor became known, or answered, since it was looked at."""
    marks = []
    for index, visitor in enumerate(sorted(visitors)):
        if index >= SLICE_VISITORS or (await release(db, pipeline, visitor, now_ms=now_ms, limit=SLICE_EVENTS))[1]:
            marks.append((pipeline, visitor, 0))
    await put(db, MARK, marks)


async def end_unanswered(db: aiosqlite.Connection, pipeline: int, before_ms: int, limit: int, now_ms: int) -> int:
    """End what was accepted before a moment and still waits for an answer; give how many changed."""
    rows = await fetch(db, OLDEST_ASKED, (pipeline, limit))
    over = dict.fromkeys(visitor for visitor, received_at_ms in rows if received_at_ms < before_ms)
    ended = 0
    for visitor in list(over)[:SLICE_VISITORS]:
        handled, is_rest = await release(
            db, pipeline, visitor, now_ms=now_ms, limit=limit, unanswered_before_ms=before_ms
        )
        ended += handled
        if is_rest:
            await db.execute(MARK, (pipeline, visitor, 0))
    return ended


async def release(
    db: aiosqlite.Connection,
    pipeline: int,
    visitor: int,
    *,
    from_ms: int = 0,
    now_ms: int,
    limit: int,
    unanswered_before_ms: int = 0,
) -> tuple[int, bool]:
    """Release a visitor's held events up to the first that must wait on, and end those that never will be sent.

    Args:
        from_ms: what was accepted earlier is too old for somebody who has just become known.
        limit: how many at most.
        unanswered_before_ms: what was accepted earlier waits no longer for an answer.
    Returns:
        How many were handled, and whether there may be more.
    """
    rows: Sequence[_HeldRow] = await fetch(db, FIRST_HELD, (pipeline, visitor, limit))
    one = await _visitor(db, pipeline, visitor, from_ms, unanswered_before_ms) if rows else None
    if one is None:
        return 0, False
    verdicts = [(row, _verdict(one, row)) for row in rows]
    first = next((index for index, (_, verdict) in enumerate(verdicts) if isinstance(verdict, _Stays)), len(rows))
    handled = await _apply(db, one, verdicts[:first], now_ms)
    if first == len(rows):
        return handled, len(rows) == limit
    asked: Sequence[_HeldRow] = await fetch(db, ASKED_HELD, (pipeline, visitor, limit))
    later = [(row, _as_behind(_verdict(one, row))) for row in asked]
    changed = await _apply(db, one, later, now_ms)
    return handled + changed, changed > 0 and len(asked) == limit


async def hasten(db: aiosqlite.Connection, live: Sequence[tuple[int, int, int]]) -> None:
    """Let nothing of the background stand in front of live events of its visitor: (pipeline, visitor, sequence)."""
    await put(db, HASTEN, live)


async def keep_one_due(db: aiosqlite.Connection, pipeline: int, visitor: int, now_ms: int) -> None:
    """Let only a visitor's first waiting event be due."""
    await keep_firsts_due(db, pipeline, [visitor], now_ms)


async def keep_firsts_due(db: aiosqlite.Connection, pipeline: int, visitors: Iterable[int], now_ms: int) -> None:
    """Let only the first waiting event of each visitor be due."""
    rows = [(pipeline, visitor, now_ms) for visitor in visitors]
    await put(db, BLOCK_FOLLOWERS, [row[:2] for row in rows])
    await put(db, UNBLOCK_FIRST, rows)


async def _visitor(
    db: aiosqlite.Connection, pipeline: int, visitor: int, from_ms: int, unanswered_before_ms: int
) -> _Visitor | None:
    found = await fetch(db, WHO, (visitor,))
    if not found:
        return None
    terms = _Terms(*(await fetch(db, TERMS, (pipeline,)))[0])
    person, has_clicked, browser, granted, denied, browser_denied = found[0]
    # A person may have nothing left that names it: what did was taken back by hand.
    is_named = person is not None and person in await identifiers_of(db, [person])
    is_known = is_named or bool(has_clicked and terms.by_click)
    elsewhere = None
    if person is not None and (await fetch(db, IS_TOLD, (pipeline, visitor)))[0][0]:
        elsewhere = (await find_elsewhere(db, [person]))[person].but(browser)
    return _Visitor(
        pipeline,
        visitor,
        terms,
        is_known,
        Since(granted, denied, browser_denied, elsewhere),
        from_ms,
        unanswered_before_ms,
    )


def _verdict(one: _Visitor, row: _HeldRow) -> _Verdict:
    _, _, granted, waits, is_server, received_at_ms = row
    needed, now = one.terms.purposes, as_of_now(Decided(granted, waits, bool(is_server)), one.since)
    if not one.terms.is_enabled:
        return _Ends(Fate.SKIPPED, DISABLED)
    if waits & needed & ~now.granted & ~now.waits:
        return _Ends(Fate.WITHHELD, DENIED)
    if one.is_known and received_at_ms < one.from_ms:
        return _Ends(Fate.EXPIRED, TOO_OLD)
    if not one.is_known and one.terms.anonymous == "drop":
        return _Ends(Fate.SKIPPED, DROPPED)
    missing = now.waits & Purpose(needed)
    if missing and received_at_ms < one.unanswered_before_ms:
        return _Ends(Fate.WITHHELD, UNANSWERED)
    if missing or (not one.is_known and one.terms.anonymous == "hold"):
        return _Stays(missing)
    return _Goes()


def _as_behind(verdict: _Verdict) -> _Verdict:
    """Keep what could go behind an earlier one that cannot."""
    return _Stays(Purpose.NONE) if isinstance(verdict, _Goes) else verdict


async def _apply(
    db: aiosqlite.Connection, one: _Visitor, verdicts: Sequence[tuple[_HeldRow, _Verdict]], now_ms: int
) -> int:
    """Do what was found, in the transaction that is open; give how many events it changed."""
    pipeline, visitor = one.pipeline, one.visitor
    goes, ends, stays = [], [], []
    for (seq, waits, _, _, _, received_at_ms), verdict in verdicts:
        match verdict:
            case _Goes():
                goes.append((pipeline, visitor, seq, now_ms, int(now_ms - received_at_ms <= one.terms.fresh_ms)))
            case _Ends(fate, reason):
                ends.append((pipeline, seq, fate, now_ms, reason))
            case _Stays(left) if left != waits:
                stays.append((int(left), pipeline, visitor, seq))
    if stays:
        await put(db, WAIT_FOR_LESS, stays)
    if not goes and not ends:
        return len(stays)
    await put(db, RELEASE, goes)
    if ends:
        await put(db, END, ends)
    gone = [*(row[2] for row in goes), *(row[1] for row in ends)]
    await put(db, UNHOLD, [(pipeline, visitor, seq) for seq in gone])
    counts = Counter(row[2] for row in ends)
    counts.update({Fate.HELD: -len(goes) - len(ends), Fate.WAITING: len(goes)})
    await put(db, TALLY, [(pipeline, fate, events) for fate, events in counts.items() if events])
    if goes:
        await hasten(db, [row[:3] for row in goes if row[-1]][-1:])
        await keep_one_due(db, pipeline, visitor, now_ms)
    return len(goes) + len(ends) + len(stays)
