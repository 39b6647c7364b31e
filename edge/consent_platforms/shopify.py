"""Shopify's customer privacy: what `Shopify.customerPrivacy` says, or the cookies _tracking_consent and _cmp_a.

Source: Shopify, "Customer Privacy API": `currentVisitorConsent()` gives "yes", "no" or "" for marketing, analytics,
preferences and sale_of_data. The cookies, seen in shops, say the same in letters: {"con": {"CMP": {"a": "1", …}}}
is what was answered, {"purposes": {"a": true, …}} what is allowed by now, also without an answer.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import orjson

from edge.consent import Purpose
from edge.consent_platforms.reading import Reading, short
from edge.jsontree import JSON

TRACKING, CMP = "_tracking_consent", "_cmp_a"
MEANINGS: dict[str, Purpose] = {
    "analytics": Purpose.ANALYTICS,
    "marketing": Purpose.MARKETING | Purpose.ADVERTISING,
    "preferences": Purpose.FUNCTIONAL,
    "sale_of_data": Purpose.ADVERTISING,
}

_LETTERS = {"a": "analytics", "m": "marketing", "p": "preferences", "s": "sale_of_data"}
_ALLOWED = {"a": "analytics", "m": "marketing", "p": "preferences"}  # its "t" repeats the others
_YES, _NO = ("yes", "1", True), ("no", "0", False)


def read(value: JSON) -> Reading | None:
    """Read what the page's API gave, a cookie's text, or {"_tracking_consent": "…", "_cmp_a": "…"}.

    Returns:
        Each category's answer, and for those without one what the shop allows meanwhile. Selling data is only ever
        denied: to allow it is no consent to advertising. None when it cannot be read.
    """
    if isinstance(value, str):
        return _read(value)
    if not isinstance(value, dict):
        return None
    texts = [text for name in (TRACKING, CMP) if isinstance(text := value.get(name), str)]
    if texts:
        return next((found for text in texts if (found := _read(text)) is not None), None)
    if not value.keys() & MEANINGS.keys():
        return None
    return Reading(_said({name: value.get(name) for name in MEANINGS}))


@lru_cache(512)
def _read(text: str) -> Reading | None:
    try:
        raw: Any = orjson.loads(unquote(text))
    except orjson.JSONDecodeError:
        return None
    if not isinstance(raw, dict):
        return None
    answered = _said(_renamed(_within(raw, "con", "CMP"), _LETTERS))
    allowed = _said(_renamed(_within(raw, "purposes"), _ALLOWED))
    if not answered and not allowed:
        return None
    defaults = {name: said for name, said in allowed.items() if name not in answered}
    return Reading(answered, defaults, version=short(raw.get("v")))


def _within(raw: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = raw
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _renamed(raw: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    return {name: raw.get(letter) for letter, name in names.items()}


def _said(raw: Mapping[str, Any]) -> dict[str, bool]:
    """Give the categories that were answered; unlike 1 and true, an empty text is no answer."""
    said = {name: value in _YES for name, value in raw.items() if isinstance(value, str | bool) and value in _YES + _NO}
    if said.get("sale_of_data"):
        del said["sale_of_data"]
    return said
