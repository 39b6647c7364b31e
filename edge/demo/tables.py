"""How the demonstration shows what it did, in 80 columns."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table

from edge.delivery import Fate
from edge.demo.arrivals import Arrivals
from edge.demo.verdict import EXPECTED, Visitor, of_visitor
from edge.ledger.looking import PipelineDepth

SHORT_ID_CHARS = 8
SHOWN_FATES = (Fate.DELIVERED, Fate.WAITING, Fate.HELD, Fate.WITHHELD, Fate.UNMAPPED, Fate.DEAD)


def arrivals_at_klaviyo(events: Sequence[dict[str, Any]], profiles: Sequence[dict[str, Any]]) -> Table:
    """Show each event that Klaviyo took, with whom it belongs to."""
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


def fan_out(visitors: Sequence[Visitor], arrivals: Arrivals) -> Table:
    """Show how many events of each visitor every destination took, and what the first one's order became."""
    order = visitors[0].order
    table = _table("What every destination received of the visitor who …")
    for column in ("destination", f"order {order} is"):
        table.add_column(column, no_wrap=True)
    for visitor in visitors:
        table.add_column(visitor.what, justify="right")
    for pipeline in EXPECTED:
        told = arrivals[pipeline]
        word = next((one.word for one in told if one.order == order), "missing")
        table.add_row(pipeline, word, *(str(len(of_visitor(visitor, told))) for visitor in visitors))
    return table


def balance(depths: Sequence[PipelineDepth]) -> Table:
    """Show where every accepted event stands in each pipeline."""
    table = _table("Where every event stands", gap=1)
    fates = [fate for fate in Fate if fate in SHOWN_FATES or any(depth.events.get(fate) for depth in depths)]
    for column in ("pipeline", "behind", *fates):
        table.add_column(column, justify="left" if column == "pipeline" else "right")
    for depth in depths:
        table.add_row(depth.name, str(depth.behind), *(str(depth.events.get(fate, 0)) for fate in fates))
    return table


def _table(title: str, *, gap: int = 2) -> Table:
    return Table(title=title, title_justify="left", box=None, padding=(0, gap, 0, 0), header_style="bold")


def _name_of(profile: dict[str, Any]) -> str:
    identifiers = profile["identifiers"]
    email = identifiers.get("email") if isinstance(identifiers, dict) else None
    return str((email[0] if isinstance(email, list) else email) or identifiers)
