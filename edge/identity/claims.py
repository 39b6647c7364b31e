"""What an event claims: its level of evidence, identifiers in normal form, the session."""

import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Final

from edge.jsontree import JSON
from edge.person import KINDS, Identifiers, Kind

# The browser says so; a click in a mail says so; a server with a write key or a verified webhook says so.
BROWSER_LEVEL: Final = 0
CLICK_LEVEL: Final = 1
SERVER_LEVEL: Final = 2
SERVER_SOURCES = ("server:", "hook:")

MAX_EMAIL_CHARS = 254
MAX_CUSTOMER_ID_CHARS = 255
MAX_REMEMBERED, MAX_REMEMBERED_CHARS = 20_000, 64  # sessions; 4 MB at most
_EMAIL = re.compile(r"[^@\s<>\"',;:()\[\]\\]+@[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)+")
# What forms and templates send when nobody was asked.
_PLACEHOLDERS = frozenset({"null", "undefined", "none", "nan", "0", "guest", "anonymous", "test@test.com", "a@a.com"})


def level_of(source: str) -> int:
    """Give the level of evidence that an event's source has for who it was."""
    return SERVER_LEVEL if source.startswith(SERVER_SOURCES) else BROWSER_LEVEL


def claim_from(traits: Mapping[str, JSON], region: str) -> tuple[Identifiers, list[Kind]]:
    """Read the identifiers in an event's traits.

    Args:
        traits: e.g. {"email": " User@Shop.example", "phone": "030 1234567", "customer_id": 19}.
        region: two letters, for phone numbers written without a country.
    Returns:
        The identifiers in normal form, and the kinds that were there but cannot be used (to be counted).
    """
    if not traits:
        return NOBODY, []
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
    return Identifiers.of(values), dropped


NOBODY: Final = Identifiers()


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


def session_of(context: Mapping[str, JSON]) -> bytes | None:
    """Give a short hash of the script's session id: a hint which epoch an event belongs to, never who it was."""
    session = context.get("session")
    given = session.get("id") if isinstance(session, dict) else None
    if not isinstance(given, str) or not given:
        return None
    return _remembered(given) if len(given) <= MAX_REMEMBERED_CHARS else _hash(given)


def _hash(given: str) -> bytes:
    return blake2b(given.encode(), digest_size=8).digest()


_remembered = lru_cache(MAX_REMEMBERED)(_hash)  # a session has many events


def _email(text: str) -> str | None:
    lowered = text.lower()
    return lowered if len(lowered) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(lowered) else None


def _phone(text: str, region: str) -> str | None:
    import phonenumbers

    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
