"""How the difference between two folders of pipelines is shown."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson
from rich.console import Console
from rich.text import Text

from edge.cli.comparison import KINDS, Comparison, Difference, Example, Group, Kind, Pair, Side
from edge.cli.screen import plain
from edge.cli.stored_events import Span
from edge.cli.times import moment, span

STYLES: dict[Kind, str] = {"added": "green", "removed": "red", "changed": "yellow", "otherwise": "cyan"}
MAX_LINES = 8
MAX_VALUE_CHARS = 60
MAX_PATH_CHARS = 120
# What no stored event shows, as every one is judged at the moment it was accepted.
WAITS = ("hold_for_s", "fresh_for_s", "max_age_s")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was compared, over which events; `sample` None: over all of them."""

    comparison: Comparison
    span: Span
    sample: int | None


def show_plan(outcome: Outcome, out: Console) -> None:
    """Print what differs, by pipeline and event, then the total."""
    for pair in outcome.comparison.pairs:
        _show_pair(pair, outcome.comparison.groups(pair), out)
    if outcome.comparison.pairs:
        out.print()
    for line in _totals(outcome):
        out.print(line, soft_wrap=True)


def _show_pair(pair: Pair, groups: Sequence[Group], out: Console) -> None:
    title = Text.assemble((plain(pair.name), "bold"), (f"  {_state(pair)}", "dim"))
    if not groups and not pair.is_same:
        title.append("; no event goes otherwise", "dim")
    out.print(title, soft_wrap=True)
    for name, was, becomes in _waits(pair):
        text = f"  {name}: {span(was * 1e3)} → {span(becomes * 1e3)}; how long things wait is not played through"
        out.print(Text(text, "yellow"), soft_wrap=True)
    for group in groups:
        line = Text(f"  {plain(group.event)}", "bold")
        for index, kind in enumerate(kind for kind in KINDS if group.counts[kind]):
            line.append(", " if index else "  ", "dim").append(f"{group.counts[kind]:,} {kind}", STYLES[kind])
        out.print(line, soft_wrap=True)
        for kind in KINDS:
            for example in group.examples[kind]:
                _show_example(example, out)


def _state(pair: Pair) -> str:
    if pair.today is None:
        return "new pipeline"
    if pair.edited is None:
        return "no longer there"
    return "the same file" if pair.is_same else f"{pair.today.hash} → {pair.edited.hash}"


def _waits(pair: Pair) -> list[tuple[str, float, float]]:
    today, edited = pair.today, pair.edited
    if today is None or edited is None:
        return []
    found = [(name.removesuffix("_s"), getattr(today, name), getattr(edited, name)) for name in WAITS]
    return [(name, was, becomes) for name, was, becomes in found if was != becomes]


def _show_example(example: Example, out: Console) -> None:
    line = Text.assemble((f"    {example.kind:<9}", STYLES[example.kind]), f"  #{example.seq}")
    at = moment(example.received_at_ms).partition(".")[0]
    line.append(f"  {at}", "dim").append(f"  {plain(example.id, 40)}")
    out.print(line, soft_wrap=True)
    lines = [_difference(one) for one in example.differences] or _fates(example)
    hidden = len(lines) - MAX_LINES + 1 if len(lines) > MAX_LINES else 0
    for told in lines[: len(lines) - hidden]:
        out.print(Text("      ").append(told), soft_wrap=True)
    if hidden:
        out.print(Text(f"      … and {hidden} more", "dim"), soft_wrap=True)


def _fates(example: Example) -> list[Text]:
    """Say what was and what would be; of a pipeline that is not there on one side only the other."""
    sides = [(word, side) for word, side in (("was ", example.today), ("now ", example.edited)) if side is not None]
    return [Text(f"{word if len(sides) == 2 else ''}{_fate(side)}") for word, side in sides]


def _fate(side: Side) -> str:
    return f"{side.word} as {plain(side.metric)}" if side.word == "sent" else f"{side.word}: {plain(side.reason)}"


