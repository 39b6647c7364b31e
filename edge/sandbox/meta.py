"""A fake Meta: it refuses what the Conversions API refuses, whole requests for one bad event, and keeps what it took.

Source: Meta Conversions API, 2026-09: "Using the API", "Deduplicate pixel and server events"; Graph API, "Error
handling", and facebook-business 26.0.3 for versions and `appsecret_proof`.
"""

import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from hashlib import sha256
from types import MappingProxyType

import orjson

from edge.sandbox.meta_rules import check_event
from edge.sandbox.rates import RateLimit
from edge.sandbox.shape import kind_of
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

PIXEL_ID, TOKEN = "1234567890", "sandbox-private-key"
OLDEST_VERSION, NEWEST_VERSION = 21, 26
MAX_EVENTS = 1_000
DEDUPLICATED_FOR_MS = 48 * 3_600_000
SCOPE = "ads_management"

_BESIDE = ("test_event_code", "partner_agent", "namespace_id", "upload_id", "upload_tag", "upload_source")
_PATH = re.compile(r"/v(\d{1,3})\.0/(\d+)/events/?")
_JSON = {"Content-Type": "application/json; charset=UTF-8"}
_PLENTY = Rate(burst_per_s=10**9, steady_per_min=10**9)  # Meta names no number for this call
_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


