"""The judge itself: each complaint is made where there is reason for it, and only there."""

import json
import random

from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.received import Exchange
from edge.sandbox.vendor import Incoming
from tests.faults.proxy import KINDS, UNCLEAR, Deck
from tests.faults.verdict import judge

NO_HEADERS = CIMultiDictProxy(CIMultiDict[str]())


def _promise(visitor: int, number: int, *, is_allowed: bool = True) -> dict[str, object]:
    return {"id": f"run-{visitor}-{number}", "number": number, "is_allowed": is_allowed}


def _came(visitor: int, number: int, *, status: int | None = 202, suffix: str = "", **more: object) -> Exchange:
    properties = {"ProductName": f"Cup {visitor}.{number}"}
    attributes = {"unique_id": f"run-{visitor}-{number}{suffix}", "properties": properties, **more}
    body = json.dumps({"data": {"type": "event", "attributes": attributes}}).encode()
    request = Incoming("POST", "/api/events", (), NO_HEADERS, body, 0, 0.0)
    return Exchange(1, "klaviyo", request, is_open=False, status=status, vendor_status=status)


def test_a_run_in_which_everything_came_once_and_in_order_has_no_complaint():
    """What introduces a visitor is promised and not delivered; a repeat with a backfill mark is the same event."""
    promises = [_promise(1, 0), _promise(1, 1), _promise(1, 2), _promise(2, 1, is_allowed=False)]
    verdict = judge(promises, [_came(1, 1), _came(1, 1, backfill=True), _came(1, 2)])
    assert verdict.complaints == {}
    assert (verdict.promised, verdict.received, verdict.repeats, verdict.denied) == (2, 2, 1, 1)


def test_an_event_that_the_vendor_refused_or_never_saw_is_lost():
    """An answer of the vendor's own that is not a yes counts as nothing."""
    verdict = judge([_promise(1, 1), _promise(1, 2)], [_came(1, 1, status=503)])
    assert verdict.complaints == {"lost": ("run-1-1", "run-1-2")}


def test_a_repeat_with_other_bytes_is_named():
    verdict = judge([_promise(1, 1)], [_came(1, 1, time="a"), _came(1, 1, time="b")])
    assert verdict.complaints == {"changed": ("run-1-1",)}


def test_a_first_delivery_after_a_later_event_of_its_visitor_is_named():
    """Another visitor's events, and repeats, are in nobody's way."""
    promises = [_promise(1, 1), _promise(1, 2), _promise(2, 5)]
    verdict = judge(promises, [_came(2, 5), _came(1, 2), _came(1, 1), _came(1, 2)])
    assert verdict.complaints == {"disordered": ("run-1-1",)}


def test_an_event_with_another_ones_content_is_named():
    verdict = judge([_promise(1, 1)], [_came(1, 1, properties={"ProductName": "Cup 2.1"})])
    assert verdict.complaints == {"disordered": ("run-1-1",)}


def test_an_id_that_nobody_was_told_a_yes_for_is_named():
    verdict = judge([_promise(1, 1)], [_came(1, 1), _came(1, 1, suffix=".2")])
    assert verdict.complaints == {"strange": ("run-1-1.2",)}


def test_an_event_of_a_visitor_who_denies_is_named():
    verdict = judge([_promise(1, 1, is_allowed=False)], [_came(1, 1)])
    assert verdict.complaints == {"forbidden": ("run-1-1",)}


def test_a_deck_deals_every_kind_and_nothing_unclear_twice_to_the_same_event():
    """The second time would make a dead letter of an event that nothing is wrong with."""
    deck = Deck(random.Random(7), each=3, passes=1)
    dealt = [deck.deal(("the same",)) for _ in range(200)]
    assert {kind: dealt.count(kind) for kind in KINDS[1:] if kind not in UNCLEAR} == dict.fromkeys(
        (kind for kind in KINDS[1:] if kind not in UNCLEAR), 3
    )
    assert sum(dealt.count(kind) for kind in UNCLEAR) == 1
    assert not deck.is_empty
    others = [deck.deal((f"event {number}",)) for number in range(200)]
    assert sum(others.count(kind) for kind in UNCLEAR) == 3 * len(UNCLEAR) - 1
    assert deck.is_empty
