"""`edge dead`."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cli.dead_filters import letter_filters
from edge.cli.lazily import Lazy, LazyGroup
from edge.cli.options import with_config
from edge.cli.screen import as_json, console, plain, plain_lines, pretty_body, print_trimmed
from edge.cli.stores import check_pipeline, open_stores
from edge.cli.surroundings import surroundings
from edge.cli.times import moment, span
from edge.config import Config
from edge.ledger.letters import MAX_SEARCHED, REASON_CLASSES, Letter, Letters

MAX_LISTED = 2_000


VERBS = {
    "list": Lazy("edge.cli.dead_letters:list_dead", "List dead letters, the newest first."),
    "show": Lazy("edge.cli.dead_letters:show_dead", "Show why an event is dead, what was asked and answered."),
    "replay": Lazy("edge.cli.dead_changing:replay_dead", "Send them again, through today's pipeline."),
    "drop": Lazy("edge.cli.dead_changing:drop_dead", "Let them go, with request, answer and payload."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def dead() -> None:
    """What a destination will never take, kept with the reason, the request and the answer."""


@click.command("list")
@letter_filters
@click.option("--limit", type=click.IntRange(1, MAX_LISTED), default=50, show_default=True)
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")
@with_config
def list_dead(config: Config, wanted: Letters, limit: int, is_json: bool) -> None:
    """List dead letters, the newest first."""
    found, is_cut = asyncio.run(_newest(config, wanted, limit))
    if is_cut:
        click.echo(f"Only the newest {MAX_SEARCHED:,} dead letters of a pipeline were searched.", err=True)
    if is_json:
        for letter in found:
            click.echo(as_json(_summary(letter)))
    else:
        _show_list(found, surroundings().clock.now_ms(), console(), is_filtered=wanted != Letters())


@click.command("show")
@click.argument("event_id")
@click.option("--pipeline", metavar="NAME", help="Only this pipeline's letter.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")
@with_config
def show_dead(config: Config, event_id: str, pipeline: str | None, is_json: bool) -> None:
    """Show why an event is dead, what was asked and answered. EVENT_ID is its id or its sequence number."""
    asked = event_id.encode("utf-8", "replace").decode()
    letters = asyncio.run(_letters_of(config, pipeline, asked))
    if not letters:
        click.echo(f"No dead letter of {plain(asked, 80)!r}; `edge dead list` shows what there is.", err=True)
        sys.exit(1)
    if is_json:
        for letter in letters:
            click.echo(as_json(_whole(letter)))
        return
    out, now_ms = console(), surroundings().clock.now_ms()
    for index, letter in enumerate(letters):
        if index:
            out.print()
        _show(letter, now_ms, out)


async def _newest(config: Config, wanted: Letters, limit: int) -> tuple[list[Letter], bool]:
    async with open_stores(config) as stores:
        await check_pipeline(stores, wanted.pipeline)
        return await stores.ledger.newest_letters(wanted, limit)


async def _letters_of(config: Config, pipeline: str | None, asked: str) -> list[Letter]:
    number = asked.removeprefix("#")
    seq = int(number) if number.isascii() and number.isdecimal() and len(number) <= 18 else None
    async with open_stores(config) as stores:
        await check_pipeline(stores, pipeline)
        by_id = [] if asked.startswith("#") else await stores.ledger.letters_of(pipeline, event_id=asked, seq=None)
        return by_id or await stores.ledger.letters_of(pipeline, event_id=None, seq=seq)


def _show_list(letters: Sequence[Letter], now_ms: int, out: Console, *, is_filtered: bool) -> None:
    if not letters:
        out.print("No dead letters that the filters choose." if is_filtered else "No dead letters.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("died", "pipeline", "event", "seq", "id"):
        table.add_column(name, no_wrap=True, justify="right" if name == "seq" else "left")
    table.add_column("reason", overflow="fold")
    for letter in letters:
        table.add_row(
            f"{span(now_ms - letter.died_at_ms)} ago",
            plain(letter.pipeline, 24),
            Text(plain(letter.event_name, 24), "bold"),
            f"#{letter.seq}",
            Text(plain(letter.event_id, 13), "dim"),
            Text.assemble((f"{letter.reason_class}: ", "dim"), (plain(letter.reason), "red")),
        )
    print_trimmed(out, table)


def _show(letter: Letter, now_ms: int, out: Console) -> None:
    title = f"{plain(letter.event_name) or 'unknown event'}  {plain(letter.event_id)}  #{letter.seq}"
    out.print(Text.assemble((title, "bold"), f" in {plain(letter.pipeline)}"), soft_wrap=True)
    out.print(Text(plain_lines(letter.reason), "bold red"), soft_wrap=True)
    out.print(Text(f"{letter.reason_class}: {REASON_CLASSES[letter.reason_class]}", "dim"), soft_wrap=True)
    attempts = f"{letter.attempts} attempt{'' if letter.attempts == 1 else 's'}"
    out.print(f"died {moment(letter.died_at_ms)} UTC, {span(now_ms - letter.died_at_ms)} ago, after {attempts}")
    request, response = _tree(letter.request), _tree(letter.response)
    if request is None:
        out.print(Text("\nno request was made", "dim"))
    else:
        _show_part(out, f"{request.get('method')} {request.get('url')}", request)
    if response is not None:
        _show_part(out, f"answer {response.get('status')}", response)
    if letter.payload and (request is None or request.get("body") != letter.payload.decode("utf-8", "replace")):
        out.print(Text("\npayload", "bold"))
        out.print(pretty_body(letter.payload), soft_wrap=True)


def _show_part(out: Console, title: str, part: dict[str, Any]) -> None:
    out.print(Text(f"\n{plain(title)}", "bold"), soft_wrap=True)
    for name, value in (part.get("headers") or {}).items():
        out.print(Text.assemble((f"{plain(name)}: ", "dim"), plain(value)), soft_wrap=True)
    if part.get("body"):
        out.print(pretty_body(part["body"]), soft_wrap=True)


def _tree(text: str) -> dict[str, Any] | None:
    """Give a stored request or answer; None where nothing was said."""
    try:
        tree = orjson.loads(text) if text else None
    except orjson.JSONDecodeError:
        return {"body": text}
    return tree if isinstance(tree, dict) else None


def _summary(letter: Letter) -> dict[str, object]:
    return {
        "pipeline": letter.pipeline,
        "seq": letter.seq,
        "id": letter.event_id,
        "name": letter.event_name,
        "died_at_ms": letter.died_at_ms,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "reason_class": letter.reason_class,
    }


def _whole(letter: Letter) -> dict[str, object]:
    payload = letter.payload.decode("utf-8", "replace")
    return {
        **_summary(letter),
        "request": _tree(letter.request),
        "response": _tree(letter.response),
        "payload": payload,
    }
