"""Meta: events become server events of one pixel (dataset), many to a request.

Who it was is hashed here, from the clear value; addresses, browsers and Meta's own click and browser ids go in clear.
Meta refuses a whole request for one bad event: what breaks a rule is rejected before it is sent, the rest is halved.

Source: Meta Conversions API: "Using the API", "Server event parameters", "Customer information parameters", "Custom
data parameters", "Data processing options", Graph API "Error handling", all as of 2026-09; facebook-business 26.0.3.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, ClassVar, Self
from urllib.parse import quote

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
from edge.destinations.answers import code_of, json_of, retry_after_s
from edge.destinations.base import Anonymous, Feature, Unfit, account_of, read_base_url
from edge.destinations.meta_event import event_of
from edge.destinations.parts import in_requests
from edge.destinations.values import LIMITED, inside, is_limited, not_ahead
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, choice, secret, section, text, word

BASE_URL = "https://graph.facebook.com"
API_VERSION = "v26.0"
MAX_EVENTS = 1_000
# Meta names no limit of bytes; other senders keep to about 1 MB.
MAX_BODY_BYTES = 1_000_000
# Older than 7 days, an event fails its whole request; an hour is left for the way.
MAX_EVENT_AGE_S = 7 * 86_400.0 - 3_600.0

STATES = {
    "geolocate": 0,
    "CA": 1000,
    "CO": 1001,
    "CT": 1002,
    "FL": 1003,
    "OR": 1004,
    "TX": 1005,
    "MT": 1006,
    "DE": 1007,
    "NE": 1008,
    "NH": 1009,
    "NJ": 1010,
    "MN": 1011,
    "MD": 1012,
    "RI": 1013,
}

# Error codes of the Graph API: over a rate, credentials or permission, blocked for a while, ours to repeat.
THROTTLED = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
REFUSED = frozenset({3, 10, 102, 190, 368, *range(200, 300)})
TRANSIENT = frozenset({1, 2})
INVALID, UNKNOWN_OBJECT = 100, 33
MIN_THROTTLE_S, THROTTLE_S, MAX_THROTTLE_S = 60.0, 300.0, 3_600.0
_PIXEL_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")  # a number; wide enough for what stands in for an unset variable
_VERSION = re.compile(r"v[0-9]{1,3}\.[0-9]")
_TEST_CODE = re.compile(r"[A-Za-z0-9_-]{1,64}")

_WHO = ("em|email", "ph|phone", "external_id")
_CATALOGUE = "ads cannot show the products of the catalogue again"
FEATURES = (
    Feature(None, _WHO, "customers are recognised less often, and fewer conversions are counted"),
    Feature(None, ("fbp", "fbc"), "a browser that has clicked an ad is recognised by its address at best"),
    Feature("view_item", ("content_ids|contents", "content_type"), _CATALOGUE),
    Feature("add_to_cart", ("content_ids|contents", "content_type"), _CATALOGUE),
    Feature("started_checkout", ("value",), "ads cannot be aimed at carts of a certain value"),
    Feature("purchase", ("value",), "every order becomes a dead letter"),
    Feature("purchase", ("content_ids|contents", "content_type"), "the catalogue's ads are not credited with orders"),
    Feature("search", ("search_string",), "audiences cannot be built from what was searched for"),
)

PARAMETERS = section(
    "What Meta needs.",
    {
        "pixel_id": word("The pixel's (dataset's) number.", _PIXEL_ID.pattern, examples=["1234567890"]),
        "access_token": secret("An access token for the Conversions API, as ${NAME}."),
        "app_secret": secret("The app's secret, where the app demands a proof with each call, as ${NAME}."),
        "test_event_code": text(
            "Shows events under Test Events; they count nevertheless. Leave it out in production.",
            examples=["TEST12345"],
        ),
        "limited_data_use": choice(
            "Which events carry Limited Data Use: none, those without consent to advertising, all.",
            LIMITED,
            default="unless_granted",
        ),
        "limited_data_use_state": choice(
            "The US state whose law applies, or let Meta find it by the visitor's address.", STATES, default="geolocate"
        ),
        "base_url": base_url("Another host, for a proxy or the sandbox.", default=BASE_URL),
        "api_version": word("The Graph API's version.", _VERSION.pattern, default=API_VERSION),
    },
    required=["pixel_id", "access_token"],
)


@dataclass(frozen=True, slots=True)
class Meta:
    """One pixel, reached with one access token."""

    integration: ClassVar[str] = "meta-conversions-api"
    purposes: ClassVar[frozenset[str]] = frozenset({"advertising"})
    max_batch: ClassVar[int] = MAX_EVENTS
    # Meta names no number for this call: one that a shop hardly needs and no limit is known to refuse.
    rate: ClassVar[Rate] = Rate(burst_per_s=50, steady_per_min=1_500)
    anonymous: ClassVar[Anonymous] = "send"
    max_event_age_s: ClassVar[float | None] = MAX_EVENT_AGE_S
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset({"advertising"})
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS

    pixel_id: str
    access_token: Secret
    app_secret: Secret | None = None
    test_event_code: str | None = None
    limited_data_use: str = "unless_granted"
    limited_data_use_state: str = "geolocate"
    base_url: str = BASE_URL
    api_version: str = API_VERSION

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        destination = cls(
            pixel_id=reader.parsed("pixel_id", _pixel_id, "") or reader.text("pixel_id"),
            access_token=reader.secret("access_token"),
            app_secret=reader.optional_secret("app_secret"),
            test_event_code=reader.parsed("test_event_code", _test_event_code, None),
            limited_data_use=reader.choice("limited_data_use", LIMITED, "unless_granted"),
            limited_data_use_state=reader.choice("limited_data_use_state", tuple(STATES), "geolocate"),
            base_url=read_base_url(reader, BASE_URL),
            api_version=reader.parsed("api_version", _version, API_VERSION),
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one rate: the host and a digest of the token."""
        return account_of(self.base_url, self.access_token)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give one server event, or why Meta would refuse it, and every event sent with it."""
        try:
            event = event_of(rendered)
            body = orjson.dumps(event | self._limits(rendered, "client_ip_address" in event["user_data"]))
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
        """Ask with no event at all: credentials are looked at first, and then there is nothing to take."""
        return self._probe()

    def _probe(self) -> Conversation:
        response = yield self._request(b"")
        outcome = read(response, 0)
        return [Delivered(response.status) if isinstance(outcome, Rejected) else outcome]

    def _request(self, events: bytes) -> Request:
        token = self.access_token.reveal()
        query = f"access_token={quote(token, safe='')}"
        if self.app_secret is not None:
            proof = hmac.new(self.app_secret.reveal().encode(), token.encode(), sha256).hexdigest()
            query += f"&appsecret_proof={proof}"
        test = b"" if self.test_event_code is None else b',"test_event_code":' + orjson.dumps(self.test_event_code)
        url = f"{self.base_url}/{self.api_version}/{self.pixel_id}/events?{query}"
        return Request("POST", url, {"Content-Type": "application/json"}, b'{"data":[' + events + b"]" + test + b"}")

    def _limits(self, rendered: Rendered, has_address: bool) -> dict[str, object]:
        """Give the marks of Limited Data Use; a mapping may ask for it and never lift it."""
        if not is_limited(self.limited_data_use, rendered):
            return {}
        state = STATES[self.limited_data_use_state]
        if not state and not has_address:
            raise Unfit("limited_data_use: without an IP address Meta needs the parameter limited_data_use_state")
        return {
            "data_processing_options": ["LDU"],
            "data_processing_options_country": 1 if state else 0,
            "data_processing_options_state": state,
        }


def read(response: Response, count: int) -> Outcome:
    """Give what an answer means for the `count` events of its request; reasons hold codes, never the vendor's prose."""
    answer = json_of(response)
    error = inside(answer, "error")
    if isinstance(error, dict):
        return _refusal(response, error)
    if response.status == 429:
        return _throttled(response)
    if response.status in (401, 403):
        return Refused(str(response.status))
    if response.status == 408 or 500 <= response.status <= 599 or answer is None:
        return Retry(str(response.status) if answer is not None else f"{response.status} and no JSON")
    received = answer.get("events_received")
    if response.status != 200 or isinstance(received, bool) or not isinstance(received, int):
        return Unclear(str(response.status), response)
    if received < count:
        return Unclear(f"200, of {count} events {min(max(received, 0), count)} were received", response)
    return Delivered(response.status)


