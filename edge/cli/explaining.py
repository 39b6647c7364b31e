"""`edge why`."""

import asyncio
import os
import re
import sys
from collections.abc import Sequence

import click
from rich.table import Table
from rich.text import Text

from edge.app.keys import find_consent_key
from edge.cli.answered import Answered, answers_json, find_answers, releasing, told_answers
from edge.cli.options import with_config
from edge.cli.pipeline_files import load_leniently
from edge.cli.reasons import reasons_of
from edge.cli.screen import as_json, console, plain, print_trimmed
from edge.cli.stores import open_stores
from edge.cli.story import Stage, Story, find_story
from edge.cli.surroundings import surroundings
from edge.cli.times import moment, span
from edge.config import Config
from edge.consent import ALL_PURPOSES, Purpose, names_of
from edge.delivery import Fate
from edge.event import Event, is_server
from edge.foreign_links import hosts_of
from edge.ledger.records import JournalFate
from edge.ledger.standing import JournalEntry
from edge.pipeline import files_of, stripped_of

STYLES = {Fate.DELIVERED: "green", Fate.WAITING: "yellow", Fate.HELD: "cyan", Fate.WITHHELD: "magenta"}
TROUBLE = "bold red"
# What `edge tail` and `edge dead list` show of an id.
BEGINNING = re.compile(r"[0-9a-f]{8}[0-9a-f-]{0,12}…?")
LIMITS = {
    "values_per_browser": "this browser had claimed as many others that day as one may",
    "browsers_per_value": "as many browsers had claimed it that day as may",
}


@click.command()
@click.argument("event_id")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@with_config
def why(config: Config, event_id: str, is_json: bool) -> None:
    """Tell one event's whole story. EVENT_ID is its id, or its sequence number as `edge tail` shows it (#1042)."""
    asked = event_id.encode("utf-8", "replace").decode()
    story, answers = asyncio.run(_find(config, asked))
    if story is None:
        text = "was refused at the door, was never sent, or is older than the journal"
        click.echo(f"No event with the id or number {plain(asked, 80)!r} is known here: it {text}.", err=True)
        if BEGINNING.fullmatch(asked):
            click.echo("Is it the beginning of an id? Then use the number that stands before it, '#1042'.", err=True)
        sys.exit(1)
    now_ms = surroundings().clock.now_ms()
    if is_json:
        click.echo(as_json(_json(story, answers)))
    else:
        _tell(story, answers, config, now_ms)


async def _find(config: Config, asked: str) -> tuple[Story | None, tuple[Answered, ...]]:
    files = load_leniently(files_of(config.pipelines), os.environ).pipelines
    async with open_stores(config) as stores:
        story = await find_story(stores, asked, files)
        answers = await find_answers(stores, story, find_consent_key(config.data_dir)) if story is not None else ()
        return story, answers


def _tell(story: Story, answers: Sequence[Answered], config: Config, now_ms: int) -> None:
    out, event = console(), story.event
    title = f"{plain(event.name)}  {plain(event.id)}" if event is not None else "an event whose envelope is gone"
    out.print(Text.assemble((title, "bold"), f"  #{story.seq}", ("  times are UTC", "dim")), soft_wrap=True)
    out.print()
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(ratio=1)
    for label, lines in _parts(story, answers, config, now_ms):
        table.add_row(plain(label), Text("\n").join(lines))
    print_trimmed(out, table)


def _parts(story: Story, answers: Sequence[Answered], config: Config, now_ms: int) -> list[tuple[str, list[Text]]]:
    parts = [("accepted", _accepted(story, config, now_ms))]
    entry = story.entry
    if entry is None:
        lines = [
            Text(f"not yet: the resolver is at #{story.resolved_to:,}; no pipeline sees the event before", "yellow")
        ]
        return [*parts, ("resolved", lines)]
    if entry.fate is JournalFate.DUPLICATE:
        return [*parts, ("duplicate", _duplicate(story.original))]
    if story.repeats:
        parts.append(("repeated", _repeats(story)))
    if entry.fate is JournalFate.OPEN:
        parts += [("identity", _identity(story, entry)), ("consent", _consent(story, entry, answers))]
        if stripped := _stripped(story, config):
            parts.append(("links", stripped))
    if not story.stages:
        parts.append(("pipelines", [Text("none has started")]))
    shown = [stage for stage in story.stages if not stage.is_passed_by]
    parts += [(stage.fate.pipeline, _stage(stage, story, entry, config, now_ms)) for stage in shown]
    passed_by = [plain(stage.fate.pipeline) for stage in story.stages if stage.is_passed_by]
    return [*parts, ("disabled", [Text(f"skipped by {', '.join(passed_by)}", "dim")])] if passed_by else parts


