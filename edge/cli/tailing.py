"""`edge tail`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

import click
from rich.console import Console
from rich.text import Text

from edge.app.folders import ledger_path
from edge.cli.following import Accepted, Became, Follower, Item, Wanted
from edge.cli.idle import Disabled, idle_among
from edge.cli.options import with_config
from edge.cli.running import Absences
from edge.cli.screen import as_json, console, plain
from edge.cli.stores import Stores, Unavailable, check_pipeline, open_stores
from edge.cli.surroundings import Surroundings, surroundings
from edge.cli.times import clock_time, span
from edge.config import Config
from edge.consent import Purpose, names_of
from edge.delivery import Fate
from edge.event import Event, is_server
from edge.ledger.records import JournalFate
from edge.ledger.standing import PipelineFate
from edge.person import Identifiers

POLL_S = 0.5
WIDE, NARROW_PAGE, BEFORE_PAGE = 100, 10, 54
STYLES = {
    Fate.DELIVERED: "green",
    Fate.WAITING: "yellow",
    Fate.HELD: "cyan",
    Fate.WITHHELD: "magenta",
    Fate.DEAD: "bold red",
    Fate.DAMAGED: "bold red",
    Fate.EXPIRED: "red",
}
Show = Callable[[Item], None]


@click.command()
@click.option("--json", "is_json", is_flag=True, help="One JSON object a line: kind is event or delivery.")
@click.option("--event", "event_name", metavar="NAME", help="Only events of this name.")
@click.option(
    "--visitor", metavar="WHO", help="Only a browser (cookie id or its beginning), e-mail, phone, customer id."
)
@click.option("--pipeline", metavar="NAME", help="Only this pipeline's deliveries.")
@click.option(
    "--fate",
    "fates",
    type=click.Choice([fate.value for fate in Fate]),
    multiple=True,
    help="Only deliveries of this fate; repeatable.",
)
@click.option("--from-start/--from-now", default=None, help="Begin with the oldest event kept, or with the next one.")
@click.option("--lines", type=click.IntRange(0), default=20, show_default=True, help="Begin this many events back.")
@click.option("--once", is_flag=True, help="Show what is there and end.")
@with_config
def tail(
    config: Config,
    is_json: bool,
    event_name: str | None,
    visitor: str | None,
    pipeline: str | None,
    fates: tuple[str, ...],
    from_start: bool | None,
    lines: int,
    once: bool,
) -> None:
    """Follow accepted events and their deliveries until Ctrl-C. Times are UTC; `edge why` takes the # number.

    What goes nowhere because its pipeline is disabled is left out, but for --json, --pipeline and --fate.
    """
    hides_idle = not (is_json or pipeline or fates)
    disabled = Disabled(config).names() if hides_idle else frozenset[str]()
    wanted = Wanted(event_name, visitor, pipeline, frozenset(map(Fate, fates)), disabled)
    back = None if from_start else 0 if from_start is False else lines
    show = _show_json if is_json else _shower(console(), surroundings())
    try:
        asyncio.run(_tail(config, wanted, back, show, None if once else surroundings()))
    except KeyboardInterrupt:
        return


async def _tail(config: Config, wanted: Wanted, back: int | None, show: Show, around: Surroundings | None) -> None:
    """Show items until there are no more (`around` None) or for ever; a store that is away is asked for again."""
    follower: Follower | None = None
    has_told, absences = False, Absences(config.data_dir)
    while True:
        try:
            async with open_stores(config) as stores:
                has_told = False
                follower = follower or await _begin(stores, wanted, back)
                if await _follow(stores, follower, show, around, _Beside(_sameness(config), absences)):
                    return
        except Unavailable as error:
            if around is None:
                raise
            if not has_told:
                console(is_error=True).print(f"waiting: {error.message}", style="yellow", soft_wrap=True)
            has_told = True
            await around.pause(POLL_S)


@dataclass(frozen=True, slots=True)
class _Beside:
    """What else is looked at: whether the ledger's file is the one that was opened, and what does not run."""

    is_same: Callable[[], bool]
    absences: Absences


def _sameness(config: Config) -> Callable[[], bool]:
    """Give what tells whether the ledger's file is still the one that lies there now: a folder may be replaced."""
    opened = _file_of(config)
    return lambda: _file_of(config) == opened


def _file_of(config: Config) -> tuple[int, int] | None:
    try:
        found = ledger_path(config).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _begin(stores: Stores, wanted: Wanted, back: int | None) -> Follower:
    await check_pipeline(stores, wanted.pipeline)
    after = 0 if back is None else max(0, await stores.ledger.resolved_to() - back)
    wanted = replace(wanted, idle=idle_among(await stores.ledger.depths(), wanted.idle))
    return Follower(after, wanted)


