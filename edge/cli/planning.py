"""`edge plan`."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from edge.cli.comparison import Comparison, Pair
from edge.cli.options import WRONG_USE, with_config
from edge.cli.pipeline_files import Loaded, load_leniently
from edge.cli.plan_screen import Outcome, plan_json, show_plan
from edge.cli.previewing import tell_problems, tell_unset
from edge.cli.screen import as_json, console
from edge.cli.stored_events import Span, StoredEvents, find_span
from edge.cli.stores import open_stores
from edge.cli.surroundings import surroundings
from edge.config import Config
from edge.foreign_links import hosts_of
from edge.pipeline import files_of, load_folder
from edge.units import parse_duration_s

SINCE = "a duration such as 12h or 7d, or a moment such as 2026-11-21 or 2026-11-21T18:00 (UTC)"


@click.command()
@click.argument("directory", metavar="PIPELINE_DIR", type=click.Path(path_type=Path))
@click.option("--since", default="1d", show_default=True, metavar="WHEN", help=f"Accepted since: {SINCE}.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="Only so many of them, evenly spread.")
@click.option("--pipeline", metavar="NAME", help="Only this pipeline.")
@click.option("--expect-none", is_flag=True, help="Exit 1 when anything would go otherwise.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@with_config
def plan(
    config: Config,
    directory: Path,
    since: str,
    sample: int | None,
    pipeline: str | None,
    expect_none: bool,
    is_json: bool,
) -> None:
    """Show what the pipelines of PIPELINE_DIR would send otherwise than the configured ones; nothing is sent.

    Takes stored events through today's files and the edited ones: each as if it were delivered at the moment it was
    accepted, with what is known of its visitor and still granted by now. An event counts for each pipeline as added
    (only the edited file sends it), removed (only today's does), changed (both do, not the same), or otherwise
    (neither does, and what becomes of it differs: unmapped before, dead now). Exit 2 when an edited file is invalid.
    """
    since_ms = _moment(since, surroundings().clock.now_ms())
    pairs = _pairs(config, directory, pipeline)
    outcome = asyncio.run(_compare(config, pairs, since_ms, sample))
    if is_json:
        click.echo(as_json(plan_json(outcome)))
    else:
        show_plan(outcome, console())
    sys.exit(1 if expect_none and outcome.comparison.counts.total() else 0)


def _moment(text: str, now_ms: int) -> int:
    """Read `--since`: a span back from now, or a moment; nothing was accepted before 1970."""
    try:
        return max(0, now_ms - round(parse_duration_s(text) * 1_000))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.UsageError(f"--since: {text!r} is neither a duration nor a moment; accepted is {SINCE}") from error
    at_ms = round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
    if at_ms > now_ms:
        raise click.UsageError(f"--since: {text} lies ahead; accepted is a moment that has been")
    return max(0, at_ms)


def _pairs(config: Config, directory: Path, only: str | None) -> list[Pair]:
    today, edited = _load(config.pipelines), _load(directory)
    tell_problems(edited)
    tell_problems(today)
    if today.problems:
        click.echo("what runs today is not what its files say: mend them, then compare", err=True)
    if today.problems or edited.problems:
        sys.exit(WRONG_USE)
    tell_unset(dict.fromkeys(today.unset + edited.unset))
    names = sorted({*today.pipelines, *edited.pipelines})
    if only is not None and only not in names:
        raise click.UsageError(f"no pipeline is called {only!r}; there are: {', '.join(names) or 'none'}")
    wanted = names if only is None else [only]
    return [Pair(name, today.pipelines.get(name), edited.pipelines.get(name)) for name in wanted]


def _load(directory: Path) -> Loaded:
    """Load a folder, with what no file has by itself: that it is none, or that a name is used twice."""
    loaded = load_leniently(files_of(directory), os.environ)
    if loaded.problems:
        return loaded
    stand_ins = {name: f"unset-{name}" for name in loaded.unset}
    return replace(loaded, problems=load_folder(directory, {**os.environ, **stand_ins}).problems)


async def _compare(config: Config, pairs: list[Pair], since_ms: int, sample: int | None) -> Outcome:
    comparison = Comparison(pairs, hosts_of(config.site.origins, config.site.asset_hosts))
    async with open_stores(config) as stores:
        span = await find_span(stores, since_ms)
        events = StoredEvents(stores, span)
        with _progress(span, sample) as (progress, task):
            async for page in events.all() if sample is None else events.sample(sample):
                for known in page.events:
                    comparison.take(known)
                comparison.left_out += page.left_out
                progress.update(task, completed=page.passed)
    return Outcome(comparison, span, sample)


@contextmanager
def _progress(span: Span, sample: int | None) -> Iterator[tuple[Progress, TaskID]]:
    """Show on a terminal how far it is; nothing elsewhere, and nothing of it stays."""
    errors = console(is_error=True)
    total = max(0, span.last - span.first + 1)
    columns = (TextColumn("comparing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal) as progress:
        yield progress, progress.add_task("comparing", total=total if sample is None else min(sample, total))
