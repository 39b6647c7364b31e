"""Requests to the fake Meta, good ones until a test changes them."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.meta import PIXEL_ID, TOKEN, Meta
from edge.sandbox.vendor import Answer, Incoming
from tests.clock import FakeClock

PATH = f"/v26.0/{PIXEL_ID}/events"
EMAIL = sha256(b"visitor@shop.example").hexdigest()
NOW_S = 1_795_000_000  # where a FakeClock stands


def user_data(**changes: Any) -> dict[str, Any]:
    return {"em": [EMAIL], "client_ip_address": "2001:db8::7", "client_user_agent": "Mozilla/5.0", **changes}


def event(**changes: Any) -> dict[str, Any]:
    """A Purchase; keyword arguments replace keys, None takes one away."""
    whole = {
        "event_name": "Purchase",
        "event_time": NOW_S - 60,
        "event_id": "70311",
        "action_source": "website",
        "event_source_url": "https://shop.example/thanks",
        "user_data": user_data(),
        "custom_data": {"value": 84.5, "currency": "EUR", "contents": [{"id": "501", "quantity": 2}]},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


@dataclass
class App:
    """A fake Meta, asked directly, at a clock that stands still."""

    meta: Meta = field(default_factory=Meta)
    clock: FakeClock = field(default_factory=FakeClock)

    def post(self, *events: Any, **beside: Any) -> Answer:
        return self.send(orjson.dumps({"data": list(events), **beside}))

    def send(self, body: bytes, path: str = PATH, **more: Any) -> Answer:
        return self.meta.answer(self.incoming(body, path, **more))

    def incoming(
        self,
        body: bytes,
        path: str = PATH,
        *,
        method: str = "POST",
        query: tuple[tuple[str, str], ...] = (("access_token", TOKEN),),
        content_type: str = "application/json",
    ) -> Incoming:
        return Incoming(
            method=method,
            path=path,
            query=query,
            headers=CIMultiDictProxy(CIMultiDict({"Content-Type": content_type})),
            body=body,
            at_ms=self.clock.now_ms(),
            monotonic_s=self.clock.monotonic_s(),
        )

    def events(self, identifier: str | None = None) -> list[Any]:
        found = self.meta.taken(identifier)["events"]
        assert isinstance(found, list)
        return found


def error(answer: Answer) -> tuple[int, int, int | None]:
    """Give status, code and subcode."""
    told = orjson.loads(answer.body)["error"]
    return answer.status, told["code"], told.get("error_subcode")
