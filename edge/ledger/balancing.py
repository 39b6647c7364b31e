"""The balance of a span: what was accepted stands, in every pipeline, at exactly one fate of the closed set."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import aiosqlite

from edge.delivery import Fate
from edge.ledger.database import fetch
from edge.ledger.fates import LETTERS, NO_EVENT, spelled

# The journal's rows of a span: all, and what the resolver called a duplicate.
JOURNAL = "SELECT count(*), coalesce(sum(fate = 1), 0) FROM journal WHERE seq >= ? AND seq <= ?"
ENDS = "SELECT min(seq), max(seq) FROM journal WHERE seq >= ? AND seq <= ?"
PIPELINES = "SELECT id, name, cursor, began FROM pipeline ORDER BY name"
PAGES = "SELECT first, last, fates FROM page WHERE pipeline = ? AND last >= ? AND first <= ? ORDER BY last"
# Where an event stands now, if not where its page says; of several words the last counts.
NOW = (
    "SELECT seq, fate FROM settled WHERE pipeline = ? AND seq >= ? AND seq <= ?",
    "SELECT seq, 'held' FROM held INDEXED BY held_seq WHERE pipeline = ? AND seq >= ? AND seq <= ?",
    "SELECT seq, 'waiting' FROM waiting INDEXED BY waiting_seq WHERE pipeline = ? AND seq >= ? AND seq <= ?",
)
MAX_NAMED = 10
ALL_LETTERS = tuple(LETTERS.values())
OPEN_LETTERS = frozenset({LETTERS[Fate.WAITING], LETTERS[Fate.HELD]})


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

    The journal is counted apart from the pages, so that a page or a row too few or too many is seen. It is read once:
    between the places where the pipelines stand and began.
    """
    oldest, newest = (await fetch(db, ENDS, (first, last)))[0]
    if oldest is None:
        return Balance(first, last, 0, 0, ())
    rows = await fetch(db, PIPELINES)
    cuts = {place + 1 for _, _, cursor, began in rows for place in (cursor, began) if oldest <= place < newest}
    starts = sorted({oldest, *cuts})
    spans = [
        _Span(start, end, *(await fetch(db, JOURNAL, (start, end)))[0])
        for start, end in zip(starts, [*(start - 1 for start in starts[1:]), newest], strict=True)
    ]
    pipelines = [await _pipeline(db, row, spans) for row in rows]
    events, duplicates = sum(span.events for span in spans), sum(span.duplicates for span in spans)
    return Balance(oldest, newest, events, duplicates, tuple(pipelines))


@dataclass(frozen=True, slots=True)
class _Span:
    """How many journal rows lie in [first, last]."""

    first: int
    last: int
    events: int
    duplicates: int

    @property
    def open(self) -> int:
        """How many of them the pipelines are to get."""
        return self.events - self.duplicates


async def _pipeline(db: aiosqlite.Connection, row: tuple[Any, ...], spans: Sequence[_Span]) -> PipelineBalance:
    number, name, cursor, began = row
    first, last = spans[0].first, spans[-1].last
    not_reached = sum(span.open for span in spans if span.first > cursor)
    before = sum(span.open for span in spans if span.last <= began)
    now: dict[int, str] = {}
    for sql in NOW:
        now.update(await fetch(db, sql, (number, first, last)))
    counts, lost = _add_up(await fetch(db, PAGES, (number, first, last)), now, first, last)
    again = sum(seq <= began for seq in now)  # sent though it is from before the pipeline began
    missing = sum(span.open for span in spans) - not_reached - (before - again) - counts.total()
    return PipelineBalance(name, dict(counts), not_reached, before - again, missing, tuple(lost))


def _add_up(
    pages: list[tuple[int, int, str]], now: dict[int, str], first: int, last: int
) -> tuple[Counter[str], list[int]]:
    """Count fates: the pages' own, but for events that stand elsewhere now; and name what was left open and is gone."""
    letters: Counter[str] = Counter()
    lost: list[int] = []
    seqs = sorted(now)
    at = 0
    for begin, end, encoded in pages:
        said = spelled(encoded)[max(0, first - begin) : last - begin + 1]
        begin = max(begin, first)
        at = bisect_left(seqs, begin, at)
        until = bisect_right(seqs, end, at)
        if at < until:
            said = _without(said, [seq - begin for seq in seqs[at:until]])
        at = until
        for letter in ALL_LETTERS:
            letters[letter] += said.count(letter)
        if len(lost) < MAX_NAMED and not OPEN_LETTERS.isdisjoint(said):
            lost += [begin + offset for offset, letter in enumerate(said) if letter in OPEN_LETTERS]
    counts = Counter(now.values())
    for fate, letter in LETTERS.items():
        if letter not in OPEN_LETTERS:
            counts[fate.value] += letters[letter]
    return +counts, lost[:MAX_NAMED]


def _without(said: str, offsets: Sequence[int]) -> str:
    """Take out what stands elsewhere now; every other letter keeps its place. A page may say too little."""
    letters = list(said)
    for offset in offsets:
        if offset < len(letters):
            letters[offset] = NO_EVENT
    return "".join(letters)
