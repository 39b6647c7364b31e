"""`make bench`: measure the goals, print the table, keep it as JSON; exit code 1 when a bar is missed.

ONLY=1,5 ROUNDS=7 SECONDS=2 BACKLOG=1000000 QUICK=1 OUT=var/bench.json .venv/bin/python -m bench
"""

import asyncio
import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import structlog
import uvloop

from bench import accepting, children, draining, parts, storing
from bench.children import ROOT, Bench, ChildFailed
from bench.generator import NAME, UnexpectedAnswer
from bench.measure import disk, machine, middle
from bench.table import Finding, as_json, exit_code, table, unmeasured

INTERRUPTED = 130
LIMIT_S, GRACE_S = 500.0, 100.0  # no goal begins after the first, nothing goes on after both
QUICK_LIMIT_S, QUICK_GRACE_S = 60.0, 10.0
QUICK = {"ROUNDS": "3", "SECONDS": "0.25", "BACKLOG": "20000"}
Run: TypeAlias = Callable[[Bench, Callable[[str], bool]], AsyncIterator[Finding]]
# Each with the share of the whole time by which it has to leave room for those after it.
SUBJECTS: tuple[tuple[Run, tuple[str, ...], float], ...] = (
    (accepting.run, ("1", "2", "3", "4", "5", "6", "7", "8"), 0.4),
    (draining.run, ("11", "12", "13", "14"), 0.55),
    (storing.run, ("9", "10", "17", "18", "19", "15", "16"), 0.9),
    (parts.run, ("20", "21", "22", "23"), 1.0),
)
GOALS = tuple(goal for _, goals, _ in SUBJECTS for goal in goals)
FAILURES = (ChildFailed, UnexpectedAnswer, TimeoutError, OSError, subprocess.SubprocessError)


def settings(environ: Mapping[str, str], folder: Path) -> tuple[Bench, frozenset[str]]:
    """Read what the environment narrows, e.g. {"ONLY": "1,5", "QUICK": "1"}."""
    is_quick = environ.get("QUICK", "") not in ("", "0")
    told = {**(QUICK if is_quick else {}), **{name: value for name, value in environ.items() if value}}
    only = frozenset(told["ONLY"].replace(",", " ").split()) if "ONLY" in told else frozenset(GOALS)
    if only - set(GOALS):
        raise SystemExit(f"ONLY: {', '.join(sorted(only - set(GOALS)))}: no such goal; accepted are {', '.join(GOALS)}")
    bench = Bench(
        folder,
        grace_s=QUICK_GRACE_S if is_quick else GRACE_S,
        rounds=int(told.get("ROUNDS", 7)),
        seconds=float(told.get("SECONDS", 1.2)),
        backlog=int(told.get("BACKLOG", 1_000_000)),
        is_quick=is_quick,
        stop_s=time.monotonic() + (QUICK_LIMIT_S if is_quick else LIMIT_S),
    )
    return bench, only


async def measure(bench: Bench, only: frozenset[str], findings: list[Finding]) -> None:
    """Measure goal by goal into `findings`; one that fails leaves its reason, and the others go on."""
    began_s, whole_s = time.monotonic(), bench.stop_s - time.monotonic()
    for run, goals, share in SUBJECTS:
        bench.stop_s = began_s + whole_s * (1.0 if only <= set(goals) else share)
        while left := _left(only, goals, findings):
            asked: list[str] = []

            def wanted(goal: str, left: list[str] = left, asked: list[str] = asked) -> bool:
                is_wanted = goal in left and bench.has_time()
                asked.extend([goal] if is_wanted else [])
                return is_wanted

            try:
                async with asyncio.timeout(bench.left_s()):
                    async for finding in run(bench, wanted):
                        print(f"  {finding.goal}: {finding.verdict}", file=sys.stderr, flush=True)
                        findings.append(finding)
            except FAILURES as error:
                failed = asked[-1] if asked else left[0]
                findings.append(unmeasured(failed, "", f"{type(error).__name__}: {error}"))
            else:
                findings += [unmeasured(one, "", "the time was up") for one in _left(only, goals, findings)]


def _left(only: frozenset[str], goals: tuple[str, ...], findings: list[Finding]) -> list[str]:
    done = {one.goal.rstrip("abcdef").partition(".")[0] for one in findings}
    return [goal for goal in goals if goal in only and goal not in done]


def noise(bench: Bench) -> dict[str, Any]:
    """Say how quiet the machine was."""
    cores, bases = bench.foreign_cores or [0.0], bench.base_per_s
    last = disk(bench.folder)
    return {
        "foreign_cores_median": round(middle(cores), 2),
        "foreign_cores_worst": round(max(cores), 2),
        "base_drift": round(max(bases) / min(bases), 2) if bases else None,
        "fdatasync_p50_ms": round(last.p50_ms, 2),
        "fdatasync_p99_ms": round(last.p99_ms, 2),
        "generator_lag_p99_ms": round(max(bench.lags_ms), 2) if bench.lags_ms else None,
    }


async def main_async(bench: Bench, only: frozenset[str], out: Path) -> int:
    """Run, print and write; give the exit code."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    began = datetime.now(UTC)
    findings: list[Finding] = []
    is_whole = True
    try:
        await measure(bench, only, findings)
    except asyncio.CancelledError:  # Ctrl-C: what is known by now is told all the same
        is_whole = False
        findings += [unmeasured(one, "", "interrupted") for one in _left(only, GOALS, findings)]
    around = {
        "began": began.isoformat(timespec="seconds"),
        "machine": machine(bench.folder),
        "settings": {"rounds": bench.rounds, "seconds": bench.seconds, "backlog": bench.backlog, "generator": NAME},
        "noise": noise(bench),
    }
    print(table(findings))
    print("\n".join(f"{name}: {value}" for name, value in around.items()))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(as_json(findings, **around), "utf-8")
    print(f"written to {out}")
    return exit_code(findings) if is_whole else INTERRUPTED


def main() -> int:
    """Run the benchmark with the environment's settings."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with children.temporary() as folder:
        bench, only = settings(os.environ, folder)
        if bench.other_core is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, {bench.other_core})
        out = Path(os.environ.get("OUT") or ROOT / "var" / "bench.json")
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main_async(bench, only, out))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
