"""The archive: what a line says, and which file it goes to."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.consent import Purpose
from edge.delivery import Append, Delivered, Payload, Rejected, Rendered, Response, Retry
from edge.destinations.archive import MAX_LINE_BYTES, Archive, file_of
from edge.destinations.base import first_request
from edge.errors import ConfigErrors
from tests.conversations import RESPONSES, payloads_of, read_parameters

DAY_MS, HOUR_MS, MINUTE_MS = 86_400_000, 3_600_000, 60_000
MIDNIGHT_MS = 1_795_219_200_000  # 2026-11-21T00:00:00Z
TIME_MS = MIDNIGHT_MS - HOUR_MS
ARCHIVE, YES = Archive(), Response(200, {}, b"")
ORDER = Rendered(
    metric="purchase",
    profile={},
    properties={},
    unique_id="70311",
    time_ms=TIME_MS - MINUTE_MS,
    event={
        "id": "e-1",
        "name": "purchase",
        "properties": {"value": 5},
        "traits": {"email": "visitor@shop.example"},
        "context": {"ip": "203.0.113.7", "page": {"url": "https://shop.example/", "title": "Tea"}},
    },
    granted=Purpose.ANALYTICS,
    anonymous_id="a" * 32,
    received_at_ms=TIME_MS,
)
LINE = {
    "id": "e-1",
    "name": "purchase",
    "time": "2026-11-20T22:59:00.000Z",
    "received_at": "2026-11-20T23:00:00.000Z",
    "source": "browser",
    "anonymous_id": "a" * 32,
    "consent": ["analytics"],
    "properties": {"value": 5},
    "traits": {"email": "visitor@shop.example"},
    "context": {"ip": "203.0.113.7", "page": {"url": "https://shop.example/", "title": "Tea"}},
}


def rendered(archive: Archive = ARCHIVE, **changes: Any) -> Payload:
    payload = archive.render(replace(ORDER, **changes))
    assert isinstance(payload, Payload), payload
    return payload


def delivered(archive: Archive, payloads: list[Payload], now_ms: int, answer: Response = YES) -> tuple[list[Any], Any]:
    conversation, steps = archive.deliver(payloads, now_ms), []
    try:
        steps.append(next(conversation))
        while True:
            steps.append(conversation.send(answer))
    except StopIteration as end:
        return steps, end.value


def test_event_is_one_line_of_its_days_file() -> None:
    line = orjson.dumps(LINE) + b"\n"
    payload = rendered()
    assert payload == Payload(line, TIME_MS - MINUTE_MS)
    assert delivered(ARCHIVE, [payload], TIME_MS) == (
        [Append.to("archive/2026-11-20.jsonl.gz", line)],
        [Delivered(200)],
    )
    assert first_request(ARCHIVE, payload, TIME_MS) == Append.to("archive/2026-11-20.jsonl.gz", line)


def test_what_is_mapped_stands_beside_what_the_event_says() -> None:
    told = orjson.loads(rendered(properties={"value": 6, "a": 1}, profile={"tier": "gold"}, is_from_server=True).body)
    more = {"source": "server", "properties": {"value": 6, "a": 1}, "profile": {"tier": "gold"}}
    assert told == {**LINE, **more}


def test_what_is_left_out_is_not_written_and_the_event_stays_as_it_is() -> None:
    archive = Archive(leave_out=("context.ip", "traits", "context.page.url", "context.none.x", "properties.value.x"))
    told = orjson.loads(rendered(archive).body)
    kept = {key: value for key, value in LINE.items() if key != "traits"}
    assert told == {**kept, "context": {"page": {"title": "Tea"}}}
    assert orjson.loads(rendered().body) == LINE


@pytest.mark.parametrize(
    ("now_ms", "file"),
    [
        (TIME_MS, "2026-11-20.jsonl.gz"),
        (MIDNIGHT_MS + HOUR_MS - 1, "2026-11-20.jsonl.gz"),
        (MIDNIGHT_MS + HOUR_MS, "2026-11-20.late-2026-11-21.jsonl.gz"),
        (MIDNIGHT_MS + 3 * DAY_MS, "2026-11-20.late-2026-11-24.jsonl.gz"),
        (MIDNIGHT_MS - 2 * DAY_MS, "2026-11-20.jsonl.gz"),  # a clock that was set back
    ],
)
def test_day_stays_open_until_an_hour_after_midnight(now_ms: int, file: str) -> None:
    assert file_of(rendered().body, now_ms) == file


def test_lines_of_several_days_go_to_their_files_in_order() -> None:
    moments = [TIME_MS, TIME_MS, MIDNIGHT_MS, TIME_MS]
    payloads = payloads_of(4, lambda number: ARCHIVE.render(replace(ORDER, received_at_ms=moments[number])))
    steps, outcomes = delivered(ARCHIVE, payloads, MIDNIGHT_MS)
    assert [(step.path, step.body.count(b"\n")) for step in steps] == [
        ("archive/2026-11-20.jsonl.gz", 2),
        ("archive/2026-11-21.jsonl.gz", 1),
        ("archive/2026-11-20.jsonl.gz", 1),
    ]
    assert outcomes == [Delivered(200)] * 4


def test_large_lines_are_appended_in_parts() -> None:
    payloads = payloads_of(5, lambda number: ARCHIVE.render(replace(ORDER, properties={"a": "x" * 400_000})))
    steps, outcomes = delivered(ARCHIVE, payloads, TIME_MS)
    assert [step.body.count(b"\n") for step in steps] == [2, 2, 1]
    assert outcomes == [Delivered(200)] * 5


def test_line_that_cannot_be_written_is_rejected() -> None:
    assert ARCHIVE.render(replace(ORDER, properties={"a": "\ud800"})) == Rejected("the event cannot be written as JSON")
    assert ARCHIVE.render(replace(ORDER, received_at_ms=-1)) == Rejected("time: is not one that ISO 8601 can say")
    large = ARCHIVE.render(replace(ORDER, properties={"a": "x" * MAX_LINE_BYTES}))
    assert isinstance(large, Rejected)


@settings(max_examples=30, deadline=None)
@given(RESPONSES, st.integers(1, 5))
def test_any_answer_gives_one_outcome_a_payload(response: Response, count: int) -> None:
    payloads = [rendered()] * count
    assert delivered(ARCHIVE, payloads, TIME_MS, response) == delivered(ARCHIVE, payloads, TIME_MS, response)
    assert len(delivered(ARCHIVE, payloads, TIME_MS, response)[1]) == count


@pytest.mark.parametrize("status", [204, 301, 404, 429, 500])
def test_nothing_but_the_word_that_lines_are_on_disk_is_a_delivery(status: int) -> None:
    steps, outcomes = delivered(
        ARCHIVE, [rendered(), rendered(received_at_ms=MIDNIGHT_MS)], TIME_MS, Response(status, {}, b"")
    )
    assert (len(steps), outcomes) == (1, [Retry(str(status)), Retry("behind a request that failed")])


def test_parameters_are_read() -> None:
    text = "directory: shop/lines\ncompression: gzip\nkeep_for: 30d\nleave_out: [context.ip]"
    assert read_parameters(Archive, text) == Archive("shop/lines", 2_592_000.0, ("context.ip",))
    assert read_parameters(Archive, "{}") == Archive()
    assert Archive("a").account != Archive("b").account


@pytest.mark.parametrize(
    ("text", "what"),
    [
        *[
            (f"directory: '{name}'", "accepted is one such as archive/shop, no part begins with a dot")
            for name in ("..", "../x", "a/../b", ".hidden", "a//b", "a/", "", "a b", "a\\b", "~", "a/.")
        ],
        ("compression: zstd", "is not one of gzip"),
        ("keep_for: 1h", "accepted is a duration of at least 1d"),
        *[
            (f"leave_out: ['{path}']", "is not left out; accepted are paths such as context.ip")
            for path in ("", "a..b", "id", "received_at")
        ],
    ],
)
def test_wrong_parameter_is_told(text: str, what: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        read_parameters(Archive, text)
    [problem] = caught.value.problems
    assert what in problem.what
