"""`edge queue --balance`: that nothing vanished, added up from the ledger."""

import asyncio
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.text import Text

from edge.cli.figures import Column, fitted, name_of
from edge.cli.screen import as_json, console, counted, plain, print_trimmed
from edge.cli.spans import read_moment
from edge.cli.stores import open_stores
from edge.cli.surroundings import surroundings
from edge.cli.times import moment
from edge.config import Config
from edge.delivery import Fate
from edge.ledger.balancing import Balance, PipelineBalance


def balance(config: Config, since: str, until: str | None, *, is_json: bool) -> None:
    """Print the sum of a span; exit code 1 when it does not come out even."""
    now_ms = surroundings().clock.now_ms()
    since_ms = read_moment(since, now_ms)
    until_ms = read_moment(until, now_ms, "--until") if until is not None else None
    found = asyncio.run(_read(config, since_ms, until_ms))
    if is_json:
        click.echo(as_json({**asdict(found), "since_ms": since_ms, "until_ms": until_ms, "is_even": found.is_even}))
    else:
        _show(found, since_ms, until_ms or now_ms, console())
    sys.exit(0 if found.is_even else 1)


async def _read(config: Config, since_ms: int, until_ms: int | None) -> Balance:
    async with open_stores(config) as stores:
        first, last = await stores.ledger.first_since(since_ms), await stores.ledger.resolved_to()
        if until_ms is not None:
            last = min(last, await stores.ledger.first_since(until_ms) - 1)
        return await stores.ledger.balance(first, last)


def _show(found: Balance, since_ms: int, until_ms: int, out: Console) -> None:
    out.print(f"accepted {moment(since_ms)} to {moment(until_ms)} UTC, #{found.first:,} to #{found.last:,}")
    out.print()
    if not found.accepted:
        out.print("Nothing was accepted then.")
        return
    for table in fitted([name_of(one.name) for one in found.pipelines], _columns(found), out.width):
        print_trimmed(out, table)
    out.print()
    for one in found.pipelines:
        for line in _uneven(one):
            out.print(Text(f"{plain(one.name)}: {line}", "bold red"), soft_wrap=True)
    if found.is_even:
        out.print(Text("It balances: every accepted event stands at exactly one fate in every pipeline.", "green"))


def _columns(found: Balance) -> list[Column]:
    """Give the table's columns: what, and how many in each pipeline; of those with any."""
    pipelines = found.pipelines
    columns = [("accepted", [found.accepted] * len(pipelines)), ("duplicate", [found.duplicates] * len(pipelines))]
    columns += [(fate.value, [one.fates.get(fate, 0) for one in pipelines]) for fate in Fate]
    columns.append(("unreached", [one.not_reached for one in pipelines]))
    columns.append(("before", [one.before_it_began for one in pipelines]))
    columns.append(("missing", [one.missing for one in pipelines]))
    return [Column(label, [_cell(label, count) for count in each]) for label, each in columns if any(each)]


def _cell(label: str, count: int) -> Text:
    return Text(f"{count:,}" if count else "·", "bold red" if label == "missing" else "")


def _uneven(one: PipelineBalance) -> list[str]:
    lines = []
    if one.missing > 0:
        lines.append(
            f"does not balance: {counted(one.missing, 'event')} {'stands' if one.missing == 1 else 'stand'} nowhere"
        )
    if one.missing < 0:
        lines.append(
            f"does not balance: {counted(-one.missing, 'event')} {'counts' if one.missing == -1 else 'count'} twice"
        )
    if one.lost:
        lines.append(f"left open and kept nowhere: {', '.join(f'#{seq}' for seq in one.lost)}")
    return lines
