"""What resolving costs an event, and where the time goes; the goal is 20 microseconds.

    .venv/bin/python bench/resolving.py

Events of known visitors, one identify in twenty, in a spool of their own under the system's folder for temporary
files. Medians of the rounds; each round resolves the whole spool into a new ledger whose visitors are known.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from edge.clock import SystemClock
from edge.consent_rules import ConsentSettings
from edge.event import Event, encode
from edge.ledger import Database, LedgerSettings, ResolverLedger
from edge.metrics import DrainerMetrics
from edge.resolver import Resolver, ResolverSettings
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter

GOAL_US = 20.0
EVENTS, VISITORS, ROUNDS = 20_000, 2_000, 5
CONSENT = {"functional": "granted", "marketing": "granted", "source": "explicit"}


def event_of(number: int) -> Event:
    visitor = number % VISITORS
    is_claim = number < VISITORS or number % 20 == 0
    return Event(
        id=f"event-{number}",
        name="identify" if is_claim else "view_item",
        time_ms=1_795_183_389_120,
        received_at_ms=1_795_183_389_620,
        source="browser",
        browser=f"{visitor:032x}",
        properties={} if is_claim else {"item_id": "501", "item_name": "Moon Teapot", "price": 42.25},
        traits={"email": f"user{visitor}@shop.example"} if is_claim else {},
        context={
            "page": {"url": "https://shop.example/p/501", "path": "/p/501"},
            "session": {"id": f"{visitor:032x}", "number": 1},
            "consent": CONSENT,
        },
    )


async def fill(folder: Path) -> None:
    writer = SpoolWriter(SpoolSettings(folder / "spool", free_bytes=0), SystemClock())
    await writer.open()
    for start in range(0, EVENTS, 500):
        await writer.append([encode(event_of(number)) for number in range(start, start + 500)])
    await writer.close()


class Stopwatch:
    """Adds up what the awaited parts of a step take."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)

    def timed(self, name: str, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            started_s = time.perf_counter()
            try:
                return await work(*args, **kwargs)
            finally:
                self.spent_s[name] += time.perf_counter() - started_s

        return run


async def round_of(folder: Path, number: int) -> dict[str, float]:
    """Resolve the first pass of all visitors, then measure the rest; give microseconds an event by part."""
    database = Database(LedgerSettings(folder / f"ledger-{number}.db"))
    await database.open()
    reader, ledger, watch = SpoolReader(folder / "spool"), ResolverLedger(database), Stopwatch()
    resolver = Resolver(
        ResolverSettings("GB", ConsentSettings()),
        spool=reader,
        ledger=ledger,
        clock=SystemClock(),
        metrics=DrainerMetrics(CollectorRegistry()),
    )
    await resolver.open()
    while resolver.cursor < VISITORS:
        await resolver.step()
    for part, owner, name in (("spool", reader, "read"), ("look up", ledger, "find"), ("record", ledger, "record")):
        setattr(owner, name, watch.timed(part, getattr(owner, name)))
    first, started_s = resolver.cursor, time.perf_counter()
    while await resolver.step():
        pass
    whole_s = time.perf_counter() - started_s
    await reader.close()
    await database.close()
    spent = {"whole": whole_s, **watch.spent_s}
    spent["decide"] = whole_s - sum(watch.spent_s.values())
    return {part: seconds * 1e6 / (resolver.cursor - first) for part, seconds in spent.items()}


async def measure() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name))
        rounds = [await round_of(Path(name), number) for number in range(ROUNDS)]
    return {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}


def main() -> int:
    found = asyncio.run(measure())
    for part, us in found.items():
        print(f"{part:8} {us:6.1f} us an event")
    print(f"goal     {GOAL_US:6.1f}")
    return 0 if found["whole"] <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
