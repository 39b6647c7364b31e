"""What TikTok demands of one web event.

Source: TikTok Events API 2.0, v1.3, portal pages "Setup guide for web", "Parameters", "Send TikTok Click ID", as read
in 2026-09. Where something is left open there (bounds of a time, an address that is not public), the reading that is
harder on the sender is used; keys of no name are taken silently, as TikTok does, and noted.
"""

import re
from hashlib import sha256
from ipaddress import ip_address, ip_network

from edge.sandbox.shape import (
    Check,
    Report,
    boolean,
    child,
    listing,
    mapping,
    number,
    optional,
    record,
    required,
    text,
)
from edge.sandbox.vendor import JSON

MAX_CLICK_ID_CHARS = 1_000
USEFUL_AGE_S = 7 * 86_400
_EMPTY_HASH = sha256(b"").hexdigest()
_PRIVATE = [ip_network(one) for one in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7")]


def check_event(event: JSON, pointer: str, now_ms: int, *, is_web: bool) -> Report:
    """Check one entry of `data`; the report's problems name the places, its notes what is taken without a word."""
    report = Report()
    page = required(_PAGE) if is_web else optional(_PAGE)
    fields = {
        "event": required(text()),
        "event_time": required(_moment(now_ms)),
        "event_id": optional(text()),
        "user": required(_user),
        "page": page,
        "properties": optional(_properties),
        "ad": optional(mapping),
        "lead": optional(mapping),
        "limited_data_use": optional(boolean),
    }
    record("event", fields)(report, pointer, event)
    if isinstance(event, dict) and not report.problems:
        _remark(report, pointer, event, now_ms)
    return report


def _matching(pattern: str, wanted: str, max_chars: int | None = None) -> Check:
    compiled = re.compile(pattern)
    return text(is_good=lambda value: compiled.fullmatch(value) is not None, wanted=wanted, max_chars=max_chars)


def _one_of(*words: str) -> Check:
    return text(is_good=lambda value: value in words, wanted=f"one of {', '.join(words)}")


def _moment(now_ms: int) -> Check:
    def check(report: Report, pointer: str, value: JSON) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            report.wrong(pointer, "Not a valid integer.")
        elif value > now_ms // 1_000:
            report.wrong(pointer, "Must be in seconds, and not in the future.")

    return check


def _hash(report: Report, pointer: str, value: JSON) -> None:
    _HASH(report, pointer, value)
    if value == _EMPTY_HASH:
        report.wrong(pointer, "Must not be the hash of an empty value.")


def _one_or_more_hashes(report: Report, pointer: str, value: JSON) -> None:
    (listing(_hash, min_items=1) if isinstance(value, list) else _hash)(report, pointer, value)


def _is_public(value: str) -> bool:
    try:
        address = ip_address(value)
    except ValueError:
        return False
    return not address.is_loopback and not any(address in network for network in _PRIVATE)


def _user(report: Report, pointer: str, value: JSON) -> None:
    """Known names have forms; others are taken and have no effect."""
    if not isinstance(value, dict):
        report.wrong(pointer, "Not a valid mapping type.")
        return
    if not value:
        report.wrong(pointer, "At least one identifier is needed.")
    for key, inner in value.items():
        if key in _USER:
            _USER[key](report, child(pointer, key), inner)
        else:
            report.note(child(pointer, key), "no parameter has this name; it is accepted and has no effect")


def _properties(report: Report, pointer: str, value: JSON) -> None:
    if not isinstance(value, dict):
        report.wrong(pointer, "Not a valid mapping type.")
        return
    for key, inner in value.items():
        if key in _PROPERTIES:
            _PROPERTIES[key](report, child(pointer, key), inner)
        else:
            report.note(child(pointer, key), "no parameter has this name")


def _remark(report: Report, pointer: str, event: dict[str, JSON], now_ms: int) -> None:
    when = event["event_time"]
    assert isinstance(when, int)
    if now_ms // 1_000 - when > USEFUL_AGE_S:
        report.note(f"{pointer}/event_time", "older than 7 days: too old to be credited to a view")
    if "event_id" not in event:
        report.note(pointer, "without event_id an event is counted again beside the pixel's and at each repeat")
    user = event["user"]
    if isinstance(user, dict) and ("ip" in user) != ("user_agent" in user):
        report.note(f"{pointer}/user", "ip and user_agent help only together")


_HASH = _matching(r"[0-9a-f]{64}", "a SHA-256 in lower-case hex")
_PLACE = _matching(r"[^\sA-Z.,;:!?()-]+", "in lower case, without blanks and punctuation")
_USER: dict[str, Check] = {
    **dict.fromkeys(("email", "phone", "external_id"), _one_or_more_hashes),
    **dict.fromkeys(("first_name", "last_name", "zip_code"), _hash),
    **dict.fromkeys(("city", "state"), _PLACE),
    "country": _matching(r"[a-z]{2}", "two lower-case letters"),
    "ip": text(is_good=_is_public, wanted="the device's public IP address"),
    "user_agent": text(),
    "ttclid": text(max_chars=MAX_CLICK_ID_CHARS),
    "ttp": text(),
    "locale": _matching(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*", "a BCP 47 tag"),
    **dict.fromkeys(("idfa", "idfv", "gaid", "att_status"), text()),
}
_URL = _matching(r"https?://[^\s/]+\S*", "a URL")
_PAGE = record("page", {"url": required(_URL), "referrer": optional(_URL)})
_CONTENT = record(
    "contents",
    {
        "content_id": required(text()),
        **dict.fromkeys(("content_name", "content_category", "brand"), optional(text())),
        **dict.fromkeys(("price", "quantity"), optional(number)),
    },
)
_PROPERTIES: dict[str, Check] = {
    **dict.fromkeys(("value", "num_items", "predicted_ltv"), number),
    "currency": _matching(r"[A-Z]{3}", "an ISO 4217 code"),
    "content_type": _one_of("product", "product_group"),
    "delivery_category": _one_of("in_store", "curbside", "home_delivery"),
    "content_ids": listing(text()),
    "contents": listing(_CONTENT),
    **dict.fromkeys(("order_id", "shop_id", "query", "search_string", "description"), text()),
}
