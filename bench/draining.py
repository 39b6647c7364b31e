"""Goals 11 to 14: the drainer's speed beside a bare client, and what accepting feels of it.

The drainer is process B as its users start it but for the vendor's rate, see `unbound.py`. It and the bare client run
all the time and are stopped (SIGSTOP) in each other's turns; what both send to is one sink that counts.
"""

import asyncio
import importlib.util
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import aiohttp

from bench import children
from bench.accepting import SEED, loaded
from bench.bodies import EVENTS_PATH, posts
from bench.children import Bench, Child
from bench.generator import open_loop
from bench.measure import Meter, Pair, Slice, alternate, middle
from bench.table import Bar, Finding, at_least, at_most, unmeasured
from bench.works import fill, names, pipeline_texts, views

MOST_PER_S = 4_000  # singles; what a slice may need from the spool
MOST_BULK_PER_S = 60_000
VISITORS = 1_000
KEEP_UP_PER_S = 8_000
KEEP_UP_S = 30.0
RESOLVED_S = 120.0
NO_BULK = "this version sends single events only"


def has_bulk() -> bool:
    """Tell whether this version's drainer hands a destination several events at once."""
    return importlib.util.find_spec("edge.drainer.batching") is not None


@asynccontextmanager
async def drainer(
    folder: Path, *, core: int | None, pipelines: Mapping[str, str], ready: bool = True
) -> AsyncIterator[Child]:
    """Run process B with the vendors' rates lifted over a folder's data."""
    file, _, ops = children.shop(folder, pipelines=pipelines)
    told = ["-m", "bench.unbound", "serve", "--only", "drainer", "--config", str(file)]
    async with children.started(told, folder / "drainer.log", core=core) as child:
        child.ops = ops
        if ready:
            await children.ready(child)
        try:
            yield child
        finally:
            child.process.send_signal(signal.SIGCONT)


async def counters(child: Child, name: str, *labels: str) -> float:
    """Add up a metric's samples whose line has all of these labels."""
    url = f"http://127.0.0.1:{child.ops}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        lines = (await answer.text()).splitlines()
    found = [line for line in lines if line.startswith(name) and all(label in line for label in labels)]
    return sum(float(line.rpartition(" ")[2]) for line in found)


async def _delivered(child: Child) -> int:
    return round(await counters(child, "edge_deliveries_settled_total", 'fate="delivered"'))


async def _taken(sink: Child) -> int:
    return int((await children.asked(sink.port, "/taken"))["taken"])


def turn(bench: Bench, child: Child, count: Callable[[], Awaitable[int]]) -> Callable[[], Awaitable[Slice]]:
    """Give what lets a stopped process go on for one slice."""

    async def run() -> Slice:
        child.process.send_signal(signal.SIGCONT)
        before, meter, began_s = await count(), Meter(child.pid), time.monotonic()
        await asyncio.sleep(bench.seconds)
        done = await count() - before
        found = meter.stop(done, time.monotonic() - began_s)
        child.process.send_signal(signal.SIGSTOP)
        bench.foreign_cores.append(found.foreign_cores)
        if not done:
            raise children.ChildFailed(f"nothing was sent in a whole slice: {child.trouble()}")
        return found

    return run


async def _beside_client(bench: Bench, endpoint: str, per_s: int) -> Pair:
    folder = bench.new_folder()
    events = round(per_s * bench.seconds * (bench.rounds + 3))
    await fill(folder / "data/spool", chain(names(VISITORS), views(events, VISITORS)))
    async with children.bare(folder / "sink.log", core=bench.other_core) as sink:
        texts = pipeline_texts(1, f"http://127.0.0.1:{sink.port}", endpoint)
        base = children.started(["-m", "bench.client", str(sink.port)], folder / "client.log", core=bench.server_core)
        async with base as client, drainer(folder, core=bench.server_core, pipelines=texts) as ours:
            client.process.send_signal(signal.SIGSTOP)
            await _begun(ours)
            ours.process.send_signal(signal.SIGSTOP)
            try:
                return await alternate(
                    turn(bench, ours, lambda: _delivered(ours)),
                    turn(bench, client, lambda: _taken(sink)),
                    bench.rounds,
                )
            finally:
                client.process.send_signal(signal.SIGCONT)


async def _begun(child: Child) -> None:
    stop_s = time.monotonic() + RESOLVED_S
    while not await _delivered(child):
        if time.monotonic() > stop_s or child.process.poll() is not None:
            raise children.ChildFailed(f"nothing is delivered: {child.trouble()}")
        await asyncio.sleep(0.05)


