"""What a goal came to, the verdict over it, and both ways of telling: a table for eyes, JSON for machines."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal, TypeAlias

Verdict: TypeAlias = Literal["met", "missed", "noisy", "not measured", "told"]

_HEADS = ("goal", "what", "ours", "base", "value", "range", "bar", "stretch", "verdict")


@dataclass(frozen=True, slots=True)
class Bar:
    """How good is good enough: `limit` of a value in `unit` ("" for a ratio), from below or from above."""

    limit: float
    stretch: float | None = None
    unit: str = ""
    is_most: bool = True

    def is_met_by(self, value: float) -> bool:
        """Tell whether a value is good enough."""
        return value <= self.limit if self.is_most else value >= self.limit

    def __str__(self) -> str:
        return f"{'<=' if self.is_most else '>='} {shown(self.limit)}{self.unit}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row. `values` are the rounds' own values, `value` what is judged: their median unless told otherwise.

    Without a bar a row is told for information; without a value `note` says why nothing was measured.
    """

    goal: str
    what: str
    bar: Bar | None = None
    values: tuple[float, ...] = ()
    value: float | None = None
    ours: str = ""
    base: str = ""
    note: str = ""
    rounds: Sequence[dict[str, Any]] = field(default=(), repr=False)

    @property
    def judged(self) -> float | None:
        """The value that counts; None when there is none."""
        if self.value is not None:
            return self.value
        return median(self.values) if self.values else None

    @property
    def verdict(self) -> Verdict:
        """Judge: a bar that lies within the range of the rounds is noisy, neither met nor missed."""
        judged = self.judged
        if judged is None:
            return "not measured"
        if self.bar is None:
            return "told"
        if len(self.values) > 1 and min(self.values) < self.bar.limit < max(self.values):
            return "noisy"
        return "met" if self.bar.is_met_by(judged) else "missed"


def at_most(limit: float, stretch: float | None = None, unit: str = "") -> Bar:
    """Give a bar that a value may not exceed."""
    return Bar(limit, stretch, unit)


def at_least(limit: float, stretch: float | None = None, unit: str = "") -> Bar:
    """Give a bar that a value has to reach."""
    return Bar(limit, stretch, unit, is_most=False)


def unmeasured(goal: str, what: str, why: str, bar: Bar | None = None) -> Finding:
    """Give the row of a goal that could not be measured, and why."""
    return Finding(goal, what, bar, note=why)


def exit_code(findings: Iterable[Finding]) -> int:
    """Give 1 when a bar is missed; noise is no miss."""
    return 1 if any(one.verdict == "missed" for one in findings) else 0


def shown(value: float) -> str:
    """Give a figure with three digits that matter."""
    if value == 0 or abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.1 else f"{value:.2g}"


def table(findings: Sequence[Finding]) -> str:
    """Give the table with its notes below it."""
    rows = [_HEADS, *(_cells(one) for one in findings)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    notes = [f"{one.goal}: {one.note}" for one in findings if one.note]
    return "\n".join([*lines, "", *notes])


def as_json(findings: Sequence[Finding], **around: Any) -> str:
    """Give everything as JSON: what surrounded the run, each goal, and each of its rounds."""
    goals = [asdict(one) | {"value": one.judged, "verdict": one.verdict} for one in findings]
    return json.dumps({**around, "goals": goals}, indent=1)


def _cells(one: Finding) -> tuple[str, ...]:
    unit = one.bar.unit if one.bar else ""
    value = f"{shown(one.judged)}{unit}" if one.judged is not None else "-"
    span = f"{shown(min(one.values))} to {shown(max(one.values))}" if len(one.values) > 1 else ""
    bar = str(one.bar) if one.bar else ""
    stretch = shown(one.bar.stretch) if one.bar and one.bar.stretch is not None else ""
    return (one.goal, one.what, one.ours, one.base, value, span, bar, stretch, one.verdict)
