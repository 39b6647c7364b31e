"""What `type` may say: each conversion gives None for what cannot be read as that type."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from edge.jsontree import MAX_SAFE_INTEGER, number_of

Convert: TypeAlias = Callable[[object], object]

MAX_SECONDS = 1e11  # what is more are milliseconds

_BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


def as_string(value: object) -> str | None:
    """Write a scalar as text: true, 5 (also for 5.0), 5.25; lists, objects and what is no number have none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else str(value)
    return str(value) if isinstance(value, int) and abs(value) <= MAX_SAFE_INTEGER else None


def _as_integer(value: object) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and number % 1 == 0 and abs(number) <= MAX_SAFE_INTEGER else None


def _as_boolean(value: object) -> bool | None:
    text = as_string(value)
    return None if text is None else _BOOLEANS.get(text.strip().lower())


def _as_datetime(value: object) -> str | None:
    """Give ISO 8601 in UTC, e.g. "2026-11-20T14:03:09Z", from ISO 8601 text or from seconds or milliseconds."""
    number = number_of(value)
    try:
        if number is not None:
            moment = datetime.fromtimestamp(number / 1000 if abs(number) >= MAX_SECONDS else number, UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        else:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds").replace("+00:00", "Z")


TYPES: dict[str, Convert] = {
    "string": as_string,
    "number": number_of,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "datetime": _as_datetime,
}

# What a file may write for a value of each type.
TYPE_EXAMPLES = {
    "string": "a text, a number, true or false",
    "number": "a number such as 5 or 12.50",
    "integer": "a whole number such as 5",
    "boolean": "true or false",
    "datetime": "a moment such as 2026-11-20T14:03:09Z",
}
