"""Paths: keys with dots between; a number is also a list position."""

import difflib
import re
from collections.abc import Callable, Sequence
from typing import TypeAlias

Get: TypeAlias = Callable[[object], object]

MAX_INDEX_DIGITS = 9
_BRACKETED = re.compile(r"\[[0-9]*\]")


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
    if _BRACKETED.search(text):
        raise ValueError("has a position in brackets; accepted is a step of its own, items.0.price")
    return text


def astray(path: str, roots: Sequence[str], *, is_secret: bool) -> str | None:
    """Say what is wrong with a path that begins with none of the roots, and so never finds anything.

    Of one that `is_secret`, because a variable gave it, no part is repeated.
    """
    first, _, rest = path.partition(".")
    if first in roots:
        return None
    near = difflib.get_close_matches(first, roots, 1)
    meant = rest if first == "$" else f"{near[0]}.{rest}" if near and rest else f"{roots[0]}.{path}"
    accepted = f"accepted is one that begins with {', '.join(roots[:-1])} or {roots[-1]}"
    if is_secret:
        return f"finds nothing: no path begins so; {accepted}"
    return f"finds nothing: no path begins with {first} (did you mean {meant}?); {accepted}"


def look_up(path: str) -> Get:
    """Compile a path such as `properties.items.0.item_name`; null counts as not there."""
    return find_at(path.split("."))


def find_at(steps: Sequence[str]) -> Get:
    """Compile a path's steps; with none of them, everything is what is found."""

    def get(source: object) -> object:
        for step in steps:
            source = source.get(step) if isinstance(source, dict) else entry(source, step)
        return source

    return get


def entry(held: object, key: str) -> object:
    """Give the entry of a list whose position the key spells; None of anything else."""
    if not isinstance(held, list) or not (key.isascii() and key.isdigit()) or len(key) > MAX_INDEX_DIGITS:
        return None
    index = int(key)
    return held[index] if index < len(held) else None
