"""`edge replay`."""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from edge.app.alone import Alone
from edge.app.control import Told
from edge.cli.changing import change
from edge.cli.options import with_config
from edge.cli.pipeline_files import load_leniently
from edge.cli.progressing import follow_replays, tell_replays
from edge.cli.screen import as_json, console, plain
from edge.cli.spans import ACCEPTED, read_moment
from edge.cli.stores import Stores, open_stores
from edge.cli.surroundings import surroundings
from edge.cli.whom import read_who
from edge.config import Config
from edge.destinations.base import WarnsOfRepeats
from edge.drainer.replaying import sort_stored
from edge.foreign_links import hosts_of
from edge.ledger.replaying import NOT_AGAIN, Stored
from edge.ledger.theirs import Whom
from edge.pipeline import Pipeline, files_of

PAGE_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """What a replay would send, and why it would not send the others."""

    wanted: Stored
    chosen: int
    left_out: Counter[str]


@click.command()
@click.option("--pipeline", required=True, metavar="NAME", help="Through which pipeline.")
@click.option("--since", required=True, metavar="WHEN", help=f"Accepted since: {ACCEPTED}.")
@click.option("--until", metavar="WHEN", help="Accepted before; as --since.")
@click.option("--event", "event_name", metavar="NAME", help="Only events of this name.")
@click.option("--visitor", metavar="WHO", help="Only of an e-mail, phone, customer id, browser id or person:N.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say how many there are.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end; needs --yes or --dry-run.")
@with_config
def replay(
    config: Config,
    pipeline: str,
    since: str,
    until: str | None,
    event_name: str | None,
    visitor: str | None,
    yes: bool,
    dry_run: bool,
    is_json: bool,
) -> None:
    """Send stored events again through today's pipeline, with the same ids, behind live traffic.

    Takes what the spool still has (spool.keep_for), never what was withheld or erased, and leaves alone what waits,
    is held or is dead. A destination that knows the ids ignores what it has; one that does not counts it twice.
    """
    if is_json and not (yes or dry_run):
        raise click.UsageError("--json does not ask: add --yes")
    files = load_leniently(files_of(config.pipelines), os.environ).pipelines
    if pipeline not in files:
        raise click.UsageError(f"no file that can be read has the pipeline {pipeline!r}; see `edge check`")
    now_ms = surroundings().clock.now_ms()
    until_ms = read_moment(until, now_ms, "--until") if until is not None else None
    counted = asyncio.run(
        _count(config, files[pipeline], read_moment(since, now_ms), until_ms, event=event_name, who=visitor)
    )
    if dry_run or not counted.chosen:
        _end(counted, pipeline, is_json=is_json)
    if not is_json:
        _show(counted, pipeline)
        if isinstance(destination := files[pipeline].destination, WarnsOfRepeats):
            click.echo(f"  {destination.of_repeats}")
    if not yes:
        click.confirm(f"Send {counted.chosen:,} again?", abort=True)
    wanted = counted.wanted
    visitors = None if wanted.visitors is None else list(wanted.visitors)
    place = {"first": wanted.first, "last": wanted.last, "event": wanted.event, "visitors": visitors}
    request = {"verb": "replay", "pipeline": pipeline, **place}

    async def alone(parts: Alone) -> AsyncIterator[Told]:
        yield await parts.repeats.ended([await parts.repeats.begin_stored(request)])

    replays = follow_replays(change(config, request, alone, list(files.values())), counted.chosen, is_quiet=is_json)
    if is_json:
        click.echo(as_json({"kind": "replay", "replays": replays}))
    else:
        tell_replays(replays)


async def _count(
    config: Config, pipeline: Pipeline, since_ms: int, until_ms: int | None, *, event: str | None, who: str | None
) -> Counted:
    """Walk through the span as the replay will; nothing is changed."""
    async with open_stores(config) as stores:
        wanted = await _wanted(config, stores, since_ms, until_ms, event=event, who=who)
        if pipeline.name not in {depth.name for depth in await stores.ledger.depths()}:
            raise click.UsageError(f"{pipeline.name!r} has never run; it starts with the next `edge serve`")
        hosts, now_ms = hosts_of(config.site.origins, config.site.asset_hosts), surroundings().clock.now_ms()
        chosen, left_out, after = 0, Counter[str](), wanted.first - 1
        out = console(is_error=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bar:
            task = bar.add_task("looking", total=max(0, wanted.last - wanted.first + 1))
            name = pipeline.name
            while page := await stores.ledger.candidates(name, after=after, last=wanted.last, limit=PAGE_EVENTS):
                after = page[-1].seq
                envelopes = await stores.spool.read_at(one.seq for one in page)
                again, left = sort_stored(pipeline, wanted, page, envelopes, hosts, now_ms)
                chosen, left_out = chosen + len(again), left_out + left
                bar.update(task, completed=after - wanted.first + 1)
    return Counted(wanted, chosen, left_out)


async def _wanted(
    config: Config, stores: Stores, since_ms: int, until_ms: int | None, *, event: str | None, who: str | None
) -> Stored:
    first = await stores.ledger.first_since(since_ms)
    last = await stores.ledger.resolved_to()
    if until_ms is not None:
        last = min(last, await stores.ledger.first_since(until_ms) - 1)
    oldest = next(iter(await stores.spool.read(0, 1)), None)
    first = max(first, oldest.seq if oldest is not None else first)
    if who is None:
        return Stored(first, last, event)
    meant = read_who(who, config)
    found = await stores.ledger.theirs(Whom(meant.identifiers, meant.browser, meant.person))
    return Stored(first, last, event, tuple(sorted(found.visitors)))


def _show(found: Counted, pipeline: str) -> None:
    again = "1 event goes again" if found.chosen == 1 else f"{found.chosen:,} events go again"
    ids = "the id it had" if found.chosen == 1 else "the ids they had"
    click.echo(f"{plain(pipeline)}: {again}, rendered anew, with {ids}")
    for why, events in sorted(found.left_out.items()):
        if why != "other":
            click.echo(f"  left out {events:,}: {NOT_AGAIN[why]}")


def _end(counted: Counted, pipeline: str, *, is_json: bool) -> None:
    """Say what is there and leave; exit code 1 where there is nothing."""
    if is_json:
        told = {"first": counted.wanted.first, "last": counted.wanted.last, "chosen": counted.chosen}
        click.echo(as_json({"kind": "stored", "pipeline": pipeline, **told, "left_out": dict(counted.left_out)}))
    else:
        _show(counted, pipeline)
    sys.exit(0 if counted.chosen else 1)
