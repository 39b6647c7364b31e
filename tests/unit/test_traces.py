"""Where somebody's identifiers stand in what was stored, and where somebody else's only look like them."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.identity import Traces

HERS = "visitor@shop.example"
TRACES = Traces([("email", HERS), ("phone", "+442079460958"), ("customer_id", "c-19")], "GB")


@pytest.mark.parametrize(
    "tree",
    [
        {"email": HERS},
        {"email": f"  {HERS.upper()} "},
        {"note": f"please write to <{HERS}>, thanks"},
        {"page": {"url": "https://shop.example/?email=visitor%40shop.example&x=1"}},
        {"page": {"url": f"https://shop.example/?email={HERS}"}},
        {"list": [[{"deep": f"mailto:{HERS}."}]]},
        {HERS: 1},
        {"phone": "+442079460958"},
        {"tel": "020 7946 0958"},
        {"tel": "(020) 7946-0958"},
        {"traits": {"customer_id": "c-19"}},
        {"userId": " c-19 "},
    ],
)
def test_an_identifier_is_found_however_it_is_written(tree):
    body = orjson.dumps(tree)
    assert TRACES.in_body(body)
    assert any(needle in body.decode().lower() for needle in TRACES.needles)


@pytest.mark.parametrize(
    "tree",
    [
        {"email": "other-visitor@shop.example"},
        {"email": "a.visitor@shop.example"},
        {"email": "visitor@shop.example.net"},
        {"email": "visitor@shop.examples"},
        {"tel": "020 7946 0959"},
        {"order": "4420794609580"},
        {"sku": "c-19"},
        {"customer_id": "c-190"},
        {},
    ],
)
def test_somebody_elses_identifier_is_not_taken_for_it(tree):
    assert not TRACES.in_body(orjson.dumps(tree))


@given(st.binary(max_size=200))
def test_any_bytes_are_read(body):
    assert TRACES.in_body(body) in (True, False)
    assert TRACES.in_body(body + b"\xff " + HERS.encode() + b"\xff")


def test_without_anything_to_look_for_nothing_is_found():
    assert (list(Traces([], "GB").needles), Traces([], "GB").in_body(b'{"email": "a@b.example"}')) == ([], False)
