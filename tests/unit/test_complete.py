"""Completing: eight rules, nothing invented, the given event left as it was."""

import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.complete import ITEM_KEYS, completed
from edge.jsontree import number_of
from edge.person import Identifiers
from edge.pipeline import Planned, plan
from tests.pipeline_files import compiled, event

SHIPPED = (Path(__file__).parents[2] / "pipelines/klaviyo-events.yaml").read_text("utf-8")
EVENTS: dict[str, dict[str, Any]] = {
    "view_item": {"currency": "EUR"},
    "add_to_cart": {"currency": "EUR", "checkout_url": "https://shop.example/checkout"},
    "started_checkout": {"currency": "EUR", "checkout_id": "c-1"},
    "purchase": {"currency": "EUR", "transaction_id": "1001", "tax": 3, "shipping": 0},
    "search": {"search_term": "teapot", "results_count": 2},
    "sign_up": {"method": "newsletter"},
}

TEAPOT: dict[str, Any] = {"item_id": "501", "item_name": "Teapot", "price": 42.25, "quantity": 2}
CUP: dict[str, Any] = {"item_id": "502", "item_name": "Cup", "price": 8, "quantity": 3}
FULL_TEAPOT, FULL_CUP = {**TEAPOT, "value": 84.5}, {**CUP, "value": 24}

PIPELINE = compiled(SHIPPED)

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(
    [
        "price",
        "quantity",
        "value",
        "item_name",
        "item_id",
        "discount",
        "coupon",
        "currency",
        "num_items",
        "item_category",
        "item_category2",
        "categories",
        "x",
    ]
)
likely = values | st.sampled_from([1, 2, "3", "4.50", 10.25, "EUR", "USD"])
lines = st.dictionaries(keys, likely)
listed = st.builds(lambda top, items: {**top, "items": items}, lines, values | st.lists(lines | values, max_size=3))


def test_single_item_also_stands_at_the_top() -> None:
    assert completed({"items": [TEAPOT]}) == {"items": [FULL_TEAPOT], **FULL_TEAPOT, "num_items": 2}


def test_two_items_stay_below_and_only_their_sums_rise() -> None:
    assert completed({"items": [TEAPOT, CUP]}) == {"items": [FULL_TEAPOT, FULL_CUP], "num_items": 5, "value": 108.5}


def test_flat_item_is_also_the_one_entry_of_items() -> None:
    flat: Any = {**TEAPOT, "currency": "EUR", "page": "x"}
    assert completed(flat) == {**flat, "items": [FULL_TEAPOT], "num_items": 2, "value": 84.5}


def test_flat_and_listed_item_complete_to_the_same() -> None:
    every: Any = {key: f"a {key}" for key in ITEM_KEYS} | {"price": "42.25", "quantity": "2", "categories": ["Tea"]}
    assert completed(every) == completed({"items": [every]})


def test_categories_are_the_texts_of_an_items_categories_in_their_order() -> None:
    cup: Any = {"item_category5": "Gifts", "item_category": "Tea", "item_category2": " ", "item_category3": 7}
    pot: Any = {"item_category": "Tea", "categories": ["Pots"]}
    full_cup = {**cup, "categories": ["Tea", "Gifts"]}
    assert completed({"items": [cup, pot, {}]}) == {"items": [full_cup, pot, {}], "num_items": 3}
    assert completed({"item_id": "501", "item_category": "Tea"}) == {
        "item_id": "501",
        "item_category": "Tea",
        "categories": ["Tea"],
        "num_items": 1,
        "items": [{"item_id": "501", "item_category": "Tea", "categories": ["Tea"]}],
    }


@pytest.mark.parametrize("flat", [{"item_id": None, "price": 5}, {"sku": "42", "price": 5}, {"search_term": "teapot"}])
def test_event_without_an_item_at_the_top_gets_no_items(flat: Any) -> None:
    assert "items" not in completed(flat)


@pytest.mark.parametrize("items", [[], "none", {}, [TEAPOT, "Cup"]])
def test_items_that_are_there_are_not_replaced(items: Any) -> None:
    assert completed({"item_id": "9", "items": items})["items"] == items


def test_flat_items_take_no_more_than_the_fields_of_an_item() -> None:
    flat: Any = {**TEAPOT, "value": 80, "transaction_id": "1001", "num_items": 2, "tax": 1, "item_name": None}
    assert completed(flat) == {**flat, "items": [{key: FULL_TEAPOT[key] for key in FULL_TEAPOT if key != "item_name"}]}


def test_what_the_page_says_is_never_replaced() -> None:
    said: Any = {"item_name": "Moon teapot", "value": 80, "num_items": 1, "items": [{**TEAPOT, "x": None}, CUP]}
    assert completed(said) == {**said, "items": [{**FULL_TEAPOT, "x": None}, FULL_CUP]}
    said["items"] = [{**TEAPOT, "value": 70}]
    assert completed(said) == {**said, "item_id": "501", "price": 42.25, "quantity": 2}


def test_null_counts_as_absent() -> None:
    assert completed({"value": None, "price": 5, "item_name": None}) == {"value": 5, "price": 5, "item_name": None}


def test_numeric_text_becomes_a_number_in_three_keys_only() -> None:
    said: Any = {"value": "84.50", "sku": "42", "items": [{"price": " 42.25 ", "quantity": "2", "item_id": "501"}] * 2}
    line = {"price": 42.25, "quantity": 2, "item_id": "501", "value": 84.5}
    assert completed(said) == {"value": 84.5, "sku": "42", "items": [line, line], "num_items": 4}


