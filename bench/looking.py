"""How long the verbs that only look take on a large ledger; the goal is 1 s each.

    BACKLOG=10000000 .venv/bin/python -m bench.looking

Writes a ledger with BACKLOG journal rows (1,000,000 unless told otherwise) over 14 days, two pipelines, one event in
fifty waiting, one in fifty held, one in fifty ended late, one in a hundred dead with its letter, and a small spool at
the head; then calls each verb as a shell does, and prints the fastest of three: on a machine that others use, too,
look at the processor time. LEDGER names a folder to keep.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.clock import SystemClock
from edge.delivery import Fate
from edge.event import BROWSER_SOURCE, Event, encode
from edge.ledger import Database, LedgerSettings
from edge.ledger.database import checksum
from edge.ledger.fates import encode_fates
from edge.ledger.records import JournalFate, Revision
from edge.ledger.revisions import run
from edge.resolver import event_key
from edge.spool import SpoolSettings, SpoolWriter

GOAL_S = 1.0
BACKLOG = int(os.environ.get("BACKLOG", "1000000"))
PAGE, STORED, VISITORS = 100, 2_000, 100_000
SPAN_MS = 14 * 86_400_000
TEXT = """
name: {name}
integration: klaviyo-events-api
parameters: {{private_api_key: a-key, base_url: "http://127.0.0.1:9"}}
global: {{profile: {{"$email": {{source: context.traits.email}}}}}}
events: {{view_item: {{metric: Viewed Product}}}}
"""
NAMES = ("archive", "klaviyo")
ROUNDS = 3
JOURNAL = "INSERT INTO journal VALUES (?, ?, ?, 15, 'explicit', ?, ?, ?)"
LETTER = '{"method":"POST","url":"http://127.0.0.1:9/api/events","headers":{},"body":"' + "x" * 800 + '"}'


def fate_of(seq: int) -> Fate | None:
    """Give what a pipeline's page says of an event; None for a duplicate."""
    place = seq % 100
    if place == 99:
        return None
    if place in (10, 60):
        return Fate.WAITING
    if place in (20, 70, 30, 80):
        return Fate.HELD
    return Fate.DEAD if place == 40 else Fate.UNMAPPED if place % 5 == 1 else Fate.DELIVERED


def journal_rows(first: int, last: int, start_ms: int) -> Iterator[tuple[Any, ...]]:
    for seq in range(first, last + 1):
        fate = int(JournalFate.DUPLICATE if fate_of(seq) is None else JournalFate.OPEN)
        key, at_ms = event_key(BROWSER_SOURCE, f"event-{seq}"), start_ms + seq * SPAN_MS // BACKLOG
        values = (seq, key, seq % VISITORS + 1, 15, "explicit", fate, at_ms)
        yield seq, key, seq % VISITORS + 1, fate, at_ms, checksum(*values)


async def write_ledger(folder: Path, now_ms: int) -> None:
    """Write what a service with so much behind it has, in steps, each a transaction."""
    start_ms, database = now_ms - SPAN_MS, Database(LedgerSettings(folder / "ledger.db", 2**40))
    await database.open()
    pipelines = [await run(database, Revision(n, "klaviyo-events-api", f"{n}.yaml", n, ""), now_ms) for n in NAMES]
    async with database.transaction() as db:
        rows = ((number + 1, number.to_bytes(16, "big")) for number in range(VISITORS))
        await db.executemany("INSERT INTO visitor (id, browser, epoch) VALUES (?, ?, 1)", rows)
    step = 50_000
    for first in range(1, BACKLOG + 1, step):
        last = min(first + step - 1, BACKLOG)
        async with database.transaction() as db:
            await db.executemany(JOURNAL, journal_rows(first, last, start_ms))
            for pipeline, revision in pipelines:
                await write_fates(db, pipeline, revision, first, last, now_ms)
    async with database.transaction() as db:
        await db.execute("UPDATE resolver SET cursor = ?", (BACKLOG,))
        await db.execute("UPDATE pipeline SET cursor = ?", (BACKLOG,))
    await database.close()


