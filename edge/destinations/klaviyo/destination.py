"""Klaviyo as a destination: its facts, and the conversation."""

import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import orjson

from edge import __version__
from edge.delivery import (
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Rate,
    Refused,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
    Skipped,
    Throttled,
)
from edge.destinations.base import Anonymous, EventKey, Feature, Unfit, account_of, read_base_url
from edge.destinations.klaviyo import bulk
from edge.destinations.klaviyo.answers import CREATED_OR_UPDATED, QUEUED, is_open, read, reason_of, worst
from edge.destinations.klaviyo.calls import ALONE, EVENT, PROFILE, SUBSCRIPTION, bodies_of, payload_of
from edge.destinations.klaviyo.features import FEATURES
from edge.errors import TransportFailed
from edge.person import Identifiers
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, boolean, choice, secret, section, word

BASE_URL = "https://a.klaviyo.com"
REVISION = "2026-10-15"
ENDPOINTS = ("create_event", "bulk_create_events", "auto")
JSON_API = "application/vnd.api+json"
NATIVE_INTEGRATIONS = ("none", "shopify", "woocommerce", "magento")
# What those integrations send of an order, in Klaviyo's words and in ours.
ORDER_METRICS = frozenset(
    {
        "Placed Order",
        "Ordered Product",
        "Fulfilled Order",
        "Fulfilled Partial Order",
        "Canceled Order",
        "Cancelled Order",
        "Refunded Order",
    }
)
ORDER_EVENTS = frozenset({"purchase", "refund"})
# A refusal names the bad events; how often the others are sent again before each goes by itself.
MAX_REFUSALS = 10

Steps: TypeAlias = Generator[Request, Response, None]

_REVISION = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[a-z]+)?")


@dataclass(frozen=True, slots=True)
class _Call:
    path: str
    budget: str
    taken: frozenset[int]


ERASURE = _Call("/api/data-privacy-deletion-jobs", "", QUEUED)
BULK = _Call("/api/event-bulk-create-jobs", "bulk", QUEUED)
CALLS = {
    EVENT: _Call("/api/events", "", QUEUED),
    PROFILE: _Call("/api/profile-import", "profile", CREATED_OR_UPDATED),
    SUBSCRIPTION: _Call("/api/profile-subscription-bulk-create-jobs", "subscription", QUEUED),
}

PARAMETERS = section(
    "What Klaviyo needs.",
    {
        "private_api_key": secret(
            "A private key as ${NAME}, with the scope events:write; profiles:write for identify, and with subscribe "
            "lists:write and subscriptions:write too."
        ),
        "endpoint": choice(
            "Which call carries events; auto sends single events, and a backlog by the bulk call.",
            ENDPOINTS,
            default="auto",
        ),
        "native_integration": choice(
            "The shop's own integration with Klaviyo; what it sends of orders is then skipped here.",
            NATIVE_INTEGRATIONS,
            default="none",
        ),
        "base_url": base_url("Another host, for a proxy or the sandbox.", default=BASE_URL),
        "revision": word("The API revision.", _REVISION.pattern, default=REVISION),
    },
    required=["private_api_key"],
)
EVENT_KEYS = {
    "ordered_product": EventKey(
        boolean("Klaviyo: an Ordered Product event for each line of the order, too.", default=False)
    ),
    "subscribe": EventKey.mapping(
        "Klaviyo: subscribes who asked for it, on the channels that give true.",
        {
            "email": "true: to e-mail.",
            "sms": "true: to text messages.",
            "list": "The list's id; without one, to the account.",
            "source": "What Klaviyo shows as the source of the consent.",
        },
    ),
}


