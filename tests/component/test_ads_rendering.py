"""Whatever mappings give, an advertising platform is sent what it takes, or nothing: no event takes others along."""

from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.consent import Purpose
from edge.delivery import Payload, Rejected, Rendered
from edge.destinations.base import Destination
from edge.destinations.meta import Meta
from edge.destinations.meta_event import CLEAR as META_CLEAR
from edge.destinations.meta_event import EVENT_TARGETS as META_TARGETS
from edge.destinations.meta_event import HASHED as META_HASHED
from edge.destinations.tiktok import CLEAR, EVENT_TARGETS, HASHED, HASHED_LISTS, PLACES, TikTok
from edge.sandbox.vendor import Answer
from edge.secret import Secret
from tests import meta_requests, tiktok_requests

META, TIKTOK = Meta("1234567890", Secret("token")), TikTok("C4ABCDEF0123456789", Secret("token"))
PROFILE = sorted({*META_CLEAR, *META_HASHED, "client_ip_address"})
TIKTOK_PROFILE = sorted({*CLEAR, *HASHED, *HASHED_LISTS, *PLACES, "ip"})
ABOUT = [
    *("value", "currency", "content_ids", "contents", "content_type", "num_items"),
    *("order_id", "search_string", "query", "own"),
]
WORDS = st.sampled_from(
    [
        *("", " ", "a", "5", "-1", "12,50", "EUR", "eur", "product", "website", "other", "DE", "f", "1997-02-16", "é?"),
        *("visitor@shop.example", "+4915112345678", "fb.1.1795180000000.5", "203.0.113.9", "::1"),
        "https://shop.example/",
    ]
)
PLAIN = WORDS | st.text(max_size=6) | st.none() | st.booleans() | st.integers() | st.floats()
ITEMS = st.lists(
    st.dictionaries(st.sampled_from(["id", "content_id", "quantity", "price", "item_price", "brand"]), PLAIN),
    max_size=3,
)
VALUES = PLAIN | st.lists(PLAIN, max_size=3) | ITEMS | st.dictionaries(st.text(max_size=3), PLAIN, max_size=2)
CONTEXTS = st.fixed_dictionaries(
    {},
    optional={
        "ip": VALUES,
        "user_agent": VALUES | st.just("Mozilla/5.0"),
        "locale": VALUES,
        "page": VALUES | st.just({"url": "https://shop.example/"}) | st.dictionaries(st.just("url"), VALUES),
    },
)
FULL = {"ip": "203.0.113.9", "user_agent": "Mozilla/5.0", "page": {"url": "https://shop.example/"}}


def some(keys: Any) -> Any:
    return st.dictionaries(st.sampled_from(sorted(keys)), VALUES, max_size=3)


moderately = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def rendered(profile: Any, targets: Any) -> Any:
    """Give events that are mostly whole, so that not each is rejected for another reason than the one drawn."""
    return st.builds(
        Rendered,
        metric=st.sampled_from(["Purchase", "Search", "Search"]),
        profile=some(profile).map(lambda given: {"email": "visitor@shop.example"} | given) | some(profile),
        properties=some([*targets, *ABOUT]).map(lambda given: {"value": 1, "currency": "EUR"} | given),
        unique_id=st.just("70311"),
        time_ms=st.just(1_794_999_940_000),
        currency=st.none() | WORDS,
        event=st.fixed_dictionaries({"context": st.just(FULL) | CONTEXTS}),
        is_from_server=st.booleans(),
        granted=st.sampled_from([Purpose.NONE, Purpose.ADVERTISING]),
    )


def told(destination: Destination, event: Rendered) -> Any:
    """Give the event as it would be sent, None where it is rejected; the same each time."""
    payload = destination.render(event)
    assert payload == destination.render(event)
    if isinstance(payload, Rejected):
        return None
    assert isinstance(payload, Payload)
    return orjson.loads(payload.body)


def ask_meta(event: Any) -> Answer:
    return meta_requests.App().post(event)


def ask_tiktok(event: Any) -> Answer:
    return tiktok_requests.App().post(event)


@moderately
@given(rendered(PROFILE, META_TARGETS))
def test_meta_takes_every_event_that_is_not_rejected(event: Rendered) -> None:
    sent = told(META, event)
    if sent is not None:
        answer = ask_meta(sent)
        assert answer.status == 200, answer.body


@moderately
@given(rendered(TIKTOK_PROFILE, EVENT_TARGETS))
def test_tiktok_takes_every_event_that_is_not_rejected(event: Rendered) -> None:
    sent = told(TIKTOK, event)
    if sent is not None:
        assert orjson.loads(ask_tiktok(sent).body)["code"] == 0, ask_tiktok(sent).body


@pytest.mark.parametrize(("destination", "ask"), [(META, ask_meta), (TIKTOK, ask_tiktok)], ids=["meta", "tiktok"])
def test_sandbox_would_refuse_what_is_not_made_for_it(destination: Destination, ask: Any) -> None:
    """Else the two tests above could not fail."""
    who = {"email": "visitor@shop.example"}
    sent = told(destination, Rendered("Search", who, {}, "1", 1_794_999_940_000, event={"context": FULL}))
    [key] = {"user", "user_data"} & sent.keys()
    assert b"40002" not in ask(sent).body and ask(sent).status == 200
    answer = ask(sent | {key: who})
    assert b"40002" in answer.body or answer.status == 400
