"""Whom a word on the command line may mean."""

import re
from dataclasses import dataclass

from edge.config import Config
from edge.identity import normal
from edge.person import KINDS, Kind

_BROWSER = re.compile(r"[0-9a-f]{32}")
_PERSON = re.compile(r"person:([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Who:
    """What the command line may mean: identifiers in normal form, a browser, a person's number, or an event."""

    asked: str
    identifiers: tuple[tuple[Kind, str], ...]
    browser: str | None
    person: int | None


def read_who(who: str, config: Config) -> Who:
    """Read a word in every way that it may be meant."""
    text = who.encode("utf-8", "replace").decode().strip()
    values = ((kind, normal(kind, text, config.site.phone_region)) for kind in KINDS)
    person, browser = _PERSON.fullmatch(text), _BROWSER.fullmatch(text.lower())
    named = tuple((kind, value) for kind, value in values if value is not None)
    return Who(text, named, text.lower() if browser else None, int(person[1]) if person else None)
