"""Goals 9, 10 and 15 to 19: what disk, backlog, deaths and held events cost."""

import asyncio
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from itertools import chain
from pathlib import Path

from bench import children
from bench.accepting import loaded
from bench.bodies import BODY_BYTES, EVENTS_PATH, ids_of, posts
from bench.children import Bench
from bench.generator import UnexpectedAnswer, closed_loop
from bench.measure import Pair, Slice, alternate, middle
from bench.table import Bar, Finding, at_least, at_most
from bench.works import Taken, Works, fill, names, pipeline_texts, size_of, views, works
from edge.clock import SystemClock
from edge.drainer import Housekeeping
from edge.event import decode
from edge.ledger import TrimLedger
from edge.spool import SpoolSettings
from edge.spool.segment import list_segments

DRAIN_SLICE = 1_000
SEGMENT_BYTES = 16_000_000
FIRST_DELIVERY_S = 60.0
LIVES_S = (0.15, 0.6)


async def disk_and_fan_out(bench: Bench) -> list[Finding]:
    """Goals 9 and 10."""
    events = 2_000 if bench.is_quick else 20_000
    bytes_by: dict[int, float] = {}
    for count in (5, 1):
        folder = bench.new_folder()
        await fill(folder / "spool", chain(names(events // 50), views(events, events // 50)))
        vendor = Taken()
        async with works(folder, pipeline_texts(count), vendor) as made:
            await made.resolve()
            await made.drain()
        _all_went_out(vendor, events * count)
        bytes_by[count] = size_of(folder) - (await _empty_bytes(bench, count) if bench.is_quick else 0)
        shutil.rmtree(folder)
    share = bytes_by[5] / (events * BODY_BYTES)
    note = (
        f"{events} events delivered 5 times, an identify in 50, before anything is unlinked; write-ahead logs emptied"
        + ("; what empty files hold taken off, as it is no event's" if bench.is_quick else "")
    )
    accepted = await _accept_cpu(bench)
    return [
        Finding("9", "disk at its peak / body bytes, 5 destinations", at_most(1.35, 1.25), (share,), note=note),
        Finding("10a", "disk of 5 destinations / 1", at_most(1.03, 1.0), (bytes_by[5] / bytes_by[1],)),
        _cpu_finding("10b", "accept CPU with 5 destinations / 1", at_most(1.03, 1.0), accepted),
    ]


async def _empty_bytes(bench: Bench, pipelines: int) -> int:
    """Give what spool and ledger hold before the first event: half a megabyte of tables and pipeline files."""
    folder = bench.new_folder()
    await fill(folder / "spool", iter(()))
    async with works(folder, pipeline_texts(pipelines), Taken()):
        pass
    return size_of(folder)


def _all_went_out(vendor: Taken, events: int) -> None:
    if vendor.requests != events:
        raise children.ChildFailed(
            f"{vendor.requests} of {events} events went out: what was measured is something else"
        )


async def _accept_cpu(bench: Bench) -> Pair:
    one, five = bench.new_folder(), bench.new_folder()
    async with (
        children.collector(one, core=bench.server_core) as few,
        children.collector(five, core=bench.server_core, pipelines=pipeline_texts(5)) as many,
    ):
        a, b = (loaded(bench, child, posts(EVENTS_PATH, 1)) for child in (many, few))
        return await alternate(a, b, bench.rounds)


def _cpu_finding(goal: str, what: str, bar: Bar, pair: Pair, note: str = "") -> Finding:
    ours, base = middle(s.cpu_us for s in pair.ours), middle(s.cpu_us for s in pair.base)
    values = tuple(a.cpu_us / b.cpu_us for a, b in zip(pair.ours, pair.base, strict=True))
    told = {"ours": f"{ours:.0f} us", "base": f"{base:.0f} us", "note": note, "rounds": pair.rounds()}
    return Finding(goal, what, bar, values, ours / base, **told)  # type: ignore[arg-type]


async def backlog(bench: Bench, wanted: Callable[[str], bool]) -> AsyncIterator[Finding]:
    """Goals 15 and 16 over one large spool."""
    large, small = bench.new_folder(), bench.new_folder()
    few = DRAIN_SLICE * (bench.rounds + 2)
    await fill(large / "data/spool", chain(names(1_000), views(bench.backlog, 1_000)))
    await fill(small / "data/spool", chain(names(1_000), views(few, 1_000)))
    note = f"{bench.backlog:,} events beside {few:,}" + (
        "" if bench.backlog >= 10_000_000 else "; 10 million only with BACKLOG=10000000"
    )
    bar = at_most(1.10, 1.05)
    if wanted("15"):
        async with (
            children.collector(large, core=bench.server_core) as many,
            children.collector(small, core=bench.server_core) as little,
        ):
            a, b = (loaded(bench, child, posts(EVENTS_PATH, 1)) for child in (many, little))
            yield _cpu_finding(
                "15a", "accept CPU with a backlog / without", bar, await alternate(a, b, bench.rounds), note
            )
        yield _cpu_finding(
            "15b", "resolve and drain CPU with a backlog / without", bar, await _drain_cpu(bench, large, small)
        )
    if wanted("16"):
        yield await first_delivery(bench, large)


async def _drain_cpu(bench: Bench, large: Path, small: Path) -> Pair:
    texts = pipeline_texts(1)
    async with (
        works(large / "data", texts, Taken()) as many,
        works(small / "data", texts, Taken()) as few,
    ):
        return await alternate(lambda: _drained(many), lambda: _drained(few), bench.rounds)


async def _drained(made: Works) -> Slice:
    began_s, spent_s = time.monotonic(), time.process_time()
    await made.resolve(DRAIN_SLICE)
    await made.drain()
    seconds, cpu_s = time.monotonic() - began_s, time.process_time() - spent_s
    return Slice(DRAIN_SLICE, seconds, cpu_s, 0.0)


async def first_delivery(bench: Bench, folder: Path) -> Finding:
    """Goal 16: everything is resolved and nothing delivered when the drainer is killed and started again."""
    bar, what = at_most(1.0, 0.1, " s"), "kill -9 to the first delivery, Python's start left out"
    (folder / "data/ledger.db").unlink(missing_ok=True)
    shutil.rmtree(folder / "pipelines", ignore_errors=True)
    waits: list[float] = []
    async with children.bare(folder / "sink.log", core=bench.other_core) as sink:
        texts = pipeline_texts(1, f"http://127.0.0.1:{sink.port}")
        file, _, _ = children.shop(folder, pipelines=texts)
        told = ["-m", "edge", "serve", "--only", "drainer", "--config", str(file)]
        for _ in range(2 if bench.is_quick else 4):
            await children.asked(sink.port, "/reset")
            began_s = time.time()
            async with children.started(told, folder / "drainer.log", core=bench.server_core) as child:
                waits.append(await _first_at(sink.port, child) - began_s)
                child.kill()
    start_s = await _python_start_s()
    values = tuple(wait_s - start_s for wait_s in waits[1:])
    note = f"{bench.backlog:,} events wait; Python and our modules start in {start_s:.2f} s"
    return Finding("16", what, bar, values, ours=f"{middle(waits[1:]):.2f} s", note=note)


async def _first_at(port: int, child: children.Child) -> float:
    stop_s = time.monotonic() + FIRST_DELIVERY_S + 240.0
    while time.monotonic() < stop_s:
        found = await children.asked(port, "/taken")
        if found["taken"]:
            return float(found["first_s"])
        if child.process.poll() is not None:
            break
        await asyncio.sleep(0.02)
    raise children.ChildFailed(f"nothing was delivered: {child.trouble()}")


async def _python_start_s() -> float:
    took_s = list[float]()
    for _ in range(3):
        began_s = time.monotonic()
        await children.output(["-c", "import edge.cli, edge.app.serving; print('here')"], 60.0)
        took_s.append(time.monotonic() - began_s)
    return middle(took_s)


async def deaths(bench: Bench) -> Finding:
    """Goal 17: what was acknowledged is there after kill -9 at random moments; the disk was asked before each yes."""
    folder, rng = bench.new_folder(), random.Random(17)
    kills = 2 if bench.is_quick else 20
    acked: set[str] = set()
    for _ in range(kills):
        async with children.collector(folder, core=bench.server_core) as child:
            asyncio.get_running_loop().call_later(rng.uniform(*LIVES_S), child.process.kill)
            try:
                heard = closed_loop(
                    child.port, posts(EVENTS_PATH, 1), seconds=5.0, acked=lambda sent: acked.update(ids_of(sent))
                )
                await heard
            except (UnexpectedAnswer, OSError):
                pass
            child.process.wait()
    lost = acked - _stored_ids(folder / "data/spool")
    told = await _syncs_before_answers(bench)
    what, note = "acked events lost", f"{kills} times kill -9 under load; {told}"
    return Finding("17", what, at_most(0), (float(len(lost)),), ours=f"of {len(acked):,}", note=note)


def _stored_ids(spool: Path) -> set[str]:
    found: set[str] = set()
    for segment in list_segments(spool):
        db = sqlite3.connect(segment.path)
        found |= {decode(row[0]).id for row in db.execute("SELECT body FROM event")}
        db.close()
    return found


async def _syncs_before_answers(bench: Bench) -> str:
    """Watch a running collector's system calls: between two yeses the disk has to have been asked."""
    tracer = shutil.which("strace")
    if tracer is None:
        return "no strace here, so that the sync before each answer is not shown"
    folder = bench.new_folder()
    trace = folder / "trace"
    async with children.collector(folder, core=bench.server_core) as child:
        calls = "trace=fdatasync,fsync,write,writev,sendto,sendmsg"
        watcher = subprocess.Popen(  # noqa: ASYNC220 - starting takes no time worth a loop's
            [tracer, "-f", "-p", str(child.pid), "-e", calls, "-o", str(trace)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            await asyncio.sleep(0.5)
            await closed_loop(child.port, posts(EVENTS_PATH, 1), seconds=0.3, connections=1)
        except UnexpectedAnswer:
            pass
        finally:
            watcher.send_signal(signal.SIGINT)
            watcher.wait(timeout=10)
    found = _judged(trace.read_text("utf-8", "replace") if trace.exists() else "")
    return found or "strace may not watch here, so that the sync before each answer is not shown"


def _judged(trace: str) -> str:
    synced, answers, bad = False, 0, 0
    for line in trace.splitlines():
        if re.search(r"(fdatasync|fsync)(\(.*| resumed>.*)= 0", line):
            synced = True
        elif "HTTP/1.1 204" in line:
            answers, bad, synced = answers + 1, bad + (not synced), False
    if not answers:
        return ""
    return f"strace: {answers - bad} of {answers} answers of 204 had a sync before them, so synchronous is FULL"


async def space(bench: Bench) -> list[Finding]:
    """Goal 18."""
    events = 12_000 if bench.is_quick else 60_000
    segment_bytes = 10_000_000 if bench.is_quick else SEGMENT_BYTES
    folder = bench.new_folder()
    await fill(folder / "spool", chain(names(100), views(events, 100)), segment_bytes=segment_bytes)
    async with works(folder, pipeline_texts(1), Taken()) as made:
        await made.resolve()
        await made.drain()
        sealed = list_segments(folder / "spool")[:-1]
        before = sum(one.path.stat().st_size for one in sealed)
        house = Housekeeping(
            SpoolSettings(folder / "spool", free_bytes=0),
            reader=made.reader,
            ledger=TrimLedger(made.database, made.lanes.names),
            clock=SystemClock(),
            keep_for_s=0,
        )
        began_s = time.process_time()
        removed = await house.unlink_passed()
        spent_us = (time.process_time() - began_s) * 1e6
        after = sum(one.path.stat().st_size for one in sealed if one.path.exists())
    share = 100 * (before - after) / before if before else 0.0
    note = f"{events} events in {len(sealed)} sealed segments of {segment_bytes / 1e6:g} MB, {removed} unlinked"
    return [
        Finding("18a", "space given back of sealed segments", at_least(95, unit=" %"), (share,), note=note),
        Finding("18b", "CPU of giving it back, an event", at_most(0.5, 0.1, " us"), (spent_us / events,)),
    ]


async def held(bench: Bench) -> list[Finding]:
    """Goal 19: events of strangers who name themselves later, beside those of visitors who were known."""
    events = 1_000 if bench.is_quick else 5_000
    visitors = events // 10
    rounds: list[dict[str, float]] = []
    for _ in range(1 if bench.is_quick else 3):
        first, later = bench.new_folder(), bench.new_folder()
        await fill(first / "spool", chain(names(visitors), views(events, visitors)))
        await fill(later / "spool", chain(views(events, visitors), names(visitors)))
        direct_s, _ = await _lived(first, events)
        held_s, held_bytes = await _lived(later, events)
        rounds.append({"direct_us": direct_s * 1e6 / events, "held_us": held_s * 1e6 / events, "bytes": held_bytes})
    ratios = tuple(r["held_us"] / r["direct_us"] for r in rounds)
    sizes = tuple(r["bytes"] for r in rounds)
    note = f"{events} events of {visitors} visitors; everything the ledger keeps of them, journal and visitors included"
    ours, base = (f"{middle(r[name] for r in rounds):.0f} us" for name in ("held_us", "direct_us"))
    return [
        Finding("19a", "bytes of the ledger a held event", at_most(160, 120, " B"), sizes, note=note),
        Finding("19b", "CPU to hold and release / at once", at_most(1.5, 1.2), ratios, None, ours, base, rounds=rounds),
    ]


async def _lived(folder: Path, events: int) -> tuple[float, float]:
    """Resolve and drain in two halves; give the CPU seconds, and the ledger's bytes an event after the first half."""
    vendor = Taken()
    async with works(folder, pipeline_texts(1), vendor) as made:
        empty = made.ledger_bytes()
        began_s = time.process_time()
        await made.resolve(events)
        await made.drain()
        spent_s = time.process_time() - began_s
        kept = made.ledger_bytes() - empty
        began_s = time.process_time()
        await made.resolve()
        await made.drain()
        spent_s += time.process_time() - began_s
    _all_went_out(vendor, events)
    return spent_s, kept / events


async def run(bench: Bench, wanted: Callable[[str], bool]) -> AsyncIterator[Finding]:
    """Measure what is wanted of this file's goals, the large backlog last."""
    if wanted("17"):
        yield await deaths(bench)
    for goals, work in ((("9", "10"), disk_and_fan_out), (("18",), space), (("19",), held)):
        if any(wanted(goal) for goal in goals):
            for one in await work(bench):
                yield one
    if not bench.has_time():
        return
    if wanted("15") or wanted("16"):
        async for one in backlog(bench, wanted):
            yield one
