"""The fake GA4 says 204 to everything and counts only what the real one would."""

from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import GA4
from edge.sandbox.vendor import Incoming, Rate
from tests.ga4_requests import QUERY, Property, body, event

NO_HASH = {"sha256_email_address": ["visitor@shop.example"]}
FOUR = ["a" * 64] * 4
MANY = {f"p{n}": n for n in range(24)}
OWN = {f"own{n}": n for n in range(11)}


@pytest.fixture
def account() -> Property:
    return Property()


def test_good_event_is_counted_whole(account: Property) -> None:
    answer = account.post(body(event(value=5, currency="EUR"), user_id="c-19", ip_override="203.0.113.7"))
    assert (answer.status, answer.body, answer.notes) == (204, b"", ())
    assert account.events() == [
        {
            "client_id": "1.2",
            "user_id": "c-19",
            "consent": None,
            "ip_override": "203.0.113.7",
            "user_data": None,
            "name": "view_item",
            "params": {"session_id": "17", "engagement_time_msec": 1, "value": 5, "currency": "EUR"},
            "time_ms": account.clock.now_ms(),
        }
    ]
    assert (account.events("c-19"), account.events("other")) == (account.events(), [])


BROKEN: list[tuple[Any, list[tuple[str, str]]]] = [
    ([], [("VALUE_INVALID", "")]),
    (body(client_id=""), [("VALUE_REQUIRED", "client_id")]),
    (body(client_id=5), [("VALUE_REQUIRED", "client_id")]),
    (body(user_id="x" * 257), [("VALUE_INVALID", "user_id")]),
    (body(gclid="x"), [("NAME_INVALID", "gclid")]),
    (body(consent={"ad_storage": "GRANTED"}), [("NAME_INVALID", "consent")]),
    (body(consent={"ad_user_data": "granted"}), [("VALUE_INVALID", "consent")]),
    (body(user_data=NO_HASH), [("VALUE_INVALID", "user_data.sha256_email_address")]),
    (body(user_data={"sha256_phone_number": FOUR}), [("EXCEEDED_MAX_ENTITIES", "user_data.sha256_phone_number")]),
    (body(user_properties={"user_id": {"value": 1}}), [("NAME_RESERVED", "user_properties.user_id")]),
    (body(user_properties={"x" * 25: {"value": 1}}), [("NAME_INVALID", f"user_properties.{'x' * 25}")]),
    (body(user_properties={"x": {"value": "x" * 37}}), [("VALUE_OUT_OF_BOUNDS", "user_properties.x")]),
    (body(user_properties={"x": 1}), [("VALUE_INVALID", "user_properties.x")]),
    (body(user_properties={f"p{n}": {"value": 1} for n in range(26)}), [("EXCEEDED_MAX_ENTITIES", "user_properties")]),
    ({"client_id": "1.2", "events": []}, [("VALUE_REQUIRED", "events")]),
    (body(*[event()] * 26), [("EXCEEDED_MAX_ENTITIES", "events")]),
    (body("view"), [("VALUE_INVALID", "events[0]")]),
    (body({"params": {}}), [("VALUE_REQUIRED", "events[0].name")]),
    (body(event("session_start")), [("NAME_RESERVED", "events[0].name")]),
    (body(event("Viewed Product")), [("NAME_INVALID", "events[0].name")]),
    (body(event("x" * 41)), [("NAME_INVALID", "events[0].name")]),
    (body(event() | {"timestamp_micros": 9_999_999_999_999_999}), [("VALUE_INVALID", "events[0].timestamp_micros")]),
    (body(event() | {"params": []}), [("VALUE_INVALID", "events[0].params")]),
    (body(event(**MANY)), [("EXCEEDED_MAX_ENTITIES", "events[0].params")]),
    (body(event(ga_x=1)), [("NAME_RESERVED", "events[0].params.ga_x")]),
    (body(event(**{"a b": 1})), [("NAME_INVALID", "events[0].params.a b")]),
    (body(event(x=None)), [("VALUE_INVALID", "events[0].params.x")]),
    (body(event(x={"y": 1})), [("VALUE_INVALID", "events[0].params.x")]),
    (body(event(x="x" * 101)), [("VALUE_OUT_OF_BOUNDS", "events[0].params.x")]),
    (body(event(page_title="x" * 301)), [("VALUE_OUT_OF_BOUNDS", "events[0].params.page_title")]),
    (body(event(session_id="a")), [("VALUE_INVALID", "events[0].params.session_id")]),
    (body(event(engagement_time_msec=0)), [("VALUE_INVALID", "events[0].params.engagement_time_msec")]),
    (body(event(value=1)), [("VALUE_REQUIRED", "events[0].params.currency")]),
    (body(event(value="1", currency="EUR")), [("VALUE_INVALID", "events[0].params.value")]),
    (body(event(currency="euro")), [("VALUE_INVALID", "events[0].params.currency")]),
    (body(event("purchase")), [("VALUE_REQUIRED", "events[0].params.transaction_id")]),
    (body(event("search")), [("VALUE_REQUIRED", "events[0].params.search_term")]),
    (body(event(items={})), [("VALUE_INVALID", "events[0].params.items")]),
    (body(event(items=[{"item_id": "a"}] * 201)), [("EXCEEDED_MAX_ENTITIES", "events[0].params.items")]),
    (body(event(items=[{}])), [("VALUE_REQUIRED", "events[0].params.items[0]")]),
    (body(event(items=["a"])), [("VALUE_INVALID", "events[0].params.items[0]")]),
    (body(event(items=[{"item_id": "a"} | OWN])), [("EXCEEDED_MAX_ENTITIES", "events[0].params.items[0]")]),
    (body(event(items=[{"item_id": "x" * 101}])), [("VALUE_OUT_OF_BOUNDS", "events[0].params.items[0].item_id")]),
]  # fmt: skip


