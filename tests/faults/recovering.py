"""What a state of the disk comes to when the product starts on it, judged by what was promised before the crash."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.spool import SpoolReader
from edge.spool.segment import Segment, list_segments
from tests.backroom import Backroom
from tests.clock import FakeClock
from tests.eraser_room import EraserRoom, holding
from tests.faults.books import read_books
from tests.faults.life import DENIER, ERASED, ERASED_EMAIL, KNOWN, told_in

LATER_S = 3 * 86_400.0
FOOTER = "SELECT first, last, events FROM footer"


@dataclass(slots=True)
class Certain:
    """What the life before could rely on, gathered from its marks."""

    promised: dict[str, int] = field(default_factory=dict)
    sent: list[tuple[str, str]] = field(default_factory=list)
    resolved_to: int = 0
    cursor: int = 0
    is_erasing: bool = False
    was_given_back: bool = False

    @classmethod
    def from_marks(cls, marks: Iterable[Sequence[Any]]) -> "Certain":
        """Read the notes of a `Life`."""
        certain = cls()
        for what, *values in marks:
            match what:
                case "promised":
                    certain.promised[values[0]] = values[1]
                case "sent":
                    certain.sent.append(told_in(values[0]))
                case "ledger":
                    certain.resolved_to, certain.cursor = values
                case "erasure asked":
                    certain.is_erasing = True
                case "given back":
                    certain.was_given_back = True
        return certain


async def complaints(folder: Path, certain: Certain) -> list[str]:
    """Start on a folder, finish everything, stop; give what is not as it was promised."""
    clock = FakeClock()
    clock.advance(LATER_S)
    room = await Backroom.open(folder, clock)
    began = read_books(folder)
    stored = await _rows(folder)
    event = await room.store(1, "view_item", id="after")
    number = room.writer.last_seq
    await room.work()
    eraser = EraserRoom(room)
    await eraser.finish()
    await room.work()
    await room.close()
    wrong = [*_of_spool(certain, stored, number), *_of_files(folder)]
    if began.resolved_to < certain.resolved_to or began.cursor < certain.cursor:
        wrong.append(f"the ledger was at {certain.resolved_to}, {certain.cursor} and is {began}")
    sent = [*certain.sent, *(told_in(request.body) for request in room.transport.requests)]
    wrong += _of_deliveries(certain, sent, event.id)
    wrong += _of_books(folder, {event for event, _ in sent})
    if certain.is_erasing and (named := holding(folder, ERASED_EMAIL)):
        wrong.append(f"who was to be erased is named in {named}")
    return wrong


async def _rows(folder: Path) -> dict[int, tuple[str, bool]]:
    """Give every stored event's id by its number, and whether it is damaged."""
    reader = SpoolReader(folder / "spool")
    rows = await reader.read(0, 100_000)
    await reader.close()
    return {row.seq: (json.loads(row.body)[0] if row.body else "", row.is_damaged) for row in rows}


def _of_spool(certain: Certain, stored: dict[int, tuple[str, bool]], number: int) -> list[str]:
    wrong = []
    damaged = [seq for seq, (_, is_damaged) in stored.items() if is_damaged]
    if damaged:
        wrong.append(f"damaged: {damaged}")
    first = min(stored, default=number)
    if list(stored) != list(range(first, first + len(stored))):
        wrong.append(f"the numbers have holes: {list(stored)}")
    for event, seq in certain.promised.items():
        found = stored.get(seq, ("nothing", False))[0]
        is_gone = certain.was_given_back or seq < first or (certain.is_erasing and found == "")
        if found != event and not (is_gone and found in ("", "nothing")):
            wrong.append(f"promised {event} at {seq}, and there is {found}")
    if number <= max(certain.promised.values(), default=0):
        wrong.append(f"number {number} is used twice")
    return wrong


def _of_files(folder: Path) -> list[str]:
    """Ask SQLite of every file, and look at every sealed segment's footer."""
    wrong = []
    segments = list_segments(folder / "spool")
    for path in (folder / "ledger.db", *(segment.path for segment in segments)):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            said = db.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            wrong.append(f"{path.name}: {said}")
    return wrong + [f"{one.path.name} is not sealed as it is" for one in segments[:-1] if not _is_footed(one)]


def _is_footed(segment: Segment) -> bool:
    with closing(sqlite3.connect(f"file:{segment.path}?mode=ro", uri=True)) as db:
        footer = db.execute(FOOTER).fetchall()
        held = db.execute("SELECT coalesce(min(seq), 0), coalesce(max(seq), 0), count(*) FROM event").fetchall()
    return footer == held


def _of_deliveries(certain: Certain, sent: Sequence[tuple[str, str]], last: str) -> list[str]:
    contents: dict[str, set[str]] = {}
    latest: dict[str, int] = {}
    wrong = []
    for event, content in sent:
        visitor, _, number = event.partition("-")
        if event not in contents and number:
            if int(number) <= latest.get(visitor, 0):
                wrong.append(f"{event} came after {latest[visitor]}")
            latest[visitor] = int(number)
        contents.setdefault(event, set()).add(content)
    wrong += [f"{event} was told with {len(said)} contents" for event, said in contents.items() if len(said) > 1]
    wrong += [f"{event} was told, of a visitor who denies" for event in contents if event.startswith(f"{DENIER}-")]
    told = (*KNOWN,) if certain.is_erasing else (*KNOWN, ERASED)
    introduced = {str(visitor) for visitor in told if f"{visitor}-{visitor}" in certain.promised}
    due = {event for event in certain.promised if event.partition("-")[0] in introduced}
    due -= {f"{visitor}-{visitor}" for visitor in introduced}
    if "1" in introduced:
        due.add(last)
    return wrong + [f"{event} was lost" for event in sorted(due - contents.keys())]


def _of_books(folder: Path, sent: set[str]) -> list[str]:
    books = read_books(folder)
    sums = {
        "the tally is not the sum of single outcomes": books.fates == books.outcomes,
        "an event has no page, or two": not books.uncovered,
        "the balance does not add up": books.journalled == books.duplicates + sum(books.fates.values()),
        "a number is missing": books.journalled == books.last_seq == books.resolved_to == books.cursor,
        "something other than a stranger's waits": books.open == books.fates.get("held", 0),
        "delivered is not what was told": books.fates.get("delivered", 0) <= len(sent),
    }
    return [f"{what}: {books}" for what, is_so in sums.items() if not is_so]
