"""The fake TikTok takes what TikTok takes, once, and refuses a whole request for one event that breaks a rule."""

from hashlib import sha256
from typing import Any

import orjson
import pytest

from edge.sandbox.tiktok import TOKEN
from edge.sandbox.vendor import Rate
from tests.tiktok_requests import EMAIL, HEADERS, NOW_S, App, document, event, told, user

TAKEN, INVALID = (200, 0), (200, 40_002)


@pytest.fixture
def app() -> App:
    return App()


def test_good_events_are_answered_with_code_0_and_recorded_whole(app: App) -> None:
    answer = app.post(event(), event(event_id="70312"))
    assert orjson.loads(answer.body) == {
        "code": 0,
        "message": "OK",
        "request_id": "2026112000000000000000000000SANDBOX",
        "data": {},
    }
    assert (told(answer), answer.notes) == (TAKEN, ())
    assert app.events() == [{"number": 1, **event()}, {"number": 2, **event(event_id="70312")}]


def test_every_documented_parameter_is_taken(app: App) -> None:
    hashed = dict.fromkeys(("phone", "external_id", "first_name", "last_name", "zip_code"), EMAIL)
    clear = {
        "city": "newyork",
        "state": "ny",
        "country": "us",
        "ttclid": "E.C.P.x" * 100,
        "ttp": "2fG",
        "locale": "en-GB",
    }
    item = {"content_id": "A", "content_name": "Pot", "content_category": "Pots", "brand": "Kiln", "price": 4.5}
    properties = {"value": 1, "currency": "EUR", "content_ids": ["A"], "content_type": "product_group", "shop_id": "1"}
    properties |= {"contents": [item | {"quantity": 2}], "num_items": 2, "order_id": "1", "query": "pot"}
    properties |= {"search_string": "pot", "description": "x", "delivery_category": "curbside", "predicted_ltv": 9.5}
    page = {"url": "https://shop.example/?ttclid=E", "referrer": "https://shop.example/"}
    whole = event(user=user(**hashed, **clear), properties=properties, page=page, limited_data_use=True)
    answer = app.post(whole | {"ad": {"ad_id": "1"}}, partner_name="edge")
    assert (told(answer), answer.notes) == (TAKEN, ())


@pytest.mark.parametrize(
    "changes",
    [
        {"event": None},
        {"event": ""},
        {"event_time": None},
        {"event_time": "2026-11-20T14:03:09Z"},
        {"event_time": float(NOW_S)},
        {"event_time": NOW_S * 1_000},
        {"event_time": NOW_S + 1},
        {"event_time": -1},
        {"event_id": 5},
        {"user": None},
        {"user": {}},
        {"user": []},
        {"user": user(email="visitor@shop.example")},
        {"user": user(email=[])},
        {"user": user(phone=EMAIL.upper())},
        {"user": user(external_id=[sha256(b"").hexdigest()])},
        {"user": user(first_name="ada")},
        {"user": user(zip_code="24103")},
        {"user": user(city="New York")},
        {"user": user(country="Germany")},
        {"user": user(ip="192.168.1.4")},
        {"user": user(ip="127.0.0.1")},
        {"user": user(ip="a house")},
        {"user": user(ttclid="x" * 1_001)},
        {"user": user(ttp="")},
        {"user": user(locale="in English")},
        {"page": None},
        {"page": {}},
        {"page": {"url": "shop.example"}},
        {"page": {"url": "https://shop.example/", "referrer": 5}},
        {"properties": []},
        {"properties": {"value": "84.5"}},
        {"properties": {"currency": "eur"}},
        {"properties": {"content_type": "thing"}},
        {"properties": {"delivery_category": "drone"}},
        {"properties": {"content_ids": "A"}},
        {"properties": {"contents": [{"quantity": 1}]}},
        {"properties": {"contents": [{"content_id": 5}]}},
        {"properties": {"contents": [{"content_id": "A", "price": "5"}]}},
        {"properties": {"contents": [{"content_id": "A", "sku": "B"}]}},
        {"limited_data_use": "true"},
        {"opt_out": True},
    ],
)
def test_one_event_against_a_rule_refuses_the_whole_request(app: App, changes: Any) -> None:
    assert told(app.post(event(event_id="good"), event(**changes))) == INVALID
    assert app.events() == []


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ({"headers": {"Content-Type": "application/json"}}, (401, 40_104)),
        ({"headers": HEADERS | {"Access-Token": "another"}}, (401, 40_105)),
        ({"headers": {"Authorization": f"Bearer {TOKEN}"}}, (401, 40_104)),
        ({"headers": {"Access-Token": TOKEN, "Content-Type": "text/plain"}}, INVALID),
        ({"path": "/open_api/v1.3/event/track"}, (404, 40_000)),
        ({"path": "/open_api/v1.2/event/track/"}, (404, 40_000)),
        ({"method": "GET"}, (404, 40_000)),
        ({"body": b"{"}, INVALID),
        ({"body": b"[]"}, INVALID),
        ({"body": orjson.dumps(document(event(), event_source="site"))}, INVALID),
        ({"body": orjson.dumps(document(event(), event_source_id="C5"))}, (200, 40_001)),
        ({"body": orjson.dumps(document(event(), pixel_code="C5"))}, INVALID),
        ({"body": orjson.dumps(document(event(), test_event_code=5))}, INVALID),
        ({"body": orjson.dumps(document(event(), data={}))}, INVALID),
        ({"body": orjson.dumps(document())}, INVALID),
        ({"body": orjson.dumps(document(5))}, INVALID),
    ],
)
def test_request_around_the_events_is_checked_from_the_outside_in(app: App, sent: Any, answer: Any) -> None:
    assert told(app.send(**{"body": orjson.dumps(document(event())), **sent})) == answer


