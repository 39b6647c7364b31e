"""The fake receiver of webhooks refuses what a receiver with a Standard Webhooks library refuses."""

import base64
import hashlib
import hmac
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import Webhook
from edge.sandbox.vendor import Answer, Incoming, Rate
from edge.sandbox.webhook import SECRET, TAKEN

AT_MS = 1_795_000_000_000
EVENT = {"type": "purchase", "timestamp": "2026-11-18T11:06:40Z", "data": {"id": "e-1", "properties": {"a": "b"}}}


def signed(body: bytes, delivery: str = "e-1", at: str = "1795000000", secret: str = SECRET) -> dict[str, str]:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    made = "v1," + base64.b64encode(digest).decode()
    return {
        "webhook-id": delivery,
        "webhook-timestamp": at,
        "webhook-signature": made,
        "Content-Type": "application/json",
    }


def send(vendor: Webhook, body: bytes, headers: dict[str, str], method: str = "POST") -> Answer:
    named = CIMultiDictProxy(CIMultiDict(headers))
    return vendor.answer(Incoming(method, "/", (), named, body, AT_MS, 1_000.0))


def post(vendor: Webhook, document: Any, **how: str) -> Answer:
    body = orjson.dumps(document)
    return send(vendor, body, signed(body, **how))


def test_signed_event_is_taken_whole() -> None:
    vendor = Webhook()
    assert post(vendor, EVENT) == TAKEN
    assert vendor.taken() == {"events": [EVENT], "ignored": []}
    assert vendor.taken("b") == {"events": [EVENT]}
    assert vendor.taken("c") == {"events": []}


def test_batch_is_taken_event_by_event() -> None:
    vendor, other = Webhook(), {**EVENT, "data": {"id": "e-2"}}
    assert post(vendor, {"events": [EVENT, other]}, delivery="b-1").status == 200
    assert vendor.taken()["events"] == [EVENT, other]


def test_repeat_is_answered_well_and_taken_once() -> None:
    vendor = Webhook()
    statuses = [post(vendor, EVENT).status, post(vendor, EVENT, at="1795000060").status]
    assert statuses == [200, 200]
    again = post(vendor, {"events": [EVENT]}, delivery="b-1")
    assert [note.text for note in again.notes] == ["a duplicate: the event's id was taken before"]
    assert vendor.taken()["events"] == [EVENT]
    assert len(vendor.taken()["ignored"]) == 2  # type: ignore[arg-type]


BODY = orjson.dumps(EVENT)


@pytest.mark.parametrize(
    ("changes", "status", "what"),
    [
        ({"webhook-id": ""}, 401, "The header webhook-id is required, once."),
        ({"webhook-timestamp": ""}, 401, "The header webhook-timestamp is required, once."),
        ({"webhook-signature": ""}, 401, "The header webhook-signature is required, once."),
        ({"webhook-id": "e-2"}, 401, "No signature fits."),
        ({"webhook-timestamp": "1795000001"}, 401, "No signature fits."),
        ({"webhook-timestamp": "1794999699"}, 401, "webhook-timestamp is more than 300 seconds away."),
        ({"webhook-timestamp": "1795000301"}, 401, "webhook-timestamp is more than 300 seconds away."),
        ({"webhook-timestamp": "now"}, 401, "webhook-timestamp must be whole seconds."),
        ({"webhook-signature": "v1,AAAA"}, 401, "No signature fits."),
        ({"webhook-signature": "v1a,AAAA v2,AAAA"}, 401, "No signature fits."),
        ({"Content-Type": "text/plain"}, 415, "The content type must be application/json."),
    ],
)
def test_broken_frame_is_refused(changes: dict[str, str], status: int, what: str) -> None:
    vendor = Webhook()
    headers = {name: value for name, value in (signed(BODY) | changes).items() if value}
    answer = send(vendor, BODY, headers)
    assert (answer.status, orjson.loads(answer.body)) == (status, {"error": what})
    assert vendor.taken() == {"events": [], "ignored": []}


@pytest.mark.parametrize(
    ("body", "status"), [(b"{", 400), (b"[]", 400), (b'"a"', 400), (b'{"a":"' + b"x" * 1_000_000 + b'"}', 413)]
)
def test_broken_body_is_refused(body: bytes, status: int) -> None:
    assert send(Webhook(), body, signed(body)).status == status


def test_body_changed_under_way_is_refused() -> None:
    assert send(Webhook(), BODY.replace(b"b", b"c"), signed(BODY)).status == 401


def test_any_of_several_signatures_and_keys_will_do() -> None:
    old, new = ("whsec_" + base64.b64encode(key * 24).decode() for key in (b"o", b"n"))
    both = signed(BODY, secret=old)["webhook-signature"] + " " + signed(BODY, secret=new)["webhook-signature"]
    for known in (old, new):
        assert send(Webhook(keys=[known]), BODY, signed(BODY) | {"webhook-signature": both}).status == 200
    assert send(Webhook(keys=[old, new]), BODY, signed(BODY, secret=new)).status == 200


def test_method_and_rate_are_refused_as_http_says() -> None:
    vendor = Webhook(rates={"receive": Rate(1, 60)})
    assert send(vendor, b"", {}, "GET").headers["Allow"] == "POST"
    assert post(vendor, EVENT).status == 200
    limited = post(vendor, EVENT)
    assert (limited.status, limited.headers["Retry-After"]) == (429, "1")
    with pytest.raises(KeyError):
        vendor.set_rates({"send": Rate(1, 1)})


def test_record_says_only_whether_a_signature_fits() -> None:
    vendor = Webhook()
    for headers, shown in ((signed(BODY), "valid"), (signed(BODY) | {"webhook-signature": "v1,A"}, "invalid")):
        told = {**headers, "Authorization": "Bearer t0ken"}
        request = Incoming("POST", "/", (), CIMultiDictProxy(CIMultiDict(told)), BODY, AT_MS, 1_000.0)
        masked = vendor.masked(request).headers
        assert (masked["webhook-signature"], masked["Authorization"]) == (shown, "****")
