"""The fates of a page, one letter an event, run-length encoded: `97d2w1u`."""

import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import itemgetter

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
    runs: list[tuple[int, str]] = []
    following = first
    for seq, fate in sorted(fates):
        if seq > following:
            runs.append((seq - following, NO_EVENT))
        runs.append((1, LETTERS[fate]))
        following = seq + 1
    runs.append((last + 1 - following, NO_EVENT))
    joined = ((sum([length for length, _ in run]), letter) for letter, run in groupby(runs, key=itemgetter(1)))
    return "".join(f"{length}{letter}" for length, letter in joined if length)


def fate_at(encoded: str, offset: int) -> Fate | None:
    """Give the fate at an offset of the span; None for a duplicate or beyond it."""
    for length, fate in _runs(encoded):
        if offset < length:
            return fate
        offset -= length
    return None


def spelled(encoded: str) -> str:
    """Give the fates of a span one letter an event, in order: 2d1w is ddw."""
    return "".join([letter * int(length) for length, letter in _RUN.findall(encoded)])


def _runs(encoded: str) -> Iterator[tuple[int, Fate | None]]:
    for match in _RUN.finditer(encoded):
        yield int(match[1]), _FATES.get(match[2])
