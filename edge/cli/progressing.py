"""Following what the service does of a replay: a bar on a terminal, one summary at the end."""

from collections.abc import Iterable, Mapping, Sequence

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from edge.app.control import Told
from edge.cli.screen import console, plain
from edge.ledger.replaying import NOT_AGAIN


def follow_replays(answers: Iterable[Told], total: int, *, is_quiet: bool) -> list[Told]:
    """Show how far replays are, on stderr; give how they ended."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[waits]}"))
    out = console(is_error=True)
    replays: list[Told] = []
    with Progress(*columns, console=out, transient=True, disable=is_quiet or not out.is_terminal) as bar:
        task = bar.add_task("sent again", total=total, waits="")
        for told in answers:
            replays = told["replays"]
            waits = {one["waits_for"] for one in replays} - {""}
            bar.update(task, completed=sum(map(_ended, replays)), waits="; ".join(sorted(waits)))
    return replays


def tell_replays(replays: Sequence[Told]) -> None:
    """Say how replays ended, or that the service goes on with them."""
    for one in replays:
        if not one["is_done"]:
            why = f" ({one['waits_for']})" if one["waits_for"] else ""
            click.echo(f"{plain(one['pipeline'])}: replay {one['replay']} is stored{why}; the service goes on with it")
            continue
        rendered = f"{one['anew']:,} rendered anew, {one['chosen'] - one['anew']:,} as they were"
        click.echo(f"{plain(one['pipeline'])}: {one['chosen']:,} sent again ({rendered}): {_counts(one['outcomes'])}")
        for why, events in sorted(one["left_out"].items()):
            if why != "other":
                click.echo(f"  left out {events:,}: {NOT_AGAIN[why]}")


def _ended(one: Told) -> int:
    return sum(one["outcomes"].values())


def _counts(outcomes: Mapping[str, int]) -> str:
    return ", ".join(f"{events:,} {fate}" for fate, events in sorted(outcomes.items())) or "nothing"
