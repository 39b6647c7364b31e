"""A fake Google Analytics 4: it says 204 to everything, and keeps only what the real one would count.

What is wrong with a request shows nowhere but in the notes and among `ignored`; /debug/mp/collect tells it, looks at
no credential and keeps nothing.

Source: Measurement Protocol (Google Analytics 4), "Protocol reference", "Send events", "Validate events", "Event
reference" (one purchase a transaction_id and user), as of 2026-11.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from edge.sandbox.ga4_rules import OLDEST_MS, Message, messages_of
from edge.sandbox.rates import RateLimit
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

KEY = "sandbox-api-secret"
MEASUREMENT_ID = "G-SANDBOX01"
MAX_BODY_BYTES = 130_000
# 100,000,000 requests an hour; the fixed windows here are of a second and a minute.
RATE = Rate(100_000_000, 100_000_000 // 60)

_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


class GA4:
    """One property with one web stream.

    Args:
        keys: the stream's API secrets.
        measurement_ids: the streams there are.
        rates: another limit than the real one, by "collect"; None enforces none.
    """

    name = "ga4"
    key = KEY
    base_path = ""

    def __init__(
        self,
        *,
        keys: Iterable[str] = (KEY,),
        measurement_ids: Iterable[str] = (MEASUREMENT_ID,),
        rates: Mapping[str, Rate] | None = _NO_RATES,
    ) -> None:
        self._streams = frozenset(measurement_ids)
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = frozenset(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"collect"}:
            raise KeyError(f"{min(strange)} is not one of collect")
        self._limit = RateLimit((rates or {}).get("collect", RATE), is_enforced=rates is not None)

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        events = [one for one in self._events if identifier in (None, one["client_id"], one["user_id"])]
        return {"events": [*events], "ignored": [*self._ignored] if identifier is None else []}

    def reset(self) -> None:
        self._events: list[dict[str, JSON]] = []
        self._ignored: list[JSON] = []
        self._orders: set[tuple[JSON, str]] = set()

    def masked(self, request: Incoming) -> Incoming:
        query = tuple((name, self._masked(value) if name == "api_secret" else value) for name, value in request.query)
        return replace(request, query=query)

    def _masked(self, secret: str) -> str:
        return "valid" if secret in self._keys else "invalid"

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        return Answer(status, headers={} if retry_after_s is None else {"Retry-After": str(retry_after_s)})

    def answer(self, request: Incoming) -> Answer:
        if request.path not in ("/mp/collect", "/debug/mp/collect"):
            return Answer(404)
        if request.method != "POST":
            return Answer(405, headers={"Allow": "POST"})
        return self._validate(request) if request.path.startswith("/debug") else self._collect(request)

    def _validate(self, request: Incoming) -> Answer:
        body, messages = _read(request)
        if not isinstance(body, dict) or body.get("validation_behavior") != "ENFORCE_RECOMMENDATIONS":
            messages = [message for message in messages if message.code != "VALUE_OUT_OF_BOUNDS"]
        told = orjson.dumps({"validationMessages": [message.to_json() for message in messages]})
        return Answer(200, told, {"Content-Type": "application/json"})

    def _collect(self, request: Incoming) -> Answer:
        """Answer 204 whatever it was; what is not counted is noted."""
        body, messages = _read(request)
        notes = [Note(message.path, f"{message.code}: {message.description}") for message in messages]
        if (refused := self._refused(request)) is not None:
            return self._ignore(body, [*notes, Note("", refused)])
        if any(message.event is None for message in messages) or not isinstance(body, dict):
            return self._ignore(body, notes)
        bad = {message.event for message in messages}
        events: Any = body["events"]
        for index, event in enumerate(events):
            if index in bad:
                self._ignored.append(event)
            else:
                notes += self._count(body, event, request.at_ms, f"events[{index}]")
        return Answer(204, notes=tuple(notes))

    def _refused(self, request: Incoming) -> str | None:
        """Say why nothing of a request is counted, which its sender is never told."""
        query = dict(request.query)
        if query.get("api_secret") not in self._keys:
            return "the api_secret is not known, nothing is counted"
        if query.get("measurement_id") not in self._streams:
            return "the measurement_id is not known, nothing is counted"
        if self._limit.take(request.monotonic_s) is not None:
            return "over the limit of the hour, nothing is counted"
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != "application/json":
            return "the content type is not application/json, nothing is counted"
        return None

    def _ignore(self, body: JSON, notes: list[Note]) -> Answer:
        self._ignored.append(body)
        return Answer(204, notes=tuple(notes))

    def _count(self, body: dict[str, JSON], event: dict[str, Any], at_ms: int, path: str) -> list[Note]:
        user = body.get("user_id") or body["client_id"]
        params, notes = event.get("params", {}), []
        micros = event.get("timestamp_micros", body.get("timestamp_micros"))
        moment_ms = at_ms if micros is None else micros // 1_000
        if moment_ms < at_ms - OLDEST_MS:
            moment_ms = at_ms - OLDEST_MS
            notes.append(Note(f"{path}.timestamp_micros", "older than 72 hours: counted as 72 hours ago"))
        if event["name"] == "purchase":
            key = (user, str(params["transaction_id"]))
            if key in self._orders:
                self._ignored.append(event)
                return [Note(path, "a duplicate: this user has this transaction_id already")]
            self._orders.add(key)
        if "session_id" not in params:
            notes.append(Note(f"{path}.params", "without a session_id it belongs to no session"))
        head = {key: body.get(key) for key in ("client_id", "user_id", "consent", "ip_override", "user_data")}
        self._events.append({**head, "name": event["name"], "params": params, "time_ms": moment_ms})
        return notes


def _read(request: Incoming) -> tuple[JSON, list[Message]]:
    if len(request.body) >= MAX_BODY_BYTES:
        return None, [Message("EXCEEDED_MAX_ENTITIES", "", "The body must be smaller than 130 kB.")]
    try:
        body: JSON = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None, [Message("VALUE_INVALID", "", "The body is not JSON.")]
    return body, messages_of(body, now_ms=request.at_ms)
