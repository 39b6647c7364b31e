"""Events as pipelines hand them to GA4, good ones until a test changes them."""

from dataclasses import replace
from typing import Any

import orjson

from edge.consent import ALL_PURPOSES
from edge.delivery import Payload, Rejected, Rendered
from edge.destinations.ga4 import GA4
from edge.person import Identifiers
from edge.secret import Secret

STREAM = GA4("G-SANDBOX01", Secret("sandbox-api-secret"))
DEBUG = GA4("G-SANDBOX01", Secret("sandbox-api-secret"), endpoint="debug")
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z
NOW_MS = TIME_MS + 2_000
VIEW = Rendered(
    metric="view_item",
    profile={"client_id": "1893726451.1795170000", "session_id": "1795182000"},
    properties={"items": [{"item_id": "501"}]},
    unique_id="e-1",
    time_ms=TIME_MS,
    identifiers=Identifiers(email="visitor@shop.example"),
    granted=ALL_PURPOSES,
    anonymous_id="0" * 32,
)
ORDER = replace(
    VIEW,
    metric="purchase",
    properties={"transaction_id": "70311", "value": 84.5},
    unique_id="70311",
    currency="EUR",
)


def payload(of: Rendered = VIEW, /, stream: GA4 = STREAM, **changes: Any) -> Payload:
    made = stream.render(replace(of, **changes))
    assert isinstance(made, Payload), made
    return made


def body(of: Rendered = VIEW, /, stream: GA4 = STREAM, **changes: Any) -> Any:
    return orjson.loads(payload(of, stream, **changes).body)


def params(of: Rendered = VIEW, /, **changes: Any) -> Any:
    return body(of, **changes)["events"][0]["params"]


def refusal(of: Rendered = VIEW, /, **changes: Any) -> str:
    made = STREAM.render(replace(of, **changes))
    assert isinstance(made, Rejected), made
    return made.reason
