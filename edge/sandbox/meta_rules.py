"""What Meta demands of one server event: which keys stand where, which of them must, and what is hashed.

Source: Meta Conversions API, 2026-09: "Server event parameters", "Customer information parameters", "Custom data
parameters", "fbp and fbc", "Best practices", "Data processing options". Where something is left open there (keys of
no name, the future), the reading that is harder on the sender is used.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address

from edge.sandbox.shape import (
    Check,
    Field,
    Report,
    any_text,
    boolean,
    listing,
    number,
    optional,
    record,
    required,
    text,
)
from edge.sandbox.vendor import JSON, Note

TOO_OLD, NO_VALUE, OTHER = 2_804_003, 2_804_009, 2_804_000  # the last stands for all the subcodes nobody has listed
MAX_AGE_S, MAX_STORE_AGE_S = 7 * 86_400, 62 * 86_400
_SOURCES = (
    *("website", "app", "physical_store", "email", "phone_call", "chat"),
    *("business_messaging", "system_generated", "other"),
)
_DELIVERIES = ("in_store", "curbside", "home_delivery")
_NOBODY = (
    {"ct", "country", "st", "zp", "ge", "client_user_agent"},
    {"db", "client_user_agent"},
    {"fn", "ge"},
    {"ln", "ge"},
)
_LDU_STATES = {0, *range(1_000, 1_014)}
_EMPTY_HASH = sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Finding:
    """The first thing wrong with an event: the subcode, where, and what."""

    subcode: int
    pointer: str
    detail: str


def check_event(event: JSON, pointer: str, now_ms: int) -> tuple[Finding | None, tuple[Note, ...]]:
    """Give why Meta refuses an event, else None, and what it would take without a word."""
    report = Report()
    _EVENT(report, pointer, event)
    if not report.problems and isinstance(event, dict):
        found = _age(event, pointer, now_ms) or _money(event, pointer)
        if found is not None:
            return found, ()
        _website(report, pointer, event)
        _identity(report, f"{pointer}/user_data", event)
        _processing(report, pointer, event)
        if "event_id" not in event:
            report.note(pointer, "without event_id an event is counted again beside the pixel's and at each repeat")
    if report.problems:
        return Finding(OTHER, report.problems[0].pointer, report.problems[0].detail), ()
    return None, tuple(report.notes)


def _matching(pattern: str, wanted: str) -> Check:
    compiled = re.compile(pattern)
    return text(is_good=lambda value: compiled.fullmatch(value) is not None, wanted=wanted)


def _one_or_more(check: Check) -> Check:
    def either(report: Report, pointer: str, value: JSON) -> None:
        (listing(check, min_items=1) if isinstance(value, list) else check)(report, pointer, value)

    return either


def _whole(report: Report, pointer: str, value: JSON) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        report.wrong(pointer, "Must be a whole number.")


def _is_address(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def _one_of(*words: str) -> Check:
    return text(is_good=lambda value: value in words, wanted=f"one of {', '.join(words)}")


def _custom_data(report: Report, pointer: str, value: JSON) -> None:
    """Known names have types; any other is a property of the advertiser's own."""
    if not isinstance(value, dict):
        report.wrong(pointer, "Must be an object.")
        return
    for key, inner in value.items():
        if key in _CUSTOM:
            _CUSTOM[key](report, f"{pointer}/{key}", inner)
        elif inner is None:
            report.wrong(f"{pointer}/{key}", "Must not be null.")


def _options(report: Report, pointer: str, value: JSON) -> None:
    if value not in ([], ["LDU"]):
        report.wrong(pointer, "Must be [] or ['LDU'].")


_HASH = _matching(r"[0-9a-f]{64}", "the hex SHA-256 of a normalised value")


def _hash(report: Report, pointer: str, value: JSON) -> None:
    _HASH(report, pointer, value)
    if value == _EMPTY_HASH:
        report.wrong(pointer, "Must not be the hash of an empty value.")