def test_refusal_names_the_place(app: App) -> None:
    message = orjson.loads(app.post(event(), event(page={})).body)["message"]
    assert message == "data.1.page.url: 'url' is a required field of 'page'."


def test_a_thousand_events_are_taken_and_one_more_is_not(app: App) -> None:
    many = [event(event_id=str(number)) for number in range(1_001)]
    assert told(app.post(*many)) == INVALID
    assert told(app.post(*many[1:])) == TAKEN


def test_page_is_needed_for_the_web_only(app: App) -> None:
    assert told(app.post(event(page=None), event_source="offline")) == TAKEN


def test_unknown_names_are_taken_without_a_word_and_noted(app: App) -> None:
    answer = app.post(event(user=user(emial=EMAIL), properties={"gift": True}))
    assert (told(answer), [note.pointer for note in answer.notes]) == (
        TAKEN,
        ["/data/0/user/emial", "/data/0/properties/gift"],
    )


def test_old_event_and_half_a_browser_are_taken_and_noted(app: App) -> None:
    answer = app.post(event(event_time=NOW_S - 8 * 86_400, event_id=None, user={"ip": "203.0.113.9"}))
    assert told(answer) == TAKEN
    assert [note.pointer for note in answer.notes] == ["/data/0/event_time", "/data/0", "/data/0/user"]


def test_token_without_the_pixels_permission_is_refused(app: App) -> None:
    app.tiktok.accept_keys({TOKEN: frozenset({"ads"})})
    assert told(app.post(event())) == (200, 40_001)


def test_rate_limit_is_a_401_whose_code_alone_says_so(app: App) -> None:
    app.tiktok.set_rates({"track": Rate(1, 100)})
    assert [told(app.post(event())) for _ in range(2)] == [TAKEN, (401, 40_100)]
    app.clock.advance(1)
    assert told(app.post(event())) == TAKEN
    with pytest.raises(KeyError, match="calls is not one of track"):
        app.tiktok.set_rates({"calls": Rate(1, 1)})


def test_repeat_within_five_minutes_fills_what_the_first_does_not_say(app: App) -> None:
    app.post(event(properties={"value": 1}))
    app.clock.advance(300)
    again = app.post(event(properties={"value": 2, "currency": "EUR"}, user=user(ttp="2fG"), limited_data_use=True))
    assert (told(again), [note.text for note in again.notes]) == (TAKEN, ["a duplicate: merged into the first"])
    [kept] = app.events()
    assert (kept["properties"], kept["user"]["ttp"]) == ({"value": 1, "currency": "EUR"}, "2fG")
    assert kept["limited_data_use"] is True


def test_repeat_within_48_hours_is_dropped(app: App) -> None:
    app.post(event(properties={}))
    app.clock.advance(48 * 3_600)
    assert [note.text for note in app.post(event()).notes] == ["a duplicate: dropped, as the first came before"]
    assert [kept["properties"] for kept in app.events()] == [{}]
    app.clock.advance(1)
    app.post(event())
    assert len(app.events()) == 2


def test_same_event_id_under_another_name_is_another_event(app: App) -> None:
    app.post(event(), event(event="PlaceAnOrder"))
    assert len(app.events()) == 2


def test_events_are_found_by_a_hash_and_by_the_value_in_clear(app: App) -> None:
    app.post(event(), event(event_id="2", user=user(email=[sha256(b"b").hexdigest()])), test_event_code="TEST1")
    assert [len(app.events(one)) for one in (EMAIL, "visitor@shop.example", "203.0.113.9", "nobody")] == [1, 1, 2, 0]
    assert {one["test_event_code"] for one in app.events()} == {"TEST1"}


def test_token_is_masked_in_the_record(app: App) -> None:
    shown = app.tiktok.masked(app.incoming(b"{}")).headers["Access-Token"]
    wrong = app.tiktok.masked(app.incoming(b"{}", headers={"Access-Token": "another"})).headers["Access-Token"]
    assert (shown, wrong) == ("valid", "invalid")


def test_what_was_taken_can_be_forgotten(app: App) -> None:
    app.post(event())
    app.tiktok.reset()
    assert app.tiktok.taken() == {"events": [], "ignored": []}
    app.post(event())
    assert len(app.events()) == 1