class Meta:
    """One app with one pixel.

    Args:
        keys: access tokens that may do everything; see `accept_keys` for tokens with scopes.
        rates: a limit for "events", which has none by itself; None enforces none.
        app_secret: where it is set, every call needs the proof made with it.
    """

    name = "meta"
    key = TOKEN
    base_path = ""

    def __init__(
        self,
        *,
        keys: Iterable[str] = (TOKEN,),
        rates: Mapping[str, Rate] | None = _NO_RATES,
        app_secret: str | None = None,
    ) -> None:
        self._app_secret = app_secret
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = dict(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"events"}:
            raise KeyError(f"{min(strange)} is not one of events")
        self._limit = RateLimit((rates or {}).get("events", _PLENTY), is_enforced=rates is not None)

    def reset(self) -> None:
        self._events: list[dict[str, JSON]] = []
        self._ignored: list[dict[str, JSON]] = []
        self._first_at_ms: dict[tuple[JSON, JSON], int] = {}

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        """What was recorded; an identifier may be a value in clear where Meta holds its hash."""
        if identifier is None:
            return {"events": list(self._events), "ignored": list(self._ignored)}
        either = {identifier, sha256(identifier.encode()).hexdigest()}
        return {"events": [event for event in self._events if either & _identifiers(event)]}

    def masked(self, request: Incoming) -> Incoming:
        shown = {"access_token": "valid" if _token(request) in self._keys else "invalid", "appsecret_proof": "****"}
        body = request.body
        if b"access_token" in body:
            body = b'{"access_token":"****"}'
        return replace(request, query=tuple((key, shown.get(key, value)) for key, value in request.query), body=body)

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        if status == 429:
            return _error(400, 4, "Application request limit reached", is_transient=True)
        if status in (401, 403):
            return _error(status, 190 if status == 401 else 200, "This answer was asked for.")
        return _error(status, 2 if status >= 500 else 100, "This answer was asked for.", is_transient=status >= 500)

    def answer(self, request: Incoming) -> Answer:
        found = _PATH.fullmatch(request.path)
        if found is None or request.method != "POST":
            return _error(400, 100, "Unsupported request.")
        return self._refuse_token(request) or self._answer_within_rate(request, int(found[1]), found[2])

    def _refuse_token(self, request: Incoming) -> Answer | None:
        token = _token(request)
        if token is None:
            return _error(400, 102, "An access token is required to request this resource.")
        if token not in self._keys:
            return _error(401, 190, "Invalid OAuth access token.", 460)
        if self._app_secret is not None:
            proof = hmac.new(self._app_secret.encode(), token.encode(), sha256).hexdigest()
            if dict(request.query).get("appsecret_proof") != proof:
                return _error(400, 10, "API calls from the server require an appsecret_proof argument.")
        scopes = self._keys[token]
        if scopes is not None and SCOPE not in scopes:
            return _error(403, 200, f"The token lacks the permission {SCOPE}.")
        return None

    def _answer_within_rate(self, request: Incoming, version: int, pixel_id: str) -> Answer:
        if self._limit.take(request.monotonic_s) is not None:
            return _error(400, 80_004, "There have been too many calls to this ad account.", is_transient=True)
        if not OLDEST_VERSION <= version <= NEWEST_VERSION:
            return _error(400, 100, f"There is no version v{version}.0.")
        if pixel_id != PIXEL_ID:
            return _error(400, 100, "The object does not exist, or there is no permission.", 33)
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return _error(400, 100, "data: the content type must be application/json.")
        try:
            document: JSON = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _error(400, 100, "The body is not JSON.")
        return self._answer_document(document, request)

    def _answer_document(self, document: JSON, request: Incoming) -> Answer:
        if not isinstance(document, dict) or not isinstance(document.get("data"), list):
            return _error(400, 100, "data: an array is needed.")
        if strange := document.keys() - {"data", "access_token", *_BESIDE}:
            return _error(400, 100, f"{min(strange)}: is no parameter of this call.")
        events, code = document["data"], document.get("test_event_code")
        assert isinstance(events, list)
        if code is not None and (not isinstance(code, str) or not code):
            return _error(400, 100, f"test_event_code: must be a string, not {kind_of(code)}.")
        if not 1 <= len(events) <= MAX_EVENTS:
            return _error(400, 100, f"data: from 1 to {MAX_EVENTS} events are accepted, these are {len(events)}.")
        notes: list[Note] = []
        for index, event in enumerate(events):
            finding, remarks = check_event(event, f"/data/{index}", request.at_ms)
            if finding is not None:
                return _error(400, 100, "Invalid parameter", finding.subcode, told=finding.detail)
            notes += remarks
        return self._record([event for event in events if isinstance(event, dict)], code, request, notes)

    def _record(self, events: list[dict[str, JSON]], code: JSON, request: Incoming, notes: list[Note]) -> Answer:
        for index, event in enumerate(events):
            key = event["event_name"], event.get("event_id")
            first_ms = self._first_at_ms.get(key)
            if key[1] is not None and first_ms is not None and request.at_ms - first_ms <= DEDUPLICATED_FOR_MS:
                reason = "a duplicate: event_name and event_id came within 48 hours before"
                self._ignored.append({"reason": reason, "event_name": key[0], "event_id": key[1]})
                notes.append(Note(f"/data/{index}", reason))
                continue
            self._first_at_ms[key] = request.at_ms
            marked: dict[str, JSON] = {} if code is None else {"test_event_code": code}
            self._events.append({"number": len(self._events) + 1, **event, **marked})
        trace = sha256(request.body).hexdigest()[:11]
        body = orjson.dumps({"events_received": len(events), "messages": [], "fbtrace_id": trace})
        return Answer(200, body, _JSON, tuple(notes))


def _token(request: Incoming) -> str | None:
    """The token of the query, or of the body."""
    of_query = dict(request.query).get("access_token")
    if of_query is not None:
        return of_query
    try:
        document = orjson.loads(request.body)
    except orjson.JSONDecodeError:
        return None
    found = document.get("access_token") if isinstance(document, dict) else None
    return found if isinstance(found, str) else None


def _identifiers(event: dict[str, JSON]) -> set[str]:
    user_data = event["user_data"]
    assert isinstance(user_data, dict)
    values = [value for one in user_data.values() for value in (one if isinstance(one, list) else [one])]
    return {value for value in values if isinstance(value, str)}


def _error(
    status: int, code: int, message: str, subcode: int | None = None, *, told: str = "", is_transient: bool = False
) -> Answer:
    error: dict[str, JSON] = {"message": message, "type": "OAuthException", "code": code, "is_transient": is_transient}
    if subcode is not None:
        error |= {"error_subcode": subcode, "error_user_title": message, "error_user_msg": told or message}
    return Answer(status, orjson.dumps({"error": error | {"fbtrace_id": "SandboxTrace"}}), _JSON)
