"""Checks that know where they are: every problem carries the JSON pointer of the value it is about.

A check takes a report, a pointer and a value, and writes what is wrong into the report. Checks are put together into
the shape of a whole document, so that one pass finds every problem.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from edge.sandbox.vendor import JSON, Note


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason to refuse."""

    pointer: str
    detail: str


class Report:
    """What one pass over a document found."""

    __slots__ = ("notes", "problems")

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.notes: list[Note] = []

    def wrong(self, pointer: str, detail: str) -> None:
        self.problems.append(Problem(pointer, detail))

    def note(self, pointer: str, text: str) -> None:
        self.notes.append(Note(pointer, text))


Check: TypeAlias = Callable[[Report, str, JSON], None]


@dataclass(frozen=True, slots=True)
class Field:
    """One key of an object."""

    check: Check
    is_required: bool = False
    is_nullable: bool = False


def required(check: Check) -> Field:
    return Field(check, is_required=True)


def optional(check: Check) -> Field:
    return Field(check)


def nullable(check: Check) -> Field:
    return Field(check, is_nullable=True)


def child(pointer: str, key: str) -> str:
    """Source: RFC 6901, section 3."""
    return f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"


def kind_of(value: JSON) -> str:
    """The word JSON has for this value."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
    return "an object"


def record(name: str, fields: Mapping[str, Field]) -> Check:
    """An object with these keys and no others."""

    def check(report: Report, pointer: str, value: JSON) -> None:
        if not isinstance(value, dict):
            report.wrong(pointer, f"'{name}' must be an object, not {kind_of(value)}.")
            return
        for key, field in fields.items():
            if field.is_required and key not in value:
                report.wrong(child(pointer, key), f"'{key}' is a required field of '{name}'.")
        for key, inner in value.items():
            _check_key(report, child(pointer, key), inner, name=name, key=key, field=fields.get(key))

    return check


def _check_key(report: Report, pointer: str, value: JSON, *, name: str, key: str, field: Field | None) -> None:
    if field is None:
        report.wrong(pointer, f"'{key}' is not a valid field of '{name}'.")
    elif value is None and field.is_nullable:
        report.note(pointer, "null is accepted and clears the field; leave the key out to keep what is there")
    else:
        field.check(report, pointer, value)


def listing(item: Check, *, min_items: int = 0) -> Check:
    """An array; the pointer of an item ends in its index."""

    def check(report: Report, pointer: str, value: JSON) -> None:
        if not isinstance(value, list):
            report.wrong(pointer, f"An array is needed, not {kind_of(value)}.")
            return
        if len(value) < min_items:
            report.wrong(pointer, f"At least {min_items} item is needed.")
        for index, inner in enumerate(value):
            item(report, f"{pointer}/{index}", inner)

    return check


def all_of(*checks: Check) -> Check:
    def check(report: Report, pointer: str, value: JSON) -> None:
        for one in checks:
            one(report, pointer, value)

    return check


def constant(expected: str) -> Check:
    def check(report: Report, pointer: str, value: JSON) -> None:
        if value != expected:
            report.wrong(pointer, f"Must be '{expected}'.")

    return check


def text(
    *, max_chars: int | None = None, is_good: Callable[[str], bool] = bool, wanted: str = "a filled string"
) -> Check:
    """A string that `is_good`, which is by default one that is not empty; `wanted` completes "Must be …"."""

    def check(report: Report, pointer: str, value: JSON) -> None:
        if not isinstance(value, str):
            report.wrong(pointer, f"Must be a string, not {kind_of(value)}.")
        elif not is_good(value):
            report.wrong(pointer, f"Must be {wanted}.")
        elif max_chars is not None and len(value) > max_chars:
            report.wrong(pointer, f"Must have at most {max_chars} characters; this has {len(value)}.")

    return check


def any_text(value: str) -> bool:
    """For strings that may be empty."""
    return True


def number(report: Report, pointer: str, value: JSON) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        report.wrong(pointer, f"Must be a number, not {kind_of(value)}.")


def boolean(report: Report, pointer: str, value: JSON) -> None:
    if not isinstance(value, bool):
        report.wrong(pointer, f"Must be a boolean, not {kind_of(value)}.")


def mapping(report: Report, pointer: str, value: JSON) -> None:
    """An object with any keys."""
    if not isinstance(value, dict):
        report.wrong(pointer, f"Must be an object, not {kind_of(value)}.")
