"""Purposes, and what a visitor answered about them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag


class Purpose(IntFlag):
    """What data may be used for; stored as a bit mask."""

    NONE = 0
    FUNCTIONAL = 1
    ANALYTICS = 2
    MARKETING = 4
    ADVERTISING = 8


ALL_PURPOSES = Purpose.FUNCTIONAL | Purpose.ANALYTICS | Purpose.MARKETING | Purpose.ADVERTISING
PURPOSE_NAMES: dict[str, Purpose] = {
    "functional": Purpose.FUNCTIONAL,
    "analytics": Purpose.ANALYTICS,
    "marketing": Purpose.MARKETING,
    "advertising": Purpose.ADVERTISING,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What one piece of evidence says; a purpose in neither mask is left open."""

    granted: Purpose
    denied: Purpose
    source: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one event, once, and on which ground."""

    granted: Purpose
    basis: str


def purposes(names: Iterable[str]) -> Purpose:
    """Give the mask of purpose names, e.g. {"marketing"} -> Purpose.MARKETING."""
    mask = Purpose.NONE
    for name in names:
        mask |= PURPOSE_NAMES[name]
    return mask


def names_of(mask: Purpose) -> list[str]:
    """Give the names in a mask, in the order of PURPOSE_NAMES."""
    return [name for name, purpose in PURPOSE_NAMES.items() if purpose & mask]
