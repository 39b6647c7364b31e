"""Requests to the fake Klaviyo, good ones until a test changes them."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import Klaviyo
from edge.sandbox.vendor import Answer, Incoming
from tests.clock import FakeClock

HEADERS = {
    "Authorization": "Klaviyo-API-Key sandbox-private-key",
    "revision": "2026-10-15",
    "Content-Type": "application/vnd.api+json",
}
EVENTS = "/api/events"
BULK = "/api/event-bulk-create-jobs"
IMPORT = "/api/profile-import"
DELETION = "/api/data-privacy-deletion-jobs"
USER = {"email": "user@shop.example"}


def profile(attributes: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": USER if attributes is None else attributes, **beside}}


def attributes(**changes: Any) -> dict[str, Any]:
    """An event's attributes without its profile."""
    metric = {"data": {"type": "metric", "attributes": {"name": changes.pop("metric_name", "Placed Order")}}}
    return {
        "metric": metric,
        "properties": {"OrderId": "70311"},
        "time": "2026-11-18T10:00:00Z",
        "unique_id": "order-70311",
        **changes,
    }


def event(**changes: Any) -> dict[str, Any]:
    """The body of Create Event; keyword arguments replace attributes."""
    who = changes.pop("profile", profile())
    return {"data": {"type": "event", "attributes": attributes(**changes) | {"profile": who}}}


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The same body without some attributes."""
    left = {key: value for key, value in document["data"]["attributes"].items() if key not in keys}
    return {"data": {**document["data"], "attributes": left}}


def group(*events: dict[str, Any], who: dict[str, Any] | None = None, **beside: Any) -> dict[str, Any]:
    """One profile and its events (attributes) for a bulk job."""
    listed = [{"type": "event", "attributes": one} for one in events]
    inner = {"profile": who or profile(), "events": {"data": listed}, **beside}
    return {"type": "event-bulk-create", "attributes": inner}


def bulk(*groups: dict[str, Any]) -> dict[str, Any]:
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": list(groups)}}}}


@dataclass
class Account:
    """A fake Klaviyo, asked directly, at a clock that stands still."""

    klaviyo: Klaviyo = field(default_factory=lambda: Klaviyo(new_id=lambda: "error-id"))
    clock: FakeClock = field(default_factory=FakeClock)

    def post(self, document: Any, path: str = EVENTS, **headers: str) -> Answer:
        return self.send(orjson.dumps(document), path, **headers)

    def send(
        self,
        body: bytes,
        path: str = EVENTS,
        *,
        method: str = "POST",
        query: tuple[tuple[str, str], ...] = (),
        **headers: str,
    ) -> Answer:
        """Send raw bytes; a header given as "" is left out."""
        named = HEADERS | {name.replace("_", "-"): value for name, value in headers.items()}
        lines = CIMultiDict({name: value for name, value in CIMultiDict(named | {}).items() if value})
        return self.klaviyo.answer(
            Incoming(
                method=method,
                path=path,
                query=query,
                headers=CIMultiDictProxy(lines),
                body=body,
                at_ms=self.clock.now_ms(),
                monotonic_s=self.clock.monotonic_s(),
            )
        )

    def events(self, identifier: str | None = None) -> list[Any]:
        found = self.klaviyo.taken(identifier)["events"]
        assert isinstance(found, list)
        return found


def errors(answer: Answer) -> list[Any]:
    found = orjson.loads(answer.body)["errors"]
    assert isinstance(found, list)
    return found


def pointers(answer: Answer) -> list[str]:
    """Where the errors point; only for a 400."""
    assert answer.status == 400, answer
    return [error["source"]["pointer"] for error in errors(answer)]
