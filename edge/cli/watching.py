"""`edge queue --watch`: what changes, as it changes, in small plots."""

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edge.cli.idle import Disabled, idle_among, idle_line
from edge.cli.running import UNSEEN, Running, running_on
from edge.cli.screen import as_json, console, plain
from edge.cli.stores import Stores, Unavailable, open_stores
from edge.cli.surroundings import Surroundings, surroundings
from edge.cli.times import clock_time, span
from edge.config import Config
from edge.delivery import OPEN_FATES, Fate
from edge.ledger.looking import PipelineDepth

BARS = "▁▂▃▄▅▆▇█"
KEPT = 240
NARROW, WIDE = 12, 30
# What a pipeline's plots are of, and in which colour; the others of a pipeline's outcomes are told as one.
OUTCOMES = ((Fate.DELIVERED, "green"), (Fate.WITHHELD, "magenta"), (Fate.DEAD, "bold red"), (Fate.EXPIRED, "red"))


@dataclass(frozen=True, slots=True)
class Look:
    """The queue at one moment; `oldest_ms` is when each pipeline's oldest open event was accepted.

    `idle` pipelines are disabled, and nothing ever moved in them.
    """

    at_ms: int
    accepted_to: int
    resolved_to: int
    depths: tuple[PipelineDepth, ...]
    oldest_ms: dict[str, int]
    running: Running = UNSEEN
    idle: frozenset[str] = frozenset()


@dataclass(slots=True)
class Course:
    """One pipeline's last minutes, the newest last: rates a second by fate, and how deep the queue was."""

    rates: dict[Fate, deque[float]] = field(default_factory=dict)
    depths: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def add(self, before: PipelineDepth | None, now: PipelineDepth, seconds: float) -> None:
        """Note one more look; what a replay takes back from a fate is no rate."""
        for fate in Fate:
            gained = now.events.get(fate, 0) - (before.events.get(fate, 0) if before else now.events.get(fate, 0))
            self.rates.setdefault(fate, deque(maxlen=KEPT)).append(max(0.0, gained / seconds) if seconds > 0 else 0.0)
        self.depths.append(depth_of(now))

    def last(self, fate: Fate) -> float:
        """Give the newest rate of a fate."""
        return self.rates[fate][-1]

    def others(self) -> float:
        """Give the newest rate of the outcomes that have no plot of their own."""
        plotted = {fate for fate, _ in OUTCOMES} | OPEN_FATES
        return sum(rates[-1] for fate, rates in self.rates.items() if fate not in plotted)


class Courses:
    """What has been seen so far, by pipeline, and how fast events are accepted."""

    def __init__(self) -> None:
        self.of: dict[str, Course] = {}
        self.accepted: deque[float] = deque(maxlen=KEPT)
        self._before: Look | None = None

    def add(self, now: Look) -> None:
        """Note one more look."""
        before, self._before = self._before, now
        seconds = (now.at_ms - before.at_ms) / 1_000 if before else 0.0
        gained = now.accepted_to - before.accepted_to if before else 0
        self.accepted.append(max(0.0, gained / seconds) if seconds > 0 else 0.0)
        earlier = {depth.name: depth for depth in before.depths} if before else {}
        for depth in now.depths:
            self.of.setdefault(depth.name, Course()).add(earlier.get(depth.name), depth, seconds)


def depth_of(depth: PipelineDepth) -> int:
    """Give how many events a pipeline has still to do something about."""
    return depth.behind + sum(depth.events.get(fate, 0) for fate in OPEN_FATES)


def sparkline(values: Iterable[float], width: int) -> str:
    """Give the newest values as bars, the largest of them as the highest; an empty place where nothing was."""
    shown = list(values)[-width:]
    top = max(shown, default=0.0)
    bars = "".join(" " if value <= 0 else BARS[min(7, int(value / top * 7.999))] for value in shown)
    return bars.rjust(width)


def watch(config: Config, every_s: float, *, is_json: bool) -> None:
    """Show the queue until Ctrl-C; one JSON object a look where that is asked for."""
    around = surroundings()
    try:
        asyncio.run(_watch_json(config, every_s, around) if is_json else _watch(config, every_s, around))
    except KeyboardInterrupt:
        return


async def _watch(config: Config, every_s: float, around: Surroundings) -> None:
    """Draw over the picture before on a terminal, below it elsewhere."""
    courses, disabled, out = Courses(), Disabled(config), console()
    if not out.is_terminal:
        while True:
            out.print(await _picture(config, courses, disabled, around, out), soft_wrap=True)
            await around.pause(every_s)
    with Live(console=out, auto_refresh=False, screen=True, vertical_overflow="crop") as live:
        while True:
            live.update(await _picture(config, courses, disabled, around, out), refresh=True)
            await around.pause(every_s)


