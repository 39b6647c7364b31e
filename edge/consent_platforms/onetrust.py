"""OneTrust (CookiePro): the cookies OptanonConsent and OptanonAlertBoxClosed.

Source: OneTrust, "Cookie consent cookies": `groups` lists the categories with 1 or 0; the second cookie holds when
the banner was answered, and is missing until then.
"""

from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import parse_qs, unquote

from edge.consent import Purpose
from edge.consent_platforms.reading import Reading, short
from edge.jsontree import JSON

CONSENT, CLOSED = "OptanonConsent", "OptanonAlertBoxClosed"
# C0001, strictly necessary, is no answer: nobody can deny it.
MEANINGS: dict[str, Purpose] = {
    "C0001": Purpose.NONE,
    "C0002": Purpose.ANALYTICS,
    "C0003": Purpose.FUNCTIONAL,
    "C0004": Purpose.MARKETING | Purpose.ADVERTISING,
    "C0005": Purpose.NONE,
}

_MAX_FIELDS = 64
_MAX_GROUPS = 100


def read(value: JSON) -> Reading | None:
    """Read the cookies, as {"OptanonConsent": "…", "OptanonAlertBoxClosed": "…"}, or the first one alone.

    Returns:
        The groups: an answer when the banner was closed or used, else what holds until then. None when there are none.
    """
    if isinstance(value, str):
        return _read(value, None)
    if not isinstance(value, dict):
        return None
    consent, closed = value.get(CONSENT), value.get(CLOSED)
    return _read(consent, closed if isinstance(closed, str) else None) if isinstance(consent, str) else None


@lru_cache(512)
def _read(consent: str, closed: str | None) -> Reading | None:
    try:
        fields = parse_qs(consent, max_num_fields=_MAX_FIELDS)
    except ValueError:
        return None
    groups = _groups(fields.get("groups", [""])[0])
    if not groups:
        return None
    own_ms = _moment_ms(closed) if closed else None
    has_used = fields.get("interactionCount", ["0"])[0].strip("0") != ""
    is_asked_anew = fields.get("AwaitingReconsent", [""])[0] == "true"
    version = short(fields.get("version", [""])[0])
    if (closed or has_used) and not is_asked_anew:
        return Reading(answered=groups, own_ms=own_ms, version=version)
    return Reading(defaults=groups, version=version)


def _groups(text: str) -> dict[str, bool]:
    found = {}
    for one in text.split(",", _MAX_GROUPS)[:_MAX_GROUPS]:
        name, colon, said = one.partition(":")
        if colon and said in ("0", "1") and 0 < len(name) <= 64:
            found[name] = said == "1"
    return found


def _moment_ms(text: str) -> int | None:
    try:
        moment = datetime.fromisoformat(unquote(text)[:40])
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return None
