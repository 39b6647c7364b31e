"""Requests to the fake TikTok, good ones until a test changes them."""

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.tiktok import PATH, PIXEL_CODE, TOKEN, TikTok
from edge.sandbox.vendor import Answer, Incoming
from tests.clock import FakeClock

EMAIL = sha256(b"visitor@shop.example").hexdigest()
NOW_S = 1_795_000_000  # where a FakeClock stands
HEADERS = {"Access-Token": TOKEN, "Content-Type": "application/json"}


def user(**changes: Any) -> dict[str, Any]:
    return {"email": [EMAIL], "ip": "203.0.113.9", "user_agent": "Mozilla/5.0", **changes}


def event(**changes: Any) -> dict[str, Any]:
    """A Purchase; keyword arguments replace keys, None takes one away."""
    whole = {
        "event": "Purchase",
        "event_time": NOW_S - 60,
        "event_id": "70311",
        "user": user(),
        "page": {"url": "https://shop.example/thanks"},
        "properties": {"value": 84.5, "currency": "EUR", "contents": [{"content_id": "501", "quantity": 2}]},
        **changes,
    }
    return {key: value for key, value in whole.items() if value is not None}


def document(*events: Any, **changes: Any) -> dict[str, Any]:
    return {"event_source": "web", "event_source_id": PIXEL_CODE, "data": list(events), **changes}


@dataclass
class App:
    """A fake TikTok, asked directly, at a clock that stands still."""

    tiktok: TikTok = field(default_factory=TikTok)
    clock: FakeClock = field(default_factory=FakeClock)

    def post(self, *events: Any, **changes: Any) -> Answer:
        return self.send(orjson.dumps(document(*events, **changes)))

    def send(self, body: bytes, path: str = PATH, **more: Any) -> Answer:
        return self.tiktok.answer(self.incoming(body, path, **more))

    def incoming(
        self, body: bytes, path: str = PATH, *, method: str = "POST", headers: dict[str, str] | None = None
    ) -> Incoming:
        return Incoming(
            method=method,
            path=path,
            query=(),
            headers=CIMultiDictProxy(CIMultiDict(HEADERS if headers is None else headers)),
            body=body,
            at_ms=self.clock.now_ms(),
            monotonic_s=self.clock.monotonic_s(),
        )

    def events(self, identifier: str | None = None) -> list[Any]:
        found = self.tiktok.taken(identifier)["events"]
        assert isinstance(found, list)
        return found


def told(answer: Answer) -> tuple[int, int]:
    """Give status and code."""
    return answer.status, orjson.loads(answer.body)["code"]
