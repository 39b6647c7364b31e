"""JSON trees from strangers: bounded, cleaned, and cheap where they are harmless.

The common event is proved harmless by a few searches in the bytes it is re-serialised to;
only the rest is walked. orjson itself refuses NaN, lone surrogates, a BOM and bad UTF-8.
"""

import contextlib
import json
import math
import re
from collections.abc import Iterable
from decimal import Decimal
from enum import Enum
from typing import Any, TypeAlias

import orjson

from edge.errors import InvalidEvent

JSON: TypeAlias = bool | int | float | str | list["JSON"] | dict[str, "JSON"] | None

MAX_DEPTH = 10
MAX_KEYS_OBJECT = 300
MAX_KEYS_EVENT = 5_000
MAX_BYTES = 65_536
MAX_SAFE_INTEGER = 2**53 - 1
POISON_KEYS = frozenset({"__proto__", "constructor", "prototype"})

# orjson gives integers beyond 64 bits as floats; the shortest of them has so many digits.
_LONG_NUMBER, _DIGITS = b"0" * 19, bytes(b"0"[0] if chr(one).isdecimal() else b" "[0] for one in range(256))
_CONTAINERS = frozenset({dict, list})
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_NUMERIC_TEXT = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]{1,15})?")


class Proof(Enum):
    """What is known of a whole body, and then need not be looked for in its parts.

    `PLAIN`: nothing in it has to be cleaned, and no object has too many keys. `SMALL`: nor is any of its parts too deep
    or too large.
    """

    NONE = 0
    PLAIN = 1
    SMALL = 2


def parse(body: bytes) -> JSON:
    """Read JSON; integers stay whole, however long they are.

    Raises:
        orjson.JSONDecodeError: it is none, or not in UTF-8.
    """
    tree: JSON = orjson.loads(body)
    if _LONG_NUMBER in body.translate(_DIGITS):
        with contextlib.suppress(ValueError, RecursionError):  # thousands of digits, or deeper than anything we keep
            tree = json.loads(body)
    return tree


def prove(body: dict[str, JSON], limit_bytes: int, trees: Iterable[JSON]) -> Proof:
    """Prove what one look at a whole body can.

    Args:
        body: as `parse` gives it.
        limit_bytes: only a smaller one is `SMALL`.
        trees: its parts, of which each has limits of its own.
    """
    try:
        encoded = orjson.dumps(body, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONEncodeError, RecursionError):
        return Proof.NONE
    if not _is_plain(encoded):
        return Proof.NONE
    is_shallow = _containers(encoded) <= MAX_DEPTH or _is_shallow(trees)
    return Proof.SMALL if is_shallow and len(encoded) <= limit_bytes else Proof.PLAIN


def _is_shallow(trees: Iterable[JSON]) -> bool:
    """Tell whether none of these is too deep, looking at objects and lists only, one level after the other."""
    level: list[Any] = [tree for tree in trees if type(tree) in _CONTAINERS]
    for _ in range(MAX_DEPTH):
        inside = [tree.values() if type(tree) is dict else tree for tree in level]
        level = [tree for values in inside for tree in values if type(tree) in _CONTAINERS]
        if not level:
            return True
    return False


def clean_plain(tree: dict[str, JSON]) -> tuple[dict[str, JSON], bytes]:
    """Do what `clean` does with a tree that is `PLAIN`."""
    encoded = orjson.dumps(tree)
    if len(encoded) > MAX_BYTES:
        raise _too_large(encoded)
    return (tree, encoded) if _containers(encoded) <= MAX_DEPTH else _cleaned(tree)


def clean(tree: dict[str, JSON]) -> tuple[dict[str, JSON], bytes]:
    """Give a tree within the limits and its own bytes.

    Args:
        tree: as `parse` gives it; never modified.
    Returns:
        (tree, bytes): the same tree where nothing had to change, else a cleaned copy: control characters
        stripped, keys that poison JavaScript objects dropped, integers beyond ±2^53 as text.
    Raises:
        InvalidEvent: `too_large`, `too_deep` or `too_many_keys`.
    """
    try:
        encoded = orjson.dumps(tree, option=orjson.OPT_STRICT_INTEGER)
    except (orjson.JSONEncodeError, RecursionError):
        return _cleaned(tree)
    if len(encoded) > MAX_BYTES:
        raise _too_large(encoded)
    return (tree, encoded) if _is_plain(encoded) and _containers(encoded) <= MAX_DEPTH else _cleaned(tree)


def _is_plain(encoded: bytes) -> bool:
    """Prove that there is nothing to look for: no escapes, no DEL, no C1, few keys, none that is poison.

    Searches for single bytes come first and are cheap; what the poison keys have in common is enough.
    """
    return (
        b"\\" not in encoded
        and b"\x7f" not in encoded
        and (encoded.isascii() or b"\xc2" not in encoded)
        and encoded.count(b":") <= MAX_KEYS_OBJECT
        and b"proto" not in encoded
        and b"struct" not in encoded
    )


def _containers(encoded: bytes) -> int:
    """Give how many objects and lists there are at most: so deep a tree can be, and no deeper."""
    return encoded.count(b"{") + encoded.count(b"[")


def _too_large(encoded: bytes) -> InvalidEvent:
    return InvalidEvent("too_large", f"an event may have {MAX_BYTES} bytes, this one has {len(encoded)}")


def _cleaned(tree: dict[str, JSON]) -> tuple[dict[str, JSON], bytes]:
    walker = _Walker()
    copy = walker.tree(tree, 1)
    assert isinstance(copy, dict)
    encoded = orjson.dumps(copy)
    if len(encoded) > MAX_BYTES:
        raise _too_large(encoded)
    return copy, encoded


class _Walker:
    """One walk over one tree, counting its keys."""

    def __init__(self) -> None:
        self._keys = 0

    def tree(self, value: JSON, depth: int) -> JSON:
        if isinstance(value, str):
            return strip_controls(value)
        if isinstance(value, bool) or value is None or isinstance(value, float):
            return value
        if isinstance(value, int):
            return value if abs(value) <= MAX_SAFE_INTEGER else str(value)
        if depth > MAX_DEPTH:
            raise InvalidEvent("too_deep", f"an event may be {MAX_DEPTH} levels deep")
        if isinstance(value, list):
            return [self.tree(item, depth + 1) for item in value]
        return self._object(value, depth)

    def _object(self, value: dict[str, JSON], depth: int) -> dict[str, JSON]:
        self._keys += len(value)
        if len(value) > MAX_KEYS_OBJECT:
            raise InvalidEvent("too_many_keys", f"an object may have {MAX_KEYS_OBJECT} keys, this one has {len(value)}")
        if self._keys > MAX_KEYS_EVENT:
            raise InvalidEvent("too_many_keys", f"an event may have {MAX_KEYS_EVENT} keys")
        named = ((strip_controls(key), item) for key, item in value.items())
        return {key: self.tree(item, depth + 1) for key, item in named if key not in POISON_KEYS}


def strip_controls(text: str) -> str:
    """Take out control characters (C0 but tab and line ends, DEL, C1): they break terminals, SQL and mails."""
    return _CONTROL.sub("", text)


def number_of(value: object) -> int | float | None:
    """Give a number, or the number that a text such as "42.50" spells, else None; 12,50 and 1e3 are not certain."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if not isinstance(value, str) or not _NUMERIC_TEXT.fullmatch(value.strip()):
        return None
    return plain_number(Decimal(value.strip()))


def plain_number(number: Decimal) -> int | float:
    """Give a whole number as an int, any other as a float."""
    return int(number) if number == number.to_integral_value() else float(number)
