"""Rows 20 to 23: mapping and resolving beside their own bases, the verbs that look, and a broken neighbour."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from itertools import chain
from typing import Any

from bench import children, looking
from bench.children import Bench
from bench.measure import Slice, alternate, middle
from bench.table import Finding, at_least, at_most
from bench.works import Taken, Works, fill, names, pipeline_texts, views, works
from edge.delivery import Request, Response

LIMIT_S, QUICK_LIMIT_S = 90.0, 15.0
NEIGHBOUR_EVENTS = 2_000  # the resolver takes no smaller page while more lies there
HANGS_S = 0.2


async def _told(bench: Bench, module: str, **env: str) -> list[dict[str, Any]]:
    """Run one of the older benchmarks and give what its last line says."""
    printed = await children.output(["-m", module], QUICK_LIMIT_S if bench.is_quick else LIMIT_S, **env)
    try:
        found = json.loads(printed.strip().splitlines()[-1])
    except ValueError as error:
        raise children.ChildFailed(f"{module} says nothing in JSON") from error
    return found if isinstance(found, list) else [found]


async def mapping(bench: Bench) -> list[Finding]:
    """Row 20."""
    told = await _told(bench, "bench.mapping", ROUNDS="31" if bench.is_quick else "301")
    return [
        Finding(
            f"20.{one['name']}",
            "mapping an event / the same by hand",
            at_most(3.0),
            value=one["median"],
            note=f"{one['name']}: the rounds span {one['least']:.2f} to {one['most']:.2f}",
        )
        for one in told
    ]


async def resolving(bench: Bench) -> list[Finding]:
    """Row 21."""
    few = {"EVENTS": "4000", "VISITORS": "400", "ROUNDS": "1"} if bench.is_quick else {}
    found = (await _told(bench, "bench.resolving", **few))[0]
    us: dict[str, float] = found["us"]
    parts = ", ".join(f"{part} {value:.1f}" for part, value in us.items() if part != "whole")
    ratios = tuple(found.get("ratios", ()))
    note = f"us: {parts}" + (f"; {middle(ratios):.2f} of parse and row" if ratios else "")
    return [Finding("21", "CPU of resolving an event", at_most(20.0, unit=" us"), value=us["whole"], note=note)]


class _OneBroken(Taken):
    """A vendor of two accounts, of which the second hangs and then fails; only the first one's requests count."""

    async def send(self, request: Request) -> Response:
        if "/1/" in request.url:
            await asyncio.sleep(HANGS_S)
            return Response(503, {}, b"")
        return await super().send(request)


async def neighbour(bench: Bench) -> Finding:
    """Row 23: what a healthy destination delivers beside one that hangs and fails."""
    folders = bench.new_folder(), bench.new_folder()
    for folder in folders:
        events = NEIGHBOUR_EVENTS * (bench.rounds + 2)
        await fill(folder / "spool", chain(names(100), views(events, 100)))
    broken, healthy = _OneBroken(), Taken()
    async with (
        works(folders[0], pipeline_texts(2), broken) as two,
        works(folders[1], pipeline_texts(1), healthy) as one,
    ):
        stopped = asyncio.Event()
        beside = asyncio.create_task(_keep_trying(two, stopped))
        try:
            pair = await alternate(lambda: _sent(two, broken), lambda: _sent(one, healthy), bench.rounds)
        finally:
            stopped.set()
            await beside
    ours, base = (f"{middle(s.per_s for s in side):,.0f}/s" for side in (pair.ours, pair.base))
    what = "delivery beside a broken destination / alone"
    return Finding("23", what, at_least(0.8), pair.speeds, None, ours, base, rounds=pair.rounds())


async def _keep_trying(made: Works, stopped: asyncio.Event) -> None:
    while not stopped.is_set():
        if not await made.lanes.step("klaviyo_events_1"):
            await asyncio.sleep(0.01)


async def _sent(made: Works, vendor: Taken) -> Slice:
    await made.resolve(NEIGHBOUR_EVENTS)
    before, began_s, spent_s = vendor.requests, time.monotonic(), time.process_time()
    await made.drain(["klaviyo_events_0"])
    sent = vendor.requests - before
    if not sent:
        raise children.ChildFailed("nothing went out in a whole slice")
    return Slice(sent, time.monotonic() - began_s, time.process_time() - spent_s, 0.0)


async def run(bench: Bench, wanted: Callable[[str], bool]) -> AsyncIterator[Finding]:
    """Measure what is wanted of the rows that are no numbered goals."""
    for row, work in {"20": mapping, "21": resolving}.items():
        if wanted(row):
            for one in await work(bench):
                yield one
    if wanted("22"):
        async for one in looking.run(bench):
            yield one
    if wanted("23"):
        yield await neighbour(bench)
