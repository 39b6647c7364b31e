"""Sentences of `edge why` about what is open, and what was before."""

from edge.cli.screen import plain
from edge.cli.times import moment, span
from edge.delivery import OPEN_FATES
from edge.ledger.standing import PipelineFate

REPLAY = "replay"


def earlier_life(fate: PipelineFate) -> list[str]:
    """Say where an event stood before; from a final fate it came back by being sent again."""
    was = fate.first_fate
    if was is None or (was is fate.fate and was in OPEN_FATES):
        return []
    return [f"was {was.value} at first{'' if was in OPEN_FATES else ', and was sent again'}"]


def next_try(fate: PipelineFate, paused: str | None, now_ms: int) -> list[str]:
    """Say why an event waits and when it is tried next; while a pipeline is paused nothing is."""
    made = f"{fate.attempts} failed" if fate.attempts else "none made"
    if paused:
        others = f"; {fate.attempts} attempts failed before" if fate.attempts else ""
        return [f"kept until the credentials are mended; refused attempts do not count{others}"]
    if fate.due_at_ms is None:
        return [f"behind an earlier event of the same visitor; attempts: {made}"]
    due = "is due now" if fate.due_at_ms <= now_ms else f"in {span(fate.due_at_ms - now_ms)}"
    if fate.reason == REPLAY and not fate.attempts:
        return [f"is to be sent again behind live traffic; the next try {due}"]
    at = f" ({moment(fate.due_at_ms)})" if fate.due_at_ms > now_ms else ""
    return [f"attempts: {made}; the next {due}{at}; last said: {plain(fate.reason)}"]
