"""Completing: four rules, nothing invented, the given event left as it was."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.complete import completed
from edge.jsontree import number_of

TEAPOT: dict[str, Any] = {"item_id": "501", "item_name": "Teapot", "price": 42.25, "quantity": 2}
CUP: dict[str, Any] = {"item_id": "502", "item_name": "Cup", "price": 8, "quantity": 3}

values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
lines = st.dictionaries(st.sampled_from(["price", "quantity", "value", "item_name", "discount"]), values)
shapes = st.dictionaries(st.sampled_from(["value", "price", "quantity", "num_items", "coupon", "x"]), values)


def test_single_item_also_stands_at_the_top() -> None:
    assert completed({"items": [TEAPOT]}) == {"items": [TEAPOT], **TEAPOT, "num_items": 2, "value": 84.5}


def test_two_items_stay_below_and_only_their_sums_rise() -> None:
    assert completed({"items": [TEAPOT, CUP]}) == {"items": [TEAPOT, CUP], "num_items": 5, "value": 108.5}


def test_what_the_page_says_is_never_replaced() -> None:
    said: Any = {"item_name": "Moon teapot", "value": 80, "num_items": 1, "items": [{**TEAPOT, "x": None}]}
    assert completed(said) == {**said, "item_id": "501", "price": 42.25, "quantity": 2}


def test_null_counts_as_absent() -> None:
    assert completed({"value": None, "price": 5, "item_name": None}) == {"value": 5, "price": 5, "item_name": None}


def test_numeric_text_becomes_a_number_in_three_keys_only() -> None:
    said: Any = {"value": "84.50", "sku": "42", "items": [{"price": " 42.25 ", "quantity": "2", "item_id": "501"}] * 2}
    line = {"price": 42.25, "quantity": 2, "item_id": "501"}
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
    ],
)
def test_value_is_left_out_when_it_is_not_certain(doubt: Any) -> None:
    assert "value" not in completed(doubt)


def test_unreadable_quantity_leaves_both_sums_out() -> None:
    said: Any = {"items": [TEAPOT, {**CUP, "quantity": "some"}]}
    assert completed(said) == said


def test_items_that_are_not_objects_are_left_alone() -> None:
    said: Any = {"items": ["Teapot", TEAPOT], "price": "5"}
    assert completed(said) == {"items": ["Teapot", TEAPOT], "price": 5}


@given(st.fixed_dictionaries({"items": values | st.lists(lines | values, max_size=3)}) | shapes)
def test_nothing_given_is_modified_or_lost_and_twice_is_once(said: Any) -> None:
    before = copy.deepcopy(said)
    full = completed(said)
    assert said == before
    assert said.keys() <= full.keys()
    assert completed(full) == full


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_money_survives_as_written(whole: int, cents: int) -> None:
    assert str(number_of(f"{whole}.{cents:02d}")) == (f"{whole}.{cents:02d}".rstrip("0") if cents else str(whole))
