"""Moments and spans as people read them; every moment is UTC, as in the logs."""

from datetime import UTC, datetime

_STEPS = ((86_400, "d", 2), (3_600, "h", 2), (60, "min", 2), (1, "s", 1))


def moment(at_ms: int) -> str:
    """Give "2026-11-21 18:00:00.120"."""
    return _utc(at_ms).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")


def clock_time(at_ms: int) -> str:
    """Give "18:00:00"."""
    return _utc(at_ms).strftime("%H:%M:%S")


def span(duration_ms: float) -> str:
    """Give a span in one unit, the largest that says it well: 840 ms, 12 s, 90 s, 3 min, 47 h, 13 d."""
    seconds = max(0.0, duration_ms / 1_000)
    if seconds < 1:
        return f"{round(seconds * 1_000)} ms"
    for size, unit, least in _STEPS:
        if seconds >= size * least:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _utc(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1_000, UTC)
