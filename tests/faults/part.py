"""One part of the service as a process of its own, with one seam swapped: a step at which it dies, or a planted bug.

    python -m tests.faults.part drainer edge.yaml --die-at settle:3 --bug cursor_before_delivery

What is swapped is a class or a constant that the front door puts together, in this process, before anything begins;
the rest is the product as it is. A bug is a mistake that somebody might make: the suite must name what it costs.
"""

import argparse
import os
import re
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from edge.app import alone, collecting, draining, lanes, serving
from edge.app.serving import serve_one
from edge.cli.serving import end
from edge.clock import SystemClock
from edge.config import load_config
from edge.delivery import Request, Response
from edge.drainer import housekeeping
from edge.ledger import DeliveryLedger, ResolverLedger, TrimLedger
from edge.ledger.delivering import MOVE_CURSOR
from edge.resolver import stepping
from edge.spool import SpoolWriter, writer
from edge.spool import segment as segments
from edge.transport import HttpTransport
from tests.faults.vfs import EIO, WatchedFiles

FAR = 10**12
_ID = re.compile(rb'("unique_id":")([^"]+)')

STEPS: Mapping[str, Sequence[str]] = {
    "collector": ("append", "appended", "begin segment", "segment begun", "seal", "sealed"),
    "drainer": (
        *("resolve", "resolved", "take", "taken", "send", "answered", "settle", "settled"),
        *("take due", "due taken", "settle due", "due settled", "unlink", "unlinked"),
    ),
}


class FailingOnce:
    """Lets a call on a database's log fail with EIO when it comes for the n-th time, e.g. "sync:5"; see `vfs.py`."""

    def __init__(self, fail_at: str) -> None:
        self._call, _, times = fail_at.partition(":")
        self._left = int(times)

    def fails(self, call: str, path: str) -> int:
        """Count a call."""
        is_meant = call == self._call and path.endswith("-wal")
        self._left -= is_meant
        return EIO[call] if is_meant and self._left == 0 else 0

    def __getattr__(self, told: str) -> Callable[..., None]:
        """Take what else a watcher is told, and forget it."""
        return lambda *_: None


class Steps:
    """Ends the process, as a power failure would, when a step is reached for the n-th time."""

    def __init__(self, die_at: str) -> None:
        self._step, _, times = die_at.partition(":")
        self._left = int(times or 0)

    def reached(self, step: str) -> None:
        """Count a step."""
        self._left -= step == self._step
        if step == self._step and self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, before: str, after: str, method: Callable[..., Any]) -> Callable[..., Any]:
        """Give a method that counts the step in front of it and the one behind it."""

        async def stepping(*given: Any, **named: Any) -> Any:
            self.reached(before)
            result = await method(*given, **named)
            self.reached(after)
            return result

        return stepping

    def swap(self) -> None:
        """Put steps around what the parts do."""

        class Writer(SpoolWriter):
            _write = self.around("append", "appended", SpoolWriter._write)
            _start = self.around("begin segment", "segment begun", SpoolWriter._start)

        class Sealing(writer.Sealer):  # type: ignore[name-defined,misc]
            write_footer = self.around("seal", "sealed", writer.Sealer.write_footer)

        class Resolving(ResolverLedger):
            record = self.around("resolve", "resolved", ResolverLedger.record)

        class Delivering(lanes.DeliveryLedger):  # type: ignore[name-defined,misc]
            take = self.around("take", "taken", lanes.DeliveryLedger.take)
            settle = self.around("settle", "settled", lanes.DeliveryLedger.settle)
            take_due = self.around("take due", "due taken", lanes.DeliveryLedger.take_due)
            settle_due = self.around("settle due", "due settled", lanes.DeliveryLedger.settle_due)

        class Sending(draining.HttpTransport):  # type: ignore[name-defined,misc]
            send = self.around("send", "answered", draining.HttpTransport.send)

        def unlink(segment: segments.Segment) -> None:
            self.reached("unlink")
            segments.unlink(segment)
            self.reached("unlinked")

        collecting.SpoolWriter = Writer
        writer.Sealer = Sealing
        alone.ResolverLedger = Resolving
        lanes.DeliveryLedger = Delivering
        draining.HttpTransport = Sending
        housekeeping.unlink = unlink


