"""`edge identity forget`."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass

import click

from edge.app.alone import Alone
from edge.app.changing import told_whom
from edge.app.control import Told
from edge.cli.changing import change
from edge.cli.options import WRONG_USE, with_config
from edge.cli.pipeline_files import load_leniently
from edge.cli.screen import as_json, plain
from edge.cli.still_there import files_in_state
from edge.cli.stores import Stores, open_stores
from edge.cli.story import find_story
from edge.cli.times import moment
from edge.cli.whom import Who, read_who
from edge.config import Config
from edge.delivery import Fate
from edge.destinations.base import KeepsFiles
from edge.drainer.vendor_erasing import calls_for, without_calls
from edge.ledger.theirs import Found, Whom
from edge.pipeline import Pipeline, files_of

STATES = {
    "asked": "taken out of the ledger; what is open of it has ended",
    "sealed": "the spool's newest file is closed",
    "found": "everything that names the person is found",
    "emptied": "no file of the spool holds it any more",
    "done": "the ledger's file is written anew",
}
STAYS = (
    "numbers and decisions of the events, the consent log (keyed hashes), and keyed hashes by which late arrivals"
    " are told"
)
BY_HAND = "erase the profile there by hand"
MAY_BE_SENT = (Fate.DELIVERED, Fate.WAITING, Fate.DEAD)


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom it is about, and how much there is: events, repeats of them, and deliveries that are open or dead.

    `sent` are the pipelines that have delivered, or may have: their vendors may know the person.
    """

    whom: Whom
    found: Found
    events: int
    repeats: int
    deliveries: int
    sent: frozenset[str]

    def concerned(self, pipelines: Iterable[Pipeline]) -> list[Pipeline]:
        """Give the pipelines whose vendor may know the person, or will know others."""
        return [one for one in pipelines if one.is_enabled or one.name in self.sent]

    def by_hand(self, pipelines: Sequence[Pipeline]) -> list[str]:
        """Give the pipelines of these whose vendor offers no call for what is known of the person."""
        concerned = {one.name for one in self.concerned(pipelines)}
        return [name for name in without_calls(pipelines, self.found.names) if name in concerned]


@click.command("forget")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object at the end; needs --yes.")
@with_config
def forget(config: Config, who: str, yes: bool, is_json: bool) -> None:
    """Erase a person everywhere, beside a running service or without one. Nothing brings it back.

    WHO is an e-mail, a phone, a customer id, a browser id, person:N, or an event's id or #number.
    """
    if is_json and not yes:
        raise click.UsageError("--json does not ask: add --yes")
    pipelines = list(load_leniently(files_of(config.pipelines), os.environ).pipelines.values())
    preview = asyncio.run(_look(config, read_who(who, config)))
    if not preview.found:
        click.echo(f"Nobody is known by {plain(who, 80)!r}, and nothing can be looked for.", err=True)
        sys.exit(1)
    if len(preview.found.groups) > 1:
        which = ", ".join(f"person:{group[0]}" for group in preview.found.groups)
        click.echo(f"{plain(who, 80)!r} leads to several persons: say which, {which}", err=True)
        sys.exit(WRONG_USE)
    if not is_json:
        _show(preview, pipelines)
    if not yes:
        click.confirm("Erase all of it, for good?", abort=True)
    end = _follow(config, preview.whom, pipelines, is_quiet=is_json)
    if end.get("erasure") is None:
        click.echo("Nothing was there any more.", err=True)
        sys.exit(1)
    by_hand = preview.by_hand(pipelines)
    if is_json:
        click.echo(as_json({**end, "kind": "erasure", "by_hand": by_hand}))
    else:
        _show_end(end, by_hand, _archives(preview.concerned(pipelines)))
    sys.exit(0 if end["erasure"]["state"] == "done" else 1)


async def _look(config: Config, who: Who) -> Preview:
    async with open_stores(config) as stores:
        whom = Whom(who.identifiers, who.browser, who.person)
        found = await stores.ledger.theirs(whom)
        if not (found.groups or found.visitors) and (visitor := await _visitor_of(stores, who.asked)) is not None:
            whom = Whom(visitor=visitor)
            found = await stores.ledger.theirs(whom)
        events, deliveries = await stores.ledger.count_of(found.visitors)
        repeats = await stores.ledger.repeats_of(found.visitors)
        depths = await stores.ledger.depths()
        sent = frozenset(one.name for one in depths if any(one.events.get(fate) for fate in MAY_BE_SENT))
        return Preview(whom, found, events, repeats, deliveries, sent)


async def _visitor_of(stores: Stores, asked: str) -> int | None:
    story = await find_story(stores, asked, {})
    return story.visitor.id if story is not None and story.visitor is not None else None