def _accepted(story: Story, config: Config, now_ms: int) -> list[Text]:
    event, entry = story.event, story.entry
    at_ms = event.received_at_ms if event is not None else entry.received_at_ms if entry is not None else now_ms
    lines = [Text(f"{moment(at_ms)}, {span(now_ms - at_ms)} ago")]
    if event is None:
        is_damaged = entry is not None and entry.fate is JournalFate.DAMAGED
        gone = f"the spool has unlinked it since (spool.keep_for {span(config.spool.keep_for_s * 1_000)})"
        what = "its stored bytes do not match their checksum" if is_damaged else gone
        if entry is not None and entry.fate is JournalFate.ERASED:
            what = "the person was erased"
        return [*lines, Text(f"name, page and time are not known any more: {what}", "yellow")]
    lines.append(Text(_own_time(event)))
    where = f", page {plain(_page(event), 200)}" if _page(event) else ""
    kept_by = "ordered by" if is_server(event.source) else "browser"
    lines.append(Text(f"source {plain(event.source)}, {kept_by} {plain(event.browser)}{where}"))
    return lines


def _own_time(event: Event) -> str:
    apart_ms = event.time_ms - event.received_at_ms
    relation = (
        "the same moment" if not apart_ms else f"{span(abs(apart_ms))} {'before' if apart_ms < 0 else 'after'} that"
    )
    whose = "server's" if is_server(event.source) else "browser's"
    moved = f"; moved, as the {whose} clock was wrong" if event.is_time_moved else ""
    return f"its own time {moment(event.time_ms)}, {relation}{moved}"


def _page(event: Event) -> str:
    page = event.context.get("page")
    found = (page.get("url") or page.get("path")) if isinstance(page, dict) else None
    return found if isinstance(found, str) else ""


def _duplicate(original: JournalEntry | None) -> list[Text]:
    if original is None:
        return [Text("it repeats an event that the journal no longer has; no pipeline gets it")]
    at = moment(original.received_at_ms)
    return [Text(f"it repeats #{original.seq} of {at}, so no pipeline gets it"), Text(f"see: edge why {original.seq}")]


def _repeats(story: Story) -> list[Text]:
    shown = ", ".join(f"#{one.seq} {moment(one.received_at_ms)}" for one in story.repeats[:3])
    more = f" and {len(story.repeats) - 3} more" if len(story.repeats) > 3 else ""
    return [Text(f"it came again as {shown}{more}; repeats are counted and go nowhere")]


def _identity(story: Story, entry: JournalEntry) -> list[Text]:
    visitor = story.visitor
    if visitor is None:
        return [Text("its visitor is not in the ledger any more", "yellow")]
    lines = [Text(f"visitor {visitor.id}, epoch {visitor.epoch} of its browser")]
    if visitor.person is None:
        lines.append(Text("nobody knows who this is yet", "cyan"))
    else:
        lines.append(Text(f"person {visitor.person}{_linked(story, entry)}"))
    lines += [Text(f"{kind} {plain(value)}", "bold") for kind, value in visitor.identifiers.items()]
    if visitor.identifiers.kx is not None:
        lines.append(Text("came from a mail: its click token is known"))
    if others := sorted(visitor.identifiers.ids().keys() - {"kx"}):
        lines.append(Text(f"vendors' ids: {', '.join(others)}"))
    return lines + [
        Text(f"{one.kind} claimed and quarantined: {LIMITS[one.reason]}", "yellow") for one in story.quarantined
    ]


def _stripped(story: Story, config: Config) -> list[Text]:
    """Say what mappings do not see of a browser's words."""
    if story.event is None:
        return []
    paths = stripped_of(story.event, hosts_of(config.site.origins, config.site.asset_hosts))
    return [
        Text(f"{plain(path)} leads away from the shop or is markup: no pipeline sees it", "yellow") for path in paths
    ]


def _linked(story: Story, entry: JournalEntry) -> str:
    seq = story.visitor.linked_seq if story.visitor is not None else None
    if seq is None:
        return ""
    if seq == entry.seq:
        return ", known through this very event"
    order = "before" if seq < entry.seq else "after"
    apart_ms = abs(story.linked_at_ms - entry.received_at_ms) if story.linked_at_ms is not None else 0
    return f", known through #{seq}, {span(apart_ms) if apart_ms else 'just'} {order} this event"


