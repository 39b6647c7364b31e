"""What Klaviyo's answers mean; reasons hold codes and pointers, never a person's data."""

from typing import Any

import orjson
import pytest

from edge.delivery import Delivered, Outcome, Refused, Rejected, Response, Retry, Throttled, Unclear
from edge.destinations.klaviyo import read


def answer(status: int, errors: Any = None, **headers: str) -> Response:
    body = b"" if errors is None else orjson.dumps({"errors": errors})
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


INVALID = {"id": "1", "code": "invalid", "detail": "user@shop.example", "source": {"pointer": "/data/attributes/time"}}


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (answer(202), Delivered(202)),
        (answer(429, retry_after="12"), Throttled(12.0)),
        (answer(429, retry_after="0"), Throttled(1.0)),
        (answer(429, retry_after="9" * 400), Throttled(3600.0)),
        (answer(429), Throttled(1.0)),
        (answer(429, retry_after="Fri, 20 Nov 2026 14:03:09 GMT"), Throttled(30.0)),
        (answer(429, retry_after="-5"), Throttled(30.0)),
        (answer(401, [{"code": "not_authenticated"}]), Refused("401 not_authenticated")),
        (answer(403, [{"code": "permission_denied"}]), Refused("403 permission_denied")),
        (answer(410), Refused("410")),
        (answer(408), Retry("408")),
        (answer(500), Retry("500")),
        (answer(503, [{"code": "error"}]), Retry("503 error")),
        (answer(524), Retry("524")),
    ],
)
def test_answer_means_its_outcome(response: Response, outcome: Outcome) -> None:
    assert read(response) == outcome


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 451])
def test_rejection_keeps_the_answer(status: int) -> None:
    response = answer(status, [INVALID])
    assert read(response) == Rejected(f"{status} invalid at /data/attributes/time", response)


@pytest.mark.parametrize("status", [100, 200, 201, 204, 302, 304, 600])
def test_answer_nobody_understands_is_unclear(status: int) -> None:
    response = answer(status)
    assert read(response) == Unclear(str(status), response)


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ([INVALID, INVALID], "400 invalid at /data/attributes/time"),
        ([{"code": str(n)} for n in range(5)], "400 0; 1; 2; and 2 more"),
        ([{"code": "invalid", "source": {"parameter": "revision"}}], "400 invalid at revision"),
        ([{"code": "mail user@shop.example", "source": {"pointer": "user@shop.example"}}], "400 error"),
        ([{"code": "invalid", "source": "here"}], "400 invalid"),
        ([5], "400"),
        ("no list", "400"),
        ({"a": 1}, "400"),
    ],
)
def test_reason_holds_codes_and_pointers_but_no_prose(errors: Any, reason: str) -> None:
    outcome = read(answer(400, errors))
    assert isinstance(outcome, Rejected)
    assert outcome.reason == reason


def test_answer_that_is_not_json_still_has_a_reason() -> None:
    response = Response(400, {}, b"<html>user@shop.example")
    assert read(response) == Rejected("400", response)
