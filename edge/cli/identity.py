"""`edge identity`."""

import asyncio
import sys
from dataclasses import asdict

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cli.lazily import Lazy, LazyGroup
from edge.cli.options import with_config
from edge.cli.screen import as_json, console, plain, print_trimmed
from edge.cli.stores import Stores, open_stores
from edge.cli.story import find_story
from edge.cli.times import moment
from edge.cli.whom import Who, read_who
from edge.config import Config
from edge.ledger.knowing import PersonView

LEVELS = ("browser", "mail click", "server")


VERBS = {
    "show": Lazy("edge.cli.identity:show_identity", "Show what is known of somebody, and on what evidence."),
    "unlink": Lazy("edge.cli.unlinking:unlink", "Take a link back. What was sent stays sent."),
    "forget": Lazy("edge.cli.forgetting:forget", "Erase a person everywhere. Nothing brings it back."),
}


@click.group(cls=LazyGroup, verbs=VERBS)
def identity() -> None:
    """Who is known, on what evidence; taking a link back; erasing a person."""


@click.command("show")
@click.argument("who")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a person.")
@with_config
def show_identity(config: Config, who: str, is_json: bool) -> None:
    """Show what is known of WHO: an e-mail, a phone, a customer id, a browser id, or an event's id or #number."""
    found = asyncio.run(_find(config, read_who(who, config)))
    if not found:
        click.echo(f"Nobody is known by {plain(who, 80)!r}.", err=True)
        sys.exit(1)
    out = console()
    for index, person in enumerate(found):
        if is_json:
            click.echo(as_json(_json(person)))
        else:
            if index:
                out.print()
            _show(person, out)


async def _find(config: Config, who: Who) -> list[PersonView]:
    async with open_stores(config) as stores:
        values = [value for _, value in who.identifiers]
        found = await stores.ledger.known_of(values=values, browser=who.browser, visitor=None)
        return found or await _find_by_event(stores, who.asked)


async def _find_by_event(stores: Stores, asked: str) -> list[PersonView]:
    story = await find_story(stores, asked, {})
    if story is None or story.visitor is None:
        return []
    return await stores.ledger.known_of(values=[], browser=None, visitor=story.visitor.id)


def _show(person: PersonView, out: Console) -> None:
    title = f"person {person.person}" if person.person is not None else "nobody knows who this is"
    out.print(Text.assemble((title, "bold"), ("  times are UTC", "dim")), soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, overflow="ignore")
    table.add_column(overflow="fold")
    for fact in person.facts:
        until = f", until #{fact.until_seq}" if fact.until_seq is not None else ""
        evidence = f"{LEVELS[fact.level]}, #{fact.seq}{_at(fact.at_ms)}{until}{_whose(fact.person, person)}"
        style = "dim" if until else "bold"
        table.add_row(fact.kind, Text(plain(fact.value), style), Text(evidence))
    for one in person.visitors:
        linked = f"linked by #{one.linked_seq}{_at(one.linked_at_ms)}" if one.linked_seq else "a stranger"
        told = Text(f"{linked}{_whose(one.person, person)}")
        table.add_row(f"visitor {one.visitor}", f"browser {one.browser.lower()}, epoch {one.epoch}", told)
    for kept in person.vendor_ids:
        told = Text(f"visitor {kept.visitor}, #{kept.seq}, from{_at(kept.at_ms)}")
        table.add_row(kept.kind, Text(plain(kept.value, 200)), told)
    for alias in person.aliases:
        undone = f", undone before #{alias.undone_seq}" if alias.undone_seq is not None else ""
        told = Text(f"{LEVELS[alias.level]}, #{alias.seq}{_at(alias.at_ms)}{undone}")
        table.add_row("merge", f"person {alias.person} is person {alias.canonical}", told)
    for claim in person.quarantined:
        what = f"{claim.kind} {plain(claim.value)}"
        table.add_row("quarantine", Text(what, "yellow"), f"{claim.limit}, #{claim.seq}, visitor {claim.visitor}")
    print_trimmed(out, table)


def _at(at_ms: int | None) -> str:
    return f" {moment(at_ms)}" if at_ms is not None else ""


def _whose(number: int | None, person: PersonView) -> str:
    """Say which of the joined persons it is, where it is not the one that speaks for them."""
    return f", as person {number}" if number not in (None, person.person) else ""


def _json(person: PersonView) -> dict[str, object]:
    return {
        "person": person.person,
        "identifiers": [asdict(fact) for fact in person.facts],
        "visitors": [{**asdict(one), "browser": one.browser.lower()} for one in person.visitors],
        "vendor_ids": [asdict(kept) for kept in person.vendor_ids],
        "aliases": [asdict(alias) for alias in person.aliases],
        "quarantined": [asdict(claim) for claim in person.quarantined],
    }
