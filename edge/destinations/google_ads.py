"""Google Ads: conversions through the Data Manager API, `events:ingest`.

One request carries up to 2,000 events and fails as a whole for one bad event: what the answer points at is rejected and
the rest sent again, and where it points nowhere the request is halved. A repeat is harmless: every event carries its
transaction id. A 200 says that the events are queued; whether each becomes a conversion is asked about later.

Source: Data Manager API v1 (google-ads-datamanager 0.9.4), its guides "Limits and quotas", "Understand API errors" and
"Diagnostics", as of 2026-11.
"""

import re
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self, TypeAlias
from urllib.parse import quote

import orjson

from edge.delivery import (
    Conversation,
    Inquiry,
    Outcome,
    Payload,
    Rate,
    Rejected,
    Rendered,
    Request,
    Response,
    Retry,
)
from edge.destinations.base import Anonymous, Feature, Unfit, account_of, read_base_url
from edge.destinations.google_ads_answers import read, refused_events
from edge.destinations.google_ads_form import CLICK_IDS, action_of, event_of, is_action, timestamp
from edge.destinations.google_ads_status import LATE_REASONS, read_status
from edge.destinations.google_ads_tokens import TOKEN_URL, Grant, Tokens, parse_grant
from edge.destinations.google_identifiers import hashed_email
from edge.destinations.parts import Sent, in_parts
from edge.errors import TransportFailed
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, base_url, boolean, secret, section, word

Heard: TypeAlias = Generator[Request, Response, Response | Outcome]

BASE_URL = "https://datamanager.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/datamanager"
MAX_EVENTS, MAX_DESTINATIONS = 2_000, 10
MAX_CLICK_AGE_S = 90 * 86_400.0  # a conversion counts up to 90 days after the click

_DIGITS = re.compile(r"[0-9]{1,20}")
_PROJECT = re.compile(r"[a-z0-9:.-]{1,64}")
_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")

MERCHANT = {"merchant_id": "merchantId", "feed_label": "merchantFeedLabel", "feed_language": "merchantFeedLanguageCode"}

FEATURES = (
    Feature(
        None,
        (f"{'|'.join(CLICK_IDS)}|email|phone_number",),
        "nobody can be matched, and every event becomes a dead letter",
    ),
    Feature(None, ("email",), "conversions without a click id are not matched to anybody's click"),
    Feature("view_item", ("value",), "its conversion action counts a default value"),
    Feature("purchase", ("value",), "bidding by value sees the action's default value"),
    Feature("purchase", ("transaction_id",), "an order that is sent twice under two ids counts twice"),
)
PARAMETERS = section(
    "What Google Ads needs.",
    {
        "credentials": secret("The JSON of a service account's key, or of an authorized user, as ${NAME}."),
        "customer_id": word(
            "The account that owns the conversion actions, 123-456-7890.", r"[0-9-]{1,20}", examples=["1234567890"]
        ),
        "conversion_action": word(
            "The conversion action of purchases, by its id.", r"[1-9][0-9]{0,18}", examples=["700123456"]
        ),
        "login_customer_id": word(
            "The manager account through which it is reached.", r"[0-9-]{1,20}", examples=["9876543210"]
        ),
        "quota_project": word("The Cloud project whose quota is used.", _PROJECT.pattern, examples=["shop-example-1"]),
        "merchant_id": word("The Merchant Center account of the items.", _LABEL.pattern, examples=["123456"]),
        "feed_label": word("The feed of the items, such as GB.", _LABEL.pattern, examples=["GB"]),
        "feed_language": word("The language of that feed, such as en.", _LABEL.pattern, examples=["en"]),
        "validate_only": boolean("Google checks the events and counts none.", default=False),
        "base_url": base_url("Another host, for a proxy or the sandbox.", default=BASE_URL),
        "token_url": base_url("Where tokens come from.", default=TOKEN_URL),
    },
    required=["credentials", "customer_id", "conversion_action"],
)


