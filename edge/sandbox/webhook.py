"""A fake receiver of webhooks: it checks signatures as the Standard Webhooks libraries do, and takes each event once.

Source: Standard Webhooks specification 1.0.0: three headers, "v1,"-signatures of "id.timestamp.body", a tolerance of
five minutes, base64 secrets behind whsec_; a delivery that was seen before is answered well and not processed again.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import orjson
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox.rates import RateLimit
from edge.sandbox.vendor import JSON, Answer, Incoming, Note, Rate, Scopes

SECRET = "whsec_" + base64.b64encode(b"sandbox-webhook-secret--").decode()
TOLERANCE_S = 300
MAX_BODY_BYTES = 1_000_000
RATE = Rate(1_000, 60_000)
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")

TAKEN = Answer(200, b'{"received":true}', {"Content-Type": "application/json"})
_NO_RATES: Mapping[str, Rate] = MappingProxyType({})


class Webhook:
    """One receiver.

    Args:
        keys: the secrets whose signatures it takes.
        rates: another limit than the usual one, for "receive"; None enforces none.
    """

    name = "webhook"
    base_path = "/in"
    key = SECRET

    def __init__(self, *, keys: Iterable[str] = (SECRET,), rates: Mapping[str, Rate] | None = _NO_RATES) -> None:
        self.accept_keys(dict.fromkeys(keys))
        self.set_rates(rates)
        self.reset()

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        self._keys = tuple(keys)

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        if strange := set(rates or ()) - {"receive"}:
            raise KeyError(f"{min(strange)} is not one of receive")
        self._limit = RateLimit((rates or {}).get("receive", RATE), is_enforced=rates is not None)

    def reset(self) -> None:
        self._events: list[JSON] = []
        self._ignored: list[JSON] = []
        self._seen: set[str] = set()

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        if identifier is None:
            return {"events": list(self._events), "ignored": list(self._ignored)}
        return {"events": [one for one in self._events if _mentions(one, identifier)]}

    def masked(self, request: Incoming) -> Incoming:
        headers = CIMultiDict(request.headers)
        if "webhook-signature" in headers:
            headers["webhook-signature"] = "valid" if self._is_signed(request) else "invalid"
        if "Authorization" in headers:
            headers["Authorization"] = "****"
        return replace(request, headers=CIMultiDictProxy(headers))

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        answer = _refused(status, "This answer was asked for.")
        waiting = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
        return replace(answer, headers={**answer.headers, **waiting})

    def answer(self, request: Incoming) -> Answer:
        if request.method != "POST":
            return replace(_refused(405, "Only POST is taken."), headers={"Allow": "POST"})
        wait_s = self._limit.take(request.monotonic_s)
        if wait_s is not None:
            return self.refusal(429, retry_after_s=wait_s)
        if len(request.body) > MAX_BODY_BYTES:
            return _refused(413, f"A body has at most {MAX_BODY_BYTES} bytes.")
        if what := self._unsigned(request):
            return _refused(401, what)
        if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
            return _refused(415, "The content type must be application/json.")
        try:
            document: JSON = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return _refused(400, "The body is not JSON.")
        if not isinstance(document, dict):
            return _refused(400, "The body must be an object.")
        return self._take(request.headers["webhook-id"], document)

    def _unsigned(self, request: Incoming) -> str:
        """Say what is wrong with the signature; "" for nothing."""
        for name in SIGNED:
            if len(request.headers.getall(name, [])) != 1:
                return f"The header {name} is required, once."
        at = request.headers["webhook-timestamp"]
        if not (at.isascii() and at.isdecimal()):
            return "webhook-timestamp must be whole seconds."
        if abs(request.at_ms / 1_000 - int(at)) > TOLERANCE_S:
            return f"webhook-timestamp is more than {TOLERANCE_S} seconds away."
        return "" if self._is_signed(request) else "No signature fits."

    def _is_signed(self, request: Incoming) -> bool:
        told = [request.headers.get(name, "") for name in SIGNED]
        signed = f"{told[0]}.{told[1]}.".encode() + request.body
        given = [one.removeprefix("v1,") for one in told[2].split(" ") if one.startswith("v1,")]
        return any(_fits(key, signed, one) for key in self._keys for one in given)

    def _take(self, delivery: str, document: dict[str, JSON]) -> Answer:
        if delivery in self._seen:
            self._ignored.append({"reason": "a duplicate: this webhook-id was taken before", "webhook_id": delivery})
            return replace(TAKEN, notes=(Note("", "a duplicate: this webhook-id was taken before"),))
        self._seen.add(delivery)
        events = document.get("events")
        notes = [note for one in (events if isinstance(events, list) else [document]) for note in self._keep(one)]
        return replace(TAKEN, notes=tuple(notes))

    def _keep(self, event: JSON) -> list[Note]:
        data = event.get("data") if isinstance(event, dict) else None
        own = data.get("id") if isinstance(data, dict) else None
        if isinstance(own, str):
            if f"data.id={own}" in self._seen:
                self._ignored.append({"reason": "a duplicate: the event's id was taken before", "id": own})
                return [Note("/data/id", "a duplicate: the event's id was taken before")]
            self._seen.add(f"data.id={own}")
        self._events.append(event)
        return []


def _fits(key: str, signed: bytes, given: str) -> bool:
    try:
        raw = base64.b64decode(key.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        return False
    made = base64.b64encode(hmac.digest(raw, signed, hashlib.sha256)).decode()
    return hmac.compare_digest(made.encode(), given.encode())


def _mentions(tree: JSON, text: str) -> bool:
    if isinstance(tree, dict):
        return any(_mentions(one, text) for one in tree.values())
    return any(_mentions(one, text) for one in tree) if isinstance(tree, list) else tree == text


def _refused(status: int, what: str) -> Answer:
    return Answer(status, orjson.dumps({"error": what}), {"Content-Type": "application/json"})