def _follow(config: Config, whom: Whom, pipelines: Sequence[Pipeline], *, is_quiet: bool) -> Told:
    async def do(alone: Alone) -> AsyncIterator[Told]:
        async for told in alone.forget(whom):
            yield {**told, "is_alone": True}

    end: Told = {}
    shown: set[str] = set()  # an answer of a vendor begins the last states anew
    for told in change(config, {"verb": "forget", **told_whom(whom)}, do, pipelines):
        if told["kind"] == "end":
            end = {"is_alone": False, **told}
        elif not is_quiet and (state := told["state"]) not in shown:
            shown.add(state)
            click.echo(f"  {STATES.get(state, state)}")
            for line in asyncio.run(_files(config, state)):
                click.echo(f"    {plain(line)}")
    return end


async def _files(config: Config, state: str) -> list[str]:
    async with open_stores(config) as stores:
        return await files_in_state(config, stores, state)


def _show(preview: Preview, pipelines: Sequence[Pipeline]) -> None:
    found = preview.found
    for group in found.groups:
        joined = f", one with {', '.join(str(other) for other in group[1:])}" if len(group) > 1 else ""
        click.echo(f"person {group[0]}{joined}")
    for kind, value in found.names:
        click.echo(f"  {kind} {plain(value)}")
    for browser in sorted(set(found.visitors.values())):
        click.echo(f"  browser {browser}")
    repeats = f" and {preview.repeats:,} repeats of them" if preview.repeats else ""
    click.echo(
        f"  {preview.events:,} events{repeats}, and whatever else names it; "
        f"{preview.deliveries:,} open or dead deliveries"
    )
    for call in calls_for(pipelines, found.names):
        click.echo(f"  {plain(call.pipeline)} will be asked to erase the {call.kind}")
    for name, directory in _archives(preview.concerned(pipelines)):
        click.echo(f"  {plain(name)} keeps files here: the person's lines are taken out of {plain(directory)}")
    for name in preview.by_hand(pipelines):
        click.echo(f"  {plain(name)} offers no call for it: {BY_HAND}")


def _archives(pipelines: Iterable[Pipeline]) -> list[tuple[str, str]]:
    """Give the pipelines that keep files on this machine, each with its folder."""
    return [(one.name, one.destination.directory) for one in pipelines if isinstance(one.destination, KeepsFiles)]


def _show_end(end: Told, by_hand: Sequence[str], archives: Sequence[tuple[str, str]]) -> None:
    erasure = end["erasure"]
    if erasure["state"] != "done":
        when = " when it runs" if end["is_alone"] else ""
        click.echo(f"Not done yet: the service goes on with it{when}; `edge queue` shows how far it is.")
    took = (
        f"{erasure['persons']} persons, {erasure['visitors']} visitors, {erasure['identifiers']} identifiers, "
        f"{erasure['events']} events, repeats and what else named it included, "
        f"{erasure['deliveries']} open or dead deliveries"
    )
    click.echo(f"Erasure {erasure['id']}: {took}")
    for one in end["vendors"]:
        click.echo(f"{plain(one['pipeline'])}: {_answered(one, end)}")
    unfinished = {one["file"] for one in erasure["left_over"]}
    for name, directory in archives:
        if erasure["state"] == "done" and directory not in unfinished:
            click.echo(f"{plain(name)}: the person's lines are out of {plain(directory)}, if any were there")
    for name in by_hand:
        click.echo(f"{plain(name)}: offers no call for it: {BY_HAND}")
    for one in erasure["left_over"]:
        until = f"until {moment(one['until_ms'])} UTC" if one["until_ms"] is not None else "until somebody removes it"
        click.echo(f"left: {plain(one['file'])}, {until}: {plain(one['why'])}")
    if any(one["state"] == "open" for one in end["vendors"]):
        runs = "who is asked when the service runs" if end["is_alone"] else "at most 72 h"
        click.echo(f"left: ledger.db, until the vendor has answered, {runs}: the identifier it is asked about")
    click.echo(f"Stays: {STAYS}.")


def _answered(one: Told, end: Told) -> str:
    match one["state"]:
        case "done":
            return f"has taken the request to erase the {one['kind']}"
        case "refused":
            return f"refused to erase the {one['kind']} ({plain(one['reason'])}): {BY_HAND}"
        case _ if end["is_alone"]:
            return f"is asked to erase the {one['kind']} when the service runs; `edge queue` shows it"
        case _:
            why = f" ({plain(one['reason'])})" if one["reason"] else ""
            return f"is asked to erase the {one['kind']} until it answers{why}; `edge queue` shows it"
