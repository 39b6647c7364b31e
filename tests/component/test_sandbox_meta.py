"""The fake Meta takes what Meta takes, once, and refuses a whole request for one event that breaks a rule."""

import hmac
from hashlib import sha256
from typing import Any

import orjson
import pytest

from edge.sandbox.meta import PIXEL_ID, TOKEN, Meta
from edge.sandbox.vendor import Rate
from tests.meta_requests import EMAIL, NOW_S, App, error, event, user_data

DAY_S = 86_400
INVALID = (400, 100, 2_804_000)


@pytest.fixture
def app() -> App:
    return App()


def test_good_events_are_counted_in_the_answer_and_recorded_whole(app: App) -> None:
    answer = app.post(event(), event(event_id="70312"))
    told = orjson.loads(answer.body)
    assert (answer.status, told["events_received"], told["messages"], answer.notes) == (200, 2, [], ())
    assert app.events() == [{"number": 1, **event()}, {"number": 2, **event(event_id="70312")}]


def test_every_documented_parameter_is_taken(app: App) -> None:
    hashed = dict.fromkeys(("em", "ph", "fn", "ln", "ge", "db", "ct", "st", "zp", "country", "external_id"), EMAIL)
    clear = {"fbc": "fb.1.1795180000000.IwAR0abc-D", "fbp": "fb.2.1795180000000.123.AQ", "lead_id": 5, "madid": "m"}
    custom = {"value": 1, "currency": "EUR", "content_ids": ["A"], "content_type": "product", "order_id": "1"}
    custom |= {"num_items": 2, "predicted_ltv": 9.5, "delivery_category": "curbside", "gift": True}
    options = {"data_processing_options": ["LDU"], "data_processing_options_country": 1}
    whole = event(user_data=user_data(**hashed, **clear), custom_data=custom, **options, opt_out=True)
    answer = app.post(whole | {"data_processing_options_state": 1000, "referrer_url": "https://shop.example/"})
    assert (answer.status, answer.notes) == (200, ())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"event_name": None}, INVALID),
        ({"event_name": ""}, INVALID),
        ({"event_time": None}, INVALID),
        ({"event_time": "2026-11-20"}, INVALID),
        ({"event_time": float(NOW_S)}, INVALID),
        ({"event_time": NOW_S + 1}, INVALID),
        ({"event_time": NOW_S - 7 * DAY_S - 1}, (400, 100, 2_804_003)),
        ({"event_time": NOW_S - 62 * DAY_S - 1, "action_source": "physical_store"}, (400, 100, 2_804_003)),
        ({"action_source": None}, INVALID),
        ({"action_source": "shop"}, INVALID),
        ({"event_source_url": None}, INVALID),
        ({"event_source_url": "shop.example"}, INVALID),
        ({"event_id": 5}, INVALID),
        ({"user_data": None}, INVALID),
        ({"user_data": {}}, INVALID),
        ({"user_data": user_data(email=EMAIL)}, INVALID),
        ({"user_data": user_data(em="visitor@shop.example")}, INVALID),
        ({"user_data": user_data(em=EMAIL.upper())}, INVALID),
        ({"user_data": user_data(em=[])}, INVALID),
        ({"user_data": user_data(ph=[sha256(b"").hexdigest()])}, INVALID),
        ({"user_data": user_data(client_ip_address="7")}, INVALID),
        ({"user_data": user_data(fbp="fb.1.123.5")}, INVALID),
        ({"user_data": user_data(fbc="IwAR0abc")}, INVALID),
        ({"user_data": user_data(lead_id="5")}, INVALID),
        ({"user_data": {"em": [EMAIL]}}, INVALID),
        ({"user_data": {"ct": EMAIL, "st": EMAIL, "client_user_agent": "M"}}, INVALID),
        ({"user_data": {"db": EMAIL, "client_user_agent": "M"}}, INVALID),
        ({"user_data": {"fn": EMAIL, "ge": EMAIL}, "action_source": "email"}, INVALID),
        ({"user_data": {"ln": EMAIL, "ge": EMAIL}, "action_source": "email"}, INVALID),
        ({"custom_data": {"currency": "EUR"}}, (400, 100, 2_804_009)),
        ({"custom_data": {"value": 5}}, INVALID),
        ({"custom_data": {"value": "5", "currency": "EUR"}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EURO"}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EUR", "content_ids": [5]}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EUR", "content_type": "thing"}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EUR", "contents": [{"quantity": 1}]}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EUR", "contents": [{"id": "A", "sku": "B"}]}}, INVALID),
        ({"custom_data": {"value": 5, "currency": "EUR", "contents": [{"id": "A", "quantity": "1"}]}}, INVALID),
        ({"custom_data": []}, INVALID),
        ({"opt_out": "true"}, INVALID),
        ({"data_processing_options": ["CCPA"]}, INVALID),
        ({"data_processing_options": ["LDU"], "data_processing_options_country": 1}, INVALID),
        (
            {
                "data_processing_options": ["LDU"],
                "data_processing_options_country": 1,
                "data_processing_options_state": 1014,
            },
            INVALID,
        ),
        (
            {
                "data_processing_options": ["LDU"],
                "data_processing_options_country": 0,
                "data_processing_options_state": 0,
                "user_data": {"em": [EMAIL], "client_user_agent": "M"},
            },
            INVALID,
        ),
        ({"page": {}}, INVALID),
    ],
)
def test_one_event_against_a_rule_refuses_the_whole_request(app: App, changes: Any, told: Any) -> None:
    assert error(app.post(event(event_id="good"), event(**changes))) == told
    assert app.events() == []


