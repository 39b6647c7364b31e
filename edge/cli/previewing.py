"""`edge preview`."""

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import click
import orjson

from edge.cli.examples import example
from edge.cli.options import WRONG_USE, with_config
from edge.cli.pipeline_files import Loaded, load_leniently, switched_on
from edge.cli.rehearsal import Rehearsal, read_events, rehearse
from edge.cli.rehearsal_screen import show_all
from edge.cli.stores import open_stores
from edge.cli.subject import Judge, Subject
from edge.cli.surroundings import surroundings
from edge.config import Config
from edge.consent_platforms import with_meanings
from edge.consent_rules import ConsentSettings
from edge.errors import EdgeError
from edge.event import ALIASES, Event
from edge.foreign_links import Hosts, hosts_of
from edge.identity import claim_from
from edge.person import Identifiers
from edge.pipeline import Pipeline, files_of

Scene: TypeAlias = tuple[Subject, Sequence[Pipeline]]

EXAMPLE_OF_ALL = "page_view"
DISABLED = "disabled: shown as if it were on"


@click.command()
@click.argument("arguments", nargs=-1, metavar="PIPELINE… [EVENT.json]")
@click.option("--event", "event_id", metavar="ID", help="A stored event, by its id or its sequence number (#1042).")
@click.option("--only", metavar="NAME", help="Of the examples only the one of this event.")
@click.option("--email", help="What the visitor is known by.")
@click.option("--phone", help="The same.")
@click.option("--customer-id", help="The same.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each pipeline and event.")
@with_config
def preview(
    config: Config,
    arguments: tuple[str, ...],
    event_id: str | None,
    only: str | None,
    email: str | None,
    phone: str | None,
    customer_id: str | None,
    is_json: bool,
) -> None:
    """Show exactly what would be sent for an event, or why nothing would; nothing is stored or sent.

    PIPELINE is a file, or a name in the configured folder. EVENT.json (- for stdin) is an event as the script sends
    it, a whole batch, or a stored envelope; without one, an example of each event that the pipeline names. Without an
    option the visitor is known by the event's own traits.

    A disabled pipeline that is named is shown as if it were on.

    With --event it is an event of the spool, its visitor is who the ledger knows by now, and without PIPELINE every
    pipeline of the configured folder is shown. Exit 1 when an event would be dead, or there is no such event.
    """
    named, event_file = _split(arguments, has_id=event_id is not None)
    if only is not None and (event_id is not None or event_file is not None):
        raise click.UsageError("--only picks one of the examples, and an event was given; accepted is one of the two")
    pipelines, disabled = _pipelines(config, named)
    known = _known(config, {"email": email, "phone": phone, "customer_id": customer_id})
    told = config.consent
    consent = ConsentSettings(told.default, told.gpc_denies, told.server_default, told.waits, told.server_waits)
    judge = Judge(config.site.phone_region, consent, known, with_meanings(config.consent.map))
    now_ms = surroundings().clock.now_ms()
    if event_id is not None:
        scenes: list[Scene] = [(asyncio.run(_stored(config, judge, event_id)), pipelines)]
    elif event_file is not None:
        scenes = [(judge.of_new(event), pipelines) for event in _events(event_file)]
    else:
        scenes = _examples(judge, pipelines, only, config.site.origins[0])
    hosts = hosts_of(config.site.origins, config.site.asset_hosts)
    noted = dict.fromkeys(disabled, (DISABLED,))
    acts = [(about, [_rehearsed(about, one, now_ms, hosts, noted) for one in audience]) for about, audience in scenes]
    show_all(acts, now_ms, is_json=is_json)
    sys.exit(1 if any(one.word == "dead" for _, made in acts for one in made) else 0)


def _rehearsed(
    about: Subject, pipeline: Pipeline, now_ms: int, hosts: Hosts, noted: Mapping[str, tuple[str, ...]]
) -> Rehearsal:
    known, granted = about.identity.identifiers, about.consent.granted
    waits = about.consent.waits
    made = rehearse(pipeline, about.event, known, granted=granted, waits=waits, now_ms=now_ms, hosts=hosts)
    return replace(made, notes=noted.get(pipeline.name, ()) + made.notes)