async def _follow(stores: Stores, follower: Follower, show: Show, around: Surroundings | None, beside: _Beside) -> bool:
    """Show items; False when the files are others by now, True when there are no more and nobody waits for them."""
    stalled = 0
    while True:
        if not beside.is_same():
            return False
        if news := beside.absences.news():
            console(is_error=True).print(news, style="bold red", soft_wrap=True)
        items = await follower.poll(stores)
        for item in items:
            show(item)
        if items or not follower.is_at_head:
            stalled = 0
            continue
        behind = await follower.unresolved(stores)
        stalled = stalled + 1 if behind else 0
        if behind and (around is None or stalled == 3):
            text = f"accepted and not resolved yet: {behind:,}; is the drainer running?"
            console(is_error=True).print(text, style="yellow")
        if around is None:
            return True
        await around.pause(POLL_S)


def _shower(out: Console, around: Surroundings) -> Show:
    def show(item: Item) -> None:
        line = _event_line(item, out.width) if isinstance(item, Accepted) else _fate_line(item, around.clock.now_ms())
        out.print(line, soft_wrap=True)

    return show


def _event_line(item: Accepted, width: int) -> Text:
    """Give an event's line; a narrow terminal gets page and visitor cut, so that it stays one line."""
    page, who = (30, 40) if width >= WIDE else (NARROW_PAGE, max(8, width - NARROW_PAGE - BEFORE_PAGE - 1))
    line = Text(f"{clock_time(item.entry.received_at_ms)} {_number(item.seq)}  ")
    event = item.event
    if event is None and item.entry.fate is JournalFate.ERASED:
        return line.append("erased", "dim")
    if event is None:
        what = "its envelope is damaged" if item.entry.fate is JournalFate.DAMAGED else "its envelope cannot be read"
        return line.append(what, "bold red")
    line.append(f"{plain(event.name, 17):<17} ", "bold").append(f"{plain(event.id)[:8]:<8} ", "dim")
    line.append(f"{event.browser[:8]} ", "blue")
    if item.entry.fate is JournalFate.DUPLICATE:
        return line.append("duplicate, goes nowhere", "dim")
    line.append(f"{plain(_page(event) or _server(event), page):<{page}} ")
    line.append(plain(_who(item.visitor.identifiers), who) if item.visitor is not None else "", "cyan")
    line.rstrip()
    return line


def _fate_line(item: Became, now_ms: int) -> Text:
    at_ms = max(fate.settled_at_ms or 0 for fate in item.fates)
    line = Text().append(f"{clock_time(at_ms) if at_ms else '':8} {_number(item.accepted.seq)}  └ ", "dim")
    for index, fate in enumerate(item.fates):
        line.append(" · " if index else "", "dim").append(f"{plain(fate.pipeline)} ")
        line.append(fate.fate.value if fate.fate else "", STYLES.get(fate.fate, "dim") if fate.fate else "")
        line.append(_more(fate, now_ms), "dim")
    return line


def _more(fate: PipelineFate, now_ms: int) -> str:
    if fate.fate is Fate.WAITING:
        due = f", next in {span(fate.due_at_ms - now_ms)}" if fate.due_at_ms and fate.due_at_ms > now_ms else ""
        tried = f", attempt {fate.attempts} failed" if fate.attempts else ""
        return f" ({plain(fate.reason, 60)}{tried}{due})"
    if fate.fate is Fate.DEAD:
        return f" ({plain(fate.reason, 100)})"
    return f" at attempt {fate.attempts}" if fate.fate is Fate.DELIVERED and fate.attempts > 1 else ""


def _who(known: Identifiers) -> str:
    """Give the identifier that people read most easily; "" for a stranger."""
    return known.email or known.phone or known.customer_id or ""


def _number(seq: int) -> str:
    return f"{'#' + str(seq):>7}"


def _page(event: Event) -> str:
    page = event.context.get("page")
    path = (page.get("path") or page.get("url")) if isinstance(page, dict) else None
    return path if isinstance(path, str) else ""


def _server(event: Event) -> str:
    return event.source if is_server(event.source) else ""


def _show_json(item: Item) -> None:
    if isinstance(item, Accepted):
        click.echo(as_json(_event_json(item)))
        return
    for fate in item.fates:
        click.echo(as_json(_fate_json(item.accepted, fate)))


def _event_json(item: Accepted) -> dict[str, object]:
    event, visitor = item.event, item.visitor
    return {
        "kind": "event",
        "seq": item.seq,
        "id": event.id if event else None,
        "name": event.name if event else None,
        "received_at_ms": item.entry.received_at_ms,
        "time_ms": event.time_ms if event else None,
        "source": event.source if event else None,
        "browser": event.browser if event else None,
        "page": _page(event) if event else None,
        "decided": item.entry.fate.name.lower(),
        "granted": names_of(Purpose(item.entry.granted)),
        "visitor": visitor.id if visitor else None,
        "identifiers": visitor.identifiers.traits() if visitor else {},
    }


def _fate_json(accepted: Accepted, fate: PipelineFate) -> dict[str, object]:
    return {
        "kind": "delivery",
        "seq": accepted.seq,
        "id": accepted.event.id if accepted.event else None,
        "pipeline": fate.pipeline,
        "fate": fate.fate,
        "attempts": fate.attempts,
        "settled_at_ms": fate.settled_at_ms,
        "due_at_ms": fate.due_at_ms,
        "reason": fate.reason,
    }
