"""What reached each destination, in one form: the vendor's word for it, the order, whom it knows, and its consent."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Arrivals: TypeAlias = Mapping[str, Sequence["Arrival"]]

ADVERTISING = "advertising"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event as a destination took it.

    `names` are all by which it knows the visitor: an address or its hash, the visitor's id or its hash, an id of the
    vendor's own. `consent` is what it was told of the decision, as far as it takes any of it.
    """

    word: str
    order: str
    names: frozenset[str]
    consent: Mapping[str, bool] = field(default_factory=dict)


def arrivals_of(received: Mapping[str, Any], lines: Iterable[Any]) -> Arrivals:
    """Give what every pipeline's destination took, in its order.

    Args:
        received: what the sandbox's vendors took, by vendor.
        lines: the archive's, each a JSON object.
    """
    addresses = {profile["id"]: profile["identifiers"] for profile in received["klaviyo"]["profiles"]}
    readers: dict[str, tuple[Iterable[Any], Callable[[Any], Arrival]]] = {
        "klaviyo_events": (received["klaviyo"]["events"], lambda event: _klaviyo(event, addresses)),
        "meta_conversions": (received["meta"]["events"], _meta),
        "ga4_events": (received["ga4"]["events"], _ga4),
        "google_ads": (received["google-ads"]["events"], _google_ads),
        "tiktok_events": (received["tiktok"]["events"], _tiktok),
        "webhook": (received["webhook"]["events"], _webhook),
        "segment": (received["segment"]["events"], _segment),
        "archive": (lines, _archived),
    }
    return {pipeline: [read(event) for event in events] for pipeline, (events, read) in readers.items()}


def _klaviyo(event: Any, addresses: Mapping[str, Any]) -> Arrival:
    emails = addresses.get(event["profile_id"], {}).get("email", [])
    return Arrival(event["metric"], str(event["properties"].get("OrderId", "")), _names(emails))


def _meta(event: Any) -> Arrival:
    user = event["user_data"]
    order = str(event["custom_data"].get("order_id", "")) if "custom_data" in event else ""
    return Arrival(event["event_name"], order, _names(user.get("em"), user.get("external_id")))


def _ga4(event: Any) -> Arrival:
    consent = {ADVERTISING: event["consent"]["ad_user_data"] == "GRANTED"}
    return Arrival(event["name"], str(event["params"].get("transaction_id", "")), _names(event["client_id"]), consent)


def _google_ads(event: Any) -> Arrival:
    emails = [one.get("emailAddress") for one in event["userData"]["userIdentifiers"]]
    consent = {ADVERTISING: event["consent"]["adUserData"] == "CONSENT_GRANTED"}
    return Arrival("conversion", str(event["transactionId"]), _names(emails), consent)


def _tiktok(event: Any) -> Arrival:
    user, about = event["user"], event.get("properties", {})
    return Arrival(event["event"], str(about.get("order_id", "")), _names(user.get("email"), user.get("external_id")))


def _webhook(event: Any) -> Arrival:
    data = event["data"]
    names = _names(data["profile"].get("email"), data["anonymous_id"])
    return Arrival(event["type"], str(data["properties"].get("order_id", "")), names, _consent(data["consent"]))


def _segment(message: Any) -> Arrival:
    traits = message.get("traits") or message["context"].get("traits", {})
    order = str(message.get("properties", {}).get("order_id", ""))
    names = _names(traits.get("email"), message["anonymousId"])
    word = message.get("event") or message["type"]
    return Arrival(word, order, names, message["context"]["consent"]["categoryPreferences"])


def _archived(line: Any) -> Arrival:
    order = str(line["properties"].get("transaction_id", ""))
    return Arrival(line["name"], order, _names(line["anonymous_id"]), _consent(line["consent"]))


def _consent(granted: Sequence[str]) -> dict[str, bool]:
    return {purpose: purpose in granted for purpose in ("functional", "analytics", "marketing", ADVERTISING)}


def _names(*given: Any) -> frozenset[str]:
    """Give the texts among values and lists of values."""
    flat = (name for one in given for name in (one if isinstance(one, list) else [one]))
    return frozenset(name for name in flat if isinstance(name, str) and name)