def _finding(goal: str, what: str, bar: Bar, pair: Pair, note: str = "") -> Finding:
    value, rounds, by = pair.better()
    ours, base = (
        f"{middle(s.per_s for s in side):,.0f}/s {middle(s.cpu_us for s in side):.0f} us"
        for side in (pair.ours, pair.base)
    )
    note = f"judged by {by}{'; ' if note else ''}{note}"
    return Finding(goal, what, bar, rounds, value, ours, base, note, pair.rounds())


async def singles(bench: Bench) -> Finding:
    """Goal 13."""
    pair = await _beside_client(bench, "create_event", MOST_PER_S)
    return _finding("13", "drain by singles / bare client loop", at_least(0.75, 0.83), pair)


async def bulks(bench: Bench) -> Finding:
    """Goal 14."""
    what, bar = "drain by bulks, events / bare client's requests", at_least(6, 9)
    if not has_bulk():
        return unmeasured("14", what, NO_BULK, bar)
    per_s = 5_000 if bench.is_quick else MOST_BULK_PER_S // 4
    return _finding("14", what, bar, await _beside_client(bench, "bulk_create_events", per_s))


async def accept_beside(bench: Bench) -> Finding:
    """Goal 11: with two cores the generator shares the drainer's, so that only CPU time can judge."""
    folder = bench.new_folder()
    events = round(MOST_PER_S * bench.seconds * (bench.rounds + 3))
    await fill(folder / "data/spool", chain(names(VISITORS), views(events, VISITORS)))
    async with (
        children.bare(folder / "sink.log", core=bench.other_core) as sink,
        children.collector(folder, core=bench.server_core) as ours,
    ):
        texts = pipeline_texts(1, f"http://127.0.0.1:{sink.port}")
        other = bench.new_folder()
        (other / "data").symlink_to(folder / "data")
        async with drainer(other, core=bench.other_core, pipelines=texts) as beside:
            await _begun(beside)
            accept = loaded(bench, ours, posts(EVENTS_PATH, 1))

            async def busy() -> Slice:
                beside.process.send_signal(signal.SIGCONT)
                return await accept()

            async def alone() -> Slice:
                beside.process.send_signal(signal.SIGSTOP)
                return await accept()

            pair = await alternate(busy, alone, bench.rounds)
    note = "a drainer at full speed on the other core"
    value, rounds = middle(s.cpu_us for s in pair.base) / middle(s.cpu_us for s in pair.ours), pair.cheapness
    if len(children.ALLOWED) > 2:
        return _finding("11", "accept beside a drainer / alone", at_least(0.85, 0.95), pair, note)
    told = [f"{middle(s.cpu_us for s in side):.0f} us" for side in (pair.ours, pair.base)]
    note = f"{note}, which the generator shares: judged by CPU"
    return Finding(
        "11", "accept beside a drainer / alone", at_least(0.85, 0.95), rounds, value, *told, note, pair.rounds()
    )


async def keeping_up(bench: Bench) -> Finding:
    """Goal 12."""
    what, bar = f"backlog after {KEEP_UP_S:.0f} s of {KEEP_UP_PER_S} events/s", at_most(1.0, unit=" s of input")
    if not has_bulk():
        return unmeasured("12", what, NO_BULK, bar)
    folder, seconds = bench.new_folder(), 3.0 if bench.is_quick else KEEP_UP_S
    await fill(folder / "data/spool", names(1))
    async with (
        children.bare(folder / "sink.log", core=bench.other_core) as sink,
        children.collector(folder, core=bench.server_core) as ours,
    ):
        texts = pipeline_texts(1, f"http://127.0.0.1:{sink.port}", "bulk_create_events")
        texts = {name: text.replace("\nevents:", "\nanonymous: send\n\nevents:") for name, text in texts.items()}
        other = bench.new_folder()
        (other / "data").symlink_to(folder / "data")
        async with drainer(other, core=bench.other_core, pipelines=texts) as beside:
            found = await open_loop(
                ours.port, posts(EVENTS_PATH, 10), rate=KEEP_UP_PER_S / 10, seconds=seconds, seed=SEED
            )
            accepted = await counters(ours, "edge_events_accepted_total")
            behind = accepted + 1 - await counters(beside, "edge_pipeline_cursor")
    if found.unanswered:
        why = f"{found.unanswered} requests had no answer: the collector could not take what was to be drained"
        return unmeasured("12", what, why, bar)
    note = "the generator and the sink share the drainer's core"
    return Finding("12", what, bar, (max(0.0, behind) / KEEP_UP_PER_S,), ours=f"{behind:,.0f} events", note=note)


async def run(bench: Bench, wanted: Callable[[str], bool]) -> AsyncIterator[Finding]:
    """Measure what is wanted of goals 11 to 14."""
    for goal, work in {"11": accept_beside, "12": keeping_up, "13": singles, "14": bulks}.items():
        if wanted(goal):
            yield await work(bench)
