"""A fake Klaviyo: it refuses what Klaviyo refuses, says it as Klaviyo does, and keeps what it took.

Source: Klaviyo API, revisions 2026-07-15 and 2026-10-15: "Authenticate API requests", "API versioning and deprecation
policy" (two years a revision), "Rate limits, status codes, and errors", and the five operations in `_endpoints`.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Protocol
from uuid import uuid4

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import klaviyo_rules as rules
from edge.sandbox.klaviyo_account import Account
from edge.sandbox.klaviyo_answers import MEDIA_TYPE, Answers
from edge.sandbox.klaviyo_bodies import read_deletion, read_event, read_job, read_profile, read_subscriptions
from edge.sandbox.klaviyo_profiles import Profile
from edge.sandbox.rates import RateLimit
from edge.sandbox.shape import Check, Problem, Report
from edge.sandbox.vendor import JSON, Answer, Incoming, Rate, Scopes

KEY = "sandbox-private-key"
NEWEST_REVISION = date(2026, 10, 15)
SUPPORTED_YEARS = 2
MEDIA_TYPES = frozenset({MEDIA_TYPE, "application/json"})
MAX_EVENT_BYTES = 5_000_000
MAX_PROFILE_BYTES = 100_000
SUBSCRIBE = "lists:write profiles:write subscriptions:write"

_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


class _Shape(Protocol):
    def __call__(self, revision: date, /, *, now_ms: int) -> Check: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation: what it demands (scopes with spaces between), and what it does with a good document."""

    name: str
    scope: str
    rate: Rate
    max_body_bytes: int
    shape: _Shape
    process: Callable[[JSON, Incoming], Answer]


