"""Amounts with their units, as people write them in files: durations, sizes and rates."""

import re
from collections.abc import Mapping
from typing import TypeVar

Amount = TypeVar("Amount", int, float)

DURATION_UNITS_S: dict[str, float] = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
SIZE_UNITS_BYTES: dict[str, float] = {
    "B": 1,
    **{unit: 1_024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
    **{unit: 1_000**power for power, unit in enumerate(("KB", "MB", "GB", "TB"), 1)},
}
RATE_UNITS_S: dict[str, float] = {"/s": 1.0, "/min": 60.0, "/h": 3_600.0}

DURATION = "a number with its unit (ms, s, min, h or d), such as 500ms, 90s, 15min, 4h or 14d"
SIZE = "a number with its unit (B, KB, MB, GB, TB, or KiB, MiB, GiB, TiB), such as 512KB, 64MB or 20GB"
RATE = "a number for each s, min or h, such as 50/s or 3000/min"

_AMOUNT = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?([A-Za-z/]+)")


def parse_duration_s(text: str) -> float:
    """Give the seconds of a duration, "15min" -> 900.0; raises ValueError saying what would be accepted."""
    return _amount(text, DURATION_UNITS_S, f"is not a duration; accepted is {DURATION}")


def parse_size_bytes(text: str) -> int:
    """Give the bytes of a size, "64MB" -> 64_000_000 and "64MiB" -> 67_108_864; raises ValueError likewise."""
    return round(_amount(text, SIZE_UNITS_BYTES, f"is not a size; accepted is {SIZE}"))


def parse_rate(text: str) -> float:
    """Give a rate in events per second, "3000/min" -> 50.0; raises ValueError likewise."""
    refusal = f"is not a rate; accepted is {RATE}"
    return _amount(text, {unit: 1.0 / period_s for unit, period_s in RATE_UNITS_S.items()}, refusal)


def span_of(kind: str, minimum: float | None, maximum: float | None, units: Mapping[str, float] | None = None) -> str:
    """Say what is accepted: "a duration of at least 1s and at most 14d"."""
    limits = [f"at least {shown(minimum, units)}"] if minimum is not None else []
    if maximum is not None:
        limits.append(f"at most {shown(maximum, units)}")
    return f"{kind} of {' and '.join(limits)}" if limits else kind


def within(amount: Amount, minimum: float | None, maximum: float | None, span: str) -> Amount:
    """Give the amount back, or raise ValueError naming the span that is accepted."""
    if (minimum is not None and amount < minimum) or (maximum is not None and amount > maximum):
        raise ValueError(f"is out of range; accepted is {span}")
    return amount


def shown(amount: float, units: Mapping[str, float] | None = None) -> str:
    """Give an amount as a file would say it, in the last unit of `units` that needs no fraction: 3600.0 -> "1h"."""
    for unit, size in reversed(list((units or {}).items())):
        count = round(amount / size, 6)
        if count >= 1 and count == int(count):
            return f"{count:.0f}{unit}"
    return f"{amount:g}"


def _amount(text: str, units: Mapping[str, float], refusal: str) -> float:
    found = _AMOUNT.fullmatch(text)
    if found is None or found[2] not in units:
        raise ValueError(refusal)
    return float(found[1]) * units[found[2]]
