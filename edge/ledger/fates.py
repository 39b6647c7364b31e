"""The fates of a page, one letter an event, run-length encoded: `97d2w1u`."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from edge.delivery import Fate

LETTERS: dict[Fate, str] = {
    Fate.DELIVERED: "d",
    Fate.WITHHELD: "c",
    Fate.UNMAPPED: "u",
    Fate.SKIPPED: "s",
    Fate.EXPIRED: "e",
    Fate.DEAD: "x",
    Fate.WAITING: "w",
    Fate.HELD: "h",
    Fate.DAMAGED: "b",
    Fate.ERASED: "r",
}
NO_EVENT = "-"  # a duplicate, or a number nobody has
_FATES = {letter: fate for fate, letter in LETTERS.items()}
_RUN = re.compile(r"(\d+)(\D)")


def encode_fates(first: int, last: int, fates: Iterable[tuple[int, Fate]]) -> str:
    """Encode the fates of (sequence number, fate) pairs over the span [first, last]."""
    letters = [NO_EVENT] * (last - first + 1)
    for seq, fate in fates:
        letters[seq - first] = LETTERS[fate]
    return "".join(f"{len(list(run))}{letter}" for letter, run in groupby(letters))


def fate_at(encoded: str, offset: int) -> Fate | None:
    """Give the fate at an offset of the span; None for a duplicate or beyond it."""
    for length, letter in _runs(encoded):
        if offset < length:
            return _FATES.get(letter)
        offset -= length
    return None


def _runs(encoded: str) -> Iterator[tuple[int, str]]:
    for match in _RUN.finditer(encoded):
        yield int(match[1]), match[2]
