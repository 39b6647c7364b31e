"""What one consent platform says, in its own categories."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from edge.consent import MASKS, Answer, Purpose
from edge.jsontree import JSON

_VERSION = re.compile(r"[A-Za-z0-9_.:+ -]{1,64}")


@dataclass(frozen=True, slots=True)
class Reading:
    """A platform's categories: what the visitor answered, and what holds where nobody answered.

    `own_ms` is when the answer was given, as the platform noted it; `version` is the platform's, `banner` that of
    what the visitor was shown.
    """

    answered: Mapping[str, bool] = field(default_factory=dict)
    defaults: Mapping[str, bool] = field(default_factory=dict)
    own_ms: int | None = None
    version: str = ""
    banner: str = ""


def answers_of(reading: Reading, platform: str, meanings: Mapping[str, Purpose], raw: JSON) -> list[Answer]:
    """Turn categories into purposes.

    A purpose is denied when a category that means it is denied, and granted when every one that was spoken of is: by
    the visitor, and by default where the visitor's answer leaves the category out.
    """
    answers = []
    _, refused = _masks(reading.defaults, meanings)
    for categories, is_default in ((reading.answered, False), (reading.defaults, True)):
        granted, denied = _masks(categories, meanings)
        granted &= ~(denied | refused)
        if granted or denied:
            said = (MASKS[granted], MASKS[denied], platform, platform, is_default)
            answers.append(Answer(*said, reading.own_ms, reading.version, reading.banner, raw))
    return answers


def _masks(categories: Mapping[str, bool], meanings: Mapping[str, Purpose]) -> tuple[int, int]:
    """Give the purposes that categories grant and those that they deny."""
    granted = denied = 0
    for category, is_granted in categories.items():
        bits = int(meanings.get(category, 0))
        granted, denied = (granted | bits, denied) if is_granted else (granted, denied | bits)
    return granted, denied


def short(text: JSON) -> str:
    """Give a version as it may be kept: a short plain text, else nothing."""
    if isinstance(text, int) and not isinstance(text, bool):
        text = str(text)
    return text if isinstance(text, str) and _VERSION.fullmatch(text) else ""
