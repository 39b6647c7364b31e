"""What resolving costs an event, and where the time goes; the goal is 20 microseconds.

    .venv/bin/python -m bench.resolving

A backlog of events of known browsers, one identify in twenty, in a spool of its own under the system's folder for
temporary files. Resolving is everything from the spool's rows to the committed journal: reading and checking the rows,
decoding the envelopes, hashing the keys, reading claims, looking up repeats, deciding, inserting, the commit. All of it
is CPU time of the whole process, threads of SQLite included; waiting for the disk is none. The parts are:

- spool: reading the rows and their checksums
- decode: envelope, key and claims
- look up: what the ledger is asked: repeats always, who somebody is where that is not remembered
- decide: visitor, links, consent, the page's rows
- record: inserting, and the commit

Beside it, in turn and in the same process, the base: `orjson.loads` of the same envelope and one narrow row, committed
in groups of 64. The machine's noise disturbs both, so the ratio says more than the microseconds. `unknown` is the cost
of a browser's first event, which names somebody. Medians of the rounds. Exit code 1 when the goal is missed.
"""

import asyncio
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry

from edge.clock import SystemClock
from edge.consent_rules import ConsentSettings
from edge.event import Event, encode
from edge.ledger import Database, LedgerSettings, ResolverLedger
from edge.metrics import DrainerMetrics
from edge.resolver import Resolver, ResolverSettings
from edge.secret import Secret
from edge.spool import SpoolReader, SpoolSettings, SpoolWriter

GOAL_US = 20.0
SIZES = {"EVENTS": 22_000, "VISITORS": 2_000, "ROUNDS": 5}
EVENTS, VISITORS, ROUNDS = (int(os.environ.get(name, size)) for name, size in SIZES.items())
BASE_GROUP = 64
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
        await writer.append([encode(event_of(number)) for number in range(start, min(start + 500, EVENTS))])
    await writer.close()


class Stopwatch:
    """Adds up the CPU time of a step's parts."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = defaultdict(float)

    def awaited(self, name: str, work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def run(*args: Any, **kwargs: Any) -> Any:
            started_s = time.process_time()
            try:
                return await work(*args, **kwargs)
            finally:
                self.spent_s[name] += time.process_time() - started_s

        return run

    def timed(self, name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any) -> Any:
            started_s = time.process_time()
            try:
                return work(*args)
            finally:
                self.spent_s[name] += time.process_time() - started_s

        return run


async def round_of(folder: Path, number: int) -> dict[str, float]:
    """Resolve the first event of every browser, then measure the rest; give microseconds an event by part."""
    database = Database(LedgerSettings(folder / f"ledger-{number}.db"))
    await database.open()
    reader, ledger, watch = SpoolReader(folder / "spool"), ResolverLedger(database), Stopwatch()
    resolver = Resolver(
        ResolverSettings("GB", ConsentSettings(), consent_key=Secret("a key of this benchmark")),
        spool=reader,
        ledger=ledger,
        clock=SystemClock(),
        metrics=DrainerMetrics(CollectorRegistry()),
    )
    await resolver.open()
    try:
        started_s = time.process_time()
        while resolver.cursor < VISITORS:
            await resolver.step()
        unknown_s, first = time.process_time() - started_s, resolver.cursor
        for part, owner, name in (("spool", reader, "read"), ("look up", ledger, "find"), ("record", ledger, "record")):
            setattr(owner, name, watch.awaited(part, getattr(owner, name)))
        resolver._parsed = watch.timed("decode", resolver._parsed)  # type: ignore[method-assign]
        started_s = time.process_time()
        while await resolver.step():
            pass
        whole_s = time.process_time() - started_s
    finally:
        await reader.close()
        await database.close()
    measured = resolver.cursor - first
    parts = {name: watch.spent_s[name] for name in ("spool", "decode", "look up", "record")}
    spent = {**parts, "decide": whole_s - sum(parts.values()), "whole": whole_s}
    return {part: s * 1e6 / measured for part, s in spent.items()} | {"unknown": unknown_s * 1e6 / first}


def base_of(folder: Path, number: int) -> float:
    """Give what an event costs that is parsed and stored as one narrow row, and nothing else."""
    envelopes = [encode(event_of(one)) for one in range(VISITORS, EVENTS)]
    db = sqlite3.connect(folder / f"base-{number}.db", isolation_level=None)
    for pragma in ("page_size = 8192", "journal_mode = WAL", "synchronous = FULL"):
        db.execute(f"PRAGMA {pragma}")
    db.execute("CREATE TABLE event (seq INTEGER PRIMARY KEY, visitor INTEGER, received_at_ms INTEGER) STRICT")
    started_s = time.process_time()
    for start in range(0, len(envelopes), BASE_GROUP):
        group = [orjson.loads(envelope) for envelope in envelopes[start : start + BASE_GROUP]]
        db.execute("BEGIN IMMEDIATE")
        values = [(start + index, index, one[3]) for index, one in enumerate(group)]
        db.executemany("INSERT INTO event VALUES (?, ?, ?)", values)
        db.execute("COMMIT")
    spent_s = time.process_time() - started_s
    db.close()
    return spent_s * 1e6 / len(envelopes)


async def measure() -> tuple[list[dict[str, float]], list[float]]:
    with tempfile.TemporaryDirectory() as name:
        folder, rounds, bases = Path(name), list[dict[str, float]](), list[float]()
        await fill(folder)
        for number in range(ROUNDS):
            bases.append(base_of(folder, number))
            rounds.append(await round_of(folder, number))
    return rounds, bases


def main() -> int:
    rounds, bases = asyncio.run(measure())
    found = {part: statistics.median(one[part] for one in rounds) for part in rounds[0]}
    ratios = sorted(one["whole"] / base for one, base in zip(rounds, bases, strict=True))
    for part, us in found.items():
        print(f"{part:8} {us:6.1f} us an event")
    print(f"base     {statistics.median(bases):6.1f} us an event")
    print(f"ratio    {statistics.median(ratios):6.2f} of the base ({ratios[0]:.2f} to {ratios[-1]:.2f})")
    print(f"goal     {GOAL_US:6.1f} us an event")
    print(json.dumps({"us": found, "base_us": statistics.median(bases), "ratios": ratios}))
    return 0 if found["whole"] <= GOAL_US else 1


if __name__ == "__main__":
    sys.exit(main())