_URL = _matching(r"https?://[^\s/]+\S*", "a URL")
_CUSTOM: dict[str, Check] = {
    "currency": _matching(r"[A-Za-z]{3}", "an ISO 4217 code"),
    **dict.fromkeys(("value", "predicted_ltv", "net_revenue"), number),
    "num_items": number,
    "content_ids": listing(text()),
    "content_type": _one_of("product", "product_group"),
    **dict.fromkeys(("content_name", "content_category", "order_id", "search_string", "status", "item_number"), text()),
    "delivery_category": _one_of(*_DELIVERIES),
    "contents": listing(
        record(
            "contents",
            {
                "id": required(text()),
                "quantity": optional(number),
                "item_price": optional(number),
                "delivery_category": optional(_one_of(*_DELIVERIES)),
                **dict.fromkeys(("title", "description", "brand", "category"), optional(text(is_good=any_text))),
            },
        )
    ),
}
_HASHED = ("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country")
_USER_DATA = record(
    "user_data",
    {
        **dict.fromkeys(_HASHED, optional(_one_or_more(_hash))),
        "external_id": optional(_one_or_more(text())),
        "client_ip_address": optional(text(is_good=_is_address, wanted="an IP address")),
        "client_user_agent": optional(text()),
        "fbc": optional(_matching(r"fb\.\d\.\d{13}\.[\w-]+(\.\w{2}|\.\w{8})?", "fb.<index>.<ms>.<fbclid>")),
        "fbp": optional(_matching(r"fb\.\d\.\d{13}\.\d+(\.\w{2}|\.\w{8})?", "fb.<index>.<ms>.<random>")),
        **dict.fromkeys(("subscription_id", "anon_id", "madid", "page_id", "page_scoped_user_id"), optional(text())),
        **dict.fromkeys(("ctwa_clid", "ig_account_id", "ig_sid"), optional(text())),
        **dict.fromkeys(("fb_login_id", "lead_id"), optional(_whole)),
    },
)
_EVENT = record(
    "event",
    {
        "event_name": required(text()),
        "event_time": required(_whole),
        "action_source": required(_one_of(*_SOURCES)),
        "user_data": required(_USER_DATA),
        "event_source_url": optional(_URL),
        "referrer_url": optional(_URL),
        "event_id": optional(text()),
        "custom_data": optional(_custom_data),
        "opt_out": optional(boolean),
        "data_processing_options": optional(_options),
        "data_processing_options_country": optional(_whole),
        "data_processing_options_state": optional(_whole),
        "customer_segmentation": optional(text()),
        "original_event_data": Field(lambda report, pointer, value: None),
        "app_data": Field(lambda report, pointer, value: None),
    },
)


def _age(event: dict[str, JSON], pointer: str, now_ms: int) -> Finding | None:
    limit_s = MAX_STORE_AGE_S if event["action_source"] == "physical_store" else MAX_AGE_S
    when = event["event_time"]
    assert isinstance(when, int)
    if now_ms // 1_000 - when > limit_s:
        return Finding(TOO_OLD, f"{pointer}/event_time", "Event Timestamp Too Old")
    if when > now_ms // 1_000:
        return Finding(OTHER, f"{pointer}/event_time", "The event lies in the future.")
    return None


def _money(event: dict[str, JSON], pointer: str) -> Finding | None:
    custom = event.get("custom_data", {})
    assert isinstance(custom, dict)
    if event["event_name"] == "Purchase" and "value" not in custom:
        return Finding(NO_VALUE, f"{pointer}/custom_data/value", "A purchase needs a value.")
    if event["event_name"] == "Purchase" and "currency" not in custom:
        return Finding(OTHER, f"{pointer}/custom_data/currency", "A purchase needs a currency.")
    return None


def _website(report: Report, pointer: str, event: dict[str, JSON]) -> None:
    user_data = event["user_data"]
    assert isinstance(user_data, dict)
    if event["action_source"] != "website":
        return
    if "event_source_url" not in event:
        report.wrong(f"{pointer}/event_source_url", "Required for website events.")
    if "client_user_agent" not in user_data:
        report.wrong(f"{pointer}/user_data/client_user_agent", "Required for website events.")


def _identity(report: Report, pointer: str, event: dict[str, JSON]) -> None:
    user_data = event["user_data"]
    assert isinstance(user_data, dict)
    if not user_data or any(user_data.keys() <= combination for combination in _NOBODY):
        report.wrong(pointer, "These customer information parameters alone cannot be matched.")


def _processing(report: Report, pointer: str, event: dict[str, JSON]) -> None:
    country, state = (event.get(f"data_processing_options_{name}") for name in ("country", "state"))
    user_data, options = event["user_data"], event.get("data_processing_options")
    assert isinstance(user_data, dict)
    if country is not None and (country not in (0, 1) or state is None):
        report.wrong(f"{pointer}/data_processing_options_country", "Must be 0 or 1, and then a state is needed.")
    if state is not None and state not in _LDU_STATES:
        report.wrong(f"{pointer}/data_processing_options_state", "Must be 0 or one of the listed states.")
    if options == ["LDU"] and not state and "client_ip_address" not in user_data:
        report.wrong(f"{pointer}/data_processing_options_state", "Required with LDU where there is no IP address.")
