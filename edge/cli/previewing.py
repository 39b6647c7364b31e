"""`edge preview`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import orjson
from rich.console import Console
from rich.text import Text

from edge.cli.examples import example
from edge.cli.options import WRONG_USE, with_config
from edge.cli.pipeline_files import Loaded, load_leniently
from edge.cli.rehearsal import Rehearsal, read_events, rehearse
from edge.cli.screen import as_json, console, plain, pretty_body
from edge.cli.surroundings import surroundings
from edge.config import Config
from edge.consent import names_of
from edge.consent_rules import ConsentSettings
from edge.errors import EdgeError
from edge.event import Event
from edge.identity import claim_from
from edge.person import Identifiers
from edge.pipeline import Pipeline, files_of

STYLES = {"sent": "green", "held": "cyan", "withheld": "magenta", "dead": "bold red"}
EXAMPLE_OF_ALL = "page_view"


@click.command()
@click.argument("arguments", nargs=-1, required=True, metavar="PIPELINE… [EVENT.json]")
@click.option("--email", help="What the visitor is known by.")
@click.option("--phone", help="The same.")
@click.option("--customer-id", help="The same.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object for each pipeline and event.")
@with_config
def preview(
    config: Config,
    arguments: tuple[str, ...],
    email: str | None,
    phone: str | None,
    customer_id: str | None,
    is_json: bool,
) -> None:
    """Show exactly what would be sent for an event, or why nothing would; nothing is stored or sent.

    PIPELINE is a file, or a name in the configured folder. EVENT.json (- for stdin) is an event as the script sends
    it, a whole batch, or a stored envelope; without one, an example of each event that the pipeline names. Without an
    option the visitor is known by the event's own traits. Exit 1 when an event would be dead.
    """
    named, event_file = _split(arguments)
    pipelines = _pipelines(config, named)
    events = _events(event_file)
    given = {"email": email, "phone": phone, "customer_id": customer_id}
    known = _known(config, given)
    consent, now_ms = ConsentSettings(config.consent.default, config.consent.gpc_denies), surroundings().clock.now_ms()
    rehearsals = [
        rehearse(pipeline, event, known or _claimed(config, event), consent=consent, now_ms=now_ms)
        for pipeline in pipelines
        for event in (events if events is not None else _examples(pipeline))
    ]
    _show_all(rehearsals, is_json=is_json)
    sys.exit(1 if any(one.word == "dead" for one in rehearsals) else 0)


def _split(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Tell the event's file, which comes last, from the pipelines."""
    last = arguments[-1]
    if last == "-" or last.endswith(".json"):
        if len(arguments) == 1:
            raise click.UsageError("name a pipeline before the event: edge preview PIPELINE EVENT.json")
        return list(arguments[:-1]), last
    return list(arguments), None


def _pipelines(config: Config, named: Sequence[str]) -> list[Pipeline]:
    folder = load_leniently(files_of(config.pipelines), os.environ)
    found: list[Pipeline] = []
    unset: dict[str, None] = {}
    for name in named:
        is_file = name.endswith((".yaml", ".yml")) or Path(name).is_file()
        loaded = load_leniently([Path(name)], os.environ) if is_file else folder
        picked = next(iter(loaded.pipelines.values()), None) if is_file else loaded.pipelines.get(name)
        if picked is None:
            _refuse(name, loaded, is_file=is_file)
        else:
            found.append(picked)
            own = load_leniently([Path(picked.file)], os.environ)
            unset |= dict.fromkeys(own.unset)
    for variable in unset:
        click.echo(f"{variable} is not set; unset-{variable} stands in for it", err=True)
    return found


def _refuse(name: str, loaded: Loaded, *, is_file: bool) -> None:
    for problem in loaded.problems:
        click.echo(str(problem), err=True)
    if not is_file:
        there = ", ".join(loaded.pipelines) or "none that can be read"
        click.echo(f"no pipeline is called {name!r}; there are: {there}; a file is named with its .yaml", err=True)
    sys.exit(WRONG_USE)


def _events(file: str | None) -> list[Event] | None:
    if file is None:
        return None
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


def _examples(pipeline: Pipeline) -> list[Event]:
    """Give an example of each event that the file names."""
    names = [EXAMPLE_OF_ALL if name == "*" else name for name in pipeline.events]
    now_ms = surroundings().clock.now_ms()
    return [read_events(orjson.dumps(example(name)), now_ms)[0][0] for name in dict.fromkeys(names)]


def _known(config: Config, given: dict[str, str | None]) -> Identifiers:
    known, dropped = claim_from({kind: value for kind, value in given.items() if value}, config.site.phone_region)
    if dropped:
        options = ", ".join(f"--{kind.replace('_', '-')}" for kind in dropped)
        raise click.UsageError(f"{options}: not an identifier that an event could carry")
    return known


def _claimed(config: Config, event: Event) -> Identifiers:
    return claim_from(event.traits, config.site.phone_region)[0]


def _show_all(rehearsals: Sequence[Rehearsal], *, is_json: bool) -> None:
    out = console()
    for index, one in enumerate(rehearsals):
        if is_json:
            click.echo(as_json(_json(one)))
            continue
        if index:
            out.print()
        _show(one, out)


def _show(one: Rehearsal, out: Console) -> None:
    metric = f" → {plain(one.metric)}" if one.metric else ""
    title = Text.assemble((f"{plain(one.pipeline.name)}  {plain(one.event.name)}{metric}", "bold"))
    title.append(f"  needs {', '.join(names_of(one.pipeline.purposes))}", "dim")
    out.print(title.append(f"  {one.lane}" if one.lane else "", "dim"), soft_wrap=True)
    if one.request is None:
        out.print(Text.assemble((one.word, STYLES.get(one.word, "yellow")), f": {plain(one.reason)}"), soft_wrap=True)
        return
    for note in one.notes:
        out.print(Text(note, "yellow"), soft_wrap=True)
    out.print(Text.assemble((one.request.method, "green"), f" {plain(one.request.url)}"), soft_wrap=True)
    for name, value in one.shown_headers().items():
        out.print(Text.assemble((f"{plain(name)}: ", "dim"), plain(value)), soft_wrap=True)
    out.print()
    out.print(pretty_body(one.request.body), soft_wrap=True)


def _json(one: Rehearsal) -> dict[str, object]:
    request = one.request
    shown = None
    if request is not None:
        body = request.body.decode("utf-8", "replace")
        shown = {"method": request.method, "url": request.url, "headers": one.shown_headers(), "body": _tree(body)}
    return {
        "pipeline": one.pipeline.name,
        "hash": one.pipeline.hash,
        "event": one.event.name,
        "becomes": one.word,
        "reason": one.reason,
        "metric": one.metric,
        "lane": one.lane,
        "purposes": names_of(one.pipeline.purposes),
        "notes": one.notes,
        "request": shown,
    }


def _tree(body: str) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
