"""TikTok: events become web events of one pixel, many to a request.

Who it was is hashed here, from the clear value; addresses, browsers, places and TikTok's own ids go in clear. TikTok
answers 200 to almost anything: only the `code` in the body says what became of it.

Source: TikTok Events API 2.0, v1.3, portal pages "Setup guide for web", "Parameters", "Event deduplication", "Responses
and errors", "Rate limits", as read in 2026-09.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any, ClassVar, Self

import orjson

from edge.delivery import (
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Rate,
    Refused,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.destinations import matching
from edge.destinations.answers import code_of, json_of, retry_after_s
from edge.destinations.base import Anonymous, Feature, Unfit, account_of, read_base_url, without_nulls
from edge.destinations.parts import in_requests
from edge.destinations.values import (
    LIMITED,
    currency_of,
    filled,
    inside,
    is_limited,
    not_ahead,
    number,
    text,
    texts,
    web_address,
)
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, choice, secret, section, word
from edge.shapes import text as text_shape

BASE_URL = "https://business-api.tiktok.com"
PATH = "/open_api/v1.3/event/track/"
MAX_EVENTS = 1_000
# TikTok names no limit of bytes; what Meta's senders keep to is kept here too.
MAX_BODY_BYTES = 1_000_000
# TikTok names no limit of age either; it credits nothing to a view after 7 days.
MAX_EVENT_AGE_S = 7 * 86_400.0

EVENT_TARGETS = frozenset({"event_id", "page_url", "page_referrer", "limited_data_use"})
OTHER_NAMES = {"zip": "zip_code", "client_ip_address": "ip", "client_user_agent": "user_agent"}


def _name(given: str) -> str | None:
    return "".join((matching.name(given) or "").split())


HASHED_LISTS: Mapping[str, matching.Form] = {
    "email": matching.email,
    "phone": matching.e164,
    "external_id": matching.as_is,
}
HASHED: Mapping[str, matching.Form] = {"first_name": _name, "last_name": _name, "zip_code": matching.postcode}
PLACES: Mapping[str, matching.Form] = {"city": matching.place, "state": matching.place, "country": matching.country}
CLEAR: Mapping[str, re.Pattern[str]] = {
    "ttclid": re.compile(r"\S{1,1000}"),
    "ttp": re.compile(r"\S{1,1000}"),
    "user_agent": re.compile(r".{1,2000}", re.DOTALL),
    "locale": re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*"),
}
# Where no visitor of a shop in the internet comes from.
PRIVATE = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
NUMBERS = frozenset({"value", "num_items", "predicted_ltv"})
TEXTS = frozenset({"order_id", "shop_id", "query", "search_string", "description"})
CHOICES = {
    "content_type": ("product", "product_group"),
    "delivery_category": ("in_store", "curbside", "home_delivery"),
}
CONTENT_NUMBERS = ("price", "quantity")
CONTENT_TEXTS = ("content_name", "content_category", "brand")

DONE, PARTLY_DONE, OVER_RATE = 0, 20_001, 40_100
REFUSED = frozenset({40_001, 40_104, 40_105})
INVALID, FAILED = range(40_000, 50_000), range(50_000, 60_000)
# A minute's limit is waited for five minutes; a day's, until midnight UTC, by asking again.
THROTTLE_S, MIN_THROTTLE_S, MAX_THROTTLE_S = 300.0, 60.0, 3_600.0
_PIXEL_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TEST_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")

_PRODUCTS = "video shopping ads cannot show the products again"
FEATURES = (
    Feature(None, ("email", "phone", "external_id"), "customers are recognised less often"),
    Feature(None, ("ttclid", "ttp"), "a browser that has clicked an ad is recognised by its address at best"),
    Feature("view_item", ("content_ids|contents", "content_type"), _PRODUCTS),
    Feature("add_to_cart", ("content_ids|contents", "content_type"), _PRODUCTS),
    Feature("started_checkout", ("value",), "ads cannot be aimed at carts of a certain value"),
    Feature("purchase", ("value",), "ads cannot be aimed at what they return"),
    Feature("purchase", ("content_ids|contents", "content_type"), _PRODUCTS),
    Feature("search", ("query|search_string",), "audiences cannot be built from what was searched for"),
)

PARAMETERS = section(
    "What TikTok needs.",
    {
        "pixel_code": word("The pixel's code.", _PIXEL_CODE.pattern, examples=["C4ABCDEF0123456789"]),
        "access_token": secret("An access token made for the pixel's Events API, as ${NAME}."),
        "test_event_code": text_shape(
            "Shows events under Test Events. Leave it out in production.", examples=["TEST12345"]
        ),
        "limited_data_use": choice(
            "Which events are for limited use: none, those without consent to advertising, all.",
            LIMITED,
            default="unless_granted",
        ),
        "base_url": base_url("Another host, for a proxy or the sandbox.", default=BASE_URL),
    },
    required=["pixel_code", "access_token"],
)


@dataclass(frozen=True, slots=True)
class TikTok:
    """One pixel, reached with one access token."""

    integration: ClassVar[str] = "tiktok-events-api"
    purposes: ClassVar[frozenset[str]] = frozenset({"advertising"})
    max_batch: ClassVar[int] = MAX_EVENTS
    # Of one developer app: 1,000 a second and, steadily, 86.4 million a day; 600,000 a minute is the wider limit.
    rate: ClassVar[Rate] = Rate(burst_per_s=1_000, steady_per_min=60_000)
    anonymous: ClassVar[Anonymous] = "send"
    max_event_age_s: ClassVar[float | None] = MAX_EVENT_AGE_S
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset({"advertising"})
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS

    pixel_code: str
    access_token: Secret
    test_event_code: str | None = None
    limited_data_use: str = "unless_granted"
    base_url: str = BASE_URL

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        destination = cls(
            pixel_code=reader.parsed("pixel_code", _pixel_code, "") or reader.text("pixel_code"),
            access_token=reader.secret("access_token"),
            test_event_code=reader.parsed("test_event_code", _test_event_code, None),
            limited_data_use=reader.choice("limited_data_use", LIMITED, "unless_granted"),
            base_url=read_base_url(reader, BASE_URL),
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one rate: the host and a digest of the token."""
        return account_of(self.base_url, self.access_token)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give one event, or why TikTok would refuse it, and every event sent with it."""
        try:
            body = orjson.dumps(self._event(rendered))
        except Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")
        if len(body) > MAX_BODY_BYTES:
            return Rejected(f"the event has {len(body)} bytes, a request may have {MAX_BODY_BYTES}")
        return Payload(body, rendered.time_ms)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send events together, halving what is refused until only the bad ones are."""

        def ask(some: Sequence[Payload]) -> Request:
            return self._request(b",".join(not_ahead(payload, now_ms) for payload in some))

        return in_requests(payloads, ask=ask, read=read, max_count=MAX_EVENTS, max_bytes=MAX_BODY_BYTES)

    def probe(self, now_ms: int) -> Conversation | None:
        """Ask with no event at all: token and pixel are looked at first, and then there is nothing to take."""
        return self._probe()

    def _probe(self) -> Conversation:
        response = yield self._request(b"")
        outcome = read(response, 0)
        return [Delivered(response.status) if isinstance(outcome, Rejected) else outcome]

    def _request(self, events: bytes) -> Request:
        frame = {"event_source": "web", "event_source_id": self.pixel_code}
        if self.test_event_code is not None:
            frame["test_event_code"] = self.test_event_code
        headers = {"Access-Token": self.access_token.reveal(), "Content-Type": "application/json"}
        body = orjson.dumps(frame)[:-1] + b',"data":[' + events + b"]}"
        return Request("POST", f"{self.base_url}{PATH}", headers, body)

    def _event(self, rendered: Rendered) -> dict[str, object]:
        properties = without_nulls(rendered.properties)
        mapped = {name: properties.pop(name) for name in EVENT_TARGETS if name in properties}
        if not rendered.metric.strip():
            raise Unfit("metric: TikTok takes a name")
        if rendered.time_ms < 1_000:
            raise Unfit("time: TikTok takes moments after 1970")
        event_id = text("event_id", mapped.get("event_id")) or rendered.unique_id
        if not event_id:
            raise Unfit("event_id: the event has none")
        about = _properties(properties, rendered)
        return {
            "event": rendered.metric.strip(),
            "event_time": rendered.time_ms // 1_000,
            "event_id": event_id,
            "user": _user(rendered),
            "page": _page(mapped, rendered),
            **({"properties": about} if about else {}),
            **({"limited_data_use": True} if is_limited(self.limited_data_use, rendered) else {}),
        }