async def _picture(
    config: Config, courses: Courses, disabled: Disabled, around: Surroundings, out: Console
) -> RenderableType:
    """Give the next picture; a ledger that is away for now is a line of text, and looked for again."""
    try:
        found = await _look(config, around)
    except Unavailable as error:
        return Text(f"waiting: {error.message}", "yellow")
    courses.add(found)
    found = replace(found, idle=idle_among(found.depths, disabled.names()))
    return picture(found, courses, plain(config.site.name), out.width)


async def _watch_json(config: Config, every_s: float, around: Surroundings) -> None:
    courses, told = Courses(), ""
    while True:
        try:
            found = await _look(config, around)
        except Unavailable as error:
            if error.message != told:
                click.echo(f"waiting: {error.message}", err=True)
            told = error.message
        else:
            courses.add(found)
            told = ""
            click.echo(as_json(_json(found, courses)))
        await around.pause(every_s)


async def _look(config: Config, around: Surroundings) -> Look:
    async with open_stores(config) as stores:
        return replace(await look(stores, around.clock.now_ms()), running=running_on(config.data_dir))


async def look(stores: Stores, now_ms: int) -> Look:
    """Look at the queue once; costs the same with ten events or ten million."""
    resolved, depths = await stores.ledger.resolved_to(), await stores.ledger.depths()
    oldest: dict[str, int] = {}
    for depth in depths:
        seqs = [depth.cursor + 1] if depth.behind else []
        for fate, find in ((Fate.WAITING, stores.ledger.oldest_waiting), (Fate.HELD, stores.ledger.oldest_held)):
            seq = await find(depth.name) if depth.events.get(fate) else None
            seqs += [seq] if seq is not None else []
        entries = await stores.ledger.by_seqs([min(seqs)] if seqs else [])
        if entries:
            oldest[depth.name] = entries[0].received_at_ms
    return Look(now_ms, max(resolved, await stores.spool.last_seq()), resolved, tuple(depths), oldest)


def picture(found: Look, courses: Courses, site: str, width: int) -> Group:
    """Draw one look with what was seen before it."""
    plot = WIDE if width >= 100 else NARROW
    unresolved = found.accepted_to - found.resolved_to
    head = Text.assemble(
        (site, "bold"),
        f"  {clock_time(found.at_ms)} UTC  accepted {courses.accepted[-1]:,.1f}/s ",
        (sparkline(courses.accepted, plot), "blue"),
        (f"  {unresolved:,} not resolved" if unresolved else "", "yellow"),
    )
    absence = found.running.sentence()
    missing = [Text(absence, "bold red")] if absence else []
    idle = [idle_line(sorted(found.idle))] if found.idle else []
    return Group(head, *missing, Text(), _table(found, courses, plot), *idle)


def _table(found: Look, courses: Courses, plot: int) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("pipeline", no_wrap=True, overflow="ellipsis", max_width=20)
    for name in ("", "now", "", "oldest"):
        table.add_column(name, justify="right" if name != "" else "left", no_wrap=True)
    for depth in (one for one in found.depths if one.name not in found.idle):
        course = courses.of[depth.name]
        for index, row in enumerate(_lines(depth, course, plot)):
            title = Text(plain(depth.name) if not index else "", "bold red" if depth.paused else "bold")
            since = found.oldest_ms.get(depth.name) if not index else None
            table.add_row(title, *row, span(found.at_ms - since) if since is not None else "")
        if depth.paused:
            table.add_row("", Text("paused", "bold red"), "", Text("its credentials are refused", "bold red"), "")
    return table


def _lines(depth: PipelineDepth, course: Course, plot: int) -> list[Sequence[RenderableType]]:
    """Give a pipeline's rows: its depth, then each outcome that there has been, then the rest of them as one."""
    rows: list[Sequence[RenderableType]] = [
        ("depth", f"{depth_of(depth):,}", Text(sparkline(course.depths, plot), "yellow"))
    ]
    for fate, style in OUTCOMES:
        if fate is Fate.DELIVERED or any(course.rates[fate]):
            plotted = Text(sparkline(course.rates[fate], plot), style)
            rows.append((Text(fate.value, style), f"{course.last(fate):,.1f}/s", plotted))
    if course.others():
        rows.append((Text("others", "dim"), f"{course.others():,.1f}/s", ""))
    return rows


def _json(found: Look, courses: Courses) -> dict[str, object]:
    return {
        "at_ms": found.at_ms,
        "running": found.running.told(),
        "accepted_per_s": courses.accepted[-1],
        "unresolved": found.accepted_to - found.resolved_to,
        "pipelines": [
            {
                "name": depth.name,
                "depth": depth_of(depth),
                "oldest_s": (found.at_ms - found.oldest_ms[depth.name]) / 1_000
                if depth.name in found.oldest_ms
                else None,
                "paused": depth.paused,
                "per_s": {fate.value: courses.of[depth.name].last(fate) for fate in Fate},
            }
            for depth in found.depths
        ],
    }
