"""Purposes, and what a visitor answered about them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Final


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
PAGE: Final = "page"  # who speaks where no platform does: the page itself, through our script

_SOURCE = re.compile(r"[a-z0-9_.-]{1,32}")
_VERSION = re.compile(r"[A-Za-z0-9_.:+-]{1,64}")
_BITS = tuple((name, int(purpose)) for name, purpose in PURPOSE_NAMES.items())
MASKS = tuple(Purpose(mask) for mask in range(int(ALL_PURPOSES) + 1))  # by number: IntFlag's own `|` costs 1 µs


@dataclass(frozen=True, slots=True)
class Answer:
    """What one piece of evidence says; a purpose in neither mask is left open.

    `platform` is the consent platform that says it, "" for the page's own words. `is_default`: nobody was asked yet,
    and this is what the platform lets hold meanwhile. `own_ms` is when it was given, by the evidence's own account.
    `version` is the platform's, `banner` that of what the visitor saw; `raw` is what all this was read from.
    """

    granted: Purpose
    denied: Purpose
    source: str
    platform: str = ""
    is_default: bool = False
    own_ms: int | None = None
    version: str = ""
    banner: str = ""
    raw: object = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Said:
    """What one voice, the page or one platform, has answered so far.

    `at_ms` has, purpose by purpose in the order of PURPOSE_NAMES, since when: positive for granted, negative for
    denied, 0 for silent. `own_ms` is the latest moment that the evidence itself named.
    """

    voice: str
    source: str
    at_ms: tuple[int, int, int, int]
    own_ms: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a visitor now by all that was ever said; `denied` has what GPC denies too."""

    granted: Purpose
    denied: Purpose
    source: str
    has_gpc: bool = False
    said: tuple[Said, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one event, once, and on which ground; `waits` is left to the visitor's answer."""

    granted: Purpose
    basis: str
    waits: Purpose = Purpose.NONE


def purposes(names: Iterable[str]) -> Purpose:
    """Give the mask of purpose names, e.g. {"marketing"} -> Purpose.MARKETING."""
    mask = Purpose.NONE
    for name in names:
        mask |= PURPOSE_NAMES[name]
    return mask


def names_of(mask: Purpose) -> list[str]:
    """Give the names in a mask, in the order of PURPOSE_NAMES."""
    return [name for name, purpose in PURPOSE_NAMES.items() if purpose & mask]


def find_answer(raw: object) -> Answer | None:
    """Read the page's own words.

    Args:
        raw: {"marketing": "granted", "analytics": "denied", "source": "explicit", "version": "2026-11"}; whatever
            is malformed in it says nothing.
    """
    if not isinstance(raw, dict):
        return None
    granted = denied = 0
    for name, bit in _BITS:
        match raw.get(name):
            case "granted":
                granted |= bit
            case "denied":
                denied |= bit
    if not granted and not denied:
        return None
    source, version = raw.get("source"), raw.get("version")
    return Answer(
        MASKS[granted],
        MASKS[denied],
        source if isinstance(source, str) and _SOURCE.fullmatch(source) else PAGE,
        banner=version if isinstance(version, str) and _VERSION.fullmatch(version) else "",
        raw=raw,
    )
