"""`edge dead replay` and `edge dead drop`: what may be done about dead letters."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict

import click

from edge.app.alone import Alone
from edge.app.control import Told
from edge.app.folders import spool_settings
from edge.cli.changing import change
from edge.cli.dead_filters import letter_filters
from edge.cli.options import with_config
from edge.cli.pipeline_files import load_leniently
from edge.cli.progressing import follow_replays, tell_replays
from edge.cli.screen import as_json, counted, plain
from edge.cli.stores import check_pipeline, open_stores
from edge.config import Config
from edge.ledger.letters import LetterCount, Letters
from edge.pipeline import files_of
from edge.spool.segment import list_segments

MAX_IDS = 300


@click.command("replay")
@click.argument("ids", metavar="[EVENT_ID]...", nargs=-1)
@letter_filters
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be sent again.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end; needs --yes or --dry-run.")
@with_config
def replay_dead(config: Config, ids: tuple[str, ...], wanted: Letters, yes: bool, dry_run: bool, is_json: bool) -> None:
    """Send dead letters again, through today's pipeline and with the same ids, behind live traffic.

    Where the envelope is still in the spool the event is rendered anew, else the payload goes as it was. Only what
    consent still holds for is sent. Beside a running service; without one it is stored for the next start.
    """
    wanted = _checked(wanted, ids, is_json=is_json and not (yes or dry_run))
    counts = asyncio.run(_count(config, wanted))
    total = sum(one.letters for one in counts)
    if dry_run or not total:
        _end(counts, is_json=is_json)
    if not is_json:
        _show(counts)
    if not yes:
        click.confirm(f"Send {total:,} again?", abort=True)
    pipelines = list(load_leniently(files_of(config.pipelines), os.environ).pipelines.values())
    request = {"verb": "dead_replay", "pipelines": [one.pipeline for one in counts], **wanted.told()}

    async def alone(parts: Alone) -> AsyncIterator[Told]:
        yield await parts.repeats.ended(await parts.repeats.begin_dead(request))

    replays = follow_replays(change(config, request, alone, pipelines), total, is_quiet=is_json)
    if is_json:
        click.echo(as_json({"kind": "replay", "replays": replays}))
        return
    tell_replays(replays)
    for one in counts:
        if one.pipeline not in {told["pipeline"] for told in replays}:
            click.echo(f"{plain(one.pipeline)}: its letters stay, as no pipeline of this name runs")


@click.command("drop")
@click.argument("ids", metavar="[EVENT_ID]...", nargs=-1)
@letter_filters
@click.option("--all", "is_all", is_flag=True, help="All letters, where no filter is given.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end; needs --yes.")
@with_config
def drop_dead(config: Config, ids: tuple[str, ...], wanted: Letters, is_all: bool, yes: bool, is_json: bool) -> None:
    """Let dead letters go, with request, answer and payload. Their events stay counted as dead."""
    wanted = _checked(wanted, ids, is_json=is_json and not yes)
    if wanted == Letters() and not is_all:
        raise click.UsageError("say which: ids, a filter, or --all")
    counts = asyncio.run(_count(config, wanted))
    total = sum(one.letters for one in counts)
    if not total:
        _end(counts, is_json=is_json)
    if not is_json:
        for one in counts:
            click.echo(f"{plain(one.pipeline)}: {counted(one.letters, 'letter')}")
        click.echo("Reason, request, answer and payload go. The journal still knows that these events died, and when.")
    if not yes:
        click.confirm(f"Drop {total:,} for good?", abort=True)
    request = {"verb": "dead_drop", **wanted.told()}
    end = list(change(config, request, lambda alone: alone.repeats.drop(request)))[-1]
    if is_json:
        click.echo(as_json({"kind": "drop", "dropped": end["dropped"]}))
        return
    for name, letters in end["dropped"].items():
        click.echo(f"{plain(name)}: {letters:,} dropped")


def _checked(wanted: Letters, ids: Sequence[str], *, is_json: bool) -> Letters:
    if is_json:
        raise click.UsageError("--json does not ask: add --yes")
    if len(ids) > MAX_IDS:
        raise click.UsageError(f"accepted are at most {MAX_IDS} ids at a time; filters choose any number")
    named = tuple(one.removeprefix("#").encode("utf-8", "replace").decode() for one in ids)
    return Letters(**{**wanted.told(), "ids": named})


async def _count(config: Config, wanted: Letters) -> list[LetterCount]:
    segments = list_segments(spool_settings(config).directory)
    kept_from = segments[0].first if segments else 2**62
    async with open_stores(config) as stores:
        await check_pipeline(stores, wanted.pipeline)
        return await stores.ledger.count_letters(wanted, kept_from)


def _show(counts: Sequence[LetterCount]) -> None:
    for one in counts:
        lost = f", {one.lost:,} cannot be sent: neither envelope nor payload is kept" if one.lost else ""
        how = f"{one.anew:,} rendered anew, {one.as_was:,} as {'it was' if one.as_was == 1 else 'they were'}{lost}"
        click.echo(f"{plain(one.pipeline)}: {counted(one.letters, 'letter')} ({how})")


def _end(counts: Sequence[LetterCount], *, is_json: bool) -> None:
    """Say what is there and leave; exit code 1 where there is nothing."""
    if is_json:
        click.echo(as_json({"kind": "letters", "pipelines": [asdict(one) for one in counts]}))
    elif counts:
        _show(counts)
    else:
        click.echo("No such dead letter; `edge dead list` shows what there is.", err=True)
    sys.exit(0 if counts else 1)