def read(response: Response, count: int) -> Outcome:
    """Give what an answer means for the events of its request; `count` does not matter, as there is no part of it."""
    answer = json_of(response)
    code = code_of(answer.get("code")) if answer is not None else None
    told = f" code {code}" if code is not None else ""
    reason = f"{response.status} and no JSON" if answer is None else f"{response.status}{told}"
    if code == OVER_RATE or response.status == 429:
        return Throttled(retry_after_s(response, unsaid_s=THROTTLE_S, least_s=MIN_THROTTLE_S, most_s=MAX_THROTTLE_S))
    if response.status == 408 or 500 <= response.status <= 599 or (code is not None and code in FAILED):
        return Retry(reason)
    if code in REFUSED or response.status in (401, 403):
        return Refused(reason)
    if answer is None:
        return Retry(reason)
    if response.status == 200 and code in (DONE, PARTLY_DONE):
        return Delivered(response.status)
    return Rejected(reason, response) if code is not None and code in INVALID else Unclear(reason, response)


def _user(rendered: Rendered) -> dict[str, object]:
    """Give who it was; what is in no form of TikTok's is left out, and address and browser are the event's own."""
    context = inside(rendered.event, "context")
    own = {key: inside(context, key) for key in ("ip", "user_agent", "locale")}
    mapped = {OTHER_NAMES.get(key, key): value for key, value in without_nulls(rendered.profile).items()}
    user = {key: value for key, given in (own | mapped).items() if (value := _known(key, given))}
    if not user:
        raise Unfit("profile: nothing to find anybody by")
    return user


