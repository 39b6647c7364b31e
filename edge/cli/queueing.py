"""`edge queue`."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from edge.app.folders import spool_settings
from edge.cli.balancing import balance
from edge.cli.broken_files import broken_file_of
from edge.cli.figures import Column, fitted, name_of
from edge.cli.idle import idle_line, is_quiet
from edge.cli.options import with_config
from edge.cli.pipeline_files import Loaded, load_leniently
from edge.cli.running import UNSEEN, Running, running_on
from edge.cli.screen import as_json, console, plain, print_trimmed
from edge.cli.spans import ACCEPTED, read_every_s
from edge.cli.stores import Stores, event_of, open_stores
from edge.cli.surroundings import surroundings
from edge.cli.times import moment, span
from edge.cli.watching import watch
from edge.config import Config
from edge.consent import names_of
from edge.delivery import Fate
from edge.ledger.erasing import Erasure
from edge.ledger.looking import PipelineDepth
from edge.ledger.receipts import Afterwards
from edge.ledger.vendor_erasing import VendorErasure
from edge.pipeline import Pipeline, files_of
from edge.spool.segment import list_segments

# What a page of withheld events without a single other outcome says: nobody was ever asked.
ALL_WITHHELD_AT = 100
OPEN = (Fate.WAITING, Fate.HELD)
ENDED = (Fate.DELIVERED, Fate.WITHHELD, Fate.UNMAPPED, Fate.SKIPPED, Fate.EXPIRED, Fate.DEAD)
AFTERWARDS_DAYS = 7
REASON_CHARS = 100
RARE = (Fate.ERASED, Fate.DAMAGED)
STYLES = {Fate.DELIVERED: "green", Fate.WAITING: "yellow", Fate.HELD: "cyan", Fate.DEAD: "bold red"}


@dataclass(frozen=True, slots=True)
class Standing:
    """One pipeline; `since_ms` has, for behind, waiting and held, when the oldest of them was accepted.

    `asked` of the held events wait for an answer about consent. `afterwards` is what the vendor said of what was
    delivered in the last seven days. `is_idle`: it is disabled, and nothing ever moved in it. `is_dropped`:
    some are dead, and all their letters were dropped.
    """

    depth: PipelineDepth
    since_ms: dict[str, int]
    notes: tuple[str, ...]
    asked: int = 0
    afterwards: Afterwards = field(default_factory=Afterwards)
    is_idle: bool = False
    is_dropped: bool = False


@dataclass(frozen=True, slots=True)
class Queue:
    """Everything at one moment."""

    now_ms: int
    accepted_to: int
    resolved_to: int
    unresolved_since_ms: int | None
    standings: tuple[Standing, ...]
    not_started: tuple[str, ...]
    erasures: tuple[str, ...] = ()
    running: Running = UNSEEN


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object instead of the table.")
@click.option("--watch", "is_watching", is_flag=True, help="Go on, with what changes as small plots, until Ctrl-C.")
@click.option(
    "--every", "every_s", metavar="SPAN", default="2s", show_default=True, callback=read_every_s, help="For --watch."
)
@click.option("--balance", "is_balance", is_flag=True, help="Add up what was accepted; exit 1 when it is not even.")
@click.option("--since", metavar="WHEN", default="1d", show_default=True, help=f"For --balance: {ACCEPTED}.")
@click.option("--until", metavar="WHEN", help="For --balance; as --since.")
@with_config
def queue(
    config: Config, is_json: bool, is_watching: bool, every_s: float, is_balance: bool, since: str, until: str | None
) -> None:
    """Show how deep the queue is: for each pipeline what was delivered, what is open, and since when."""
    if is_balance:
        balance(config, since, until, is_json=is_json)
    if is_watching:
        watch(config, every_s, is_json=is_json)
        return
    found = asyncio.run(_look(config, surroundings().clock.now_ms()))
    if is_json:
        click.echo(as_json(_json(found)))
    else:
        _show(found, config.site.name, console())


async def _look(config: Config, now_ms: int) -> Queue:
    files = load_leniently(files_of(config.pipelines), os.environ)
    async with open_stores(config) as stores:
        resolved = await stores.ledger.resolved_to()
        depths = await stores.ledger.depths()
        standings = [await _standing(stores, depth, files) for depth in depths]
        afterwards = await stores.ledger.told_later(now_ms - AFTERWARDS_DAYS * 86_400_000)
        standings = [replace(one, afterwards=afterwards.get(one.depth.name, one.afterwards)) for one in standings]
        last = max(resolved, await stores.spool.last_seq())
        unresolved_ms = await _accepted_after(stores, resolved)
        late = await stores.ledger.late_bodies()
        erasures = [line for found in await stores.ledger.erasures() for line in _erasure_notes(*found)]
        erasures += [_late_note(config, late, now_ms)] if late else []
    known, running = {depth.name for depth in depths}, running_on(config.data_dir)
    not_started = tuple(name for name in files.pipelines if name not in known)
    return Queue(now_ms, last, resolved, unresolved_ms, tuple(standings), not_started, tuple(erasures), running)


async def _standing(stores: Stores, depth: PipelineDepth, files: Loaded) -> Standing:
    since: dict[str, int] = {}
    if depth.behind and (behind_ms := await _accepted_after(stores, depth.cursor)) is not None:
        since["behind"] = behind_ms
    for fate, oldest in ((Fate.WAITING, stores.ledger.oldest_waiting), (Fate.HELD, stores.ledger.oldest_held)):
        seq = await oldest(depth.name) if depth.events.get(fate) else None
        for entry in await stores.ledger.by_seqs([seq] if seq is not None else []):
            since[fate] = entry.received_at_ms
    asked = await stores.ledger.held_for_consent(depth.name) if depth.events.get(Fate.HELD) else 0
    reason = await stores.ledger.reason_of_oldest(depth.name) if depth.events.get(Fate.WAITING) else ""
    file = files.pipelines.get(depth.name)
    waits = [f"the oldest that waits last said: {plain(reason, REASON_CHARS)}"] if reason and not depth.paused else []
    notes = (*waits, *_notes(depth, file, broken_file_of(depth.name, files.problems)))
    is_idle = file is not None and not file.is_enabled and is_quiet(depth)
    is_dropped = bool(depth.events.get(Fate.DEAD)) and not await stores.ledger.has_letters(depth.name)
    return Standing(depth, since, notes, asked, is_idle=is_idle, is_dropped=is_dropped)


async def _accepted_after(stores: Stores, seq: int) -> int | None:
    rows = await stores.spool.read(seq, 1)
    event = event_of(rows[0]) if rows else None
    return event.received_at_ms if event is not None else None


def _notes(depth: PipelineDepth, file: Pipeline | None, broken: str) -> list[str]:
    notes = []
    if depth.paused:
        tried = "one event is tried every 15 min, and at each start"
        notes.append(f"paused, its credentials are refused ({plain(depth.paused)}); {tried}")
    if file is None:
        told = f"{plain(broken)}, see `edge check`; what ran before goes on"
        notes.append(told if broken else "no file has this name any more")
    elif not file.is_enabled:
        notes.append("disabled: events are skipped")
    others = [count for fate, count in depth.events.items() if fate not in (Fate.WITHHELD, Fate.UNMAPPED)]
    if depth.events.get(Fate.WITHHELD, 0) >= ALL_WITHHELD_AT and not any(others):
        needs = f" (it needs {', '.join(names_of(file.purposes))})" if file is not None else ""
        notes.append(f"every event so far was withheld{needs}: is consent asked for, and does it reach us?")
    return notes


def _afterwards_notes(said: Afterwards) -> list[str]:
    """Say what became of delivered events that a vendor did not count after all."""
    of = f"events delivered in the last {AFTERWARDS_DAYS} days"
    notes = []
    if said.refused:
        reasons = ", ".join(f"{reason} {events:,}" for reason, events in said.refused.items())
        notes.append(f"the vendor threw away {sum(said.refused.values()):,} {of}: {reasons}")
    if said.warned:
        reasons = ", ".join(f"{reason} {events:,}" for reason, events in said.warned.items())
        notes.append(f"the vendor has a warning about {sum(said.warned.values()):,} {of}: {reasons}")
    if said.untold:
        notes.append(f"the vendor never said what became of {said.untold:,} {of}")
    return notes


def _erasure_notes(erasure: Erasure, vendors: Sequence[VendorErasure]) -> list[str]:
    """Say what is not done of an erasure, and what a vendor leaves to be done by hand."""
    notes = (
        [] if erasure.state == "done" else [f"erasure {erasure.id} of {moment(erasure.asked_at_ms)}: {erasure.state}"]
    )
    for one in vendors:
        if one.state == "open":
            said = f"has not answered yet ({plain(one.reason)})" if one.reason else "is asked when the service runs"
            notes.append(f"erasure {one.erasure}: {plain(one.pipeline)} {said}")
        if one.state == "refused":
            told = f"refused ({plain(one.reason)}): erase the {one.kind} there by hand"
            notes.append(f"erasure {one.erasure}: {plain(one.pipeline)} {told}")
    return notes


def _late_note(config: Config, events: int, now_ms: int) -> str:
    """Say where late arrivals of erased persons still lie, and until when at most."""
    files = [segment.path.name for segment in list_segments(spool_settings(config).directory)[-1:]]
    by = moment(now_ms + round(config.spool.segment_age_s * 1_000))
    told = f"{events:,} late arrivals of erased persons went to no pipeline"
    return f"{told}; their bodies lie in {', '.join(files)} until it is complete, by {by} at the latest"


def _show(found: Queue, site: str, out: Console) -> None:
    head = Text.assemble((plain(site), "bold"), f"  {moment(found.now_ms)} UTC  accepted up to #{found.accepted_to:,}")
    out.print(head, soft_wrap=True)
    if absence := found.running.sentence():
        out.print(Text(absence, "bold red"), soft_wrap=True)
    out.print(_resolver(found), soft_wrap=True)
    out.print()
    if not found.standings:
        out.print("No pipeline has started, so nothing is delivered.")
    for table in _tables([one for one in found.standings if not one.is_idle], found.now_ms, out.width):
        print_trimmed(out, table)
    if idle := [one.depth.name for one in found.standings if one.is_idle]:
        out.print(idle_line(idle))
    for standing in found.standings:
        if standing.asked:
            told = f"{standing.asked:,} of the held wait for an answer about consent"
            out.print(Text(f"{plain(standing.depth.name)}: {told}", "cyan"), soft_wrap=True)
    for note, names in _by_note(found.standings).items():
        out.print(Text(f"{', '.join(names)}: {note}", "yellow"), soft_wrap=True)
    for note in found.erasures:
        out.print(Text(note, "yellow"), soft_wrap=True)
    for name in found.not_started:
        out.print(Text(f"{name}: has a file and never ran; it starts with the next `edge serve`", "yellow"))


def _by_note(standings: Sequence[Standing]) -> dict[str, list[str]]:
    """Give each note once, with the pipelines that it is about."""
    found: dict[str, list[str]] = {}
    for standing in standings:
        notes = () if standing.is_idle else standing.notes
        for note in (*notes, *_afterwards_notes(standing.afterwards)):
            found.setdefault(note, []).append(plain(standing.depth.name))
    return found


def _resolver(found: Queue) -> Text:
    behind = found.accepted_to - found.resolved_to
    if not behind:
        return Text("the resolver is at the head", "dim")
    since = f", the oldest for {span(found.now_ms - found.unresolved_since_ms)}" if found.unresolved_since_ms else ""
    return Text(f"the resolver is {behind:,} behind{since}", "yellow")


def _tables(standings: Sequence[Standing], now_ms: int, width: int) -> list[Table]:
    if not standings:
        return []
    rare = [fate for fate in RARE if any(standing.depth.events.get(fate) for standing in standings)]
    names = [name_of(one.depth.name, "bold red" if one.depth.paused else "bold") for one in standings]
    columns = [_column(standings, str(name), now_ms) for name in ("behind", *OPEN, *ENDED, *rare)]
    return fitted(names, columns, width)


def _column(standings: Sequence[Standing], name: str, now_ms: int) -> Column:
    counts = [{"behind": one.depth.behind, **one.depth.events}.get(name, 0) for one in standings]
    since = [one.since_ms.get(name) for one in standings]
    ages = [span(now_ms - since_ms) if since_ms is not None else None for since_ms in since]
    cells = [_cell(name, *one) for one in zip(counts, ages, strict=True)]
    if name == Fate.DEAD:
        dropped = [Text(f"{count:,}\ndropped", "dim") for count in counts]
        cells = [dropped[at] if one.is_dropped else cells[at] for at, one in enumerate(standings)]
    return Column(name, cells, is_empty=not any(counts))


def _cell(name: str, count: int, age: str | None) -> Text:
    if not count:
        return Text("·", "dim")
    style = STYLES.get(Fate(name), "") if name != "behind" else "yellow"
    return Text.assemble((f"{count:,}", style), (f"\n{age}" if age else "", "dim"))


def _json(found: Queue) -> dict[str, object]:
    return {
        "at_ms": found.now_ms,
        "running": found.running.told(),
        "accepted_to": found.accepted_to,
        "resolved_to": found.resolved_to,
        "resolver": {
            "behind": found.accepted_to - found.resolved_to,
            "oldest_s": _age_s(found, found.unresolved_since_ms),
        },
        "pipelines": [_standing_json(found, standing) for standing in found.standings],
        "not_started": found.not_started,
        "erasures": found.erasures,
    }


def _standing_json(found: Queue, standing: Standing) -> dict[str, object]:
    depth = standing.depth
    open_since: Sequence[int] = list(standing.since_ms.values())
    return {
        "name": depth.name,
        "cursor": depth.cursor,
        "behind": depth.behind,
        "paused": depth.paused,
        "events": {fate.value: depth.events.get(fate, 0) for fate in Fate},
        "oldest_s": _age_s(found, min(open_since, default=None)),
        "oldest_each_s": {str(name): _age_s(found, since_ms) for name, since_ms in standing.since_ms.items()},
        "held_for_consent": standing.asked,
        "dead_dropped": standing.is_dropped,
        "told_later": asdict(standing.afterwards),
        "notes": standing.notes,
    }


def _age_s(found: Queue, since_ms: int | None) -> float | None:
    return None if since_ms is None else max(0, found.now_ms - since_ms) / 1_000
