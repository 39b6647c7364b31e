"""A fake TikTok: it answers 200 to nearly everything, says in the body's code what it thinks, and keeps what it took.

Source: TikTok Events API 2.0, v1.3, portal pages "Setup guide for web", "Event deduplication", "Responses and errors",
"Rate limits", as read in 2026-09.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from types import MappingProxyType

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.rates import RateLimit
from edge.sandbox.tiktok_rules import check_event
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

PIXEL_CODE, TOKEN = "C4ABCDEF0123456789", "sandbox-private-key"
PATH = "/open_api/v1.3/event/track/"
MAX_EVENTS = 1_000
SCOPE = "events"
SOURCES = ("web", "app", "offline", "crm")
MERGED_FOR_MS, DROPPED_FOR_MS = 5 * 60_000, 48 * 3_600_000
REAL_RATE = Rate(burst_per_s=1_000, steady_per_min=600_000)

_BESIDE = frozenset({"event_source", "event_source_id", "data", "test_event_code", "partner_name"})
_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


@dataclass(slots=True)
class _Kept:
    """The first event of its id, and when it came."""

    event: dict[str, JSON]
    at_ms: int


class TikTok:
    """One developer app with one pixel.

    Args:
        keys: access tokens that may do everything; see `accept_keys` for tokens with scopes.
        rates: another limit than the real one for "track"; None enforces none.
    """

    name = "tiktok"
    key = TOKEN
    base_path = ""

    def __init__(self, *, keys: Iterable[str] = (TOKEN,), rates: Mapping[str, Rate] | None = _NO_RATES) -> None:
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = dict(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"track"}:
            raise KeyError(f"{min(strange)} is not one of track")
        self._limit = RateLimit((rates or {}).get("track", REAL_RATE), is_enforced=rates is not None)

    def reset(self) -> None:
        self._events: list[dict[str, JSON]] = []
        self._ignored: list[JSON] = []
        self._kept: dict[tuple[JSON, JSON], _Kept] = {}

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        """What was recorded; an identifier may be a value in clear where TikTok holds its hash."""
        if identifier is None:
            return {"events": list(self._events), "ignored": list(self._ignored)}
        either = {identifier, sha256(identifier.encode()).hexdigest()}
        return {"events": [event for event in self._events if either & _identifiers(event)]}

    def masked(self, request: Incoming) -> Incoming:
        headers = CIMultiDict(request.headers)
        if "Access-Token" in headers:
            headers["Access-Token"] = "valid" if headers["Access-Token"] in self._keys else "invalid"
        return replace(request, headers=CIMultiDictProxy(headers))

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        if status == 429:
            return _answer(401, 40_100, "Too many requests. Please retry in some time.")
        codes = {401: 40_105, 403: 40_001}
        return _answer(status, codes.get(status, 50_000 if status >= 500 else 40_002), "This answer was asked for.")

    def answer(self, request: Incoming) -> Answer:
        if request.path != PATH or request.method != "POST":
            return _answer(404, 40_000, "There is nothing at this path, or not by this method.")
        token = request.headers.get("Access-Token", "")
        if not token:
            return _answer(401, 40_104, "Access token is empty.")
        if token not in self._keys:
            return _answer(401, 40_105, "Access token is incorrect or has been revoked.")
        if self._limit.take(request.monotonic_s) is not None:
            return self.refusal(429)
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return _invalid("The content type must be application/json.")
        try:
            document: JSON = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _invalid("The body is not JSON.")
        return self._answer_document(document, request, self._keys[token])

    def _answer_document(self, document: JSON, request: Incoming, scopes: Scopes) -> Answer:
        if not isinstance(document, dict):
            return _invalid("The body is not an object.")
        source, events, code = (document.get(key) for key in ("event_source", "data", "test_event_code"))
        if source not in SOURCES:
            return _invalid(f"event_source: Must be one of: {', '.join(SOURCES)}.")
        if document.get("event_source_id") != PIXEL_CODE or (scopes is not None and SCOPE not in scopes):
            return _answer(200, 40_001, "No permission to operate this pixel.")
        if strange := document.keys() - _BESIDE:
            return _invalid(f"{min(strange)}: Unknown field.")
        if code is not None and (not isinstance(code, str) or not code):
            return _invalid("test_event_code: Not a valid string.")
        if not isinstance(events, list) or not 1 <= len(events) <= MAX_EVENTS:
            return _invalid(f"data: Length must be between 1 and {MAX_EVENTS}.")
        notes: list[Note] = []
        for index, event in enumerate(events):
            report = check_event(event, f"/data/{index}", request.at_ms, is_web=source == "web")
            if report.problems:
                first = report.problems[0]
                return _invalid(f"{first.pointer[1:].replace('/', '.')}: {first.detail}")
            notes += report.notes
        return self._record([event for event in events if isinstance(event, dict)], code, request, notes)

    def _record(self, events: list[dict[str, JSON]], code: JSON, request: Incoming, notes: list[Note]) -> Answer:
        for index, event in enumerate(events):
            kept = self._kept.get((event["event"], event.get("event_id")))
            if kept is None or "event_id" not in event or request.at_ms - kept.at_ms > DROPPED_FOR_MS:
                self._keep(event, code, request.at_ms)
                continue
            is_merged = request.at_ms - kept.at_ms <= MERGED_FOR_MS
            if is_merged:
                _fill(kept.event, event)
            reason = "a duplicate: " + ("merged into the first" if is_merged else "dropped, as the first came before")
            self._ignored.append({"reason": reason, "event": event["event"], "event_id": event["event_id"]})
            notes.append(Note(f"/data/{index}", reason))
        return _answer(200, 0, "OK", tuple(notes))

    def _keep(self, event: dict[str, JSON], code: JSON, at_ms: int) -> None:
        marked: dict[str, JSON] = {} if code is None else {"test_event_code": code}
        recorded: dict[str, JSON] = {"number": len(self._events) + 1, **event, **marked}
        self._events.append(recorded)
        self._kept[event["event"], event.get("event_id")] = _Kept(recorded, at_ms)


def _fill(first: dict[str, JSON], later: dict[str, JSON]) -> None:
    """Take over what the first does not say, inside its objects too."""
    for key, value in later.items():
        there = first.setdefault(key, value)
        if isinstance(there, dict) and isinstance(value, dict):
            _fill(there, value)


def _identifiers(event: dict[str, JSON]) -> set[str]:
    user = event["user"]
    assert isinstance(user, dict)
    values = [value for one in user.values() for value in (one if isinstance(one, list) else [one])]
    return {value for value in values if isinstance(value, str)}


def _invalid(message: str) -> Answer:
    return _answer(200, 40_002, message)


def _answer(status: int, code: int, message: str, notes: tuple[Note, ...] = ()) -> Answer:
    body = {"code": code, "message": message, "request_id": "2026112000000000000000000000SANDBOX", "data": {}}
    return Answer(status, orjson.dumps(body), {"Content-Type": "application/json"}, notes)
