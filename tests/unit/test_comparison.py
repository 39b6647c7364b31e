"""In what two requests differ, and how many examples are kept."""

from dataclasses import replace

import pytest

from edge.cli.comparison import MAX_GROUPS, MORE_EVENTS, Comparison, Difference, Pair, differences
from edge.cli.rehearsal import Rehearsal
from edge.cli.stored_events import Known
from edge.consent import ALL_PURPOSES
from edge.delivery import Request
from edge.person import Identifiers
from tests.pipeline_files import MINIMAL, compiled, event

HEADERS = {"Authorization": "Key one", "revision": "1"}
TWO = [Difference("a.1.b", "2", "3"), Difference("a.2", None, "4")]
STARRED = MINIMAL.replace("events: {", 'events: {"*": {}, ')


def rehearsed(body: bytes, url: str = "https://v.example/e", headers: dict[str, str] = HEADERS) -> Rehearsal:
    return Rehearsal(compiled(MINIMAL), event("search"), "sent", request=Request("POST", url, headers, body))


@pytest.mark.parametrize(
    ("was", "becomes", "found"),
    [
        (b'{"a": 1, "b": 2}', b'{"b":2,"a":1}', []),
        (b'{"a": 1}', b'{"a": 1.0}', [Difference("a", "1", "1.0")]),
        (b'{"a": 1}', b'{"a": true}', [Difference("a", "1", "true")]),
        (b'{"a": null}', b"{}", [Difference("a", "null", None)]),
        (b'{"a": [1, {"b": 2}]}', b'{"a": [1, {"b": 3}, 4]}', TWO),
        (b'{"a": {"b": 1}}', b'{"a": [1]}', [Difference("a", '{"b":1}', "[1]")]),
        (b"[1]", b"[2]", [Difference("body.0", "1", "2")]),
        (b"a=1", b"a=12", [Difference("body", '"3 bytes"', '"4 other bytes"')]),
    ],
)
def test_bodies_differ_where_a_value_or_its_type_does(was: bytes, becomes: bytes, found: list[Difference]) -> None:
    assert differences(rehearsed(was), rehearsed(becomes)) == found


def test_credentials_in_headers_and_addresses_are_compared_and_never_told() -> None:
    today = rehearsed(b"{}", "https://v.example/e?key=one")
    edited = rehearsed(b"{}", "https://v.example/e?key=two", {"authorization": "Key two", "revision": "2"})
    found = differences(today, edited)
    assert found == [
        Difference("url.query", None, None, is_masked=True),
        Difference("headers.Authorization", None, None, is_masked=True),
        Difference("headers.revision", '"1"', '"2"'),
        Difference("headers.authorization", None, None, is_masked=True),
    ]
    assert "Key" not in repr(found)


def test_the_lane_is_part_of_how_an_event_is_sent() -> None:
    today = replace(rehearsed(b"{}"), lane="live")
    assert differences(today, replace(today, lane="background")) == [Difference("lane", '"live"', '"background"')]


def test_requests_that_follow_the_first_are_compared_by_address_and_body() -> None:
    first, line = rehearsed(b"{}"), rehearsed(b'{"a": 1}', "https://v.example/line?key=one").requests
    more = replace(first, further=line)
    whole = '{"method":"POST","url":"https://v.example/line","body":{"a":1}}'
    assert differences(first, more) == [Difference("then.1", None, whole)]
    assert differences(more, first) == [Difference("then.1", whole, None)]
    other = replace(first, further=rehearsed(b'{"a": 2}', "https://v.example/line?key=one").requests)
    assert differences(more, other) == [Difference("then.1.body.a", "1", "2")]


def test_names_from_outside_make_a_bounded_number_of_groups() -> None:
    comparison = Comparison([Pair("k", compiled(MINIMAL), compiled(STARRED))])
    for number in range(MAX_GROUPS + 50):
        known = Known(number, event(f"name_{number}"), Identifiers(email="visitor@shop.example"), ALL_PURPOSES)
        comparison.take(known)
    groups = {group.event: group.counts["added"] for group in comparison.groups(comparison.pairs[0])}
    assert (len(groups), groups[MORE_EVENTS], comparison.counts["added"]) == (MAX_GROUPS + 1, 50, MAX_GROUPS + 50)


def test_an_event_that_a_file_lists_is_never_lost_among_names_from_outside() -> None:
    edited = STARRED.replace('"*": {}', '"*": {}, purchase: {}')
    comparison = Comparison([Pair("k", compiled(MINIMAL), compiled(edited))])
    for name in [*(f"name_{number}" for number in range(MAX_GROUPS + 50)), "Order Completed"]:
        comparison.take(Known(1, event(name), Identifiers(email="visitor@shop.example"), ALL_PURPOSES))
    groups = {group.event: group.counts["added"] for group in comparison.groups(comparison.pairs[0])}
    assert (len(groups), groups[MORE_EVENTS], groups["purchase"]) == (MAX_GROUPS + 2, 50, 1)
