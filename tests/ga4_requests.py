"""Requests to the fake Google Analytics, good ones until a test changes them."""

from dataclasses import dataclass, field
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import GA4
from edge.sandbox.vendor import Answer, Incoming
from tests.clock import FakeClock

QUERY = {"measurement_id": "G-SANDBOX01", "api_secret": "sandbox-api-secret"}
HEADERS = {"Content-Type": "application/json"}


def event(name: str = "view_item", **params: Any) -> dict[str, Any]:
    return {"name": name, "params": {"session_id": "17", "engagement_time_msec": 1, **params}}


def body(*events: Any, **head: Any) -> dict[str, Any]:
    return {"client_id": "1.2", "events": [*(events or [event()])], **head}


@dataclass
class Property:
    """A fake GA4, asked directly, at a clock that stands still."""

    ga4: GA4 = field(default_factory=GA4)
    clock: FakeClock = field(default_factory=FakeClock)

    def post(self, document: Any, path: str = "/mp/collect", **query: str) -> Answer:
        return self.send(orjson.dumps(document), path, query=QUERY | query)

    def send(
        self,
        raw: bytes,
        path: str = "/mp/collect",
        *,
        method: str = "POST",
        query: dict[str, str] = QUERY,
        headers: dict[str, str] = HEADERS,
    ) -> Answer:
        lines = CIMultiDictProxy(CIMultiDict(headers))
        incoming = Incoming(
            method, path, tuple(query.items()), lines, raw, self.clock.now_ms(), self.clock.monotonic_s()
        )
        return self.ga4.answer(incoming)

    def validated(self, document: Any, **query: str) -> list[tuple[str, str]]:
        """Give (code, field) of everything that the strict validation finds."""
        strict = {"validation_behavior": "ENFORCE_RECOMMENDATIONS", **document}
        told = orjson.loads(self.post(strict, "/debug/mp/collect", **query).body)
        return [(one["validationCode"], one["fieldPath"]) for one in told["validationMessages"]]

    def events(self, identifier: str | None = None) -> list[Any]:
        found = self.ga4.taken(identifier)["events"]
        assert isinstance(found, list)
        return found

    def ignored(self) -> list[Any]:
        found = self.ga4.taken()["ignored"]
        assert isinstance(found, list)
        return found
