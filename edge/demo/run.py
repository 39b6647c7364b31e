"""What `edge demo` does: two scripted visitors, and a table of what reached Klaviyo."""

import asyncio
import errno
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge.delivery import Fate
from edge.demo.visitor import DENIED, GRANTED, ScriptedVisitor
from edge.demo.world import NotReady, World, environment, running_world
from edge.ledger import LedgerView
from edge.ledger.looking import PipelineDepth

DELIVERED_WITHIN_S = 20.0
EMAIL = "visitor@shop.example"
SHOP_PORT = 8088
ALL_WELL = "Every expected event arrived once, in order, on one profile; nothing left of the one who declined."
SHORT_ID_CHARS = 8
SHOWN_FATES = (Fate.DELIVERED, Fate.WAITING, Fate.HELD, Fate.WITHHELD, Fate.UNMAPPED, Fate.DEAD)
EXPECTED = ("Viewed Product", "Added to Cart", "Subscribed to Newsletter", "Started Checkout", "Placed Order")


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
    console.print("A visitor accepts, looks, fills a cart, signs up and buys; another one declines.")
    accepting = ScriptedVisitor(world.session, world.shop, consent=GRANTED)
    declining = ScriptedVisitor(world.session, world.shop, consent=DENIED)
    await accepting.look_around()
    await declining.look_around()
    await declining.sign_up("declined@shop.example")
    await accepting.sign_up(EMAIL)
    await accepting.buy("TK-1001")
    received, paused = await _until_delivered(world)
    console.print()
    console.print(_arrivals(received["events"], received["profiles"]))
    depths = await _depths(world.data_dir)
    console.print()
    console.print(_balance(depths))
    console.print()
    complaints = _complaints(received, paused)
    for complaint in complaints:
        console.print(f"[red]failed:[/red] {complaint}")
    if not complaints:
        console.print(f"[green]{ALL_WELL}[/green]")
    return 1 if complaints else 0


async def _until_delivered(world: World) -> tuple[dict[str, Any], dict[str, str]]:
    """Wait until nothing is open, or a pipeline says that it cannot go on."""
    deadline_s = asyncio.get_running_loop().time() + DELIVERED_WITHIN_S
    paused: dict[str, str] = {}
    while asyncio.get_running_loop().time() < deadline_s and not paused:
        paused = (await world.readiness()).get("drainer", {}).get("paused", {})
        received = await world.received()
        if len(received["events"]) >= len(EXPECTED) and await _is_drained(world.data_dir):
            break
        await asyncio.sleep(0.1)
    return await world.received(), paused


async def _is_drained(data_dir: Path) -> bool:
    depths = await _depths(data_dir)
    return all(depth.behind == 0 and not depth.events.get("waiting") for depth in depths)


async def _depths(data_dir: Path) -> list[PipelineDepth]:
    view = await LedgerView.open(data_dir / "ledger.db")
    try:
        return await view.depths()
    finally:
        await view.close()


def _arrivals(events: list[dict[str, Any]], profiles: list[dict[str, Any]]) -> Table:
    names = {profile["id"]: _name_of(profile) for profile in profiles}
    table = _table("What Klaviyo received")
    for column in ("time", "metric", "value", "unique_id", "profile"):
        table.add_column(column, justify="right" if column == "value" else "left", no_wrap=True)
    for event in events:
        value = "" if event["value"] is None else f"{event['value']:.2f} {event['value_currency'] or ''}"
        profile = names.get(event["profile_id"], "?")
        unique_id = event["unique_id"]
        short_id = unique_id if len(unique_id) <= SHORT_ID_CHARS else f"{unique_id[: SHORT_ID_CHARS - 1]}…"
        table.add_row(event["time"][11:19], event["metric"], value, short_id, profile)
    return table


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0), header_style="bold")


def _name_of(profile: dict[str, Any]) -> str:
    identifiers = profile["identifiers"]
    email = identifiers.get("email") if isinstance(identifiers, dict) else None
    return str((email[0] if isinstance(email, list) else email) or identifiers)


def _balance(depths: list[PipelineDepth]) -> Table:
    table = _table("Where every event stands")
    fates = [fate for fate in Fate if fate in SHOWN_FATES or any(depth.events.get(fate) for depth in depths)]
    for column in ("pipeline", "behind", *fates):
        table.add_column(column, justify="left" if column == "pipeline" else "right")
    for depth in depths:
        table.add_row(depth.name, str(depth.behind), *(str(depth.events.get(fate, 0)) for fate in fates))
    return table


def _complaints(received: dict[str, Any], paused: dict[str, str]) -> list[str]:
    """Say what is not as it should be; empty when all is well."""
    complaints = [
        f"{name} is paused, its credentials were refused ({reason}): see KLAVIYO_PRIVATE_API_KEY"
        for name, reason in paused.items()
    ]
    metrics = [event["metric"] for event in received["events"]]
    if metrics != list(EXPECTED):
        complaints.append(f"expected {', '.join(EXPECTED)}; received {', '.join(metrics) or 'nothing'}")
    if len({event["profile_id"] for event in received["events"]}) > 1:
        complaints.append("the events are on more than one profile")
    if any("declined" in str(profile) for profile in received["profiles"]):
        complaints.append("something of the visitor who declined has left")
    return complaints


async def _stay(console: Console, world: World) -> None:
    console.print(f"\nThe shop:      {world.shop}/")
    console.print(f"What arrived:  {world.sandbox}/received/klaviyo")
    console.print(f"The queue:     {Path(sys.executable).parent / 'edge'} tail --config {world.config}")
    console.print("Ctrl-C ends everything.")
    await asyncio.Event().wait()
