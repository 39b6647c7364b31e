"""`edge identity`."""

import asyncio
import os
import re
import sys
from dataclasses import asdict, dataclass

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.app.collecting import ledger_path
from edge.app.lock import take_lock
from edge.cli.options import with_config
from edge.cli.screen import as_json, console, plain, print_trimmed
from edge.cli.stores import Stores, Unavailable, open_stores
from edge.cli.story import find_story
from edge.cli.times import moment
from edge.config import Config
from edge.errors import StorageFailed, StorageTaken
from edge.identity import normal
from edge.ledger import Database, LedgerSettings, UndoLedger
from edge.ledger.knowing import PersonView
from edge.person import KINDS, Kind

LEVELS = ("browser", "mail click", "server")
_BROWSER = re.compile(r"[0-9a-f]{32}")
_PERSON = re.compile(r"person:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Who:
    """What the command line may mean: identifiers in normal form, a browser, a person's number, or an event."""

    asked: str
    identifiers: tuple[tuple[Kind, str], ...]
    browser: str | None
    person: int | None


@click.group()
def identity() -> None:
    """Who is known, on what evidence; and taking a link back."""


@identity.command("show")
@click.argument("who")
@click.option("--json", "is_json", is_flag=True, help="One JSON object a person.")
@with_config
def show_identity(config: Config, who: str, is_json: bool) -> None:
    """Show what is known of WHO: an e-mail, a phone, a customer id, a browser id, or an event's id or #number."""
    found = asyncio.run(_find(config, _read(who, config)))
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


@identity.command("unlink")
@click.argument("who")
@with_config
def unlink(config: Config, who: str) -> None:
    """Take a link back, while the service is stopped. What was sent stays sent.

    WHO is an e-mail, a phone or a customer id, which then names nobody; a browser id, which then is a stranger;
    or person:N, which then is one with nobody.
    """
    meant = _read(who, config)
    if not ledger_path(config).exists():
        raise Unavailable(f"{ledger_path(config)}: no ledger here")
    try:
        lock = take_lock(config.data_dir, "drainer")
    except StorageTaken as error:
        raise Unavailable(f"{error}: stop the service first, as only one may write the ledger") from error
    try:
        told = asyncio.run(_unlink(config, meant))
    except StorageFailed as error:
        raise Unavailable(str(error)) from error
    finally:
        os.close(lock)
    if not told:
        click.echo(f"Nothing links {plain(who, 80)!r}; `edge identity show` says what is known.", err=True)
        sys.exit(1)
    for line in told:
        click.echo(line)


def _read(who: str, config: Config) -> Who:
    text = who.encode("utf-8", "replace").decode().strip()
    values = ((kind, normal(kind, text, config.site.phone_region)) for kind in KINDS)
    person, browser = _PERSON.fullmatch(text), _BROWSER.fullmatch(text.lower())
    named = tuple((kind, value) for kind, value in values if value is not None)
    return Who(text, named, text.lower() if browser else None, int(person[1]) if person else None)


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


async def _unlink(config: Config, who: Who) -> list[str]:
    database = Database(LedgerSettings(ledger_path(config), config.spool.max_bytes))
    await database.open()
    try:
        ledger = UndoLedger(database)
        if who.person is not None:
            parted = await ledger.part(who.person)
            return [f"person {who.person} is one with nobody any more ({parted} merges undone)"] if parted else []
        if who.browser is not None and await ledger.begin_epoch(who.browser):
            return [f"browser {who.browser} is a stranger from its next event on"]
        return [
            f"{kind} {plain(value)} names nobody any more"
            for kind, value in who.identifiers
            if await ledger.end_fact(kind, value)
        ]
    finally:
        await database.close()


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
        "aliases": [asdict(alias) for alias in person.aliases],
        "quarantined": [asdict(claim) for claim in person.quarantined],
    }