@pytest.mark.parametrize("text", ["12,50", "1e3", "", "€5", "5 EUR", "0x10", "nan", "inf", "1_000", "٣", "1" * 400])
def test_text_that_is_not_certainly_a_number_stays_text(text: str) -> None:
    assert completed({"price": text}) == {"price": text}


def test_flat_line_counts_like_one_item() -> None:
    assert completed({"price": "19.99", "quantity": 3}) == {
        "price": 19.99,
        "quantity": 3,
        "num_items": 3,
        "value": 59.97,
    }


def test_flat_price_without_quantity_is_the_value_but_counts_nothing() -> None:
    assert completed({"price": 20}) == {"price": 20, "value": 20}


def test_event_without_a_line_gets_nothing() -> None:
    assert completed({"search_term": "teapot", "items": []}) == {"search_term": "teapot", "items": []}


@pytest.mark.parametrize(
    "doubt",
    [
        {"items": [TEAPOT, {"item_id": "9"}]},
        {"items": [TEAPOT, {**CUP, "price": "8,00"}]},
        {"items": [TEAPOT, CUP], "coupon": "SPRING"},
        {"items": [TEAPOT, {**CUP, "discount": 1}]},
        {"items": [TEAPOT, {**CUP, "price": -8}]},
        {"items": [TEAPOT, {**CUP, "price": True}]},
        {"items": [{**CUP, "price": 1e300}, CUP]},
        {"items": [{**TEAPOT, "currency": "EUR"}, CUP], "currency": "USD"},
    ],
)
def test_value_is_left_out_when_it_is_not_certain(doubt: Any) -> None:
    assert "value" not in completed(doubt)


def test_unreadable_quantity_leaves_both_sums_out() -> None:
    said: Any = {"items": [TEAPOT, {**CUP, "quantity": "some"}]}
    assert completed(said) == {"items": [FULL_TEAPOT, {**CUP, "quantity": "some"}]}


@pytest.mark.parametrize("doubt", [{"discount": 2}, {"coupon": "SPRING"}, {"price": "8,00"}, {"price": None}])
def test_value_of_an_item_is_left_out_when_it_is_not_certain(doubt: Any) -> None:
    doubtful = {**CUP, **doubt}
    assert completed({"items": [TEAPOT, doubtful]})["items"] == [FULL_TEAPOT, doubtful]


def test_item_without_a_quantity_is_worth_its_price() -> None:
    assert completed({"items": [{"price": 8}, {"price": 5}]})["items"] == [
        {"price": 8, "value": 8},
        {"price": 5, "value": 5},
    ]


@pytest.mark.parametrize("reduced", [{"coupon": "SPRING"}, {"discount": 5}])
def test_value_of_a_single_item_does_not_rise_when_the_event_is_reduced(reduced: Any) -> None:
    said: Any = {**reduced, "items": [TEAPOT]}
    assert completed(said) == {**reduced, **TEAPOT, "items": [FULL_TEAPOT], "num_items": 2}


@pytest.mark.parametrize("reduced", [{"coupon": "SPRING"}, {"discount": 5}])
def test_flat_item_has_no_value_when_the_event_is_reduced(reduced: Any) -> None:
    said: Any = {**reduced, **TEAPOT}
    assert completed(said) == {**said, "items": [{**TEAPOT, **reduced}], "num_items": 2}


def test_items_that_are_not_objects_are_left_alone() -> None:
    said: Any = {"items": ["Teapot", TEAPOT], "price": "5"}
    assert completed(said) == {"items": ["Teapot", TEAPOT], "price": 5}


@given(lines | listed)
def test_nothing_given_is_modified_or_lost_and_twice_is_once(said: Any) -> None:
    before = copy.deepcopy(said)
    full = completed(said)
    assert said == before
    changing = ("items", "value", "price", "quantity")
    assert all(full[key] == said[key] for key in said if said[key] is not None and key not in changing)
    assert completed(full) == full


item_fields = st.fixed_dictionaries(
    {"item_id": st.sampled_from(["501", 501])},
    optional={
        **{key: st.sampled_from([None, " ", f"a {key}"]) for key in ITEM_KEYS if key != "item_id"},
        "price": st.sampled_from([42.25, "42.25", "42,25", 0, None]),
        "quantity": st.sampled_from([2, "2", "two", 0.5, None]),
        "discount": st.sampled_from([None, 0, 5]),
        "categories": st.sampled_from([None, ["Tea", "Pots"]]),
    },
)


@pytest.mark.parametrize("name", EVENTS)
@settings(max_examples=60)
@given(item=item_fields, value=st.sampled_from([{}, {"value": 80}, {"value": "80.50"}]))
def test_flat_and_listed_item_give_the_same_request(name: str, item: Any, value: Any) -> None:
    known, top = Identifiers(email="visitor@shop.example"), {**EVENTS[name], **value}
    flat = plan(PIPELINE, event(name, properties={**top, **item}), known)
    listed = plan(PIPELINE, event(name, properties={**top, "items": [item]}), known)
    assert isinstance(flat, Planned), flat
    assert flat == listed


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_money_survives_as_written(whole: int, cents: int) -> None:
    assert str(number_of(f"{whole}.{cents:02d}")) == (f"{whole}.{cents:02d}".rstrip("0") if cents else str(whole))