def _known(key: str, value: object) -> object:
    if key in HASHED_LISTS:
        return matching.hashes(value, HASHED_LISTS[key])
    if key in HASHED:
        return next(iter(matching.hashes(value, HASHED[key])), None)
    if key == "ip":
        return _public(matching.address(value))
    if key in PLACES:
        return next((place for one in texts(value) if (place := PLACES[key](one))), None)
    if key in CLEAR:
        return next((one for one in texts(value) if CLEAR[key].fullmatch(one)), None)
    raise Unfit(f"profile.{key}: TikTok has no such parameter")


def _public(address: str | None) -> str | None:
    if address is None:
        return None
    parsed = ip_address(address)
    is_local = parsed.is_loopback or parsed.is_link_local or parsed.is_unspecified or parsed.is_multicast
    return None if is_local or any(parsed in network for network in PRIVATE) else address


def _page(mapped: Mapping[str, Any], rendered: Rendered) -> dict[str, object]:
    """Give where it happened, with its query: TikTok reads a click's id there."""
    page = inside(rendered.event, "context", "page")
    url = web_address(mapped.get("page_url")) or web_address(inside(page, "url"))
    referrer = web_address(mapped.get("page_referrer")) or web_address(inside(page, "referrer"))
    if url is None:
        raise Unfit("page_url: TikTok needs the page of each event")
    return {"url": url, **({"referrer": referrer} if referrer is not None else {})}


def _properties(given: dict[str, Any], rendered: Rendered) -> dict[str, object]:
    mapped = currency_of(given.pop("currency", None))
    currency = mapped or (currency_of(rendered.currency) if "value" in given else None)
    about = {
        key: _property(key, value) for key, value in given.items() if not (isinstance(value, str) and not value.strip())
    }
    about = {key: value for key, value in about.items() if value != []}
    return about | ({"currency": currency} if currency is not None else {})


def _property(key: str, value: Any) -> object:
    if key in NUMBERS:
        return number(f"properties.{key}", value)
    if key in TEXTS:
        return text(f"properties.{key}", value)
    if key in CHOICES and value not in CHOICES[key]:
        raise Unfit(f"properties.{key}: accepted is one of {', '.join(CHOICES[key])}")
    if key == "content_ids":
        return texts(value)
    return _contents(value) if key == "contents" else value


def _contents(items: Any) -> list[dict[str, object]]:
    """Give the products; one without a content_id tells TikTok nothing and is left out."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Unfit("properties.contents: TikTok takes a list of objects")
    named = [(index, item) for index, item in enumerate(items) if texts(item.get("content_id"))]
    return [_content(f"properties.contents.{index}", item) for index, item in named]


def _content(path: str, item: Mapping[str, Any]) -> dict[str, object]:
    if strange := item.keys() - {"content_id", *CONTENT_NUMBERS, *CONTENT_TEXTS}:
        raise Unfit(f"{path}.{min(strange)}: TikTok has no such key")
    numbers = {key: number(f"{path}.{key}", item[key]) for key in CONTENT_NUMBERS if item.get(key, "") != ""}
    return {"content_id": texts(item["content_id"])[0], **filled(item, CONTENT_TEXTS, f"{path}."), **numbers}


def _pixel_code(written: str) -> str:
    if not _PIXEL_CODE.fullmatch(written):
        raise ValueError("is not a pixel's code; accepted is one such as C4ABCDEF0123456789")
    return written


def _test_event_code(written: str) -> str | None:
    if written and not _TEST_CODE.fullmatch(written):
        raise ValueError("is not a test event code; accepted is one such as TEST12345")
    return written or None
