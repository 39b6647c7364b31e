"""Lives a very short life again and again in a process of its own, each time with another call on its files failing.

    python -m tests.faults.failing OUT PART PARTS SEED LIVES [BUG]

A line of OUT tells of one life: which call failed with what, how the life ended, and what was wrong with what it left.
Of all calls with all their errors LIVES are drawn by the seed, each kind of call at least once; 0 are all of them. This
process plays every PARTS-th of these, from PART on.
"""

import asyncio
import errno
import json
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from edge.errors import StorageError
from edge.resolver import Resolver
from edge.spool import SpoolWriter
from tests.faults.children import end, quiet, scratch
from tests.faults.crashing import Recorder
from tests.faults.life import Life
from tests.faults.oscalls import WatchedCalls
from tests.faults.recovering import Certain, complaints
from tests.faults.vfs import BUSY, CANTOPEN, EIO, FULL, IOERR_NOMEM, NOMEM, WatchedFiles

LIFE_S = 60.0
OURS = ("unlink", "statvfs", "rename", "mkdir", "open of ours", "write of ours", "sync of ours")
ERRORS: Mapping[str, Sequence[tuple[str, int]]] = {
    **{call: (("EIO", code), ("ENOMEM", IOERR_NOMEM)) for call, code in EIO.items()},
    **dict.fromkeys(OURS, (("EIO", errno.EIO), ("ENOSPC", errno.ENOSPC))),
    "open": (("EIO", CANTOPEN), ("ENOMEM", NOMEM)),
    "write": (("EIO", EIO["write"]), ("ENOSPC", FULL), ("ENOMEM", IOERR_NOMEM)),
    "lock": (("EIO", EIO["lock"]), ("BUSY", BUSY)),
    "shm lock": (("EIO", EIO["shm lock"]), ("BUSY", BUSY)),
}


class Failing(Recorder):
    """Lets one call fail; counts them from 1 and keeps which they were."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begin(0, "")

    def begin(self, number: int, error: str) -> None:
        """Let the n-th call from now on fail with an error that it can have; none at 0."""
        self._number, self._error = number, error
        self.met: list[tuple[str, str]] = []

    def fails(self, call: str, path: str) -> int:
        self.met.append((call, path))
        return dict(ERRORS[call]).get(self._error, 0) if len(self.met) == self._number else 0

    def _keep(self, what: str, path: str, offset: int = 0, data: bytes = b"") -> None:
        return


class BriefLife(Life):
    """Touches every kind of file once. What fails ends it as it ends a process: nothing is closed politely."""

    async def live(self, rounds: int = 1) -> None:
        await self.open()
        await self.tell(1, "identify", traits={"email": "visitor1@shop.example"})
        await self.tell(7, "view_item")
        await self.work_again()
        await self.room.writer.seal()
        await self.tell(1, "view_item")
        self.is_away = True
        await self.work_again()
        self.is_away = False
        await self.tell(1, "view_item")
        self._clock.advance(2.0)
        await self.work_again()
        await self.close()

    async def work_again(self) -> None:
        """Work; a task that ends by something else than its storage is started again, as the service does."""
        try:
            await self.work()
        except StorageError:
            raise
        except Exception:
            await self.work()

    async def abandon(self) -> None:
        """Let go of what is open, after its files were copied."""
        room = getattr(self, "room", None)
        for closing in () if room is None else (room.reader, room.writer._db, room.database._reader, room.database._db):
            with suppress(Exception):
                await closing.close()


async def play(folder: Path, failing: Failing, number: int, error: str) -> tuple[str, list[str], list[tuple[str, str]]]:
    """Live with one call failing; give how it ended, what is wrong with what it left, and all calls."""
    marks: list[tuple[object, ...]] = []
    life, wrong, left = (
        BriefLife(folder / "data", lambda *mark: marks.append(mark)),
        list[str](),
        folder.parent / "left",
    )
    (folder / "data").mkdir()
    failing.begin(number, error)
    try:
        await asyncio.wait_for(life.live(), LIFE_S)
        ended = "whole"
    except StorageError as ending:
        ended = type(ending).__name__
    except Exception as ending:  # no task may end the service by it, and no visitor may be left without an answer
        ended = type(ending).__name__
        wrong.append(f"ended by {ended}: {ending}")
    met = failing.met
    failing.begin(0, "")
    shutil.copytree(folder / "data", left, ignore=shutil.ignore_patterns("*-shm"))
    await life.abandon()
    try:
        wrong += await complaints(left, Certain.from_marks(marks))
    except Exception as unexpected:
        wrong.append(f"does not start again: {type(unexpected).__name__}: {unexpected}")
    shutil.rmtree(left)
    shutil.rmtree(folder / "data")
    return ended, wrong, met


def failed_write_swallowed() -> None:
    """Answer although the group could not be written."""
    write = SpoolWriter._write

    async def swallowing(self: SpoolWriter, rows: object) -> None:
        with suppress(StorageError):
            await write(self, rows)

    SpoolWriter._write = swallowing


def failed_record_swallowed() -> None:
    """Go on with the next events although these could not be recorded."""
    put = Resolver._step

    async def swallowing(self: Resolver) -> int:
        try:
            return await put(self)
        except StorageError:
            self._cursor += 1
            self._is_astray = False
            return 1

    Resolver._step = swallowing


BUGS = {bug.__name__: bug for bug in (failed_write_swallowed, failed_record_swallowed)}
MEANT = {"failed_write_swallowed": ("write", ".segment-wal"), "failed_record_swallowed": ("sync", "ledger.db-wal")}


def draw(met: Sequence[tuple[str, str]], lives: int, rng: random.Random, bug: str) -> list[tuple[int, str, str]]:
    """Choose which calls fail, by their numbers, names and errors; a bug is about some of them."""
    what, where = MEANT.get(bug, ("", ""))
    chosen = [(at, call) for at, (call, path) in enumerate(met, 1) if what in ("", call) and path.endswith(where)]
    every = [(number, call, error) for number, call in chosen for error, _ in ERRORS[call]]
    if not lives:
        return every
    rng.shuffle(every)
    kinds = {(call, error): (number, call, error) for number, call, error in every}
    return list(dict.fromkeys([*kinds.values(), *every]))[:lives]


def main() -> None:
    """Play all lives of this part."""
    out, (part, parts, seed, lives) = Path(sys.argv[1]), map(int, sys.argv[2:6])
    quiet()
    with scratch() as root, out.open("w", buffering=1) as told:
        folder = root / "failing"
        failing = Failing(folder)
        WatchedFiles(folder, failing).install()
        WatchedCalls(folder, failing).install()
        folder.mkdir()
        ended, wrong, met = asyncio.run(play(folder, failing, 0, ""))
        assert (ended, wrong) == ("whole", []), wrong
        bug = "".join(sys.argv[6:])
        if bug:
            BUGS[bug]()
        for number, call, error in draw(met, lives, random.Random(seed), bug)[part::parts]:
            ended, wrong, _ = asyncio.run(play(folder, failing, number, error))
            line = {"number": number, "call": call, "error": error, "ended": ended, "wrong": wrong}
            told.write(json.dumps(line) + "\n")
    end()


if __name__ == "__main__":
    main()
