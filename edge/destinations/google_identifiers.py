"""How Google wants e-mail addresses and phone numbers: in one normal form, hashed; for GA4 and Google Ads alike.

Source: google-ads-datamanager-util 0.4.0, format.py (the normal forms, of Gmail addresses too), and "User-provided
data" of the Measurement Protocol, as of 2026-11: SHA-256, here as hex.
"""

import re

from edge.destinations.matching import E164, MAX_EMAIL_CHARS, hashed

GMAIL = frozenset({"gmail.com", "googlemail.com"})

_EMAIL = re.compile(r"[^\s@]+@[^\s@]+")


def hashed_email(email: str) -> str | None:
    """Give an address's hash, None for what is no address. Gmail's boxes have one name, without dots and +suffix."""
    plain = email.strip().lower()
    if not _EMAIL.fullmatch(plain) or len(plain) > MAX_EMAIL_CHARS:
        return None
    local, _, domain = plain.partition("@")
    if domain in GMAIL:
        local = local.partition("+")[0].replace(".", "")
    return hashed(f"{local}@{domain}") if local else None


def hashed_phone(phone: str) -> str | None:
    """Give the hash of a number in E.164, with its +; None for any other."""
    plain = phone.strip()
    return hashed(plain) if E164.fullmatch(plain) else None


def hashed_name(name: str) -> str | None:
    """Give the hash of a given or family name, lower-cased; its inner spaces and punctuation stay."""
    plain = name.strip().lower()
    return hashed(plain) if plain else None