@dataclass(frozen=True, slots=True)
class Klaviyo:
    """One Klaviyo account, reached with one private key."""

    integration: ClassVar[str] = "klaviyo-events-api"
    purposes: ClassVar[frozenset[str]] = frozenset({"marketing"})
    max_batch: ClassVar[int] = bulk.MAX_JOB_EVENTS
    max_event_age_s: ClassVar[float | None] = None
    anonymous_targets: ClassVar[frozenset[str]] = frozenset({"anonymous_id", "$anonymous_id"})
    discloses: ClassVar[frozenset[str]] = frozenset()
    rate: ClassVar[Rate] = Rate(
        burst_per_s=350,
        steady_per_min=3_500,
        named={"bulk": Rate(10, 150), "profile": Rate(75, 750), "subscription": Rate(75, 750)},
    )
    of_repeats: ClassVar[str] = "Klaviyo ignores what it has: a repeated id of the same metric and person adds nothing"
    erase_rate: ClassVar[Rate] = Rate(burst_per_s=3, steady_per_min=60)
    anonymous: ClassVar[Anonymous] = "hold"
    click_targets: ClassVar[frozenset[str]] = frozenset({"_kx", "$exchange_id"})
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS
    event_keys: ClassVar[Mapping[str, EventKey]] = EVENT_KEYS

    private_api_key: Secret
    base_url: str = BASE_URL
    revision: str = REVISION
    endpoint: str = "auto"
    native_integration: str = "none"

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        endpoint = reader.choice("endpoint", ENDPOINTS, "auto")
        native_integration = reader.choice("native_integration", NATIVE_INTEGRATIONS, "none")
        revision = reader.parsed("revision", _revision, REVISION)
        key, host = reader.secret("private_api_key"), read_base_url(reader, BASE_URL)
        destination = cls(key, host, revision, endpoint, native_integration)
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one rate: the host and a digest of the key."""
        return account_of(self.base_url, self.private_api_key)

    def render(self, rendered: Rendered) -> Payload | Rejected | Skipped:
        """Give the bodies of all calls without their `backfill` mark, or why Klaviyo would refuse one of them."""
        if self.native_integration != "none" and _is_order(rendered):
            return Skipped(f"parameters.native_integration: {self.native_integration} sends the shop's orders")
        try:
            return payload_of(rendered)
        except Unfit as unfit:
            return Rejected(str(unfit))

    def batch_size(self, *, is_backlog: bool) -> int:
        """Give how many events may share a job: with `auto` live ones go by themselves, each as fast as it can."""
        is_by_bulk = self.endpoint == "bulk_create_events" or (self.endpoint == "auto" and is_backlog)
        return self.max_batch if is_by_bulk else 1

    def goes_alone(self, payload: Payload) -> bool:
        """Tell whether a payload has no place in a job of events."""
        return payload.body.startswith(ALONE)

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send a lone event by itself and several as a job; after a refusal of the account the rest is not tried."""
        outcomes: list[Outcome] = []
        while len(outcomes) < len(payloads):
            run = self._run(payloads[len(outcomes) :])
            made = yield from self._by_bulk(run) if len(run) > 1 else self._singly(run[0])
            outcomes += made
            if isinstance(made[-1], Throttled | Refused):
                break
        return [*outcomes, *outcomes[-1:] * (len(payloads) - len(outcomes))]

    def probe(self, now_ms: int) -> Conversation | None:
        """Give nothing: a key that may write events may be allowed nothing else to ask."""
        return None

    def erase(self, person: Identifiers) -> Conversation | None:
        """Ask for the deletion of one profile, by an e-mail or a phone number; Klaviyo takes exactly one of them.

        Source: Klaviyo Data Privacy API, Request Profile Deletion, revision 2026-10-15.
        """
        if person.email is not None:
            return self._erase({"email": person.email})
        return self._erase({"phone_number": person.phone}) if person.phone is not None else None

    def _erase(self, identifier: dict[str, str]) -> Conversation:
        profile = {"data": {"type": "profile", "attributes": identifier}}
        job = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}}
        response = yield self._request(ERASURE, orjson.dumps(job))
        return [read(response)]

    def further_requests(self, payload: Payload) -> Sequence[Request]:
        """Give the calls behind the first one: an order's lines, a subscription."""
        return [self._request(CALLS[kind], body) for kind, body in bodies_of(payload)][1:]

    def _run(self, payloads: Sequence[Payload]) -> Sequence[Payload]:
        """Give the first payloads that may share a job, or the first one alone."""
        if self.endpoint == "create_event":
            return payloads[:1]
        alone = (at for at, payload in enumerate(payloads) if self.goes_alone(payload))
        return payloads[: max(1, next(alone, len(payloads)))]

    def _singly(self, payload: Payload) -> Conversation:
        """Tell of one event, call after call until one has to be repeated; the event counts as its worst call."""
        outcomes: list[Outcome] = []
        for kind, body in bodies_of(payload):
            call = CALLS[kind]
            try:
                response = yield self._request(call, body)
            except TransportFailed as error:
                outcomes.append(Retry(str(error)))
            else:
                outcomes.append(read(response, call.taken))
            if is_open(outcomes[-1]):
                break
        return [worst(outcomes)]

    def _by_bulk(self, payloads: Sequence[Payload]) -> Conversation:
        """Send events as jobs; a refused job goes again without those it was refused for."""
        entries, repeats = bulk.without_repeats(list(bulk.entries_of(payloads)))
        found: dict[bulk.Entry, Outcome] = {}
        for job in bulk.jobs_within_limits(entries):
            yield from self._job(job, found)
            if any(is_open(found[entry]) for entry in job):
                break  # a later event of a visitor must not overtake an earlier one
        stopped = next((one for one in found.values() if isinstance(one, Throttled | Refused)), None)
        for entry, first in repeats:
            found[entry] = _as_first(entry, first, found)
        outcomes: list[list[Outcome]] = [[] for _ in payloads]
        for entry in (*entries, *(entry for entry, _ in repeats)):
            outcomes[entry.of].append(found.get(entry) or stopped or Retry("not sent"))
        return [worst(of_one) for of_one in outcomes]

    def _job(self, entries: Sequence[bulk.Entry], found: dict[bulk.Entry, Outcome]) -> Steps:
        """Send one job until it is taken; a refusal that names nobody is repeated event by event."""
        rest = list(entries)
        for _ in range(MAX_REFUSALS):
            job = bulk.job_of(rest)
            try:
                response = yield self._request(BULK, job.body)
            except TransportFailed as error:
                found |= dict.fromkeys(rest, Retry(str(error)))
                return
            outcome = read(response)
            if not isinstance(outcome, Rejected):
                found |= dict.fromkeys(rest, outcome)
                return
            blamed = bulk.blamed(response, job)
            if blamed is None:
                break
            found |= {entry: _refusal(response, errors) for entry, errors in blamed.items()}
            rest = [entry for entry in rest if entry not in blamed]
            if not rest:
                return
        found |= dict.fromkeys(rest, Retry(f"{reason_of(response.status, [])} for the whole job"))

    def _request(self, call: _Call, body: bytes) -> Request:
        headers = {
            "Authorization": f"Klaviyo-API-Key {self.private_api_key.reveal()}",
            "revision": self.revision,
            "Content-Type": JSON_API,
            "Accept": JSON_API,
            "X-Klaviyo-User-Agent": f"datafly-edge/{__version__}",
        }
        return Request("POST", f"{self.base_url}{call.path}", headers, body, call.budget)


def _is_order(rendered: Rendered) -> bool:
    return rendered.metric in ORDER_METRICS or rendered.event.get("name") in ORDER_EVENTS


def _refusal(response: Response, errors: Sequence[Any]) -> Outcome:
    """Give what a job's refusal means for one of its events; it keeps nothing of what is said of the others."""
    reason = reason_of(response.status, errors)
    if bulk.is_about_its_id(errors):
        return Retry(reason)
    return Rejected(reason, Response(response.status, response.headers, orjson.dumps({"errors": errors})))


def _as_first(entry: bulk.Entry, first: bulk.Entry, found: Mapping[bulk.Entry, Outcome]) -> Outcome:
    """Give the outcome of an event that was kept out of a job for its unique id: the vendor keeps the first of one."""
    outcome = found.get(first, Retry("not sent"))
    if isinstance(outcome, Delivered) and not bulk.is_same_person(entry, first):
        return Retry("kept out of a job that had its unique_id")
    return Retry(outcome.reason) if isinstance(outcome, Rejected) else outcome


def _revision(text: str) -> str:
    if not _REVISION.fullmatch(text):
        raise ValueError(f"is not a revision; accepted is a date such as {REVISION}")
    return text