@dataclass(frozen=True, slots=True)
class GoogleAds:
    """One Google Ads account. `tokens` keeps its access token until that ends, and is no part of what it is."""

    integration: ClassVar[str] = "google-ads"
    purposes: ClassVar[frozenset[str]] = frozenset({"advertising"})
    max_batch: ClassVar[int] = MAX_EVENTS
    rate: ClassVar[Rate] = Rate(burst_per_s=10, steady_per_min=300)
    anonymous: ClassVar[Anonymous] = "send"
    click_targets: ClassVar[frozenset[str]] = frozenset()
    features: ClassVar[tuple[Feature, ...]] = FEATURES
    parameters: ClassVar[Shape] = PARAMETERS
    max_event_age_s: ClassVar[float | None] = MAX_CLICK_AGE_S - 86_400.0
    anonymous_targets: ClassVar[frozenset[str]] = frozenset()
    discloses: ClassVar[frozenset[str]] = frozenset({"advertising"})
    # Some guides count these calls with the others; so they never take more than a tenth of the minute.
    inquiry_rate: ClassVar[Rate] = Rate(burst_per_s=1, steady_per_min=30)
    inquire_after_s: ClassVar[float] = 1_800.0
    inquire_for_s: ClassVar[float] = 3 * 86_400.0
    late_reasons: ClassVar[frozenset[str]] = LATE_REASONS

    credentials: Secret
    customer_id: str
    conversion_action: str
    tokens: Tokens = field(repr=False, compare=False)
    login_customer_id: str = ""
    quota_project: str = ""
    cart: Mapping[str, str] = field(default_factory=dict)
    is_validate_only: bool = False
    base_url: str = BASE_URL

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read `parameters`; what is wrong is collected in the reader's problems."""
        credentials = reader.secret("credentials")
        grant = _grant(reader, credentials)
        token_url = reader.parsed("token_url", _url, TOKEN_URL)
        cart = {name: reader.parsed(key, _label, "") for key, name in MERCHANT.items()}
        destination = cls(
            credentials=credentials,
            customer_id=reader.parsed("customer_id", _account, "") or _digits(reader.text("customer_id")),
            conversion_action=reader.parsed("conversion_action", _action, "") or reader.text("conversion_action"),
            tokens=Tokens(grant, url=token_url, scope=SCOPE),
            login_customer_id=reader.parsed("login_customer_id", _account, ""),
            quota_project=reader.parsed("quota_project", _project, ""),
            cart={name: text for name, text in cart.items() if text},
            is_validate_only=reader.boolean("validate_only", False),
            base_url=read_base_url(reader, BASE_URL),
        )
        reader.done()
        return destination

    @property
    def account(self) -> str:
        """Name the account that shares one quota: the host and a digest of the credential."""
        return account_of(self.base_url, self.credentials)

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give the one event as JSON, or why Google would refuse it."""
        try:
            action = action_of(rendered, self.conversion_action)
            return Payload(orjson.dumps(event_of(rendered, action, cart=self.cart)), rendered.time_ms)
        except Unfit as unfit:
            return Rejected(str(unfit))
        except orjson.JSONEncodeError:
            return Rejected("the event cannot be written as JSON")

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Send all in as few requests as Google takes; refused events are taken out, the rest is sent again."""
        events = [_sendable(payload, now_ms) for payload in payloads]

        def send(places: Sequence[int]) -> Sent:
            heard = yield from self._ask([events[place] for place in places], now_ms)
            if not isinstance(heard, Response):
                return heard
            outcome = read(heard, is_validate_only=self.is_validate_only)
            named = refused_events(heard, len(places)) if isinstance(outcome, Rejected) and len(places) > 1 else {}
            return {at: Rejected(reason) for at, reason in named.items()} or outcome

        return in_parts(_chunks(events), send)

    def inquire(self, receipt: str, now_ms: int) -> Inquiry:
        """Ask at the request's status what became of its events."""

        def ask(token: Secret) -> Request:
            url = f"{self.base_url}/v1/requestStatus:retrieve?requestId={quote(receipt, safe='')}"
            return Request("GET", url, self._headers(token), b"")

        heard = yield from self._heard(ask, now_ms)
        return read_status(heard) if isinstance(heard, Response) else heard

    def probe(self, now_ms: int) -> Conversation | None:
        """Let Google validate one made-up purchase: it looks at token, account and action, and counts nothing."""
        event = {
            "destinationReferences": [self.conversion_action],
            "transactionId": "edge-check",
            "eventTimestamp": timestamp(now_ms),
            "eventSource": "WEB",
            "userData": {"userIdentifiers": [{"emailAddress": hashed_email("visitor@shop.example")}]},
            "consent": {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"},
        }
        return self._probed(event, now_ms)

    def _probed(self, event: dict[str, Any], now_ms: int) -> Conversation:
        heard = yield from self._ask([event], now_ms, is_validate_only=True)
        return [read(heard, is_validate_only=True) if isinstance(heard, Response) else heard]

    def _ask(self, events: Sequence[dict[str, Any]], now_ms: int, *, is_validate_only: bool | None = None) -> Heard:
        """Send events; give Google's answer."""
        validates = self.is_validate_only if is_validate_only is None else is_validate_only
        body = self._body(events, is_validate_only=validates)
        url = f"{self.base_url}/v1/events:ingest"
        return (yield from self._heard(lambda token: Request("POST", url, self._headers(token), body), now_ms))

    def _heard(self, ask: Callable[[Secret], Request], now_ms: int) -> Heard:
        """Give Google's answer; what a token could not be had for, or a lost answer, is an outcome already.

        A token that is refused before its time is fetched anew, once.
        """
        may_renew = True
        while True:
            try:
                token = yield from self.tokens.get(now_ms)
                if not isinstance(token, Secret):
                    return token
                response = yield ask(token)
            except TransportFailed as failed:
                return Retry(str(failed))
            if response.status != 401 or not may_renew or not self.tokens.forget(token):
                return response
            may_renew = False

    def _headers(self, token: Secret) -> dict[str, str]:
        headers = {"Authorization": f"Bearer {token.reveal()}", "Content-Type": "application/json"}
        return {**headers, "x-goog-user-project": self.quota_project} if self.quota_project else headers

    def _body(self, events: Sequence[dict[str, Any]], *, is_validate_only: bool) -> bytes:
        actions = dict.fromkeys(event["destinationReferences"][0] for event in events)
        destinations = [self._destination(action) for action in actions]
        encoding = {"encoding": "HEX"} if any("userData" in event for event in events) else {}
        flags = {**encoding, "validateOnly": is_validate_only}
        return orjson.dumps({"destinations": destinations, **flags, "events": list(events)})

    def _destination(self, action: str) -> dict[str, object]:
        accounts = {"operatingAccount": {"accountType": "GOOGLE_ADS", "accountId": self.customer_id}}
        if self.login_customer_id:
            accounts["loginAccount"] = {"accountType": "GOOGLE_ADS", "accountId": self.login_customer_id}
        return {"reference": action, **accounts, "productDestinationId": action}


def _chunks(events: Sequence[dict[str, Any]]) -> list[list[int]]:
    """Give the places of each request's events: in order, with at most as many events and actions as Google takes."""
    chunks: list[list[int]] = []
    actions: set[str] = set()
    for place, event in enumerate(events):
        actions.add(event["destinationReferences"][0])
        if not chunks or len(chunks[-1]) >= MAX_EVENTS or len(actions) > MAX_DESTINATIONS:
            chunks.append([])
            actions = {event["destinationReferences"][0]}
        chunks[-1].append(place)
    return chunks


def _sendable(payload: Payload, now_ms: int) -> dict[str, Any]:
    """Give the event; one whose clock is ahead of ours happened now, as Google takes none from the future."""
    event: dict[str, Any] = orjson.loads(payload.body)
    if payload.time_ms > now_ms:
        event["eventTimestamp"] = timestamp(now_ms)
    return event


def _grant(reader: Reader, credentials: Secret) -> Grant:
    """Read the credential; of one that could not be had at all nothing more is said."""
    if not reader.is_unread("credentials"):
        try:
            return parse_grant(credentials)
        except ValueError as error:
            reader.refuse("credentials", f"this value {error}")
    return parse_grant(Secret("none"))


def _digits(text: str) -> str:
    return text.replace("-", "")


def _account(text: str) -> str:
    if not _DIGITS.fullmatch(_digits(text)):
        raise ValueError("is not an account's id; accepted is one such as 123-456-7890")
    return _digits(text)


def _action(text: str) -> str:
    if not is_action(text):
        raise ValueError("is not a conversion action's id; accepted are its digits, such as 700123456")
    return text


def _label(text: str) -> str:
    if not _LABEL.fullmatch(text):
        raise ValueError("is not in form; accepted are 1 to 64 letters, digits, _ and -")
    return text


def _project(text: str) -> str:
    if not _PROJECT.fullmatch(text):
        raise ValueError("is not a Cloud project's id; accepted is one such as shop-example-1")
    return text


def _url(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]-]+(/[A-Za-z0-9._~:-]+)*", text):
        raise ValueError("is not an address; accepted is one such as https://host:8443/token, no login, no query")
    return text