class Klaviyo:
    """One account.

    Args:
        keys: private keys that may do everything; see `accept_keys` for keys with scopes.
        rates: other limits than the real ones, by operation; None enforces none.
        has_sms: without SMS, an event whose only identifier is a phone number is accepted and never recorded.
        new_id: makes the ids of errors.
    """

    name = "klaviyo"
    key = KEY
    base_path = ""

    def __init__(
        self,
        *,
        keys: Iterable[str] = (KEY,),
        rates: Mapping[str, Rate] | None = _NO_RATES,
        has_sms: bool = False,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._answers = Answers(new_id)
        self._has_sms = has_sms
        self._endpoints = self._operations()
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def _operations(self) -> dict[str, Endpoint]:
        event, bulk = Rate(350, 3_500), Rate(10, 150)
        profile, privacy = Rate(75, 750), Rate(3, 60)
        return {
            "/api/events": Endpoint(
                "create_event", "events:write", event, MAX_EVENT_BYTES, rules.event_document, self._create_event
            ),
            "/api/event-bulk-create-jobs": Endpoint(
                "bulk_create_events", "events:write", bulk, MAX_EVENT_BYTES, rules.bulk_document, self._create_events
            ),
            "/api/profile-import": Endpoint(
                "profile_import", "profiles:write", profile, MAX_PROFILE_BYTES, rules.profile_document, self._import
            ),
            "/api/profile-subscription-bulk-create-jobs": Endpoint(
                "subscribe_profiles", SUBSCRIBE, profile, MAX_EVENT_BYTES, rules.subscription_document, self._subscribe
            ),
            "/api/data-privacy-deletion-jobs": Endpoint(
                "delete_profile", "data-privacy:write", privacy, MAX_PROFILE_BYTES, rules.deletion_document, self._erase
            ),
        }

    # What the application and tests ask.

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = dict(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        known = {endpoint.name: endpoint.rate for endpoint in self._endpoints.values()}
        if strange := set(rates or ()) - set(known):
            raise KeyError(f"{min(strange)} is not one of {', '.join(known)}")
        known |= rates or {}
        self._limits = {name: RateLimit(rate, is_enforced=rates is not None) for name, rate in known.items()}

    def find_profile(self, identifier: str) -> Profile | None:
        """The profile with this e-mail, phone number, or any other identifier."""
        return self._account.find(identifier)

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        if identifier is None:
            return self._account.to_json()
        profile = self._account.find(identifier)
        return {"events": [], "profiles": []} if profile is None else profile.taken()

    def reset(self) -> None:
        self._account = Account(has_sms=self._has_sms)

    def masked(self, request: Incoming) -> Incoming:
        headers = CIMultiDict(request.headers)
        if "Authorization" in headers:
            headers["Authorization"] = "valid" if _key(request) in self._keys else "invalid"
        return replace(request, headers=CIMultiDictProxy(headers))

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        if status == 429 and retry_after_s is not None:
            return self._answers.throttled(retry_after_s)
        answer = self._answers.refused(status, "This answer was asked for.")
        waiting = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return replace(answer, headers={**answer.headers, **waiting})

    # From the outside in: path, key, rate, headers, size, document.

    def answer(self, request: Incoming) -> Answer:
        endpoint = self._endpoints.get(request.path.removesuffix("/"))
        if endpoint is None:
            return self._answers.refused(404, "There is nothing at this path.")
        if request.method != "POST":
            refused = self._answers.refused(405, f"Method '{request.method}' is not allowed.")
            return replace(refused, headers={**refused.headers, "Allow": "POST"})
        return self._refuse_key(request, endpoint) or self._answer_within_rate(request, endpoint)

    def _refuse_key(self, request: Incoming, endpoint: Endpoint) -> Answer | None:
        key = _key(request)
        if key is None:
            return self._answers.refused(401, "The header must read 'Authorization: Klaviyo-API-Key <private key>'.")
        if key not in self._keys:
            return self._answers.refused(401, "The private key is not known.")
        scopes = self._keys[key]
        missing = next((scope for scope in endpoint.scope.split() if scopes is not None and scope not in scopes), None)
        if missing is not None:
            return self._answers.refused(403, f"The private key lacks the scope '{missing}'.")
        return None

    def _answer_within_rate(self, request: Incoming, endpoint: Endpoint) -> Answer:
        limit = self._limits[endpoint.name]
        wait_s = limit.take(request.monotonic_s)
        if wait_s is not None:
            return self._answers.throttled(wait_s)
        answer = self._answer_at_revision(request, endpoint)
        return replace(answer, headers={**answer.headers, **limit.headers(request.monotonic_s)})

    def _answer_at_revision(self, request: Incoming, endpoint: Endpoint) -> Answer:
        source: dict[str, JSON] = {"parameter": "revision"}
        revision = _read_date(request.headers.get("revision", ""))
        if revision is None:
            return self._answers.refused(400, "The header 'revision: YYYY-MM-DD' is required.", source=source)
        if revision > NEWEST_REVISION:
            return self._answers.refused(400, f"There is no revision after {NEWEST_REVISION}.", source=source)
        if _is_retired(revision, datetime.fromtimestamp(request.at_ms / 1000, UTC).date()):
            detail = f"A revision is supported for {SUPPORTED_YEARS} years; {revision} is older."
            return self._answers.refused(410, detail, source=source)
        return self._refuse_body(request, endpoint) or self._answer_document(request, endpoint, revision)

    def _refuse_body(self, request: Incoming, endpoint: Endpoint) -> Answer | None:
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type not in MEDIA_TYPES:
            return self._answers.refused(415, f"The content type must be {MEDIA_TYPE}.")
        if len(request.body) > endpoint.max_body_bytes:
            return self._answers.refused(413, f"The payload must not exceed {endpoint.max_body_bytes} bytes.")
        if request.query:
            name = request.query[0][0]
            return self._answers.refused(400, f"'{name}' is not a parameter here.", source={"parameter": name})
        return None

    def _answer_document(self, request: Incoming, endpoint: Endpoint, revision: date) -> Answer:
        try:
            document: JSON = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return self._answers.invalid([Problem("/data", "The body is not JSON.")])
        report = Report()
        endpoint.shape(revision, now_ms=request.at_ms)(report, "", document)
        if report.problems:
            return replace(self._answers.invalid(report.problems), notes=tuple(report.notes))
        answer = endpoint.process(document, request)
        return replace(answer, notes=(*report.notes, *answer.notes))

    # What each operation does.

    def _create_event(self, document: JSON, request: Incoming) -> Answer:
        entry = read_event(document, now_ms=request.at_ms)
        if not self._account.knows(entry.update):
            return self._no_such_profile()
        return Answer(202, notes=self._account.record(entry))

    def _create_events(self, document: JSON, request: Incoming) -> Answer:
        entries = tuple(read_job(document, now_ms=request.at_ms))
        if not all(self._account.knows(entry.update) for entry in entries):
            return self._no_such_profile()
        if repeats := self._account.repeats(entries):
            return self._answers.invalid(repeats)
        return Answer(202, notes=self._account.record_job(entries))

    def _import(self, document: JSON, request: Incoming) -> Answer:
        update = read_profile(document)
        if not self._account.knows(update):
            return self._no_such_profile()
        profile, is_new = self._account.profiles.apply(update)
        body = orjson.dumps({"data": {"type": "profile", "id": profile.id, "attributes": profile.attributes}})
        return Answer(201 if is_new else 200, body, {"Content-Type": MEDIA_TYPE})

    def _subscribe(self, document: JSON, request: Incoming) -> Answer:
        for asked in read_subscriptions(document):
            self._account.subscribe(asked)
        return Answer(202)

    def _erase(self, document: JSON, request: Incoming) -> Answer:
        self._account.erase(read_deletion(document))
        return Answer(202)

    def _no_such_profile(self) -> Answer:
        return self._answers.refused(404, "There is no profile with this id.")


def _key(request: Incoming) -> str | None:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key if scheme == "Klaviyo-API-Key" else None


def _read_date(written: str) -> date | None:
    try:
        return date.fromisoformat(written) if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written) else None
    except ValueError:
        return None


def _is_retired(revision: date, today: date) -> bool:
    return (revision.year + SUPPORTED_YEARS, revision.month, revision.day) < (today.year, today.month, today.day)
