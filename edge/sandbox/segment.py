"""Fake customer data platforms with Segment's HTTP API: Segment, which says yes to nearly everything and drops what it
cannot use; RudderStack, which says what is wrong; Jitsu, which takes one message a call.

Source: Segment, "HTTP API Source" (32 KB a message, 500 KB a batch, Basic auth, messageId de-duplicates for about a
day) and its pages' error section: 200 for all but broken JSON and too large bodies; rudder-server, gateway,
`response.go` and its default of 4,000 KB a request; Jitsu, libs/jitsu-js.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import ClassVar

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.rates import RateLimit
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

KEY = "sandbox-write-key"
RATE = Rate(1_000, 60_000)
KINDS = ("identify", "track", "page", "screen", "group", "alias")
MAX_MESSAGE_BYTES, MAX_BATCH_BYTES, MAX_RUDDER_BYTES = 32_768, 512_000, 4_096_000
DEDUPLICATED_MS = 86_400_000
JSON_TYPE = {"Content-Type": "application/json"}
NO_ID = "request neither has anonymousId nor userId"

_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


class Segment:
    """One source of Segment's.

    Args:
        keys: the write keys whose messages are kept; those of others are accepted and dropped.
        rates: another limit than the usual one, for "batch"; None enforces none.
    """

    name: ClassVar[str] = "segment"
    prefix: ClassVar[str] = "/v1/"
    base_path: ClassVar[str] = "/v1"
    key: ClassVar[str] = KEY
    says_yes: ClassVar[bytes] = b'{"success":true}'

    def __init__(self, *, keys: Iterable[str] = (KEY,), rates: Mapping[str, Rate] | None = _NO_RATES) -> None:
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = frozenset(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"batch"}:
            raise KeyError(f"{min(strange)} is not one of batch")
        self._limit = RateLimit((rates or {}).get("batch", RATE), is_enforced=rates is not None)

    def reset(self) -> None:
        self._events: list[JSON] = []
        self._ignored: list[JSON] = []
        self._seen: dict[str, int] = {}

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        if identifier is None:
            return {"events": list(self._events), "ignored": list(self._ignored)}
        return {"events": [one for one in self._events if _mentions(one, identifier)]}

    def masked(self, request: Incoming) -> Incoming:
        headers = CIMultiDict(request.headers)
        for name in ("Authorization", "X-Write-Key"):
            if name in headers:
                headers[name] = "valid" if self._key(request) in self._keys else "invalid"
        return replace(request, headers=CIMultiDictProxy(headers))

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        answer = self._refused(status, "This answer was asked for.")
        waiting = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return replace(answer, headers={**answer.headers, **waiting})

    def answer(self, request: Incoming) -> Answer:
        call = request.path.removeprefix(self.prefix).removesuffix("/")
        if not request.path.startswith(self.prefix) or call not in (*KINDS, *self._more_calls()):
            return self._refused(404, "There is nothing at this path.")
        if request.method != "POST":
            return self._refused(405, "Only POST is taken.")
        wait_s = self._limit.take(request.monotonic_s)
        if wait_s is not None:
            return self.refusal(429, retry_after_s=wait_s)
        return self._judge(request, call)

    # What differs from platform to platform.

    def _more_calls(self) -> tuple[str, ...]:
        return ("batch",)

    def _key(self, request: Incoming) -> str | None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        return user if scheme == "Basic" and not password else None

    def _refused(self, status: int, what: str) -> Answer:
        return Answer(status, orjson.dumps({"success": False, "message": what}), JSON_TYPE)

    def _judge(self, request: Incoming, call: str) -> Answer:
        """Refuse what is broken or too large, and drop the rest of what is wrong in silence."""
        if len(request.body) > MAX_BATCH_BYTES:
            return self._refused(400, "The request is too large.")
        messages = _messages(request.body, call)
        if messages is None:
            return self._refused(400, "The body is not JSON.")
        if any(len(orjson.dumps(one)) > MAX_MESSAGE_BYTES for one in messages):
            return self._refused(400, "A message is too large.")
        notes = []
        for message in messages:
            what = "unknown write key" if self._key(request) not in self._keys else _dropped(message)
            notes += self._ignore(message, what) if what else self._keep(message, request.at_ms)
        return Answer(200, self.says_yes, JSON_TYPE, tuple(notes))

    # What they share.

    def _keep(self, message: JSON, at_ms: int) -> list[Note]:
        assert isinstance(message, dict), "what is no object was dropped"
        own = message.get("messageId")
        if isinstance(own, str):
            if own in self._seen and at_ms - self._seen[own] < DEDUPLICATED_MS:
                return self._ignore(message, "a duplicate: this messageId was taken within a day")
            self._seen[own] = at_ms
        self._events.append(message)
        return []

    def _ignore(self, message: JSON, what: str) -> list[Note]:
        own = message.get("messageId") if isinstance(message, dict) else None
        self._ignored.append({"reason": what, "messageId": own})
        return [Note("", what)]


class RudderStack(Segment):
    """A RudderStack data plane: the same messages, and a word about what is wrong."""

    name: ClassVar[str] = "rudderstack"
    says_yes: ClassVar[bytes] = b"OK"

    def _refused(self, status: int, what: str) -> Answer:
        return Answer(status, what.encode(), {"Content-Type": "text/plain; charset=utf-8"})

    def _judge(self, request: Incoming, call: str) -> Answer:
        """Refuse the whole request for one bad message."""
        key = self._key(request)
        if key is None:
            return self._refused(401, "failed to read writeKey from header")
        if key not in self._keys:
            return self._refused(401, "invalid write key")
        if len(request.body) > MAX_RUDDER_BYTES:
            return self._refused(413, "request size too large")
        messages = _messages(request.body, call)
        if messages is None:
            return self._refused(400, "invalid json")
        if not messages:
            return self._refused(400, "empty batch payload")
        for what in map(_wrong, messages):
            if what:
                return self._refused(400, what)
        notes = [note for one in messages for note in self._keep(one, request.at_ms)]
        return Answer(200, self.says_yes, {"Content-Type": "text/plain; charset=utf-8"}, tuple(notes))


class Jitsu(Segment):
    """A Jitsu: one message a call, with the key in a header of its own."""

    name: ClassVar[str] = "jitsu"
    prefix: ClassVar[str] = "/api/s/s2s/"
    base_path: ClassVar[str] = ""
    says_yes: ClassVar[bytes] = b'{"ok":true}'

    def _more_calls(self) -> tuple[str, ...]:
        return ()

    def _key(self, request: Incoming) -> str | None:
        return request.headers.get("X-Write-Key")

    def _judge(self, request: Incoming, call: str) -> Answer:
        if self._key(request) not in self._keys:
            return self._refused(401, "invalid write key")
        return super()._judge(request, call)


def _messages(body: bytes, call: str) -> list[JSON] | None:
    """Give the messages of a body, a single one with its call as type; None for a body that is broken."""
    try:
        document: JSON = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(document, dict):
        return None
    if call != "batch":
        return [{"type": call, **document}]
    batch = document.get("batch")
    return batch if isinstance(batch, list) else None


def _dropped(message: JSON) -> str:
    """Say why Segment would drop a message without a word; "" where it would not."""
    if not isinstance(message, dict) or message.get("type") not in KINDS:
        return "no message of a known type"
    if not message.get("userId") and not message.get("anonymousId"):
        return "neither userId nor anonymousId"
    return "a track without event" if message["type"] == "track" and not message.get("event") else ""


def _wrong(message: JSON) -> str:
    """Say why RudderStack would refuse a message; "" where it would not."""
    if not isinstance(message, dict):
        return "event is not a valid rudder event"
    if not message.get("userId") and not message.get("anonymousId"):
        return NO_ID
    return "" if message.get("type") in KINDS else "event is not a valid rudder event"


def _mentions(tree: JSON, text: str) -> bool:
    if isinstance(tree, dict):
        return any(_mentions(one, text) for one in tree.values())
    return any(_mentions(one, text) for one in tree) if isinstance(tree, list) else tree == text
