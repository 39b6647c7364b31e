"""A destination that takes several events a request, and a room in which it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from edge.delivery import (
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Rate,
    Refused,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Throttled,
    Unclear,
)
from edge.pipeline import Pipeline
from tests.backroom import Backroom

WORDS: Mapping[str, Outcome] = {
    "taken": Delivered(200),
    "later": Retry("later"),
    "never": Rejected("never"),
    "what": Unclear("what"),
}
TAKEN = Response(200, {}, b"{}")


@dataclass(frozen=True)
class Parcels:
    """One request a conversation; its answer is {id: word} for the events that it did not simply take."""

    max_batch: int = 4
    rate: Rate = field(default_factory=lambda: Rate(1_000, 60_000))
    account: str = "parcels"
    click_targets: frozenset[str] = field(default_factory=frozenset)
    anonymous_targets: frozenset[str] = field(default_factory=frozenset)
    discloses: frozenset[str] = field(default_factory=frozenset)
    max_event_age_s: float | None = None

    def render(self, rendered: Rendered) -> Payload:
        return Payload(orjson.dumps({"id": rendered.unique_id, "email": rendered.profile["$email"]}), rendered.time_ms)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        body = b"[" + b",".join(payload.body for payload in payloads) + b"]"
        response = yield Request("POST", "http://parcels.test", {}, body)
        match response.status:
            case 200:
                told = orjson.loads(response.body)
                return [WORDS[told.get(orjson.loads(payload.body)["id"], "taken")] for payload in payloads]
            case 429:
                return [Throttled(30.0)] * len(payloads)
            case 401:
                return [Refused("401")] * len(payloads)
        return [Retry(str(response.status))] * len(payloads)


def with_parcels(pipeline: Pipeline, **facts: Any) -> Pipeline:
    """Give a pipeline that delivers parcels."""
    return replace(pipeline, destination=Parcels(**facts))


async def open_room(folder: Any, **facts: Any) -> Backroom:
    """Open a room whose pipeline delivers parcels."""
    room = await Backroom.open(folder, starts_lane=False)
    room.pipeline = with_parcels(room.pipeline, **facts)
    room.transport.always = TAKEN
    await room.restart()
    return room


def parcels(room: Backroom) -> list[list[str]]:
    """Give the ids in each request."""
    return [[one["id"] for one in orjson.loads(request.body)] for request in room.transport.requests]


def answer(**words: str) -> Response:
    """Give an answer that says something of some events."""
    return Response(200, {}, orjson.dumps(words))