async def write_fates(db: Any, pipeline: int, revision: int, first: int, last: int, now_ms: int) -> None:
    pages = []
    tally: Counter[str] = Counter()
    for begin in range(first, last + 1, PAGE):
        end = min(begin + PAGE - 1, last)
        fates = [(seq, fate) for seq in range(begin, end + 1) if (fate := fate_of(seq)) is not None]
        tally.update(fate.value for _, fate in fates)
        pages.append((pipeline, end, begin, now_ms, now_ms, 1, revision, encode_fates(begin, end, fates)))
    await db.executemany("INSERT INTO page VALUES (?, ?, ?, ?, ?, ?, ?, ?)", pages)
    seqs = range(first, last + 1)
    waiting = [seq for seq in seqs if fate_of(seq) is Fate.WAITING]
    held = [seq for seq in seqs if seq % 100 in (20, 70)]
    late = [seq for seq in seqs if seq % 100 in (30, 80)]
    tally.update({"held": -len(late), "delivered": len(late)})
    await db.executemany(
        "INSERT INTO waiting (pipeline, visitor, seq, due_at_ms, since_ms, attempts, time_ms, payload, reason,"
        " checksum) VALUES (?, ?, ?, ?, ?, 1, ?, ?, '503', 0)",
        [(pipeline, seq % VISITORS + 1, seq, now_ms, now_ms, now_ms, b"x" * 500) for seq in waiting],
    )
    await db.executemany(
        "INSERT INTO held (pipeline, visitor, seq) VALUES (?, ?, ?)",
        [(pipeline, seq % VISITORS + 1, seq) for seq in held],
    )
    await db.executemany(
        "INSERT INTO settled VALUES (?, ?, 'delivered', 1, ?, ?)", [(pipeline, seq, now_ms, revision) for seq in late]
    )
    await db.executemany(
        "INSERT INTO dead VALUES (?, ?, ?, ?, 'view_item', ?, 1, '400 invalid', ?, ?, ?, 0)",
        [
            (pipeline, seq, seq % VISITORS + 1, f"event-{seq}", now_ms - BACKLOG + seq, LETTER, LETTER, b"x" * 500)
            for seq in seqs
            if seq % 100 == 40
        ],
    )
    counts = [(pipeline, fate, events) for fate, events in tally.items()]
    sql = (
        "INSERT INTO tally VALUES (?, ?, ?)"
        " ON CONFLICT (pipeline, fate) DO UPDATE SET events = events + excluded.events"
    )
    await db.executemany(sql, counts)


async def write_spool(folder: Path, now_ms: int) -> None:
    """Write the newest envelopes, numbered on from what the others had."""
    writer = SpoolWriter(SpoolSettings(folder / "spool", free_bytes=0), SystemClock())
    await writer.open(floor_seq=BACKLOG - STORED)
    first, start_ms = BACKLOG - STORED + 1, now_ms - SPAN_MS
    for begin in range(first, BACKLOG + 1, 500):
        seqs = range(begin, min(begin + 500, BACKLOG + 1))
        await writer.append([encode(stored(seq, start_ms + seq * SPAN_MS // BACKLOG)) for seq in seqs])
    await writer.close()


def stored(seq: int, at_ms: int) -> Event:
    return Event(
        id=f"event-{seq}",
        name="view_item",
        time_ms=at_ms,
        received_at_ms=at_ms,
        source=BROWSER_SOURCE,
        browser=f"{seq % VISITORS:032x}",
        properties={"item_name": "Moon Teapot"},
        traits={},
        context={},
    )


def verbs() -> dict[str, list[str]]:
    middle = str(BACKLOG // 2)
    return {
        "queue": ["queue"],
        "queue --balance, a day": ["queue", "--balance"],
        "queue --balance, all": ["queue", "--balance", "--since", "30d"],
        "why, by number": ["why", middle],
        "why, by id": ["why", f"event-{middle}"],
        "tail --once": ["tail", "--once"],
        "tail --once --visitor": ["tail", "--once", "--visitor", f"{5:032x}"],
        "dead list": ["dead", "list"],
        "dead list --error, none": ["dead", "list", "--error", "nothing has this"],
        "dead show": ["dead", "show", f"event-{BACKLOG // 2 // 100 * 100 + 40}"],
        "identity show": ["identity", "show", f"{5:032x}"],
        "version": ["--version"],
    }


def timed(folder: Path, arguments: list[str]) -> tuple[float, float]:
    """Call a verb in a process of its own; give how long it took and its processor time, Python's start included."""
    told = [sys.executable, "-m", "edge", *arguments]
    if arguments != ["--version"]:
        told += ["--config", str(folder / "edge.yaml")]
    before, started_s = os.times(), time.perf_counter()
    done = subprocess.run(told, capture_output=True, check=False, env={**os.environ, "COLUMNS": "100"})
    if done.returncode not in (0, 1) or b"Traceback" in done.stderr:
        raise SystemExit(f"{arguments}: {done.stderr.decode()}")
    after = os.times()
    spent_s = after.children_user - before.children_user + after.children_system - before.children_system
    return time.perf_counter() - started_s, spent_s


def write(folder: Path) -> None:
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    (folder / "edge.yaml").write_text("data_dir: .\npipelines: pipelines\n")
    for name in NAMES:
        (folder / f"pipelines/{name}.yaml").write_text(TEXT.format(name=name))
    now_ms = SystemClock().now_ms()
    asyncio.run(write_ledger(folder, now_ms))
    asyncio.run(write_spool(folder, now_ms))


def main() -> int:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("LEDGER", temporary))
        if not (folder / "edge.yaml").exists():
            started_s = time.perf_counter()
            write(folder)
            size = (folder / "ledger.db").stat().st_size / 1e6
            print(f"{BACKLOG:,} rows, {size:,.0f} MB, written in {time.perf_counter() - started_s:.0f} s", flush=True)
        found = {name: min(timed(folder, told) for _ in range(ROUNDS)) for name, told in verbs().items()}
    for name, (whole_s, spent_s) in found.items():
        print(f"{name:26} {whole_s * 1_000:7.0f} ms, {spent_s * 1_000:7.0f} ms of a processor", flush=True)
    print(f"goal                       {GOAL_S * 1_000:7.0f} ms, but for a balance of everything")
    return 0 if all(s <= GOAL_S for name, (s, _) in found.items() if name != "queue --balance, all") else 1


if __name__ == "__main__":
    sys.exit(main())