def test_limits_of_age_themselves_are_still_taken(app: App) -> None:
    store = event(event_id="2", action_source="physical_store", event_time=NOW_S - 62 * DAY_S)
    assert app.post(event(event_time=NOW_S - 7 * DAY_S), store, event(event_id="3", event_time=NOW_S)).status == 200


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"query": ()}, (400, 102, None)),
        ({"query": (("access_token", "another"),)}, (401, 190, 460)),
        ({"path": "/v26.0/999/events"}, (400, 100, 33)),
        ({"path": f"/v27.0/{PIXEL_ID}/events"}, (400, 100, None)),
        ({"path": f"/v20.0/{PIXEL_ID}/events"}, (400, 100, None)),
        ({"path": f"/{PIXEL_ID}/events"}, (400, 100, None)),
        ({"method": "GET"}, (400, 100, None)),
        ({"content_type": "text/plain"}, (400, 100, None)),
        ({"body": b"{"}, (400, 100, None)),
        ({"body": b"[]"}, (400, 100, None)),
        ({"body": b'{"data":{}}'}, (400, 100, None)),
        ({"body": b'{"data":[]}'}, (400, 100, None)),
        ({"body": b'{"data":[5]}'}, INVALID),
        ({"body": b'{"data":[],"events":[]}'}, (400, 100, None)),
        ({"body": b'{"data":[{}],"test_event_code":5}'}, (400, 100, None)),
    ],
)
def test_request_around_the_events_is_checked_from_the_outside_in(app: App, sent: Any, told: Any) -> None:
    assert error(app.send(**{"body": orjson.dumps({"data": [event()]}), **sent})) == told


def test_a_thousand_events_are_taken_and_one_more_is_not(app: App) -> None:
    many = [event(event_id=str(number)) for number in range(1_001)]
    assert error(app.post(*many)) == (400, 100, None)
    assert app.post(*many[1:]).status == 200


def test_token_may_stand_in_the_body_and_is_masked_in_the_record(app: App) -> None:
    body = orjson.dumps({"data": [event()], "access_token": TOKEN})
    assert app.send(body, query=()).status == 200
    for request in (app.incoming(body, query=()), app.incoming(b"{}")):
        masked = app.meta.masked(request)
        assert TOKEN.encode() not in masked.body
        assert TOKEN not in str(masked.query)


def test_token_without_the_permission_is_refused(app: App) -> None:
    app.meta.accept_keys({TOKEN: frozenset({"public_profile"})})
    assert error(app.post(event())) == (403, 200, None)


def test_app_that_demands_a_proof_refuses_calls_without_it() -> None:
    app = App(Meta(app_secret="app"))
    body = orjson.dumps({"data": [event()]})
    proof = hmac.new(b"app", TOKEN.encode(), sha256).hexdigest()
    assert error(app.send(body)) == (400, 10, None)
    assert app.send(body, query=(("access_token", TOKEN), ("appsecret_proof", proof))).status == 200


def test_account_over_a_rate_is_throttled_by_code_and_not_by_status(app: App) -> None:
    app.meta.set_rates({"events": Rate(1, 100)})
    assert app.post(event()).status == 200
    assert error(app.post(event())) == (400, 80_004, None)
    app.clock.advance(1)
    assert app.post(event()).status == 200
    with pytest.raises(KeyError, match="calls is not one of events"):
        app.meta.set_rates({"calls": Rate(1, 1)})


def test_repeat_within_48_hours_is_received_and_recorded_once(app: App) -> None:
    app.post(event())
    app.clock.advance(48 * 3_600)
    again = app.post(event(event_time=NOW_S))
    assert (again.status, [note.pointer for note in again.notes]) == (200, ["/data/0"])
    assert len(app.events()) == 1
    app.clock.advance(1)
    app.post(event(event_time=NOW_S))
    assert len(app.events()) == 2


def test_same_event_id_under_another_name_is_another_event(app: App) -> None:
    app.post(event(), event(event_name="Refund"), event(event_name="purchase"))
    assert len(app.events()) == 3


def test_event_without_event_id_is_recorded_each_time_and_noted(app: App) -> None:
    assert [note.pointer for note in app.post(event(event_id=None), event(event_id=None)).notes] == [
        "/data/0",
        "/data/1",
    ]
    assert len(app.events()) == 2


def test_events_with_a_test_code_count_like_any_other(app: App) -> None:
    app.post(event(), test_event_code="TEST1")
    assert [one["test_event_code"] for one in app.events()] == ["TEST1"]


def test_events_are_found_by_a_hash_and_by_the_value_in_clear(app: App) -> None:
    app.post(event(), event(event_id="2", user_data=user_data(em=[sha256(b"b").hexdigest()])))
    assert [len(app.events(one)) for one in (EMAIL, "visitor@shop.example", "2001:db8::7", "nobody")] == [1, 1, 2, 0]


def test_what_was_taken_can_be_forgotten(app: App) -> None:
    app.post(event())
    app.meta.reset()
    assert app.meta.taken() == {"events": [], "ignored": []}
    app.post(event())
    assert len(app.events()) == 1
