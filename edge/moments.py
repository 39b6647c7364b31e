"""Moments as texts: ISO 8601 in UTC, to the second or to the millisecond."""

from datetime import UTC, datetime
from functools import lru_cache


def iso_second(at_ms: int) -> str:
    """Give "2026-11-20T14:03:09Z"; raises ValueError or OverflowError outside the years 1 to 9999."""
    return f"{_second(at_ms // 1_000)}Z"


def iso_millisecond(at_ms: int) -> str:
    """Give "2026-11-20T14:03:09.120Z"; raises likewise."""
    return f"{_second(at_ms // 1_000)}.{at_ms % 1_000:03}Z"


@lru_cache(1_024)
def _second(at_s: int) -> str:
    """Remember the newest seconds: events that go out together happened in the same few."""
    return datetime.fromtimestamp(at_s, UTC).isoformat(timespec="seconds").removesuffix("+00:00")
