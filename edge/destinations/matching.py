"""Normal forms and hashes by which advertising platforms recognise a person without being told who it is.

A form gives the text that is hashed or sent, or None where the value cannot be one; then it is left out. What is
hashed already (64 hex digits) is never hashed again.
Source: Meta, "Customer information parameters", 2026-09; TikTok, Events API 2.0, "Parameters", v1.3, 2026-09.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from hashlib import sha256
from ipaddress import ip_address
from typing import TypeAlias

from edge.destinations.values import texts

Form: TypeAlias = Callable[[str], str | None]

MAX_EMAIL_CHARS = 254  # RFC 5321; nothing longer is an address
E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_EMAIL = re.compile(r"[^@\s\"(),:;<>\[\]\\]{1,64}@([a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")
_PHONE_SPELLING = re.compile(r"[\s().\-/]")
_DATE = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:T.*)?", re.DOTALL)
_ZIP_PLUS_4 = re.compile(r"([0-9]{5})-?[0-9]{4}")
_COUNTRY = re.compile(r"[a-z]{2}")
_GENDERS = {"f": "f", "female": "f", "m": "m", "male": "m"}


def hashed(text: str) -> str:
    """Give lower-case hex SHA-256 of the UTF-8 text."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def hashes(value: object, form: Form) -> list[str]:
    """Give the hashes of a value, or of each of a list, without repeats; those that are in no form are left out."""
    found = (_hash(text, form) for text in texts(value))
    return list(dict.fromkeys(one for one in found if one is not None))


def _hash(text: str, form: Form) -> str | None:
    if _HASH.fullmatch(text):
        return text.lower()
    normal = form(text)
    return hashed(normal) if normal else None


def as_is(text: str) -> str | None:
    return text


def email(text: str) -> str | None:
    """Give an address in lower case."""
    lowered = text.lower()
    return lowered if len(lowered) <= MAX_EMAIL_CHARS and _EMAIL.fullmatch(lowered) else None


def e164(text: str) -> str | None:
    """Give "+4915112345678"; a number without its country would become the hash of somebody else's."""
    bare = _PHONE_SPELLING.sub("", text)
    number = f"+{bare[2:]}" if bare.startswith("00") else bare
    return number if E164.fullmatch(number) else None


def phone_digits(text: str) -> str | None:
    """Give "4915112345678"."""
    number = e164(text)
    return number[1:] if number else None


def name(text: str) -> str | None:
    """Give a name in lower case without punctuation; letters of other scripts stay."""
    return " ".join(_without_punctuation(text).split())


def place(text: str) -> str | None:
    """Give a city or state in lower-case letters only: "New York 2" becomes "newyork"."""
    kept = (char for char in _without_punctuation(text) if not char.isspace() and not char.isdigit())
    return "".join(kept)


def postcode(text: str) -> str | None:
    """Give "m11ae" for "M1 1AE", "94043" for "94043-1234"."""
    bare = "".join(text.lower().split())
    plus_4 = _ZIP_PLUS_4.fullmatch(bare)
    return plus_4[1] if plus_4 else "".join(char for char in bare if char.isalnum())


def country(text: str) -> str | None:
    """Give the two letters of ISO 3166-1 in lower case; a country's name is none."""
    lowered = text.lower()
    return lowered if _COUNTRY.fullmatch(lowered) else None


def gender(text: str) -> str | None:
    """Give f or m."""
    return _GENDERS.get(text.lower())


def birthday(text: str) -> str | None:
    """Give "19970216" for an ISO date, with or without its hyphens."""
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    try:
        date(*map(int, found.groups()))
    except ValueError:
        return None
    return "".join(found.groups())


def address(value: object) -> str | None:
    """Give an IPv4 or IPv6 address in its usual spelling."""
    try:
        return str(ip_address(value.strip())) if isinstance(value, str) else None
    except ValueError:
        return None


def _without_punctuation(text: str) -> str:
    lowered = unicodedata.normalize("NFC", text.lower())
    return "".join(char for char in lowered if unicodedata.category(char)[0] not in "PSC" or char.isspace())
