"""How rehearsals are shown: first whom they are about and what was decided, then each pipeline's request."""

from collections.abc import Sequence

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.cli.rehearsal import Rehearsal, shown_headers, shown_url
from edge.cli.screen import as_json, console, plain, pretty_body, print_trimmed
from edge.cli.subject import Consent, Identity, Subject
from edge.cli.times import moment, span
from edge.consent import ALL_PURPOSES, names_of
from edge.delivery import Request

STYLES = {"sent": "green", "held": "cyan", "withheld": "magenta", "dead": "bold red"}
ORIGINS = {"options": "the options", "traits": "the event's traits", "ledger": "the ledger"}
GROUNDS = {
    "default": "the site's default",
    "remembered": "an earlier answer of the visitor",
    "person": "what the same person answered as another visitor",
}
HOW_TO_KNOW = "; try --email, --phone or --customer-id"


def show_all(acts: Sequence[tuple[Subject, Sequence[Rehearsal]]], now_ms: int, *, is_json: bool) -> None:
    """Show every event with what becomes of it."""
    out = console()
    for index, (about, rehearsals) in enumerate(acts):
        if is_json:
            for one in rehearsals:
                click.echo(as_json(_json(about, one)))
            continue
        if index:
            out.print()
        _show_subject(about, now_ms, out)
        for one in rehearsals:
            out.print()
            _show(one, out)


def _show_subject(about: Subject, now_ms: int, out: Console) -> None:
    title = Text.assemble((f"{plain(about.event.name)}  {plain(about.event.id)}", "bold"))
    if about.seq is not None:
        at_ms = about.event.received_at_ms
        title.append(f"  #{about.seq}").append(f"  {moment(at_ms)} UTC, {span(now_ms - at_ms)} ago", "dim")
    out.print(title, soft_wrap=True)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    for label, lines in (("identity", _identity(about.identity)), ("consent", _consent(about.consent))):
        table.add_row(label, Text("\n").join(lines))
    print_trimmed(out, table)


def _identity(identity: Identity) -> list[Text]:
    lines = []
    if identity.visitor is not None:
        person = f", person {identity.person}" if identity.person is not None else ""
        lines.append(Text(f"visitor {identity.visitor}{person}"))
    known = ", ".join(f"{kind} {plain(value)}" for kind, value in identity.identifiers.items())
    if known:
        lines.append(Text.assemble((known, "bold"), f"; from {ORIGINS[identity.origin]}"))
    else:
        lines.append(Text("nobody knows who this is", "cyan"))
    ids = identity.identifiers.ids()
    return [*lines, Text(f"vendors' ids: {', '.join(sorted(ids))}")] if ids else lines


def _consent(consent: Consent) -> list[Text]:
    line = Text(f"granted: {', '.join(names_of(consent.granted)) or 'nothing'}")
    lines = [line, *_denied(consent)]
    if consent.basis != "assumed":
        lines.append(Text(f"ground: {_ground(consent.basis)}"))
    return [*lines, Text(consent.note, "yellow")] if consent.note else lines


def _denied(consent: Consent) -> list[Text]:
    denied = names_of(ALL_PURPOSES & ~consent.granted & ~consent.withdrawn & ~consent.waits)
    lines = [Text(f"denied: {', '.join(denied)}", "magenta")] if denied else []
    if consent.waits:
        lines.append(Text(f"not answered yet: {', '.join(names_of(consent.waits))}", "cyan"))
    if consent.withdrawn:
        lines.append(Text(f"withdrawn since: {', '.join(names_of(consent.withdrawn))}", "magenta"))
    return lines


def _ground(basis: str) -> str:
    name, _, signal = basis.partition("+")
    ground = GROUNDS.get(name, f"the event's own answer ({plain(name)})")
    return f"{ground}; the privacy signal (GPC) denies advertising" if signal else ground


def _show(one: Rehearsal, out: Console) -> None:
    metric = f" → {plain(one.metric)}" if one.metric else ""
    title = Text.assemble((f"{plain(one.pipeline.name)}  {plain(one.event.canonical_name)}{metric}", "bold"))
    title.append(f"  needs {', '.join(names_of(one.pipeline.purposes))}", "dim")
    out.print(title.append(f"  {one.lane}" if one.lane else "", "dim"), soft_wrap=True)
    for note in one.notes:
        out.print(Text(note, "yellow"), soft_wrap=True)
    if one.request is None:
        hint = HOW_TO_KNOW if "nobody knows the visitor" in one.reason and one.word == "held" else ""
        told = Text.assemble((one.word, STYLES.get(one.word, "yellow")), f": {plain(one.reason)}{hint}")
        out.print(told, soft_wrap=True)
        return
    for index, request in enumerate(one.requests):
        if index:
            out.print()
        _show_request(request, out)


def _show_request(request: Request, out: Console) -> None:
    out.print(Text.assemble((request.method, "green"), f" {plain(shown_url(request))}"), soft_wrap=True)
    for name, value in shown_headers(request).items():
        out.print(Text.assemble((f"{plain(name)}: ", "dim"), plain(value)), soft_wrap=True)
    out.print()
    out.print(pretty_body(request.body), soft_wrap=True)


def _json(about: Subject, one: Rehearsal) -> dict[str, object]:
    identity, consent = about.identity, about.consent
    return {
        "pipeline": one.pipeline.name,
        "hash": one.pipeline.hash,
        "event": one.event.name,
        "id": one.event.id,
        "seq": about.seq,
        "identity": {
            "identifiers": identity.identifiers.traits(),
            "ids": identity.identifiers.ids(),
            "origin": identity.origin,
            "visitor": identity.visitor,
            "person": identity.person,
        },
        "consent": {
            "granted": names_of(consent.granted),
            "denied": names_of(ALL_PURPOSES & ~consent.granted & ~consent.waits),
            "unanswered": names_of(consent.waits),
            "withdrawn": names_of(consent.withdrawn),
            "basis": consent.basis,
            "note": consent.note,
        },
        "becomes": one.word,
        "reason": one.reason,
        "metric": one.metric,
        "lane": one.lane,
        "purposes": names_of(one.pipeline.purposes),
        "notes": one.notes,
        "request": None if one.request is None else _shown(one.request),
        "further_requests": [_shown(request) for request in one.further],
    }


def _shown(request: Request) -> dict[str, object]:
    body = _tree(request.body.decode("utf-8", "replace"))
    return {"method": request.method, "url": shown_url(request), "headers": shown_headers(request), "body": body}


def _tree(body: str) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
