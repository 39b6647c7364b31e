"""Meta's server event, from what a pipeline's mappings gave: where it happened, who it was, what it was about.

Source: Meta Conversions API: "Server event parameters", "Customer information parameters", "Custom data parameters",
"Best practices" (combinations that are refused), all as of 2026-09; facebook-business 26.0.3.
"""

import re
from collections.abc import Mapping
from typing import Any

from edge.delivery import Rendered
from edge.destinations import matching
from edge.destinations.base import Unfit, without_nulls
from edge.destinations.values import currency_of, filled, flag, inside, number, text, texts, web_address

ACTION_SOURCES = (
    *("website", "app", "physical_store", "email", "phone_call", "chat"),
    *("business_messaging", "system_generated", "other"),
)
# Targets of an event that stand beside its custom_data.
EVENT_TEXTS = ("event_id", "referrer_url", "customer_segmentation")
EVENT_TARGETS = frozenset({*EVENT_TEXTS, "event_source_url", "action_source", "opt_out", "limited_data_use"})
OTHER_NAMES = {
    "email": "em",
    "phone": "ph",
    "first_name": "fn",
    "last_name": "ln",
    "gender": "ge",
    "date_of_birth": "db",
    "city": "ct",
    "state": "st",
    "zip": "zp",
    "ip": "client_ip_address",
    "user_agent": "client_user_agent",
}
HASHED: Mapping[str, matching.Form] = {
    "em": matching.email,
    "ph": matching.phone_digits,
    "fn": matching.name,
    "ln": matching.name,
    "ge": matching.gender,
    "db": matching.birthday,
    "ct": matching.place,
    "st": matching.place,
    "zp": matching.postcode,
    "country": matching.country,
    "external_id": matching.as_is,
}
# The browser's and the click's id, kept as they are; Meta's own parameter builder appends a fifth part.
_META_ID = r"fb\.[0-9]{1,2}\.[0-9]{10,16}\.%s(\.[A-Za-z0-9_-]{2,8})?"
CLEAR: Mapping[str, re.Pattern[str]] = {
    "fbc": re.compile(_META_ID % "[A-Za-z0-9_-]{1,1000}"),
    "fbp": re.compile(_META_ID % "[0-9]{1,20}"),
    "client_user_agent": re.compile(r".{1,2000}", re.DOTALL),
    **dict.fromkeys(("subscription_id", "anon_id", "madid", "ctwa_clid"), re.compile(r"\S{1,1000}")),
    **dict.fromkeys(("page_id", "page_scoped_user_id", "ig_account_id", "ig_sid"), re.compile(r"\S{1,1000}")),
    **dict.fromkeys(("fb_login_id", "lead_id"), re.compile(r"[0-9]{1,18}")),
}
# Too little to find anybody: an event that knows no more than one of these rows is refused.
TOO_LITTLE = (
    frozenset({"ct", "country", "st", "zp", "ge", "client_user_agent"}),
    frozenset({"db", "client_user_agent"}),
    frozenset({"fn", "ge"}),
    frozenset({"ln", "ge"}),
)
NUMBERS = frozenset({"value", "net_revenue", "predicted_ltv", "num_items"})
TEXTS = frozenset({"content_name", "content_category", "order_id", "search_string", "status", "item_number"})
CONTENT_TYPES = ("product", "product_group")
CONTENT_NUMBERS = ("quantity", "item_price")
CONTENT_TEXTS = ("delivery_category", "title", "description", "brand", "category")


def event_of(rendered: Rendered) -> dict[str, Any]:
    """Give one server event without the marks of Limited Data Use; raises Unfit."""
    properties = without_nulls(rendered.properties)
    mapped = {name: properties.pop(name) for name in EVENT_TARGETS if name in properties}
    if not rendered.metric.strip():
        raise Unfit("metric: Meta takes a name")
    if rendered.time_ms < 1_000:
        raise Unfit("time: Meta takes moments after 1970")
    user_data = _user_data(rendered)
    custom_data = _custom_data(properties, rendered)
    event_id = text("event_id", mapped.get("event_id")) or rendered.unique_id
    if not event_id:
        raise Unfit("event_id: the event has none")
    return {
        "event_name": rendered.metric.strip(),
        "event_time": rendered.time_ms // 1_000,
        "event_id": event_id,
        **_where(mapped, rendered, "client_user_agent" in user_data),
        **filled(mapped, ("customer_segmentation",)),
        **flag("opt_out", mapped.get("opt_out")),
        "user_data": user_data,
        **({"custom_data": custom_data} if custom_data else {}),
    }