def answer_before_commit() -> None:
    """Say yes when an event is in memory, and store it as soon as possible."""

    class Hasty(collecting.OpeningSpool):
        def append_soon(self, envelopes: Sequence[bytes], tell: Callable[[int], None]) -> None:
            super().append_soon(envelopes, lambda _: None)
            tell(1)

    collecting.OpeningSpool = Hasty  # type: ignore[misc]


def synchronous_normal() -> None:
    """Let SQLite return from a commit before the disk has it, as many guides advise."""
    segments.PRAGMAS = tuple(
        pragma.replace("synchronous = FULL", "synchronous = NORMAL") for pragma in segments.PRAGMAS
    )


def cursor_before_delivery() -> None:
    """Move the cursor when a page is taken, and not when it is settled."""

    class Early(DeliveryLedger):
        async def take(self, page: Any, last: int, now_ms: int, **more: Any) -> None:
            await super().take(page, last, now_ms, **more)
            async with self._database.transaction() as db:
                await db.execute(MOVE_CURSOR, (last, self._pipeline))

    lanes.DeliveryLedger = Early  # type: ignore[misc]


def new_id_on_retry() -> None:
    """Give every attempt an id of its own."""

    sent = Counter[bytes]()

    class Renaming(HttpTransport):
        async def send(self, request: Request) -> Response:
            def renamed(match: re.Match[bytes]) -> bytes:
                sent[match[2]] += 1
                return match[0] + (b".%d" % sent[match[2]] if sent[match[2]] > 1 else b"")

            body = _ID.sub(renamed, request.body)
            return await super().send(Request(request.method, request.url, request.headers, body, request.budget))

    draining.HttpTransport = Renaming  # type: ignore[misc]


def unlink_before_ledger() -> None:
    """Give a sealed segment's room back whether the ledger says that everybody has passed it or not."""

    class Careless(TrimLedger):
        async def needed_from(self) -> int:
            return FAR

    draining.TrimLedger = Careless  # type: ignore[misc]


class WrongClock(SystemClock):
    """The machine's, but for what a file says at the moment: so many milliseconds ahead, or "at" one for ever."""

    def __init__(self, told: Path) -> None:
        self._told = told

    def now_ms(self) -> int:
        words = self._told.read_text().split()
        return int(words[1]) if words[0] == "at" else super().now_ms() + int(words[0])

    def swap(self) -> None:
        """Let the parts that begin from now on go by it."""
        serving.SystemClock = lambda: self  # type: ignore[assignment,misc]


BUGS: Mapping[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (answer_before_commit, synchronous_normal, cursor_before_delivery, new_id_on_retry, unlink_before_ledger)
}


def unbounded_connections() -> None:
    """Take every connection for which the system has a file handle."""
    collecting.connections_allowed = lambda: FAR  # type: ignore[assignment]


def unbounded_pages() -> None:
    """Resolve all that is stored in one page."""
    stepping.READ_EVENTS = stepping.PAGE_EVENTS = stepping.PAGE_BYTES = FAR


# Mistakes that cost no event: other tests than those of the verdict find them.
WEAKNESSES: Mapping[str, Callable[[], None]] = {
    weakness.__name__: weakness for weakness in (unbounded_connections, unbounded_pages)
}


def main() -> None:
    """Swap, then serve one part as `edge serve --only` does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=STEPS)
    parser.add_argument("config", type=Path)
    parser.add_argument("--bug", default="")
    parser.add_argument("--die-at", default="")
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--fail-at", default="")
    told = parser.parse_args()
    if told.bug:
        {**BUGS, **WEAKNESSES}[told.bug]()
    if told.clock:
        WrongClock(told.clock).swap()
    if told.die_at:
        Steps(told.die_at).swap()
    config = load_config(told.config, os.environ)
    if told.fail_at:
        WatchedFiles(config.data_dir, FailingOnce(told.fail_at)).install()
    end(serve_one(told.role, config, None))


if __name__ == "__main__":
    main()
