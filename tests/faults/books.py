"""What the service's own ledger and spool hold, read from their files without asking the service.

The pages' fates are expanded here by this file's own reading of them, so that each event's outcome is counted one by
one and held against the tally that the service keeps.
"""

import json
import re
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

DUPLICATE = 1  # of the journal's fates
WORDS = "delivered withheld unmapped skipped expired dead waiting held damaged erased"
FATES = dict(zip("dcusexwhbr", WORDS.split(), strict=True))
OPEN = ("waiting", "held")


@dataclass(frozen=True, slots=True)
class Books:
    """What the service's own ledger says; `outcomes` are its single events', counted by us."""

    last_seq: int
    journalled: int
    duplicates: int
    fates: dict[str, int]
    outcomes: dict[str, int]
    uncovered: tuple[int, ...]
    open: int
    dead: int
    resolved_to: int
    cursor: int


def read_books(data_dir: Path) -> Books:
    """Read the ledger as it is now, without writing."""
    with closing(sqlite3.connect(f"file:{data_dir}/ledger.db?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        one = lambda sql: db.execute(sql).fetchone()[0]  # noqa: E731 - a word for one value
        outcomes, uncovered = _outcomes(db)
        return Books(
            last_seq=one("SELECT coalesce(max(seq), 0) FROM journal"),
            journalled=one("SELECT count(*) FROM journal"),
            duplicates=one(f"SELECT count(*) FROM journal WHERE fate = {DUPLICATE}"),
            fates=dict(db.execute("SELECT fate, sum(events) FROM tally GROUP BY fate HAVING sum(events) != 0")),
            outcomes=dict(outcomes),
            uncovered=uncovered,
            open=one("SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM held)"),
            dead=one("SELECT count(*) FROM dead"),
            resolved_to=one("SELECT cursor FROM resolver"),
            cursor=one("SELECT coalesce(min(cursor), 0) FROM pipeline"),
        )


def _outcomes(db: sqlite3.Connection) -> tuple[Counter[str], tuple[int, ...]]:
    """Count each (event, pipeline)'s outcome; give the numbers below a cursor that no page or two pages have."""
    counted: Counter[str] = Counter()
    uncovered: list[int] = []
    late = {(p, seq): fate for p, seq, fate in db.execute("SELECT pipeline, seq, fate FROM settled")}
    for number, cursor in db.execute("SELECT id, cursor FROM pipeline").fetchall():
        following = 1
        pages = "SELECT first, last, fates FROM page WHERE pipeline = ? ORDER BY first"
        for first, last, fates in db.execute(pages, (number,)):
            uncovered += range(min(first, following), max(first, following))
            following = last + 1
            letters = "".join(letter * int(length) for length, letter in re.findall(r"(\d+)(\D)", fates))
            for seq, letter in enumerate(letters, first):
                if letter in FATES:
                    counted[_last(FATES[letter], late.get((number, seq)))] += 1
        uncovered += range(min(following, cursor + 1), max(following, cursor + 1))
    return counted, tuple(uncovered)


def _last(fate: str, late: str | None) -> str:
    """Give where an event stands: what ended later counts only for what was open."""
    return late if late is not None and fate in OPEN else fate


def spool_numbers(data_dir: Path) -> list[int]:
    """Give every stored event's number, segment by segment in the order they were begun."""
    return [number for number, _ in _rows(data_dir, "seq")]


def stored_ids(data_dir: Path) -> set[str]:
    """Give the id of every event that lies in the spool and can be read."""
    ids: set[str] = set()
    for _, body in _rows(data_dir, "body"):
        with suppress(ValueError):
            ids.add(json.loads(body)[0])
    return ids


def _rows(data_dir: Path, column: str) -> list[tuple[int, bytes]]:
    rows: list[tuple[int, bytes]] = []
    for path in sorted((data_dir / "spool").glob("*.segment")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            rows += db.execute(f"SELECT seq, {column} FROM event ORDER BY seq")
    return rows


def is_at_rest(data_dir: Path) -> bool:
    """Tell whether everything in the spool has been resolved, and nothing of it waits."""
    try:
        books, stored = read_books(data_dir), max(spool_numbers(data_dir), default=0)
    except sqlite3.Error:
        return False  # a segment goes, or begins, at this very moment
    return not books.open and books.cursor == books.resolved_to >= stored
