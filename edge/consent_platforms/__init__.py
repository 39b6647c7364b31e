"""What consent platforms say, read into purposes: one file a platform, all of them pure."""

from edge.consent_platforms.evidence import (
    CONSENT_KEY,
    COOKIES,
    COOKIES_KEY,
    MEANINGS,
    NOTHING,
    Heard,
    Meanings,
    find_cookies,
    hear,
    with_meanings,
)
from edge.consent_platforms.hearing import Hearing

__all__ = [
    "CONSENT_KEY",
    "COOKIES",
    "COOKIES_KEY",
    "MEANINGS",
    "NOTHING",
    "Heard",
    "Hearing",
    "Meanings",
    "find_cookies",
    "hear",
    "with_meanings",
]
