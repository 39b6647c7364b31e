"""Who a visitor is: identifiers in normal form, and what a claim changes."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import phonenumbers

from edge.event import is_server
from edge.jsontree import JSON
from edge.person import KINDS, Identifiers, Kind

Owner: TypeAlias = Callable[[Kind, str], int | None]
Known: TypeAlias = Callable[[int], Identifiers]

BROWSER_LEVEL = 0
SERVER_LEVEL = 2
MAX_EMAIL_CHARS = 254
MAX_CUSTOMER_ID_CHARS = 255
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
# What forms and templates send when nobody was asked.
_PLACEHOLDERS = frozenset({"null", "undefined", "none", "nan", "0", "guest", "anonymous", "test@test.com", "a@a.com"})


@dataclass(frozen=True, slots=True)
class Link:
    """What a claim does: the person it leads to (None: a new one), and the identifiers that person gains.

    `opens_epoch`: the claim contradicts the visitor's person, so a new epoch of the browser begins.
    """

    person: int | None
    gained: tuple[tuple[Kind, str], ...]
    opens_epoch: bool


def level_of(source: str) -> int:
    """Give how good the evidence of a source's events is: 0 a browser says so, 2 a server with a write key does."""
    return SERVER_LEVEL if is_server(source) else BROWSER_LEVEL


def claim_from(traits: Mapping[str, JSON], region: str) -> tuple[Identifiers, list[Kind]]:
    """Read the identifiers in an event's traits.

    Args:
        traits: e.g. {"email": " User@Shop.example", "phone": "030 1234567", "customer_id": 19}.
        region: two letters, for phone numbers written without a country.
    Returns:
        The identifiers in normal form, and the kinds that were there but cannot be used (to be counted).
    """
    values: dict[Kind, str] = {}
    dropped: list[Kind] = []
    for kind in KINDS:
        raw = traits.get(kind)
        if raw is None or raw == "":
            continue
        value = normal(kind, raw, region)
        if value is None:
            dropped.append(kind)
        else:
            values[kind] = value
    return Identifiers(**values), dropped


def normal(kind: Kind, raw: JSON, region: str) -> str | None:
    """Give an identifier's normal form, or None when it is none."""
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        return None
    text = str(raw).strip()
    if not text or text.lower() in _PLACEHOLDERS:
        return None
    if kind == "email":
        return _email(text)
    if kind == "phone":
        return _phone(text, region)
    return text if len(text) <= MAX_CUSTOMER_ID_CHARS else None


def _email(text: str) -> str | None:
    lowered = text.lower()
    return lowered if len(lowered) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(lowered) else None


def _phone(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def link(person: int | None, claimed: Identifiers, *, owner: Owner, known: Known) -> Link | None:
    """Say what a claim changes for a visitor; None when nothing.

    Args:
        person: the visitor's person so far.
        claimed: what the event says, in normal form.
        owner: looks up whose an identifier is.
        known: looks up what a person is known by.
    Returns:
        Customer id ranks before e-mail before phone. Another value of the highest kind that both know opens a
        new epoch: history stays where it was. Without a person the claim's owners decide by rank, unless they
        are known to be somebody else. An identifier that belongs to somebody else is never moved, a known one
        never replaced, and nobody is merged.
    """
    if not claimed:
        return None
    opens_epoch = person is not None and _contradicts(known(person), claimed)
    if person is None or opens_epoch:
        found = _found(claimed, owner, known)
        return Link(found, _gained(found, claimed, owner, known), opens_epoch)
    gained = _gained(person, claimed, owner, known)
    return Link(person, gained, opens_epoch=False) if gained else None


def _contradicts(known: Identifiers, claimed: Identifiers) -> bool:
    """Tell whether the deciding kind that both know has different values; what ranks below it has no say."""
    for kind, value in claimed.items():
        old = getattr(known, kind)
        if old is not None:
            return bool(old != value)
    return False


def _found(claimed: Identifiers, owner: Owner, known: Known) -> int | None:
    """Give the first owner, by rank, who is not known to be somebody else: a family may share a phone."""
    for kind, value in claimed.items():
        person = owner(kind, value)
        if person is not None and not _contradicts(known(person), claimed):
            return person
    return None


def _gained(person: int | None, claimed: Identifiers, owner: Owner, known: Known) -> tuple[tuple[Kind, str], ...]:
    has = known(person) if person is not None else Identifiers()
    return tuple((k, v) for k, v in claimed.items() if getattr(has, k) is None and owner(k, v) is None)
