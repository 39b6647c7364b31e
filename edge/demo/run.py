"""What `edge demo` does: three scripted visitors, and tables of what reached whom."""

import asyncio
import errno
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from edge.demo.arrivals import Arrivals, arrivals_of
from edge.demo.tables import arrivals_at_klaviyo, balance, fan_out
from edge.demo.verdict import Visitor, complaints_of
from edge.demo.visitor import DENIED, GRANTED, NO_ADVERTISING, ScriptedVisitor, answers_of
from edge.demo.world import NotReady, World, environment, running_world
from edge.ledger import LedgerView
from edge.ledger.looking import PipelineDepth

DELIVERED_WITHIN_S, SETTLED_S, LOOK_EVERY_S = 20.0, 3.0, 0.2
SHOP_PORT = 8088
STORY = "One visitor accepts everything, one denies advertising, one declines. Each looks, signs up and buys."
ALL_WELL = "Everything arrived once, in order, with one identity and one decision; nothing of the one who declined."
VISITORS = [
    Visitor("accepts", "visitor@shop.example", "TK-1001", answers_of(GRANTED)),
    Visitor("denies ads", "reader@shop.example", "TK-1002", answers_of(NO_ADVERTISING)),
    Visitor("declines", "declined@shop.example", "TK-1003", answers_of(DENIED)),
]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is to see in the end."""

    klaviyo: Mapping[str, Any]
    arrivals: Arrivals
    depths: list[PipelineDepth]
    complaints: list[str]


async def run_demo(console: Console, *, once: bool, port: int) -> int:
    """Run it; give 0 when every expected delivery arrived and nothing else did, else 1."""
    with tempfile.TemporaryDirectory(prefix="edge-demo-") as name:
        folder = Path(name)
        try:
            async with running_world(folder, environment(), shop_port=port) as world:
                code = await _tell(console, world)
                if not once:
                    await _stay(console, world)
                return code
        except (NotReady, OSError) as error:
            is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            told = f"port {port} is taken; --port 0 takes a free one" if is_taken else str(error)
            console.print(f"[red]{told}[/red]")
            console.print((folder / "edge.log").read_text("utf-8", "replace") if (folder / "edge.log").exists() else "")
            return 1


async def _tell(console: Console, world: World) -> int:
    console.print(STORY)
    for consent, visitor in zip((GRANTED, NO_ADVERTISING, DENIED), VISITORS, strict=True):
        scripted = ScriptedVisitor(world.session, world.shop, consent=consent)
        await scripted.look_around()
        await scripted.sign_up(visitor.email)
        await scripted.buy(visitor.order)
    outcome = await _until_settled(world)
    for table in (
        arrivals_at_klaviyo(outcome.klaviyo["events"], outcome.klaviyo["profiles"]),
        fan_out(VISITORS, outcome.arrivals),
        balance(outcome.depths),
    ):
        console.print()
        console.print(table)
    console.print()
    for complaint in outcome.complaints:
        console.print(f"[red]failed:[/red] {complaint}")
    if not outcome.complaints:
        console.print(f"[green]{ALL_WELL}[/green]")
    return 1 if outcome.complaints else 0


async def _until_settled(world: World) -> Outcome:
    """Wait until all is well, or nothing moves any more; a pipeline that cannot go on is not waited for."""
    now_s = asyncio.get_running_loop().time
    deadline_s, still_since_s = now_s() + DELIVERED_WITHIN_S, now_s()
    while True:
        paused: dict[str, str] = (await world.readiness()).get("drainer", {}).get("paused", {})
        outcome, is_drained = await _look(world, paused)
        if not is_drained:
            still_since_s = now_s()
        is_well = is_drained and not outcome.complaints
        if is_well or now_s() >= deadline_s or now_s() - still_since_s >= SETTLED_S:
            return outcome
        await asyncio.sleep(LOOK_EVERY_S)


async def _look(world: World, paused: Mapping[str, str]) -> tuple[Outcome, bool]:
    view = await LedgerView.open(world.data_dir / "ledger.db")
    try:
        depths = await view.depths()
    finally:
        await view.close()
    received, lines = await world.received(), world.archived()
    arrivals = arrivals_of(received, map(orjson.loads, lines))
    complaints = complaints_of(VISITORS, arrivals, orjson.dumps(received) + b"".join(lines), paused)
    going = [depth for depth in depths if depth.name not in paused]
    is_drained = all(depth.behind == 0 and not depth.events.get("waiting") for depth in going)
    return Outcome(received["klaviyo"], arrivals, depths, complaints), is_drained


async def _stay(console: Console, world: World) -> None:
    console.print(f"\nThe shop:      {world.shop}/")
    console.print(f"What arrived:  {world.sandbox}/received")
    console.print(f"The queue:     {Path(sys.executable).parent / 'edge'} tail --config {world.config}")
    console.print("Ctrl-C ends everything.")
    await asyncio.Event().wait()
