"""The fake Segment drops in silence what Segment drops, RudderStack says what is wrong, Jitsu takes single messages."""

import base64
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import Jitsu, RudderStack, Segment
from edge.sandbox.vendor import Answer, Incoming, Rate

AT_MS = 1_795_000_000_000
TRACK = {"type": "track", "messageId": "e-1", "anonymousId": "a", "event": "Product Viewed", "properties": {"x": "y"}}


def basic(key: str = "sandbox-write-key", password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{key}:{password}".encode()).decode()}


def send(
    vendor: Segment, body: bytes, path: str = "/v1/batch", headers: dict[str, str] | None = None, **how: Any
) -> Answer:
    named = CIMultiDictProxy(CIMultiDict(basic() if headers is None else headers))
    return vendor.answer(Incoming(how.get("method", "POST"), path, (), named, body, how.get("at_ms", AT_MS), 1_000.0))


def batch(*messages: Any) -> bytes:
    return orjson.dumps({"batch": messages, "sentAt": "2026-11-18T11:06:40Z"})


def ignored(vendor: Segment) -> list[Any]:
    found = vendor.taken()["ignored"]
    assert isinstance(found, list)
    return [one["reason"] for one in found]  # type: ignore[index, call-overload]


def test_batch_and_single_calls_are_taken_whole() -> None:
    vendor, other = Segment(), {**TRACK, "messageId": "e-2"}
    answer = send(vendor, batch(TRACK, other))
    assert (answer.status, answer.body, answer.notes) == (200, b'{"success":true}', ())
    send(vendor, orjson.dumps({"messageId": "e-3", "userId": "c-1", "traits": {}}), "/v1/identify")
    assert vendor.taken()["events"] == [
        TRACK,
        other,
        {"type": "identify", "messageId": "e-3", "userId": "c-1", "traits": {}},
    ]
    assert vendor.taken("c-1")["events"] == [{"type": "identify", "messageId": "e-3", "userId": "c-1", "traits": {}}]


def test_repeat_within_a_day_is_taken_once() -> None:
    vendor = Segment()
    for at_ms in (AT_MS, AT_MS + 86_399_999, AT_MS + 86_400_000):
        assert send(vendor, batch(TRACK), at_ms=at_ms).status == 200
    assert vendor.taken()["events"] == [TRACK, TRACK]
    assert ignored(vendor) == ["a duplicate: this messageId was taken within a day"]


@pytest.mark.parametrize(
    ("message", "headers", "why"),
    [
        ({**TRACK, "anonymousId": ""}, basic(), "neither userId nor anonymousId"),
        ({**TRACK, "event": ""}, basic(), "a track without event"),
        ({**TRACK, "type": "tracks"}, basic(), "no message of a known type"),
        ("text", basic(), "no message of a known type"),
        (TRACK, basic("other"), "unknown write key"),
        (TRACK, basic(password="x"), "unknown write key"),
        (TRACK, {"Authorization": "Basic !"}, "unknown write key"),
        (TRACK, {}, "unknown write key"),
    ],
)
def test_segment_says_yes_and_drops(message: Any, headers: dict[str, str], why: str) -> None:
    vendor = Segment()
    answer = send(vendor, batch(message), headers=headers)
    assert (answer.status, [note.text for note in answer.notes], ignored(vendor)) == (200, [why], [why])
    assert vendor.taken()["events"] == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"{", "The body is not JSON."),
        (b"[]", "The body is not JSON."),
        (b'{"batch":{}}', "The body is not JSON."),
        (batch({**TRACK, "properties": {"a": "x" * 32_768}}), "A message is too large."),
        (batch(*[{**TRACK, "properties": {"a": "x" * 30_000}}] * 18), "The request is too large."),
    ],
)
def test_segment_refuses_what_is_broken_or_too_large(body: bytes, what: str) -> None:
    vendor = Segment()
    answer = send(vendor, body)
    assert (answer.status, orjson.loads(answer.body)) == (400, {"success": False, "message": what})
    assert vendor.taken() == {"events": [], "ignored": []}


@pytest.mark.parametrize(
    ("body", "headers", "status", "what"),
    [
        (batch(TRACK), {}, 401, b"failed to read writeKey from header"),
        (batch(TRACK), basic("other"), 401, b"invalid write key"),
        (b"{", basic(), 400, b"invalid json"),
        (batch(), basic(), 400, b"empty batch payload"),
        (batch(TRACK, {**TRACK, "anonymousId": None}), basic(), 400, b"request neither has anonymousId nor userId"),
        (batch(TRACK, 5), basic(), 400, b"event is not a valid rudder event"),
        (batch({**TRACK, "type": ""}), basic(), 400, b"event is not a valid rudder event"),
        (b" " * 4_096_001, basic(), 413, b"request size too large"),
    ],
)
def test_rudderstack_refuses_the_whole_request(body: bytes, headers: dict[str, str], status: int, what: bytes) -> None:
    vendor = RudderStack()
    answer = send(vendor, body, headers=headers)
    assert (answer.status, answer.body) == (status, what)
    assert vendor.taken() == {"events": [], "ignored": []}


def test_rudderstack_says_ok() -> None:
    vendor = RudderStack()
    assert (send(vendor, batch(TRACK)).body, vendor.taken()["events"]) == (b"OK", [TRACK])


def test_jitsu_takes_single_messages_with_its_own_header() -> None:
    vendor, key = Jitsu(), {"X-Write-Key": "sandbox-write-key"}
    answer = send(vendor, orjson.dumps(TRACK), "/api/s/s2s/track", key)
    assert (answer.status, answer.body, vendor.taken()["events"]) == (200, b'{"ok":true}', [TRACK])
    assert send(vendor, orjson.dumps(TRACK), "/api/s/s2s/track", basic()).status == 401
    assert send(vendor, batch(TRACK), "/api/s/s2s/batch", key).status == 404


def test_path_method_and_rate_are_refused() -> None:
    vendor = Segment(rates={"batch": Rate(1, 60)})
    assert [send(vendor, batch(TRACK), path).status for path in ("/v1/alia", "/v2/batch", "/batch")] == [404] * 3
    assert send(vendor, b"", method="GET").status == 405
    assert [send(vendor, batch(TRACK)).status for _ in range(2)] == [200, 429]
    with pytest.raises(KeyError):
        vendor.set_rates({"track": Rate(1, 1)})


def test_record_says_only_whether_a_key_is_known() -> None:
    for headers, name, shown in (
        (basic(), "Authorization", "valid"),
        (basic("other"), "Authorization", "invalid"),
    ):
        request = Incoming("POST", "/v1/batch", (), CIMultiDictProxy(CIMultiDict(headers)), b"", AT_MS, 1_000.0)
        assert Segment().masked(request).headers[name] == shown
    request = Incoming("POST", "/", (), CIMultiDictProxy(CIMultiDict({"X-Write-Key": "k"})), b"", AT_MS, 1_000.0)
    assert Jitsu(keys=["k"]).masked(request).headers["X-Write-Key"] == "valid"
