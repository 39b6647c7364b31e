"""Answers of vendors, read without trusting them."""

import pytest

from edge.delivery import Response
from edge.destinations.answers import code_of, json_of, object_of, retry_after_s

NOW_MS = 1_795_183_389_000  # Fri, 20 Nov 2026 14:03:09 GMT


def asked(header: str) -> Response:
    return Response(429, {"retry-after": header}, b"")


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("12", 12.0),
        (" 12 ", 12.0),
        ("0", 2.0),
        ("900", 60.0),
        ("9" * 400, 60.0),
        ("-5", 8.0),
        ("1e3", 8.0),
        ("\u0663", 8.0),
        ("", 8.0),
        ("soon", 8.0),
        ("Fri, 20 Nov 2026 14:03:39 GMT", 30.0),
        ("Fri, 20 Nov 2026 14:03:00 GMT", 2.0),
        ("Fri, 20 Nov 9999 14:03:00 GMT", 60.0),
        ("Fri, 99 Nov 2026 14:03:39 GMT", 8.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_within_limits(header: str, wait_s: float) -> None:
    limits = {"unsaid_s": 5.0, "unreadable_s": 8.0, "least_s": 2.0, "most_s": 60.0}
    assert retry_after_s(asked(header), **limits, now_ms=NOW_MS) == wait_s  # type: ignore[arg-type]


def test_retry_after_that_is_absent_is_waited_for_otherwise() -> None:
    absent = Response(429, {}, b"")
    assert (retry_after_s(absent), retry_after_s(absent, unsaid_s=300.0)) == (30.0, 300.0)
    assert retry_after_s(asked("soon"), unsaid_s=300.0) == 300.0


def test_date_is_not_read_without_a_clock() -> None:
    assert retry_after_s(asked("Fri, 20 Nov 2026 14:03:39 GMT"), unreadable_s=9.0) == 9.0


@pytest.mark.parametrize(
    ("body", "any_json", "only_object"),
    [
        (b'{"a":1}', {"a": 1}, {"a": 1}),
        (b" {}", {}, {}),
        (b"[1]", {}, None),
        (b"null", {}, None),
        (b"", None, None),
        (b"<html>", None, None),
        (b"{", None, None),
        (b'{"a":' * 3_000, None, None),
        (b"\xff", None, None),
    ],
)
def test_json_is_an_object_or_not_there(body: bytes, any_json: object, only_object: object) -> None:
    response = Response(200, {}, body)
    assert (json_of(response), object_of(response)) == (any_json, only_object)


@pytest.mark.parametrize("value", [True, -1, 10**10, 1.0, "5", None, [5]])
def test_code_that_is_no_whole_number_of_a_sane_size_is_none(value: object) -> None:
    assert (code_of(value), code_of(40_100)) == (None, 40_100)
