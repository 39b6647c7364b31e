"""Klaviyo payloads for tests of its conversation."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import orjson

from edge.consent import ALL_PURPOSES
from edge.delivery import Payload, Rendered, Request, Response
from edge.destinations.klaviyo import Klaviyo
from edge.errors import TransportFailed
from edge.secret import Secret

KLAVIYO = Klaviyo(Secret("pk_test"))
TIME_MS = 1_795_183_389_990  # 2026-11-20T14:03:09.990Z
NOW_MS = TIME_MS + 2_000
TAKEN = Response(202, {}, b"")
CUT = TransportFailed("the answer was cut")
ORDER = Rendered(
    metric="Placed Order",
    profile={"$email": "user@shop.example"},
    properties={"OrderId": "70311"},
    unique_id="70311",
    time_ms=TIME_MS,
    granted=ALL_PURPOSES,
)
WHO = {"data": {"type": "profile", "attributes": {"email": "user@shop.example"}}}


def payload(**changes: Any) -> Payload:
    """Render ORDER with changes."""
    made = KLAVIYO.render(replace(ORDER, **changes))
    assert isinstance(made, Payload), made
    return made


def event(number: int, who: str = "user", **changes: Any) -> Payload:
    """Render one of many events."""
    return payload(unique_id=f"e-{number}", profile={"$email": f"{who}@shop.example"}, **changes)


def resources(made: Payload) -> list[Any]:
    """Give what a payload tells, one resource a call."""
    data = orjson.loads(made.body)["data"]
    return data if isinstance(data, list) else [data]


def told(requests: Iterable[Request]) -> list[tuple[str, list[str]]]:
    """Give each request's path and the unique ids in it."""
    return [("/api/" + request.url.partition("/api/")[2], ids_of(request)) for request in requests]


def ids_of(request: Request) -> list[str]:
    data = orjson.loads(request.body)["data"]
    if data["type"] != "event-bulk-create-job":
        return [data["attributes"].get("unique_id", "")]
    groups = data["attributes"]["events-bulk-create"]["data"]
    return [one["attributes"]["unique_id"] for group in groups for one in group["attributes"]["events"]["data"]]


def refused(*pointers: str, code: str = "invalid", detail: str = "no") -> Response:
    """Give a 400 with one error a pointer."""
    errors = [{"code": code, "detail": detail, "source": {"pointer": pointer}} for pointer in pointers]
    return Response(400, {}, orjson.dumps({"errors": errors}))


def at(group: int, index: int | None = None, rest: str = "/attributes/value") -> str:
    """Give the pointer of an event of a job, or of its group's profile."""
    place = f"/data/attributes/events-bulk-create/data/{group}"
    return place + (f"/attributes/profile{rest}" if index is None else f"/attributes/events/data/{index}{rest}")
