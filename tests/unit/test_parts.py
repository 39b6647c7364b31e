"""Several payloads a request: limits, halving, what the vendor names, and what is not tried."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery import (
    Delivered,
    Outcome,
    Payload,
    Refused,
    Rejected,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.destinations.parts import BEHIND, Said, Sent, in_parts, in_requests, spans_of
from edge.errors import TransportFailed
from tests.conversations import converse

WORDS: dict[bytes, Outcome] = {
    b"t": Throttled(60.0),
    b"r": Refused("401"),
    b"f": Retry("503"),
    b"u": Unclear("204"),
}


def payloads(text: bytes) -> list[Payload]:
    return [Payload(bytes([one]), 0) for one in text]


def request(some: Sequence[Payload]) -> Request:
    return Request("POST", "https://vendor.example", {}, b"".join(payload.body for payload in some))


def judge(asked: Request) -> Response:
    """Echo the request: `b` stands for a bad event, `t`, `r`, `f` and `u` for an answer of that kind."""
    return Response(200, {}, asked.body)


def read(response: Response, count: int) -> Outcome:
    assert len(response.body) == count
    for word, outcome in WORDS.items():
        if word in response.body:
            return outcome
    return Rejected("bad") if b"b" in response.body else Delivered(200)


def sent(text: bytes, *, max_count: int = 100, max_bytes: int = 1_000) -> tuple[list[bytes], list[Outcome]]:
    talk = in_requests(payloads(text), ask=request, read=read, max_count=max_count, max_bytes=max_bytes)
    requests, outcomes = converse(talk, judge)
    return [one.body for one in requests], outcomes


def test_payloads_go_together_within_the_limits_of_count_and_bytes() -> None:
    assert sent(b"12345", max_count=2)[0] == [b"12", b"34", b"5"]
    assert sent(b"12345", max_bytes=6)[0] == [b"123", b"45"]
    assert sent(b"12", max_bytes=1)[0] == [b"1", b"2"]


def test_no_payload_is_no_request() -> None:
    assert sent(b"") == ([], [])


def test_rejected_request_is_halved_until_the_bad_event_stands_alone() -> None:
    asked, outcomes = sent(b"12b45678")
    assert asked == [b"12b45678", b"12b4", b"12", b"b4", b"b", b"4", b"5678"]
    assert outcomes == [Delivered(200)] * 2 + [Rejected("bad")] + [Delivered(200)] * 5


def test_rest_shares_the_answer_when_the_account_is_throttled_or_refused() -> None:
    for word in (b"t", b"r"):
        asked, outcomes = sent(b"1" + word + b"34", max_count=1)
        assert (asked, outcomes) == ([b"1", word], [Delivered(200), *[WORDS[word]] * 3])


def test_rest_is_not_tried_after_a_failure_so_that_order_is_kept() -> None:
    for word in (b"f", b"u"):
        asked, outcomes = sent(b"1" + word + b"34", max_count=1)
        assert (asked, outcomes) == ([b"1", word], [Delivered(200), WORDS[word], *[Retry(BEHIND)] * 2])


@settings(max_examples=60)
@given(st.text("12b", min_size=1, max_size=40).map(str.encode), st.integers(1, 7))
def test_only_bad_events_are_rejected_and_each_is_sent_in_order(text: bytes, max_count: int) -> None:
    asked, outcomes = sent(text, max_count=max_count)
    assert outcomes == [Rejected("bad") if one == ord("b") else Delivered(200) for one in text]
    assert b"".join(one for one in asked if b"b" not in one or one == b"b") == text
    assert len(asked) <= 2 * len(text)


def in_words(parts: Sequence[Sequence[int]], *said: Said | TransportFailed) -> tuple[list[list[int]], list[Outcome]]:
    """Send parts to a vendor that says this; give what was sent together, and the outcomes."""
    asked: list[list[int]] = []
    turns = iter(said)

    def send(places: Sequence[int]) -> Sent:
        asked.append(list(places))
        yield request([])
        return next(turns)  # type: ignore[return-value]  # a failure is raised before, where the request waits

    def answer(_: Request) -> Response | TransportFailed:
        heard = said[len(asked) - 1]
        if not isinstance(heard, TransportFailed):
            return Response(200, {}, b"")
        next(turns)
        return heard

    return asked, converse(in_parts(parts, send), answer)[1]


def test_part_goes_again_without_what_the_vendor_names_as_bad() -> None:
    bad, worse = Rejected("bad"), Rejected("worse")
    assert in_words([[0, 1, 2, 3], [4]], {1: bad, 3: worse}, Delivered(200), Delivered(201)) == (
        [[0, 1, 2, 3], [0, 2], [4]],
        [Delivered(200), bad, Delivered(200), worse, Delivered(201)],
    )
    assert in_words([[0, 1]], {0: bad, 1: bad}) == ([[0, 1]], [bad, bad])


def test_lost_answer_leaves_what_was_answered_and_tries_nothing_more() -> None:
    lost = TransportFailed("no answer in time")
    assert in_words([[0], [1, 2], [3]], Delivered(200), lost) == (
        [[0], [1, 2]],
        [Delivered(200), *[Retry("no answer in time")] * 2, Retry(BEHIND)],
    )


def test_unclear_answer_is_kept_with_one_event_and_with_none_of_several() -> None:
    answer = Response(600, {}, b"visitor@shop.example")
    assert in_words([[0, 1]], Unclear("600", answer))[1] == [Unclear("600")] * 2
    assert in_words([[0]], Unclear("600", answer))[1] == [Unclear("600", answer)]


def test_places_of_any_order_get_the_outcomes_of_their_own() -> None:
    assert in_words([[0, 2], [1]], Delivered(200), Throttled(9.0))[1] == [
        Delivered(200),
        Throttled(9.0),
        Delivered(200),
    ]


@given(st.lists(st.integers(0, 12), max_size=30), st.integers(1, 5), st.integers(1, 20))
def test_spans_hold_every_item_once_in_order_within_the_limits(sizes: list[int], count: int, most: int) -> None:
    spans = spans_of(sizes, max_count=count, max_bytes=most)
    assert [place for span in spans for place in span] == list(range(len(sizes)))
    for span in spans:
        assert len(span) == 1 or (len(span) <= count and sum(sizes[place] + 1 for place in span) <= most)
