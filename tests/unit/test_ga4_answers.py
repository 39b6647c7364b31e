"""GA4: what answers mean, what shares a request, and what is never sent twice."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import Delivered, Outcome, Payload, Refused, Rejected, Request, Response, Retry, Throttled, Unclear
from edge.destinations.parts import BEHIND
from edge.errors import TransportFailed
from tests.conversations import Heard, converse, in_turn
from tests.ga4_events import DEBUG, NOW_MS, ORDER, STREAM, TIME_MS, VIEW, payload

GOOD = Response(204, {}, b"")
LOST = TransportFailed("no answer in time")
UNSENT = TransportFailed("the connection was refused", may_have_arrived=False)
OTHER = {"client_id": "5.6"}
AGAIN = "; it may have been counted, and GA4 would count a repeat"


def view(number: int = 1, **profile: object) -> Payload:
    return payload(properties={"n": number}, profile=profile or VIEW.profile)


def names(request: Request) -> list[object]:
    return [event["params"].get("n", event["name"]) for event in orjson.loads(request.body)["events"]]


def told(payloads: Sequence[Payload], *answers: Heard) -> tuple[list[list[object]], Sequence[Outcome]]:
    asked, outcomes = converse(STREAM.deliver(payloads, NOW_MS), in_turn(answers))
    return [names(request) for request in asked], outcomes


@pytest.mark.parametrize(
    ("heard", "of_a_view", "of_an_order"),
    [
        (GOOD, Delivered(204), Delivered(204)),
        (Response(200, {}, b"<html>"), Delivered(200), Delivered(200)),
        (Response(429, {}, b""), Throttled(1.0), Throttled(1.0)),
        (Response(429, {"retry-after": "12"}, b""), Throttled(12.0), Throttled(12.0)),
        (Response(429, {"retry-after": "9" * 400}, b""), Throttled(3_600.0), Throttled(3_600.0)),
        (Response(429, {"retry-after": "soon"}, b""), Throttled(30.0), Throttled(30.0)),
        (Response(401, {}, b""), Refused("401"), Refused("401")),
        (Response(403, {}, b""), Refused("403"), Refused("403")),
        (Response(404, {}, b""), Refused("404"), Refused("404")),
        (Response(408, {}, b""), Retry("408"), Retry("408")),
        (Response(503, {}, b""), Retry("503"), Retry("503")),
        (UNSENT, Retry("the connection was refused"), Retry("the connection was refused")),
        (LOST, Unclear(f"no answer in time{AGAIN}", None, is_final=True), Retry("no answer in time")),
    ],
)
def test_answer_means_its_outcome(heard: Heard, of_a_view: Outcome, of_an_order: Outcome) -> None:
    assert told([view()], heard)[1] == [of_a_view]
    assert told([payload(ORDER)], heard)[1] == [of_an_order]


@pytest.mark.parametrize("status", [400, 405, 410, 413, 422, 451])
def test_rejection_keeps_the_answer(status: int) -> None:
    answer = Response(status, {}, b"visitor@shop.example")
    assert told([view()], answer)[1] == [Rejected(str(status), answer)]


@pytest.mark.parametrize("status", [500, 502, 504, 599])
def test_failure_that_may_have_counted_repeats_only_an_order(status: int) -> None:
    answer = Response(status, {}, b"")
    assert told([view()], answer)[1] == [Unclear(f"{status}{AGAIN}", answer, is_final=True)]
    assert told([payload(ORDER)], answer)[1] == [Retry(str(status))]


@pytest.mark.parametrize("status", [100, 302, 304, 600])
def test_answer_nobody_understands_repeats_only_an_order(status: int) -> None:
    answer = Response(status, {}, b"")
    assert told([view()], answer)[1] == [Unclear(f"{status}{AGAIN}", answer, is_final=True)]
    assert told([payload(ORDER)], answer)[1] == [Unclear(str(status), answer)]


def test_events_of_one_visitor_share_a_request_and_others_have_their_own() -> None:
    asked, outcomes = told([view(1), view(2, **OTHER), view(3)], GOOD, GOOD)
    assert (asked, outcomes) == ([[1, 3], [2]], [Delivered(204)] * 3)


def test_order_goes_alone_and_at_its_place_among_its_visitors_events() -> None:
    asked, _ = told([view(1), payload(ORDER), view(2)], GOOD, GOOD, GOOD)
    assert asked == [[1], ["purchase"], [2]]


def test_visitors_events_stay_in_order_where_what_is_said_of_it_changes_and_changes_back() -> None:
    """An event must not share the request of an earlier one past another of its visitor."""
    asked, _ = told([view(1), view(2, **VIEW.profile, plan="tea"), view(3), view(4, **OTHER)], GOOD, GOOD, GOOD, GOOD)
    assert asked == [[1], [2], [3], [4]]


def test_request_has_at_most_25_events_and_130_kb() -> None:
    assert [len(one) for one in told([view(n) for n in range(60)], GOOD, GOOD, GOOD)[0]] == [25, 25, 10]
    items = [{"item_id": "x" * 100} | {f"own{n}": "y" * 100 for n in range(9)}] * 60
    large = [payload(properties={"items": items, "n": n}) for n in range(3)]
    asked, _ = converse(STREAM.deliver(large, NOW_MS), lambda _: GOOD)
    assert [len(names(request)) for request in asked] == [1, 1, 1]
    assert all(len(request.body) < 130_000 for request in asked)


def test_refused_request_is_halved_until_only_the_bad_event_is_rejected() -> None:
    bad = Response(400, {}, b"")
    asked, outcomes = converse(
        STREAM.deliver([view(n) for n in range(5)], NOW_MS), lambda request: bad if 3 in names(request) else GOOD
    )
    assert [names(request) for request in asked] == [[0, 1, 2, 3, 4], [0, 1], [2, 3, 4], [2], [3, 4], [3], [4]]
    assert outcomes == [*[Delivered(204)] * 3, Rejected("400", bad), Delivered(204)]


def test_nothing_is_sent_after_an_answer_that_is_not_about_an_event() -> None:
    payloads = [view(1), view(2, **OTHER)]
    for status, answer in ((429, Throttled(1.0)), (403, Refused("403"))):
        assert told(payloads, Response(status, {}, b"")) == ([[1]], [answer] * 2)
    assert told(payloads, Response(503, {}, b"")) == ([[1]], [Retry("503"), Retry(BEHIND)])
    assert told(payloads, LOST) == ([[1]], [Unclear(f"no answer in time{AGAIN}", None, is_final=True), Retry(BEHIND)])


def test_what_is_unclear_after_a_split_stays_so() -> None:
    answers = [Response(400, {}, b""), GOOD, LOST]
    lost = Unclear(f"no answer in time{AGAIN}", None, is_final=True)
    assert told([view(1), view(2)], *answers)[1] == [Delivered(204), lost]
    answers = [Response(400, {}, b""), Response(503, {}, b"")]
    assert told([view(1), view(2)], *answers)[1] == [Retry("503"), Retry(BEHIND)]


def test_moment_that_lies_ahead_is_left_to_google() -> None:
    ahead = replace(payload(), time_ms=NOW_MS + 1)
    for one, has_time in ((ahead, False), (payload(), True)):
        [request], _ = converse(STREAM.deliver([one], NOW_MS), lambda _: GOOD)
        assert ("timestamp_micros" in orjson.loads(request.body)["events"][0]) is has_time


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b'{"validationMessages":[]}', Delivered(200)),
        (
            b'{"validationMessages":[{"fieldPath":"events[0].name","validationCode":"NAME_INVALID","description":"a@b.c"}]}',
            "NAME_INVALID at events[0].name",
        ),
        (b'{"validationMessages":[{"fieldPath":"a@b.c","validationCode":"a@b.c"},{}]}', "error; error"),
    ],
)
def test_debug_endpoint_tells_what_is_wrong(body: bytes, outcome: Outcome | str) -> None:
    answer = Response(200, {}, body)
    asked, outcomes = converse(DEBUG.deliver([view()], NOW_MS), lambda _: answer)
    assert asked[0].url.startswith("https://www.google-analytics.com/debug/mp/collect?")
    assert orjson.loads(asked[0].body)["validation_behavior"] == "ENFORCE_RECOMMENDATIONS"
    assert outcomes == [Rejected(outcome, answer) if isinstance(outcome, str) else outcome]


@pytest.mark.parametrize("body", [b"", b"[]", b'{"validationMessages":5}', b'{"validationMessages":[5]}', b"[" * 2_000])
def test_debug_answer_that_is_none_is_unclear(body: bytes) -> None:
    answer = Response(200, {}, body)
    assert converse(DEBUG.deliver([view()], NOW_MS), lambda _: answer)[1] == [
        Unclear("200 without a validation", answer)
    ]


HEADERS = st.dictionaries(st.sampled_from(["retry-after", "content-type"]), st.text(max_size=8))
JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["validationMessages", "fieldPath", "validationCode"]), inner, max_size=3)
    ),
).map(orjson.dumps)
ANSWERS = st.builds(Response, st.integers(100, 700), HEADERS, st.binary(max_size=30) | JSONISH) | st.sampled_from(
    [LOST, UNSENT]
)


@settings(max_examples=50, deadline=None)
@given(st.lists(ANSWERS, min_size=1, max_size=6), st.sampled_from([STREAM, DEBUG]))
def test_any_answer_gives_one_outcome_a_payload_and_the_same_requests_again(answers, stream) -> None:
    payloads = [view(1), view(2, **OTHER), payload(ORDER), view(3)]
    first, again = (converse(stream.deliver(payloads, TIME_MS), in_turn(cycle(answers))) for _ in range(2))
    assert first == again
    assert len(first[1]) == len(payloads)
