"""Lives a short life in a process of its own and writes down every call on its files, for `test_crash_states.py`.

    python -m tests.faults.recorded FOLDER OUT [BUG]

A bug is a mistake that somebody might make with files: rebuilt states must show what it costs.
"""

import asyncio
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from edge.ledger import database
from edge.spool import rewriting
from edge.spool import segment as segments
from tests.faults.crashing import Recorder
from tests.faults.life import Life
from tests.faults.oscalls import WatchedCalls
from tests.faults.vfs import WatchedFiles

SEGMENT_PAGES, LEDGER_PAGES = 5, 20  # a checkpoint every few commits, as large logs have them


def _without(module: object, before: str, after: str) -> None:
    module.PRAGMAS = tuple(pragma.replace(before, after) for pragma in module.PRAGMAS)  # type: ignore[attr-defined]


def spool_synchronous_normal() -> None:
    """Let a commit of the spool return before the disk has it."""
    _without(segments, "synchronous = FULL", "synchronous = NORMAL")


def ledger_synchronous_normal() -> None:
    """Let a commit of the ledger return before the disk has it."""
    _without(database, "synchronous = FULL", "synchronous = NORMAL")


def spool_synchronous_off() -> None:
    """Sync nothing of the spool, not even around a checkpoint."""
    _without(segments, "synchronous = FULL", "synchronous = OFF")


def copy_not_synced() -> None:
    """Let a segment that was written anew take its place before its bytes are safe."""
    rewriting._sync = lambda path: None


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (spool_synchronous_normal, ledger_synchronous_normal, spool_synchronous_off, copy_not_synced)
}


def main() -> None:
    """Record, and write the calls."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    _without(segments, "wal_autocheckpoint = 500", f"wal_autocheckpoint = {SEGMENT_PAGES}")
    _without(database, "wal_autocheckpoint = 1000", f"wal_autocheckpoint = {LEDGER_PAGES}")
    for bug in sys.argv[3:]:
        BUGS[bug]()
    recorder = Recorder(folder)
    WatchedFiles(folder, recorder).install()
    WatchedCalls(folder, recorder).install()
    asyncio.run(Life(folder, lambda *mark: recorder.note(mark)).live())
    out.write_bytes(pickle.dumps(recorder.calls))


if __name__ == "__main__":
    main()