@pytest.mark.parametrize(("document", "found"), BROKEN)
def test_broken_rule_is_told_by_the_validation_and_silently_dropped_by_the_collection(
    account: Property, document: Any, found: list[tuple[str, str]]
) -> None:
    strict = document if isinstance(document, dict) else None
    if strict is not None:
        assert account.validated(strict) == found
    answer = account.post(document)
    assert (answer.status, [note.pointer for note in answer.notes]) == (204, [field for _, field in found])
    assert (account.events(), len(account.ignored())) == ([], 1)


def test_bad_event_takes_its_neighbours_not_along(account: Property) -> None:
    account.post(body(event(n=1), event("error"), event(n=2)))
    assert [one["params"]["n"] for one in account.events()] == [1, 2]
    assert account.ignored() == [event("error")]


@pytest.mark.parametrize(
    "query", [{"api_secret": "wrong"}, {"measurement_id": "G-OTHER"}, {"api_secret": "", "measurement_id": ""}]
)
def test_wrong_credentials_are_answered_like_right_ones(account: Property, query: dict[str, str]) -> None:
    answer = account.post(body(), **query)
    assert (answer.status, answer.body) == (204, b"")
    assert account.events() == []
    assert account.validated(body(), **query) == []


def test_body_that_is_no_json_or_too_large_or_of_another_type_is_not_counted(account: Property) -> None:
    for raw, headers in [
        (b"{", {"Content-Type": "application/json"}),
        (b" " * 130_000, {"Content-Type": "application/json"}),
        (b'{"client_id":"1.2","events":[{"name":"a"}]}', {"Content-Type": "text/plain"}),
    ]:
        assert account.send(raw, headers=headers).status == 204
    assert (account.events(), len(account.ignored())) == ([], 3)


def test_purchase_counts_once_for_its_user_and_nothing_else_does(account: Property) -> None:
    order = event("purchase", transaction_id="70311")
    assert [account.post(body(order)).notes for _ in range(2)][1][0].text.startswith("a duplicate")
    account.post(body(order, client_id="3.4"))
    account.post(body(event()))
    account.post(body(event()))
    assert [one["name"] for one in account.events()] == ["purchase", "purchase", "view_item", "view_item"]


def test_old_event_is_counted_as_of_72_hours_ago(account: Property) -> None:
    now_ms = account.clock.now_ms()
    old = event() | {"timestamp_micros": (now_ms - 80 * 3_600_000) * 1_000}
    assert "72 hours" in account.post(body(old)).notes[0].text
    assert account.events()[0]["time_ms"] == now_ms - 72 * 3_600_000


def test_event_without_a_session_is_counted_and_noted(account: Property) -> None:
    answer = account.post(body({"name": "view_item"}))
    assert [note.text for note in answer.notes] == ["without a session_id it belongs to no session"]
    assert len(account.events()) == 1


def test_over_its_limit_it_goes_on_saying_204() -> None:
    account = Property(GA4(rates={"collect": Rate(1, 10)}))
    assert [account.post(body()).status for _ in range(2)] == [204, 204]
    assert len(account.events()) == 1
    with pytest.raises(KeyError):
        account.ga4.set_rates({"other": Rate(1, 1)})


def test_other_paths_and_methods_are_refused(account: Property) -> None:
    assert account.send(b"{}", "/collect").status == 404
    assert account.send(b"{}", method="GET").status == 405


def test_relaxed_validation_lets_long_values_pass_and_no_kept_trace(account: Property) -> None:
    answer = account.post(body(event(x="x" * 101)), "/debug/mp/collect")
    assert (answer.status, answer.body) == (200, b'{"validationMessages":[]}')
    assert account.ga4.taken() == {"events": [], "ignored": []}


def test_record_holds_no_secret(account: Property) -> None:
    for secret, shown in (("sandbox-api-secret", "valid"), ("other", "invalid")):
        query = tuple((QUERY | {"api_secret": secret}).items())
        masked = account.ga4.masked(_incoming(query))
        assert dict(masked.query) == {"measurement_id": "G-SANDBOX01", "api_secret": shown}


def test_forgetting_counts_an_order_anew(account: Property) -> None:
    order = body(event("purchase", transaction_id="70311"))
    account.post(order)
    account.ga4.reset()
    assert account.post(order).notes == ()


def _incoming(query: tuple[tuple[str, str], ...]) -> Incoming:
    return Incoming("POST", "/mp/collect", query, CIMultiDictProxy(CIMultiDict()), b"", 0, 0.0)