def _difference(one: Difference) -> Text:
    path = plain(one.path, MAX_PATH_CHARS)
    if one.is_masked:
        return Text(f"{path}: changed", "yellow")
    was, becomes = _value(one.today), _value(one.edited)
    if one.today is None:
        return Text(f"+ {path}: {becomes}", "green")
    if one.edited is None:
        return Text(f"- {path}: {was}", "red")
    return Text(f"{path}: {was} → {becomes}", "yellow")


def _value(text: str | None) -> str:
    return plain(text or "", MAX_VALUE_CHARS)


def _totals(outcome: Outcome) -> list[Text]:
    comparison, since = outcome.comparison, f"accepted since {moment(outcome.span.since_ms)} UTC"
    taken = f" (at most {outcome.sample:,} of them, evenly spread)" if outcome.sample is not None else ""
    counts = ", ".join(f"{comparison.counts[kind]:,} {kind}" for kind in KINDS)
    lines = [Text(f"Events {since}{taken}.")]
    if outcome.span.kept_from_ms is not None:
        lines.append(Text(f"The spool goes back to {moment(outcome.span.kept_from_ms)} UTC only.", "yellow"))
    if left_out := _left_out(outcome):
        text = ", ".join(f"{reason} {count:,}" for reason, count in left_out.items())
        lines.append(Text(f"Left out: {text}.", "yellow"))
    same = f"Of {comparison.looked_at:,} events looked at, {comparison.same:,} go as before in every pipeline."
    return [*lines, Text(same, "bold"), Text(f"Of the others, once for each pipeline: {counts}.", "bold")]


def _left_out(outcome: Outcome) -> dict[str, int]:
    counts = outcome.comparison.left_out
    found = {
        "duplicates": counts["duplicate"],
        "damaged or gone": counts["damaged"],
        "not resolved yet": outcome.span.unresolved,
    }
    return {reason: count for reason, count in found.items() if count}


def plan_json(outcome: Outcome) -> dict[str, object]:
    """Give the same as one object."""
    comparison, window = outcome.comparison, outcome.span
    return {
        "since_ms": window.since_ms,
        "kept_from_ms": window.kept_from_ms,
        "sample": outcome.sample,
        "events": comparison.looked_at,
        **{kind: comparison.counts[kind] for kind in KINDS},
        "same": comparison.same,
        "left_out": {
            "duplicates": comparison.left_out["duplicate"],
            "damaged": comparison.left_out["damaged"],
            "unresolved": window.unresolved,
        },
        "pipelines": [_pair_json(pair, comparison.groups(pair)) for pair in comparison.pairs],
    }


def _pair_json(pair: Pair, groups: Sequence[Group]) -> dict[str, object]:
    return {
        "name": pair.name,
        "today": pair.today.hash if pair.today is not None else None,
        "edited": pair.edited.hash if pair.edited is not None else None,
        "groups": [
            {
                "event": group.event,
                **{kind: group.counts[kind] for kind in KINDS},
                "examples": [_example_json(example) for kind in KINDS for example in group.examples[kind]],
            }
            for group in groups
        ],
    }


def _example_json(example: Example) -> dict[str, object]:
    return {
        "kind": example.kind,
        "seq": example.seq,
        "id": example.id,
        "received_at_ms": example.received_at_ms,
        "today": _side_json(example.today),
        "edited": _side_json(example.edited),
        "differences": [_difference_json(one) for one in example.differences],
    }


def _side_json(side: Side | None) -> dict[str, object] | None:
    return {"becomes": side.word, "reason": side.reason, "metric": side.metric} if side is not None else None


def _difference_json(one: Difference) -> dict[str, object]:
    """A side that is not there has no key; of what is masked there is only the path."""
    told: dict[str, object] = {"path": one.path}
    if one.is_masked:
        return told | {"masked": True}
    if one.today is not None:
        told["today"] = orjson.loads(one.today)
    if one.edited is not None:
        told["edited"] = orjson.loads(one.edited)
    return told
