"""Cookiebot: the cookie CookieConsent, or the same fields from the page's object `Cookiebot`.

Source: Cookiebot, "Server-side usage": a JavaScript object literal, percent-encoded; "-1" where the visitor's region
asks for no consent; "0" where nothing was accepted.
"""

import re
from functools import lru_cache
from urllib.parse import unquote

from edge.consent import Purpose
from edge.consent_platforms.reading import Reading, short
from edge.jsontree import JSON

COOKIE = "CookieConsent"
MEANINGS: dict[str, Purpose] = {
    "necessary": Purpose.NONE,
    "preferences": Purpose.FUNCTIONAL,
    "statistics": Purpose.ANALYTICS,
    "marketing": Purpose.MARKETING | Purpose.ADVERTISING,
}

_ASKED = tuple(name for name in MEANINGS if name != "necessary")
_PART = re.compile(r"([a-z]{2,16}):(?:'([^']{0,512})'|([a-z0-9-]{1,16}))(?=[,}])")
_MAX_PARTS = 32


def read(value: JSON) -> Reading | None:
    """Read the cookie's text, or {"preferences": true, "statistics": false, "marketing": false, "hasResponse": true}.

    Returns:
        Each category's answer; what holds where nobody is asked; nothing before the visitor answered; None when it
        cannot be read, as with other programs' cookies of this name.
    """
    if isinstance(value, str):
        return _read(value)
    if not isinstance(value, dict):
        return None
    if value.get("hasResponse") is False:
        return Reading()
    answered = {name: said for name in _ASKED if isinstance(said := value.get(name), bool)}
    return Reading(answered) if answered else None


@lru_cache(512)
def _read(text: str) -> Reading | None:
    text = unquote(text).strip()
    if text == "-1":
        return Reading(defaults=dict.fromkeys(_ASKED, True))
    if text == "0":
        return Reading(answered=dict.fromkeys(_ASKED, False))
    if not (text.startswith("{") and text.endswith("}")):
        return None
    found = {name: quoted or bare for name, quoted, bare in _PART.findall(text)[:_MAX_PARTS]}
    answered = {name: found[name] == "true" for name in _ASKED if found.get(name) in ("true", "false")}
    if not answered:
        return None
    utc = found.get("utc", "")
    return Reading(
        answered, own_ms=int(utc) if utc.isdecimal() and len(utc) <= 14 else None, banner=short(found.get("ver", ""))
    )
