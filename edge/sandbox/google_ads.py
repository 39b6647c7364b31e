"""A fake Data Manager API in front of one Google Ads account, with Google's token endpoint beside it.

A request is taken whole or refused whole. What it took it processes at once and tells a while later, at
`requestStatus:retrieve`: there a conversion that counts for nothing stands with its reason.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4), "Understand API errors", "Limits and quotas" (300 requests
a minute, 100,000 a day), as of 2026-11.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.google_ads_processing import Processing, Status
from edge.sandbox.google_ads_rules import Violation, violations_of
from edge.sandbox.google_oauth import SCOPE, OAuth, masked_form
from edge.sandbox.rates import RateLimit
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

KEY = "sandbox-access-token"
RATE, A_DAY, DAY_MS = Rate(300, 300), 100_000, 86_400_000
PROCESSING_S = 900.0

_NO_RATES: Mapping[str, Rate] = MappingProxyType({})
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class GoogleAds:
    """One account.

    Args:
        keys: access tokens that hold for ever.
        service_accounts: public keys in PEM, by the e-mail of their account.
        actions: the conversion actions there are; None takes any number for one.
        clicks: when which click id was clicked (ms, UTC); None takes any for a good and old one.
        rates: another limit than the real one, by "ingest" and "status"; None enforces none, the day's neither.
        a_day: how many requests a day.
        processing_s: for how long the status of a request is that it is processed.
    """

    name = "google-ads"
    key = KEY
    base_path = ""

    def __init__(
        self,
        *,
        keys: Iterable[str] = (KEY,),
        service_accounts: Mapping[str, str] = MappingProxyType({}),
        actions: Iterable[str] | None = None,
        clicks: Mapping[str, int] | None = None,
        rates: Mapping[str, Rate] | None = _NO_RATES,
        a_day: int = A_DAY,
        processing_s: float = PROCESSING_S,
    ) -> None:
        self._a_day, self._clicks, self._processing_ms = a_day, clicks, round(processing_s * 1_000)
        self.oauth = OAuth(service_accounts)
        self._actions = None if actions is None else frozenset(actions)
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = dict(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"ingest", "status"}:
            raise KeyError(f"{min(strange)} is not one of ingest, status")
        limits = {name: (rates or {}).get(name, RATE) for name in ("ingest", "status")}
        self._limits = {name: RateLimit(rate, is_enforced=rates is not None) for name, rate in limits.items()}
        self._day, self._of_day, self._has_quota = 0, 0, rates is not None

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        counted, ignored = self._processing.counted, self._processing.ignored
        found = [one for one in counted if identifier is None or identifier in orjson.dumps(one).decode()]
        return {"events": [*found], "ignored": [*ignored] if identifier is None else []}

    def reset(self) -> None:
        self._processing = Processing(self._clicks)
        self._statuses: dict[str, tuple[int, list[Status]]] = {}

    def masked(self, request: Incoming) -> Incoming:
        headers = CIMultiDict(request.headers)
        if "Authorization" in headers:
            headers["Authorization"] = "valid" if self._scopes_of(request) is not False else "invalid"
        body = masked_form(request.body) if request.path == "/token" else request.body
        return replace(request, headers=CIMultiDictProxy(headers), body=body)

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        answer = _refused(status, [])
        waiting = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return replace(answer, headers={**answer.headers, **waiting})

    def answer(self, request: Incoming) -> Answer:
        match (request.method, request.path):
            case (_, "/token"):
                return self.oauth.answer(request)
            case ("POST", "/v1/events:ingest"):
                return self._refuse_token(request) or self._refuse_rate(request) or self._ingest(request)
            case ("GET", "/v1/requestStatus:retrieve"):
                return self._refuse_token(request) or self._refuse_status_rate(request) or self._retrieve(request)
        return _refused(404, [])

    def _scopes_of(self, request: Incoming) -> "frozenset[str] | bool | None":
        """Give the scopes of a request's token, False where it has no token that holds."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer":
            return False
        if self.oauth.holds(token, at_ms=request.at_ms):
            return None
        return self._keys.get(token, False)

    def _refuse_token(self, request: Incoming) -> Answer | None:
        scopes = self._scopes_of(request)
        if isinstance(scopes, bool):
            return _refused(401, [_info("ACCESS_TOKEN_INVALID")])
        if scopes is not None and SCOPE not in scopes:
            return _refused(403, [_info("ACCESS_TOKEN_SCOPE_INSUFFICIENT")])
        return None

    def _refuse_rate(self, request: Incoming) -> Answer | None:
        if self._limits["ingest"].take(request.monotonic_s) is not None:
            return _refused(429, [_info("RATE_LIMIT_EXCEEDED", quota_limit="IngestionWritesPerMinutePerProject")])
        day = request.at_ms // DAY_MS
        self._day, self._of_day = day, self._of_day + 1 if day == self._day else 1
        if self._has_quota and self._of_day > self._a_day:
            return _refused(429, [_info("RATE_LIMIT_EXCEEDED", quota_limit="IngestionWritesPerDayPerProject")])
        return None

    def _refuse_status_rate(self, request: Incoming) -> Answer | None:
        if self._limits["status"].take(request.monotonic_s) is None:
            return None
        return _refused(429, [_info("RATE_LIMIT_EXCEEDED", quota_limit="ReadsPerMinutePerProject")])

    def _ingest(self, request: Incoming) -> Answer:
        try:
            body: Any = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _refused(400, [])
        violations = violations_of(body, now_ms=request.at_ms) or self._unknown_actions(body)
        if violations:
            return _invalid(violations)
        if body.get("validateOnly"):
            return _json(200, {})
        number = f"sandbox-request-{len(self._statuses) + 1}"
        statuses = self._processing.process(body, request.at_ms)
        self._statuses[number] = (request.at_ms, statuses)
        notes = [
            Note(f"events.events[{index}]", f"PROCESSING_ERROR_REASON_{why}")
            for index, why in sorted(fault for status in statuses for fault in status.faults)
        ]
        return replace(_json(200, {"requestId": number}), notes=tuple(notes))

    def _unknown_actions(self, body: Any) -> list[Violation]:
        named = [one["productDestinationId"] for one in body["destinations"]]
        return [
            Violation(f"destinations[{index}].product_destination_id", "INVALID_CONVERSION_ACTION_ID")
            for index, action in enumerate(named)
            if self._actions is not None and action not in self._actions
        ]

    def _retrieve(self, request: Incoming) -> Answer:
        at_ms, statuses = self._statuses.get(dict(request.query).get("requestId", ""), (0, None))
        if statuses is None:
            return _refused(404, [])
        is_done = request.at_ms >= at_ms + self._processing_ms
        told: list[JSON] = [status.to_json(is_done=is_done) for status in statuses]
        return _json(200, {"requestStatusPerDestination": told})


def _info(reason: str, **metadata: JSON) -> JSON:
    kind = "type.googleapis.com/google.rpc.ErrorInfo"
    return {"@type": kind, "reason": reason, "domain": "datamanager.googleapis.com", "metadata": dict(metadata)}


def _invalid(violations: Sequence[Violation]) -> Answer:
    listed: list[JSON] = [violation.to_json() for violation in violations]
    bad: JSON = {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": listed}
    return _refused(400, [_info("INVALID_ARGUMENT"), bad])


def _refused(status: int, details: list[JSON]) -> Answer:
    word = _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
    return _json(status, {"error": {"code": status, "message": "Refused.", "status": word, "details": details}})


def _json(status: int, body: Mapping[str, JSON]) -> Answer:
    return Answer(status, orjson.dumps(body), {"Content-Type": "application/json; charset=UTF-8"})
