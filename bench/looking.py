"""Row 22: how long the verbs that only look take over a long past, beside the running service.

BACKLOG=10000000 ONLY=22 .venv/bin/python -m bench
"""

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bench import children, long_ledger
from bench.children import Bench
from bench.long_ledger import NAMES, Past
from bench.measure import NOISE_CORES, Meter, Slice, middle
from bench.table import Finding, at_most

GOAL = at_most(1.0, unit=" s")
LIMIT_S, ROUNDS = 60.0, 5
# Not a goal, for information: it reads every row there is.
EVERYTHING = "queue --balance, all"


def verbs(past: Past) -> Mapping[str, tuple[str, ...]]:
    """Give what is called, by what it is called in the table."""
    middle = past.last // 200 * 100
    return {
        "queue": ("queue",),
        "queue --watch": ("queue", "--watch", "--json"),
        "queue --balance": ("queue", "--balance"),
        EVERYTHING: ("queue", "--balance", "--since", "30d"),
        "why NUMBER": ("why", str(middle)),
        "why ID": ("why", f"event-{middle + 60}"),
        "tail": ("tail", "--once"),
        "tail --visitor": ("tail", "--once", "--from-start", "--visitor", f"{past.last % long_ledger.VISITORS:032x}"),
        "dead list": ("dead", "list"),
        "dead list --error": ("dead", "list", "--error", "nothing has this"),
        "dead show": ("dead", "show", f"event-{middle + 40}"),
        "identity show": ("identity", "show", f"{5:032x}"),
    }


async def run(bench: Bench) -> AsyncIterator[Finding]:
    """Write the past, start the service over it, and call each verb as a shell does, Python's start included."""
    folder = bench.new_folder()
    began_s = time.monotonic()
    files = {f"{name}.yaml": long_ledger.FILE.format(name=name) for name in NAMES}
    config, _, ops = children.shop(folder, pipelines=files)
    (folder / "data").mkdir()
    past = await long_ledger.write(folder / "data", bench.backlog)
    size = (folder / "data/ledger.db").stat().st_size / 1e6
    note = f"{past.last:,} events, {size:,.0f} MB, written in {time.monotonic() - began_s:.0f} s"
    told = ["-m", "edge", "serve", "--config", str(config)]
    async with children.started(told, folder / "serve.log", core=bench.server_core) as service:
        service.ops = ops
        await children.ready(service)
        for name, arguments in verbs(past).items():
            rounds = 1 if bench.is_quick or name == EVERYTHING else ROUNDS
            yield _finding(name, [await _called(bench, config, arguments) for _ in range(rounds)], note)
            note = ""


def _finding(name: str, slices: Sequence[Slice], note: str) -> Finding:
    """Judge by how long it took; by CPU alone where others used the machine."""
    is_quiet = all(one.foreign_cores <= NOISE_CORES for one in slices)
    took = tuple(one.seconds if is_quiet else one.cpu_s for one in slices)
    ours = f"{middle(one.seconds for one in slices):.2f} s, {middle(one.cpu_s for one in slices):.2f} s CPU"
    by = "" if is_quiet else ", by CPU"
    bar = None if name == EVERYTHING else GOAL
    return Finding(f"22.{name}", f"edge {name}, beside the service{by}", bar, took, ours=ours, note=note)


def _spent_s() -> float:
    """Give the CPU time of the children that have ended."""
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


async def _called(bench: Bench, config: Path, arguments: tuple[str, ...]) -> Slice:
    """Call a verb once; its CPU is its own, not the service's."""
    meter, before_s = Meter(os.getpid()), _spent_s()
    seconds = await _took_s(config, arguments)
    found = meter.stop(1, seconds)
    bench.foreign_cores.append(found.foreign_cores)
    return replace(found, cpu_s=_spent_s() - before_s)


async def _took_s(config: Path, arguments: tuple[str, ...]) -> float:
    """Give how long a verb takes to its end, or to its first picture where it has none."""
    told = [sys.executable, "-m", "edge", *arguments, "--config", str(config)]
    began_s = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *told,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=children.environ(COLUMNS="100"),
        cwd=children.ROOT,
        limit=2**20,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(LIMIT_S):
            if "--watch" in arguments:
                json.loads(await process.stdout.readline())
                return time.monotonic() - began_s
            _, trouble = await process.communicate()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode != 0:
        raise children.ChildFailed(f"{' '.join(arguments)} ended with {process.returncode}: {trouble.decode()[-300:]}")
    return time.monotonic() - began_s
