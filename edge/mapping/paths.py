"""Paths: keys with dots between; a number is also a list position."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

Get: TypeAlias = Callable[[object], object]

MAX_INDEX_DIGITS = 9


def parse_path(text: str) -> str:
    """Give a path that can find something.

    Raises:
        ValueError: "has an empty step; accepted are …".
    """
    steps = text.split(".")
    if not all(steps):
        raise ValueError("has an empty step; accepted are keys with dots between, items.0.price")
    if any(step != step.strip() for step in steps):
        raise ValueError("has a space around a step; accepted are keys with dots between, items.0.price")
    return text


def look_up(path: str) -> Get:
    """Compile a path such as `properties.items.0.item_name`; null counts as not there."""
    return find_at(path.split("."))


def find_at(steps: Sequence[str]) -> Get:
    """Compile a path's steps; with none of them, everything is what is found."""
    if not steps:
        return lambda source: source
    *before, last = steps
    if not before:
        return lambda source: source.get(last) if isinstance(source, dict) else entry(source, last)
    find = find_at(before)

    def get(source: object) -> object:
        held = find(source)
        return held.get(last) if isinstance(held, dict) else entry(held, last)

    return get


def entry(held: object, key: str) -> object:
    """Give the entry of a list whose position the key spells; None of anything else."""
    if not isinstance(held, list) or not (key.isascii() and key.isdigit()) or len(key) > MAX_INDEX_DIGITS:
        return None
    index = int(key)
    return held[index] if index < len(held) else None
