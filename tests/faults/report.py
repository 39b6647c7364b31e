"""The report that the suite writes of itself: what was played, what was promised, what was lost. Pure.

It is made of what each run wrote down (`verdict.py`) and how each test ended, never of what somebody remembers.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLASSES: Mapping[str, tuple[str, ...]] = {
    "deaths of a process": ("kill -9", "death of"),
    "power cuts": ("power cut",),
    "faults of the network": ("network:",),
    "faults of the disk": ("disk:",),
    "jumps of the clock": ("clock:",),
    "limits met": ("limit:",),
    "spoilt pipeline files": ("reload:",),
    "states after a crash": ("crash state",),
    "calls on files that fail": ("call fails",),
    "alterations of files": ("rot:",),
}
HEAD = """\
# What the fault suite saw

Written by `make test-faults`, not by hand: each run replaces it. What the words mean, and what is not covered, stands
in [reliability](reliability.md). A loss is an event that was answered with a yes and did not reach the vendor.
"""


@dataclass(frozen=True, slots=True)
class Ended:
    """How one test ended.

    `runs` are the lines of its verdicts: what was injected, acknowledged, delivered, repeated and complained of.
    `planted` is the bug that it planted, with what was found, if it did.
    """

    test: str
    has_passed: bool
    runs: tuple[Mapping[str, Any], ...] = ()
    planted: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One round: when and with what it ran, and whether it was let come to its end."""

    day: str
    seed: str
    versions: str
    seconds: int
    is_whole: bool = True
    ended: tuple[Ended, ...] = ()


def page(sessions: Sequence[Session]) -> str:
    """Give the whole report as Markdown."""
    ended = [one for session in sessions for one in session.ended]
    played = [one for one in ended if one.planted is None]
    parts = [
        HEAD,
        _facts(sessions),
        bounds(sessions),
        _faults(played),
        _runs(played),
        _planted(ended),
        _failed(sessions),
    ]
    return "\n".join(part for part in parts if part)


def _facts(sessions: Sequence[Session]) -> str:
    days = sorted({session.day for session in sessions})
    seeds = ", ".join(session.seed for session in sessions)
    minutes = sum(session.seconds for session in sessions) / 60
    rows = [
        ("date", " to ".join(dict.fromkeys((days[0], days[-1])))),
        ("rounds", f"{len(sessions)}, SEED={seeds}"),
        ("time", f"{minutes:.0f} minutes{_cut(sessions)}"),
        ("versions", "; ".join(dict.fromkeys(session.versions for session in sessions))),
    ]
    return _table(("what", "value"), rows)


def _cut(sessions: Sequence[Session]) -> str:
    cut = sum(not session.is_whole for session in sessions)
    return f"; {cut} of the rounds cut short by the limit of time" if cut else ""


def bounds(sessions: Sequence[Session]) -> str:
    """Say per kind of fault what a run without a loss is worth: below 3/n with 95 % confidence, no more."""
    played = [one for session in sessions for one in session.ended if one.planted is None]
    lines = ["## What this bounds", ""]
    for name, prefixes in CLASSES.items():
        hit = [run for one in played for run in one.runs if any(key.startswith(prefixes) for key in run["injected"])]
        times = sum(n for run in hit for key, n in run["injected"].items() if key.startswith(prefixes))
        losing = sum(1 for run in hit if run["complaints"])
        if losing:
            lines.append(f"- {times:,} {name}: **{losing} of {len(hit)} runs have a complaint**")
        elif times:
            lines.append(
                f"- 0 losses in {times:,} {name}: with 95 % confidence fewer than {_share(3 / times)} lose one"
            )
    return "\n".join([*lines, ""])


def _faults(played: Sequence[Ended]) -> str:
    injected: Counter[str] = Counter()
    for one in played:
        for run in one.runs:
            injected.update(run["injected"])
    return "## Faults injected\n\n" + _table(
        ("fault", "times"), [(key, f"{injected[key]:,}") for key in sorted(injected)]
    )


def _runs(played: Sequence[Ended]) -> str:
    """Give a row a test, all rounds together, and their sum."""
    by_test: dict[str, list[Mapping[str, Any]]] = {}
    for one in played:
        by_test.setdefault(one.test, []).extend(one.runs)
    rows = [(_sentence(test), *_sums(runs)) for test, runs in by_test.items() if runs]
    rows.append(("**all**", *_sums([run for runs in by_test.values() for run in runs])))
    head = ("what must hold", "runs", "acknowledged", "delivered", "repeats at the vendor", "lost", "other complaints")
    return "## Runs\n\n" + _table(head, rows)


def _sums(runs: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    numbers = [sum(run[key] for run in runs) for key in ("acknowledged", "delivered", "repeats")]
    complaints: Counter[str] = Counter()
    for run in runs:
        complaints.update(run["complaints"])
    lost = complaints.pop("lost", 0)
    others = ", ".join(f"{what} {number}" for what, number in sorted(complaints.items())) or "none"
    return (f"{len(runs):,}", *(f"{number:,}" for number in numbers), f"{lost:,}", others)


def _planted(ended: Sequence[Ended]) -> str:
    """Give a row for each planted bug: a suite that lets one pass proves nothing."""
    found: dict[str, list[str]] = {}
    for one in ended:
        if one.planted is not None:
            what = ", ".join(f"{number} {name}" for name, number in one.planted["found"].items() if number)
            found.setdefault(one.planted["bug"].replace("_", " "), []).append(what)
    if not found:
        return ""
    rows = [(bug, f"{len(times)}", times[0]) for bug, times in found.items()]
    return "## Planted bugs that were found\n\n" + _table(
        ("bug", "times", "what the verdict said, the first time"), rows
    )


def _failed(sessions: Sequence[Session]) -> str:
    failed = [f"- {_sentence(one.test)}" for session in sessions for one in session.ended if not one.has_passed]
    if failed:
        return "\n".join(["## Failed", "", *failed, ""])
    return f"Every test of these rounds {'that came to its end ' if _cut(sessions) else ''}passed.\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def _sentence(test: str) -> str:
    return test.removeprefix("test_").replace("_", " ")


def _share(share: float) -> str:
    return f"{share:.2%}" if share < 0.1 else f"{min(share, 1.0):.0%}"