def _split(arguments: Sequence[str], *, has_id: bool) -> tuple[list[str], str | None]:
    """Tell the event's file, which comes last, from the pipelines."""
    if not arguments and not has_id:
        raise click.UsageError("name a pipeline: edge preview PIPELINE [EVENT.json]")
    last = arguments[-1] if arguments else ""
    if last == "-" or last.endswith(".json"):
        if has_id:
            raise click.UsageError(f"--event names an event, and so does {last}; accepted is one of the two")
        if len(arguments) == 1:
            raise click.UsageError("name a pipeline before the event: edge preview PIPELINE EVENT.json")
        return list(arguments[:-1]), last
    return list(arguments), None


def _pipelines(config: Config, named: Sequence[str]) -> tuple[list[Pipeline], set[str]]:
    """Give the named pipelines, and which of them are disabled; all that can be read where none is named."""
    folder = load_leniently(files_of(config.pipelines), os.environ)
    disabled: set[str] = set()
    if not named:
        tell_problems(folder)
        tell_unset(folder.unset)
        return list(folder.pipelines.values()), disabled
    found: list[Pipeline] = []
    unset: dict[str, None] = {}
    left_empty: dict[str, None] = {}
    for name in named:
        is_file = name.endswith((".yaml", ".yml")) or Path(name).is_file()
        loaded = load_leniently([Path(name)], os.environ) if is_file else folder
        picked = next(iter(loaded.pipelines.values()), None) if is_file else loaded.pipelines.get(name)
        if picked is None:
            _refuse(name, loaded, is_file=is_file)
        elif picked.is_enabled:
            found.append(picked)
            unset |= dict.fromkeys(load_leniently([Path(picked.file)], os.environ).unset)
        else:
            on, stood_in, empty = switched_on(picked, os.environ)
            found.append(on)
            unset |= dict.fromkeys(stood_in)
            left_empty |= dict.fromkeys(empty)
            if on.is_enabled:
                disabled.add(on.name)
    tell_unset(unset)
    for variable in left_empty:
        click.echo(f"{variable} is not set; what it gives is empty here", err=True)
    return found, disabled


def tell_unset(variables: Iterable[str]) -> None:
    """Say which variables have a stand-in."""
    for variable in variables:
        click.echo(f"{variable} is not set; unset-{variable} stands in for it", err=True)


def tell_problems(loaded: Loaded) -> None:
    """Say what could not be read."""
    for problem in loaded.problems:
        click.echo(str(problem), err=True)


def _refuse(name: str, loaded: Loaded, *, is_file: bool) -> None:
    tell_problems(loaded)
    if not is_file:
        there = ", ".join(loaded.pipelines) or "none that can be read"
        click.echo(f"no pipeline is called {name!r}; there are: {there}; a file is named with its .yaml", err=True)
    sys.exit(WRONG_USE)


async def _stored(config: Config, judge: Judge, asked: str) -> Subject:
    async with open_stores(config) as stores:
        return await judge.of_stored(stores, asked.encode("utf-8", "replace").decode())


def _events(file: str) -> list[Event]:
    try:
        with click.open_file(file, "rb") as stream:
            events, rejected = read_events(stream.read(), surroundings().clock.now_ms())
    except OSError as error:
        raise click.UsageError(f"{file}: cannot be read ({error.strerror})") from error
    except EdgeError as error:
        raise click.UsageError(f"{file}: {error}") from error
    for one in rejected:
        click.echo(f"{file}: event {one.index} would be refused at the door: {one.message} ({one.code})", err=True)
    if not events:
        sys.exit(1)
    return events


def _examples(judge: Judge, pipelines: Sequence[Pipeline], only: str | None, origin: str) -> list[Scene]:
    """Give an example of each event that a file names, with the pipelines that name it; or of one event for all."""
    audiences: dict[str, list[Pipeline]] = {}
    for pipeline in pipelines:
        listed = [EXAMPLE_OF_ALL if name == "*" else name for name in pipeline.events]
        for name in dict.fromkeys(listed if only is None else [ALIASES.get(only, only)]):
            audiences.setdefault(name, []).append(pipeline)
    return [(judge.of_new(_example(name, origin)), audience) for name, audience in audiences.items()]


def _example(name: str, origin: str) -> Event:
    events, rejected = read_events(orjson.dumps(example(name, origin)), surroundings().clock.now_ms())
    if rejected:
        raise click.UsageError(f"{name}: {rejected[0].message}")
    return events[0]


def _known(config: Config, given: dict[str, str | None]) -> Identifiers:
    known, dropped = claim_from({kind: value for kind, value in given.items() if value}, config.site.phone_region)
    if dropped:
        options = ", ".join(f"--{kind.replace('_', '-')}" for kind in dropped)
        raise click.UsageError(f"{options}: not an identifier that an event could carry")
    return known
