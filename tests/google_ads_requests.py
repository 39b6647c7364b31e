"""Requests to the fake Data Manager API, good ones until a test changes them."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.delivery import Request, Response
from edge.sandbox import GoogleAds
from edge.sandbox.vendor import Answer, Incoming
from tests.clock import FakeClock
from tests.google_ads_events import NOW_MS

HASH = "a" * 64
HEADERS = {"Authorization": "Bearer sandbox-access-token", "Content-Type": "application/json"}
ACCOUNT = {"accountType": "GOOGLE_ADS", "accountId": "1234567890"}
DESTINATION = {"reference": "7", "operatingAccount": ACCOUNT, "productDestinationId": "7"}


def event(**changes: Any) -> dict[str, Any]:
    """An event; what is given as None is left out."""
    good = {
        "destinationReferences": ["7"],
        "transactionId": "o-1",
        "eventTimestamp": "2026-11-20T14:03:09Z",
        "adIdentifiers": {"gclid": "abc"},
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def body(*events: Any, **changes: Any) -> dict[str, Any]:
    good = {"destinations": [DESTINATION], "encoding": "HEX", "events": [*(events or [event()])]}
    return {name: value for name, value in (good | changes).items() if value is not None}


@dataclass
class Api:
    """A fake Google Ads, asked directly, at a clock that stands still two seconds after the events."""

    google: GoogleAds = field(default_factory=GoogleAds)
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW_MS))

    def post(self, document: Any, **headers: str) -> Answer:
        return self.send(orjson.dumps(document), **headers)

    def send(
        self,
        raw: bytes = b"",
        path: str = "/v1/events:ingest",
        *,
        method: str = "POST",
        query: tuple[tuple[str, str], ...] = (),
        **headers: str,
    ) -> Answer:
        return self.google.answer(self.incoming(raw, path, method=method, query=query, headers=HEADERS | headers))

    def incoming(
        self,
        raw: bytes,
        path: str,
        *,
        method: str = "POST",
        query: tuple[tuple[str, str], ...] = (),
        headers: dict[str, str] = HEADERS,
    ) -> Incoming:
        lines = CIMultiDictProxy(CIMultiDict(headers))
        return Incoming(method, path, query, lines, raw, self.clock.now_ms(), self.clock.monotonic_s())

    def answer(self, request: Request) -> Response:
        """Answer one of our own requests, to either of Google's hosts."""
        url = urlsplit(request.url)
        asked = {"method": request.method, "query": tuple(parse_qsl(url.query)), "headers": dict(request.headers)}
        answer = self.google.answer(self.incoming(request.body, url.path, **asked))
        return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.body)

    def status(self, number: int) -> Any:
        """Give what the status of the request with a number says of its destinations."""
        asked = (("requestId", f"sandbox-request-{number}"),)
        answer = self.send(path="/v1/requestStatus:retrieve", method="GET", query=asked)
        return orjson.loads(answer.body)["requestStatusPerDestination"]

    def events(self) -> list[Any]:
        found = self.google.taken()["events"]
        assert isinstance(found, list)
        return found


def violations(answer: Answer) -> list[tuple[str, str]]:
    """Give (field, reason) of what a 400 points at."""
    details = orjson.loads(answer.body)["error"]["details"]
    return [(one["field"], one["reason"]) for detail in details for one in detail.get("fieldViolations", ())]


def reasons(answer: Answer) -> list[str]:
    error = orjson.loads(answer.body)["error"]
    return [error["status"], *(detail["reason"] for detail in error["details"] if "reason" in detail)]