def _refusal(response: Response, error: Mapping[str, Any]) -> Outcome:
    code, subcode = (code_of(error.get(key)) for key in ("code", "error_subcode"))
    reason = f"{response.status} code {code}" + (f"/{subcode}" if subcode is not None else "")
    if code in THROTTLED or response.status == 429:
        return _throttled(response)
    if code in TRANSIENT or response.status == 408 or 500 <= response.status <= 599:
        return Retry(reason)
    if code in REFUSED or (code == INVALID and subcode == UNKNOWN_OBJECT):
        return Refused(reason)
    if error.get("is_transient") is True:
        return Retry(reason)
    if code == INVALID:
        return Rejected(reason, response)
    return Refused(reason) if response.status in (401, 403) else Unclear(reason, response)


def _throttled(response: Response) -> Throttled:
    waits = retry_after_s(response, unsaid_s=THROTTLE_S, least_s=MIN_THROTTLE_S, most_s=MAX_THROTTLE_S)
    return Throttled(waits)


def _pixel_id(text: str) -> str:
    if not _PIXEL_ID.fullmatch(text):
        raise ValueError("is not a pixel's id; accepted is the number that Events Manager shows")
    return text


def _version(text: str) -> str:
    if not _VERSION.fullmatch(text):
        raise ValueError(f"is not a version; accepted is one such as {API_VERSION}")
    return text


def _test_event_code(text: str) -> str | None:
    if text and not _TEST_CODE.fullmatch(text):
        raise ValueError("is not a test event code; accepted is one such as TEST12345")
    return text or None