def _where(mapped: Mapping[str, Any], rendered: Rendered, has_browser: bool) -> dict[str, object]:
    """Say where it happened: a website needs its URL and the browser, and only then it is one."""
    page = inside(rendered.event, "context", "page")
    url = web_address(mapped.get("event_source_url")) or web_address(inside(page, "url"))
    referrer = web_address(mapped.get("referrer_url")) or web_address(inside(page, "referrer"))
    source = text("action_source", mapped.get("action_source"))
    if not source:
        is_website = not rendered.is_from_server or (url is not None and has_browser)
        source = "website" if is_website else "other"
    if source not in ACTION_SOURCES:
        raise Unfit(f"action_source: accepted is one of {', '.join(ACTION_SOURCES)}")
    if source == "website" and (url is None or not has_browser):
        missing = "client_user_agent" if url else "event_source_url"
        raise Unfit(f"{missing}: Meta needs it where action_source is website")
    places = {"event_source_url": url, "referrer_url": referrer}
    return {"action_source": source, **{name: place for name, place in places.items() if place is not None}}


def _user_data(rendered: Rendered) -> dict[str, object]:
    """Give who it was; what is in no form of Meta's is left out, and address and browser are the event's own."""
    mapped = {OTHER_NAMES.get(key, key): value for key, value in without_nulls(rendered.profile).items()}
    context = inside(rendered.event, "context")
    mapped = {"client_ip_address": inside(context, "ip"), "client_user_agent": inside(context, "user_agent")} | mapped
    user_data: dict[str, object] = {}
    for key, value in mapped.items():
        if key in HASHED:
            user_data[key] = matching.hashes(value, HASHED[key])
        elif key == "client_ip_address":
            user_data[key] = matching.address(value)
        elif key in CLEAR:
            user_data[key] = next((one for one in texts(value) if CLEAR[key].fullmatch(one)), None)
        else:
            raise Unfit(f"profile.{key}: Meta has no such parameter")
    user_data = {key: value for key, value in user_data.items() if value}
    for key in ("fb_login_id", "lead_id"):
        if key in user_data:
            user_data[key] = int(str(user_data[key]))
    if any(user_data.keys() <= little for little in TOO_LITTLE):
        raise Unfit(f"profile: too little to find anybody by: {', '.join(user_data) or 'nothing'}")
    return user_data


def _custom_data(properties: dict[str, Any], rendered: Rendered) -> dict[str, object]:
    """Give what it was about; the shop's own properties are added as they are."""
    mapped = currency_of(properties.pop("currency", None))
    currency = mapped or (currency_of(rendered.currency) if "value" in properties else None)
    custom: dict[str, object] = {}
    for key, value in properties.items():
        if isinstance(value, str) and not value.strip():
            continue
        custom[key] = _custom(key, value)
    if currency is not None:
        custom["currency"] = currency
    if rendered.metric.strip() == "Purchase" and not {"value", "currency"} <= custom.keys():
        missing = "value" if "value" not in custom else "currency"
        raise Unfit(f"custom_data.{missing}: Meta needs it for a Purchase")
    return {key: value for key, value in custom.items() if value != []}


def _custom(key: str, value: Any) -> object:
    if key in NUMBERS:
        return number(f"custom_data.{key}", value)
    if key in TEXTS:
        return text(f"custom_data.{key}", value)
    if key == "content_type":
        if value not in CONTENT_TYPES:
            raise Unfit(f"custom_data.content_type: accepted is one of {', '.join(CONTENT_TYPES)}")
        return value
    if key == "content_ids":
        return texts(value)
    return _contents(value) if key == "contents" else value


def _contents(items: Any) -> list[dict[str, object]]:
    """Give the products; one without an id tells Meta nothing and is left out."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unfit("custom_data.contents: Meta takes a list of objects")
    return [_content(item, f"custom_data.contents.{index}") for index, item in enumerate(items) if _id_of(item)]


def _id_of(item: Mapping[str, Any]) -> str:
    return next(iter(texts(item.get("id"))), "")


def _content(item: Mapping[str, Any], path: str) -> dict[str, object]:
    if strange := item.keys() - {"id", *CONTENT_NUMBERS, *CONTENT_TEXTS}:
        raise Unfit(f"{path}.{min(strange)}: Meta has no such key")
    numbers = {key: number(f"{path}.{key}", item[key]) for key in CONTENT_NUMBERS if item.get(key, "") != ""}
    return {"id": _id_of(item), **numbers, **filled(item, CONTENT_TEXTS, f"{path}.")}
