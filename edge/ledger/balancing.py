"""The balance of a span: what was accepted stands, in every pipeline, at exactly one fate of the closed set."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiosqlite

from edge.delivery import Fate
from edge.ledger.database import fetch
from edge.ledger.fates import runs_of

# The journal's rows of a span by the resolver's word: all, duplicates; and the first and last number.
JOURNAL = "SELECT count(*), coalesce(sum(fate = 1), 0), min(seq), max(seq) FROM journal WHERE seq >= ? AND seq <= ?"
OPEN_AMONG = "SELECT count(*) FROM journal WHERE seq >= ? AND seq <= ? AND fate <> 1"
PIPELINES = "SELECT id, name, cursor, began FROM pipeline ORDER BY name"
PAGES = "SELECT first, last, fates FROM page WHERE pipeline = ? AND last >= ? AND first <= ? ORDER BY last"
# Where an event stands now, if not where its page says: the latest word wins.
NOW = """
SELECT seq, min(rank), fate FROM (
    SELECT seq, 1 AS rank, 'waiting' AS fate FROM waiting WHERE pipeline = ?1 AND seq >= ?2 AND seq <= ?3
    UNION ALL
    SELECT seq, 2, 'held' FROM held WHERE pipeline = ?1 AND seq >= ?2 AND seq <= ?3
    UNION ALL
    SELECT seq, 3, fate FROM settled WHERE pipeline = ?1 AND seq >= ?2 AND seq <= ?3
) GROUP BY seq ORDER BY seq
"""
MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class PipelineBalance:
    """One pipeline's side; `missing` is what no fate accounts for, below zero what counts twice.

    `lost` names the first events whose pages left them open, and which neither wait nor are held nor have ended.
    """

    name: str
    fates: dict[str, int]
    not_reached: int
    before_it_began: int
    missing: int
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Balance:
    """A span's sum: accepted = duplicates + what each pipeline accounts for."""

    first: int
    last: int
    accepted: int
    duplicates: int
    pipelines: tuple[PipelineBalance, ...]

    @property
    def is_even(self) -> bool:
        """Whether nothing vanished and nothing counts twice."""
        return not any(one.missing or one.lost for one in self.pipelines)


async def read_balance(db: aiosqlite.Connection, first: int, last: int) -> Balance:
    """Add up the journal's rows in [first, last], and what pages and tables of the open say of them.

    The journal is counted apart from the pages, so that a page or a row too few or too many is seen.
    """
    accepted, duplicates, oldest, newest = (await fetch(db, JOURNAL, (first, last)))[0]
    if not accepted:
        return Balance(first, last, 0, 0, ())
    pipelines = [await _pipeline(db, row, oldest, newest, accepted - duplicates) for row in await fetch(db, PIPELINES)]
    return Balance(oldest, newest, accepted, duplicates, tuple(pipelines))


async def _pipeline(
    db: aiosqlite.Connection, row: tuple[Any, ...], first: int, last: int, events: int
) -> PipelineBalance:
    number, name, cursor, began = row
    not_reached = await _open_among(db, max(cursor + 1, first), last)
    before = await _open_among(db, first, min(began, last))
    pages = await fetch(db, PAGES, (number, first, last))
    now = await fetch(db, NOW, (number, first, last))
    counts, found, lost = _add_up(pages, now, first, last)
    again = sum(1 for seq, _, _ in now if seq <= began)  # sent though it is from before the pipeline began
    missing = events - not_reached - (before - again) - found
    return PipelineBalance(name, dict(counts), not_reached, before - again, missing, tuple(lost[:MAX_NAMED]))


async def _open_among(db: aiosqlite.Connection, first: int, last: int) -> int:
    return int((await fetch(db, OPEN_AMONG, (first, last)))[0][0]) if first <= last else 0


def _add_up(
    pages: list[tuple[int, int, str]], now: list[tuple[int, int, str]], first: int, last: int
) -> tuple[Counter[str], int, list[int]]:
    """Count fates: the pages' own, but for events that stand elsewhere now."""
    counts: Counter[str] = Counter()
    lost: list[int] = []
    exceptions = iter([*((seq, fate) for seq, _, fate in now), (last + 1, "")])
    seq, fate = next(exceptions)
    for start, end, was in _clipped(pages, first, last):
        at = start
        while seq < start:  # outside every page: from before the pipeline began
            counts[fate] += 1
            seq, fate = next(exceptions)
        while seq <= end:
            _count(counts, lost, was, at, seq - 1)
            counts[fate] += 1
            at = seq + 1
            seq, fate = next(exceptions)
        _count(counts, lost, was, at, end)
    while seq <= last:
        counts[fate] += 1
        seq, fate = next(exceptions)
    counts = +counts
    return counts, counts.total(), lost


def _count(counts: Counter[str], lost: list[int], was: Fate | None, start: int, end: int) -> None:
    if start > end or was is None:
        return
    if was in (Fate.WAITING, Fate.HELD):
        lost += range(start, min(end, start + MAX_NAMED) + 1)
    else:
        counts[was.value] += end - start + 1


def _clipped(pages: list[tuple[int, int, str]], first: int, last: int) -> Iterator[tuple[int, int, Fate | None]]:
    """Give the pages' runs of one fate within [first, last]."""
    for begin, _, encoded in pages:
        at = begin
        for length, fate in runs_of(encoded):
            start, end = max(at, first), min(at + length - 1, last)
            if start <= end:
                yield start, end, fate
            at += length
