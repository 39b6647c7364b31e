"""What the Data Manager API says later of a request's events, at `requestStatus:retrieve`.

Numbers come as texts or integers; of reasons only those listed here are passed on by name. Nothing that Google says is
believed beyond its shape: counts, destinations and reasons are bounded.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4, types request_status_per_destination and processing_errors),
its guide "Diagnostics", as of 2026-11. No answer of a live account has been compared with this yet.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from edge.delivery import OTHER_REASON, Outcome, Rejected, Response, Told, Unclear, Undecided
from edge.destinations.answers import object_of
from edge.destinations.google_ads_answers import read

MAX_COUNT, MAX_DESTINATIONS, MAX_REASONS = 2_000, 10, 100

_ENDED = frozenset({"SUCCESS", "PARTIAL_SUCCESS", "FAILED", "FAILURE"})
_PREFIX = re.compile(r"\APROCESSING_(ERROR|WARNING)_(REASON_)?")
_NUMBER = re.compile(r"[0-9]{1,12}")
# Of events; what Google says of audiences and encrypted uploads never comes from us, and counts as other.
_REASONS = """
CLICK_NOT_FOUND CONVERSION_PRECEDES_CLICK CUSTOM_VARIABLE_NOT_ENABLED DENIED_CONSENT
DESTINATION_ACCOUNT_ENHANCED_CONVERSIONS_TERMS_NOT_SIGNED DUPLICATE_GCLID DUPLICATE_TRANSACTION_ID EVENT_TOO_OLD
EXTERNAL_ATTRIBUTION_DATA_MISSING INTERNAL_ERROR INVALID_AD_IDENTIFIERS INVALID_CLICK INVALID_CUSTOM_VARIABLE
INVALID_EVENT INVALID_FORMAT INVALID_GBRAID INVALID_GCLID INVALID_MERCHANT_ID INVALID_OPERATING_ACCOUNT_FOR_CLICK
INVALID_WBRAID NO_CONSENT ONE_PER_CLICK_CONVERSION_ACTION_NOT_PERMITTED_WITH_BRAID
OPERATING_ACCOUNT_MISMATCH_FOR_AD_IDENTIFIER ORIGINAL_CONVERSIONS_NOT_FOUND TOO_RECENT_CLICK UNKNOWN_CONSENT
USER_ID_NOT_FOUND USER_ID_NOT_FOUND_FOR_GCLID
"""
LATE_REASONS = frozenset(_REASONS.split())


def read_status(response: Response) -> Told | Undecided | Outcome:
    """Give what became of a request's events, Undecided while one of its destinations is still looked at."""
    match response.status:
        case 200:
            return _told(response)
        case 404:
            return Rejected("404")
        case _:
            return read(response, is_validate_only=False)


def _told(response: Response) -> Told | Undecided | Outcome:
    listed = (object_of(response) or {}).get("requestStatusPerDestination")
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        return Unclear("200 without a status", response)
    told = listed[:MAX_DESTINATIONS]
    words = [one.get("requestStatus") for one in told]
    if not words or not all(isinstance(word, str) and word in _ENDED for word in words):
        return Undecided()
    refused, warned = Counter[str](), Counter[str]()
    for one in told:
        refused += _refused(one)
        warned += _counts(one, "warning")
    return Told(dict(refused), dict(warned))


def _refused(told: Mapping[str, Any]) -> Counter[str]:
    """Count what one destination threw away; where it says that it did and gives no reason, it is some other."""
    counts, word = _counts(told, "error"), told["requestStatus"]
    if counts or word == "SUCCESS":
        return counts
    total = _inside(told, "eventsIngestionStatus").get("recordCount")
    return Counter({OTHER_REASON: 1 if word == "PARTIAL_SUCCESS" else _count(total)})


def _counts(told: Mapping[str, Any], kind: Literal["error", "warning"]) -> Counter[str]:
    listed = _inside(told, f"{kind}Info").get(f"{kind}Counts")
    counts = Counter[str]()
    for one in listed[:MAX_REASONS] if isinstance(listed, list) else ():
        if isinstance(one, dict):
            counts[_reason(one.get("reason"))] += _count(one.get("recordCount"))
    return +counts


def _inside(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _reason(value: object) -> str:
    code = _PREFIX.sub("", value, count=1) if isinstance(value, str) else ""
    return code if code in LATE_REASONS else OTHER_REASON


def _count(value: object) -> int:
    """Give how many; what cannot be read is one, as something is being told."""
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return min(int(text), MAX_COUNT) if _NUMBER.fullmatch(text) else 1