def _consent(story: Story, entry: JournalEntry, answers: Sequence[Answered]) -> list[Text]:
    granted = Purpose(entry.granted)
    denied = names_of(ALL_PURPOSES & ~granted & ~Purpose(entry.waits))
    line = Text(f"granted: {', '.join(names_of(granted)) or 'nothing'}")
    if denied:
        line.append(f"; not granted: {', '.join(denied)}", "magenta")
    if entry.waits:
        line.append(f"; left to the visitor's answer: {', '.join(names_of(Purpose(entry.waits)))}", "cyan")
    line.append(f"; ground: {plain(entry.basis)}")
    return [line, *(Text(told, "cyan") for told in told_answers(answers, story.stages, entry))]


def _stage(stage: Stage, story: Story, entry: JournalEntry, config: Config, now_ms: int) -> list[Text]:
    fate = stage.fate
    if fate.fate is None:
        return _not_reached(stage, entry)
    style = STYLES.get(fate.fate, TROUBLE if fate.fate in (Fate.DEAD, Fate.DAMAGED) else "")
    lines = [Text.assemble((fate.fate.value, style), _when(stage, entry))]
    lines += [Text(line) for line in reasons_of(stage, story, entry, config, now_ms)]
    if stage.paused and fate.fate is Fate.WAITING:
        lines[1:1] = [_paused(stage.paused)]
    return [*lines, Text(f"by pipeline file {fate.hash}{_changed(stage)}", "dim")]


def _not_reached(stage: Stage, entry: JournalEntry) -> list[Text]:
    if stage.fate.reason:
        return [Text(f"not its event: {stage.fate.reason}", "dim")]
    before = entry.seq - stage.cursor - 1
    place = f"{before:,} events before this one" if before else "and this one is next"
    lines = [Text(f"not reached yet: it is at #{stage.cursor:,}, {place}", "yellow")]
    return [*lines, _paused(stage.paused)] if stage.paused else lines


def _paused(reason: str) -> Text:
    return Text(f"the pipeline is paused, its credentials are refused: {plain(reason)}", TROUBLE)


def _when(stage: Stage, entry: JournalEntry) -> str:
    fate = stage.fate
    if fate.settled_at_ms is None:
        return ""
    since = span(fate.settled_at_ms - entry.received_at_ms)
    attempts = f", at attempt {fate.attempts}" if fate.fate is Fate.DELIVERED else ""
    return f" {moment(fate.settled_at_ms)}, {since} after it was accepted{attempts}"


def _changed(stage: Stage) -> str:
    if stage.file is None:
        return "; no readable file has this name now"
    return "" if stage.file.hash == stage.fate.hash else f"; it has changed since, to {stage.file.hash}"


def _json(story: Story, answers: Sequence[Answered]) -> dict[str, object]:
    event, entry, visitor = story.event, story.entry, story.visitor
    return {
        "seq": story.seq,
        "id": event.id if event else None,
        "name": event.name if event else None,
        "received_at_ms": event.received_at_ms if event else entry.received_at_ms if entry else None,
        "time_ms": event.time_ms if event else None,
        "is_time_moved": event.is_time_moved if event else None,
        "source": event.source if event else None,
        "browser": event.browser if event else visitor.browser if visitor else None,
        "page": _page(event) if event else None,
        "is_envelope_kept": event is not None,
        "resolved_to": story.resolved_to,
        "decided": entry.fate.name.lower() if entry else None,
        "original_seq": story.original.seq if story.original else None,
        "repeats": [one.seq for one in story.repeats],
        "visitor": visitor.id if visitor else None,
        "epoch": visitor.epoch if visitor else None,
        "person": visitor.person if visitor else None,
        "linked_seq": visitor.linked_seq if visitor else None,
        "identifiers": visitor.identifiers.traits() if visitor else {},
        "ids": visitor.identifiers.ids() if visitor else {},
        "quarantined": [{"kind": one.kind, "limit": one.reason} for one in story.quarantined],
        "granted": names_of(Purpose(entry.granted)) if entry else [],
        "unanswered": names_of(Purpose(entry.waits)) if entry else [],
        "basis": entry.basis if entry else None,
        "answered_by": answers_json(answers),
        "pipelines": [_stage_json(stage, entry, answers) for stage in story.stages],
    }


def _stage_json(stage: Stage, entry: JournalEntry | None, answers: Sequence[Answered]) -> dict[str, object]:
    fate = stage.fate
    return {
        "name": fate.pipeline,
        "fate": fate.fate,
        "first_fate": fate.first_fate,
        "attempts": fate.attempts,
        "settled_at_ms": fate.settled_at_ms,
        "due_at_ms": fate.due_at_ms,
        "reason": fate.reason,
        "held_for": fate.held_for,
        "released_by": answers_json(releasing(stage, entry, answers)) if entry else [],
        "hash": fate.hash,
        "missing_purposes": stage.missing if fate.fate is Fate.WITHHELD else (),
        "cursor": stage.cursor,
        "paused": stage.paused,
    }
