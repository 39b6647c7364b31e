"""Lets files rot between two starts, again and again, in a process of its own.

    python -m tests.faults.rotting OUT PART PARTS SEED NUMBER [BUG]

A line of OUT tells of one alteration: its kind, how many rows lost every copy of theirs, and what was wrong afterwards.
"""

import asyncio
import json
import random
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from edge.app.collecting import resolved_to
from edge.spool import reader, writer
from edge.spool.mark import read_mark
from edge.spool.segment import PAGE_BYTES, list_segments
from tests.backroom import DENIED, Backroom
from tests.clock import FakeClock
from tests.faults.books import read_books
from tests.faults.children import end, quiet, scratch
from tests.faults.life import told_in

VISITORS, DENIER = range(1, 9), 9
PHASE = 40
FRAME, LOG_HEADER = PAGE_BYTES + 24, 32
LEDGER_PAGE, LEDGER_FRAME = 8_192, 8_192 + 24
MANY = 10_000
EVENT = re.compile(rb'\["event-')
ENVELOPE_BYTES = 200  # the least that one has

Edit: TypeAlias = Callable[[Path, random.Random], None]


class Before:
    """What was stored before anything rotted: every promised event's number, envelope and what is to be told of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.numbers: dict[str, int] = {}
        self.bodies: dict[str, bytes] = {}
        self.contents: dict[str, str] = {}
        self.told: dict[str, str] = {}
        self.resolved_to = 0

    async def live(self) -> None:
        """Deliver some, resolve some more, and only store the last; files are as a death leaves them."""
        living = self.folder.with_name("living")
        room = await Backroom.open(living, FakeClock())
        for visitor in VISITORS:
            await room.store(visitor, "identify", traits={"email": f"visitor{visitor}@shop.example"})
        await self._tell(room)
        await room.work()
        self.told = dict(told_in(request.body) for request in room.transport.requests)
        await room.writer.seal()
        await self._tell(room)
        await room.writer.seal()
        await self._tell(room)
        await room.resolve()
        self.resolved_to = room.resolver.cursor
        await self._tell(room)
        shutil.copytree(living, self.folder, ignore=shutil.ignore_patterns("*-shm"))
        self.bodies = {json.loads(row.body)[0]: row.body for row in await room.reader.read(0, MANY)}
        await room.work()
        self.contents = dict(told_in(request.body) for request in room.transport.requests)
        await room.close()

    async def _tell(self, room: Backroom) -> None:
        for number in range(PHASE):
            visitor = (*VISITORS, DENIER)[number % (len(VISITORS) + 1)]
            more = {"consent": DENIED} if visitor == DENIER else {}
            properties = {"padding": "x" * (20 + number * 13 % 900)}
            event = await room.store(visitor, "view_item", properties=properties, **more)
            self.numbers[event.id] = room.writer.last_seq

    def may_be_lost(self, folder: Path) -> set[str]:
        """Give whose every copy is touched: in what is left of the spool when each page that differs is taken out."""
        left = b""
        for path in sorted((self.folder / "spool").glob("*.segment*")):
            now, was = (one.read_bytes() if one.exists() else b"" for one in (folder / "spool" / path.name, path))
            start, step = (LOG_HEADER, FRAME) if path.name.endswith("-wal") else (0, PAGE_BYTES)
            left += b"".join(was[at : at + step] for at in range(start, len(was), step) if _is_same(now, was, at, step))
        return {event for event in self.numbers if self.bodies[event] not in left}


def _is_same(now: bytes, was: bytes, at: int, step: int) -> bool:
    return now[at : at + step] == was[at : at + step]


def _flip(path: Path, first: int, last: int, rng: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[rng.randrange(first, min(last, len(content)))] ^= 1 << rng.randrange(8)
    path.write_bytes(content)


def _segment(folder: Path, rng: random.Random) -> Path:
    return rng.choice(list_segments(folder / "spool")).path


def _log(folder: Path) -> Path:
    newest = list_segments(folder / "spool")[-1].path
    return newest.with_name(f"{newest.name}-wal")


def _ledger_log(folder: Path) -> Path:
    return folder / "ledger.db-wal"


def _cut(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(rng.randrange(path.stat().st_size))


def _zero_page(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.seek(rng.randrange(path.stat().st_size // PAGE_BYTES) * PAGE_BYTES)
        file.write(bytes(PAGE_BYTES))


def _shared_memory(folder: Path, rng: random.Random) -> None:
    for database in (folder / "ledger.db", list_segments(folder / "spool")[-1].path):
        database.with_name(f"{database.name}-shm").write_bytes(rng.randbytes(32_768))


def _envelope(folder: Path, rng: random.Random) -> None:
    """Flip one bit of a row, in every copy that lies there."""
    paths = sorted((folder / "spool").glob("*.segment*"))
    one = rng.choice([path.read_bytes() for path in paths if EVENT.search(path.read_bytes())])
    at = rng.choice([match.start() for match in EVENT.finditer(one)])
    body, bit = one[at : at + ENVELOPE_BYTES], 1 << rng.randrange(8)
    spoilt = body[:-1] + bytes([body[-1] ^ bit])
    for path in paths:
        path.write_bytes(path.read_bytes().replace(body, spoilt))


KINDS: Mapping[str, Edit] = {
    "a bit in a row": _envelope,
    "a bit in a page": lambda folder, rng: _flip(_segment(folder, rng), 0, 10**9, rng),
    "a page zeroed": lambda folder, rng: _zero_page(_segment(folder, rng), rng),
    "a bit in the log": lambda folder, rng: _flip(_log(folder), LOG_HEADER, 10**9, rng),
    "a bit in the log's header": lambda folder, rng: _flip(_log(folder), 0, LOG_HEADER, rng),
    "the log cut": lambda folder, rng: _cut(_log(folder), rng),
    "the log gone": lambda folder, rng: _log(folder).unlink(),
    "shared memory of another time": _shared_memory,
    "the mark gone": lambda folder, rng: (folder / "spool/mark").unlink(),
    "a bit in the mark": lambda folder, rng: _flip(folder / "spool/mark", 0, 10**9, rng),
    "a bit in the ledger's log": lambda folder, rng: _flip(_ledger_log(folder), LOG_HEADER, 10**9, rng),
    "a bit in the header of the ledger's log": lambda folder, rng: _flip(_ledger_log(folder), 0, LOG_HEADER, rng),
    "the ledger's log cut": lambda folder, rng: _cut(_ledger_log(folder), rng),
}


async def complaints(folder: Path, before: Before) -> tuple[int, list[str]]:
    """Start on a folder as the collector does, finish all work; give how many rows may be lost, and what is wrong."""
    may_be_lost, resolved = before.may_be_lost(folder), await resolved_to(folder / "ledger.db")
    witness = max(resolved, read_mark(folder / "spool"))
    room = await Backroom.open(folder, FakeClock(), floor_seq=resolved)
    event = await room.store(1, "view_item", id="after")
    number = room.writer.last_seq
    await room.work()
    stored = [row.seq for row in await room.reader.read(0, MANY) if row.body and row.seq != number]
    missing = int(room.metrics.missing._value.get())
    await room.close()
    told = [told_in(request.body) for request in room.transport.requests]
    wrong = [f"{one} was altered" for one, content in told if one != event.id and before.contents.get(one) != content]
    lost = before.contents.keys() - before.told.keys() - {one for one, _ in told}
    wrong += [f"{one} was lost, and lies there whole" for one in sorted(lost - may_be_lost)]
    if event.id not in dict(told):
        wrong.append("what came afterwards was not delivered")
    known_to = max(witness, *stored)
    if number <= known_to:
        wrong.append(f"number {number} was used before, {known_to} is known")
    books = read_books(folder)
    noted, unnoted = books.fates.get("damaged", 0) + missing, [one for one in lost if before.numbers[one] <= known_to]
    if not len(unnoted) <= noted <= len(may_be_lost):
        wrong.append(f"{len(unnoted)} are lost of {len(may_be_lost)} touched, and {noted} were noted")
    if books.uncovered or books.open or books.fates != books.outcomes:
        wrong.append(f"the books do not balance: {books}")
    return len(may_be_lost), wrong


def checksum_not_read() -> None:
    """Take every row for what it says."""
    fetch = reader.SpoolReader._fetch

    async def trusting(self: reader.SpoolReader, *given: Any) -> list[reader.Row]:
        return [reader.Row(row.seq, row.body) for row in await fetch(self, *given)]

    reader.SpoolReader._fetch = trusting


def sequence_restarted() -> None:
    """Go on after the last row, whoever knows of a higher number."""
    recover = writer.SpoolWriter._recover

    async def forgetful(self: writer.SpoolWriter, segments: Any, floor_seq: int) -> None:
        await recover(self, segments, 0)

    writer.SpoolWriter._recover = forgetful


def cut_log_believed() -> None:
    """Take the end that SQLite sees of a log for the end."""

    async def none(*_: object) -> list[Any]:
        return []

    writer.rows_cut_off = none


def damaged_segment_skipped() -> None:
    """Read on behind a segment that SQLite cannot read."""

    async def nothing(*_: object) -> list[reader.Row]:
        return []

    reader.SpoolReader._salvaged = nothing


BUGS = {bug.__name__: bug for bug in (checksum_not_read, sequence_restarted, cut_log_believed, damaged_segment_skipped)}


def main() -> None:
    """Play this part's alterations, kinds in turn."""
    out, (part, parts, seed, number) = Path(sys.argv[1]), map(int, sys.argv[2:6])
    quiet()
    if bug := "".join(sys.argv[6:]):
        BUGS[bug]()
    with scratch() as root, out.open("w", buffering=1) as told:
        before = Before(root / "before")
        asyncio.run(before.live())
        for index in range(part, number, parts):
            kind, rng = list(KINDS)[index % len(KINDS)], random.Random(seed * MANY + index)
            folder = root / "rotten"
            shutil.copytree(before.folder, folder)
            KINDS[kind](folder, rng)
            try:
                touched, wrong = asyncio.run(complaints(folder, before))
            except Exception as error:  # whatever it is, it did not start or did not go on
                touched, wrong = 0, [f"{type(error).__name__}: {error}"]
            shutil.rmtree(folder)
            told.write(json.dumps({"index": index, "kind": kind, "touched": touched, "wrong": wrong}) + "\n")
    end()


if __name__ == "__main__":
    main()
