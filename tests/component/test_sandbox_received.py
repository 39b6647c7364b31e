"""The sandbox's record is complete, in order, and holds no key."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from edge.sandbox import Running, serve, start
from edge.sandbox.received import Received
from edge.sandbox.vendor import Incoming
from tests.clock import FakeClock
from tests.klaviyo_requests import HEADERS, event, profile


@pytest.fixture
async def running() -> AsyncIterator[Running]:
    running = await start(clock=FakeClock())
    yield running
    await running.close()


@pytest.fixture
async def http(running: Running) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(running.url) as session:
        yield session


async def received(http: aiohttp.ClientSession, path: str = "/received") -> Any:
    async with http.get(path) as response:
        assert response.status == 200
        return await response.json()


async def test_the_sandbox_starts_on_a_free_port(running: Running) -> None:
    other = await start(clock=FakeClock())
    assert other.port not in (0, running.port)
    assert other.base_url("klaviyo") == f"http://127.0.0.1:{other.port}/klaviyo"
    with pytest.raises(OSError):
        await start(port=other.port, clock=FakeClock())
    await other.close()


async def test_a_request_is_kept_as_it_came_and_as_it_was_answered(http: aiohttp.ClientSession) -> None:
    body = orjson.dumps(event())
    await http.post("/klaviyo/api/events", data=body, headers=HEADERS)
    (kept,) = (await received(http))["klaviyo"]["requests"]
    headers = dict(kept.pop("headers"))
    assert (headers["Authorization"], headers["revision"]) == ("valid", "2026-10-15")
    assert kept == {
        "number": 1,
        "at_ms": FakeClock().now_ms(),
        "method": "POST",
        "path": "/api/events",
        "query": [],
        "body_bytes": len(body),
        "text": body.decode(),
        "json": event(),
        "is_open": False,
        "status": 202,
        "vendor_status": 202,
        "fault": None,
        "notes": [],
    }


async def test_the_record_never_holds_a_key(http: aiohttp.ClientSession) -> None:
    await http.post("/klaviyo/api/events", headers=HEADERS)
    await http.post("/klaviyo/api/events", headers={**HEADERS, "Authorization": "Klaviyo-API-Key pk_stolen"})
    async with http.get("/received") as response:
        text = await response.text()
    assert "sandbox-private-key" not in text
    assert "pk_stolen" not in text
    kept = [dict(one["headers"])["Authorization"] for one in orjson.loads(text)["klaviyo"]["requests"]]
    assert kept == ["valid", "invalid"]


async def test_refused_and_unreadable_requests_are_kept_in_order(http: aiohttp.ClientSession) -> None:
    await http.get("/klaviyo/api/lists?a=1&a=2")
    await http.post("/klaviyo/api/events", data=b"\xff{", headers=HEADERS)
    await http.post("/klaviyo/api/events", json=event(), headers=HEADERS)
    requests = (await received(http, "/received/klaviyo"))["requests"]
    assert [(one["method"], one["status"]) for one in requests] == [("GET", 404), ("POST", 400), ("POST", 202)]
    assert [(one["query"], one["text"][:5], one["json"]) for one in requests[:2]] == [
        ([["a", "1"], ["a", "2"]], "", None),
        ([], "\\xff{", None),
    ]


async def test_a_compressed_body_is_measured_and_kept_as_it_unpacks(http: aiohttp.ClientSession) -> None:
    packed = gzip.compress(orjson.dumps(event()))
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    async with http.post("/klaviyo/api/events", data=packed, headers=headers) as response:
        assert response.status == 202
    (kept,) = (await received(http))["klaviyo"]["requests"]
    assert kept["json"] == event()


async def test_a_body_that_unpacks_beyond_five_megabytes_is_413(http: aiohttp.ClientSession) -> None:
    packed = gzip.compress(orjson.dumps(event()) + b" " * 5_000_000)
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    async with http.post("/klaviyo/api/events", data=packed, headers=headers) as response:
        assert response.status == 413


async def test_a_body_that_does_not_unpack_is_refused(http: aiohttp.ClientSession) -> None:
    headers = {**HEADERS, "Content-Encoding": "gzip"}
    async with http.post("/klaviyo/api/events", data=b"not gzip", headers=headers) as response:
        assert response.status == 400


async def test_a_body_beyond_every_bound_is_413_and_recorded_without_it(http: aiohttp.ClientSession) -> None:
    async with http.post("/klaviyo/api/events", data=io.BytesIO(b" " * 17_000_000), headers=HEADERS) as response:
        assert response.status == 413
    (kept,) = (await received(http))["klaviyo"]["requests"]
    assert (kept["status"], kept["body_bytes"]) == (413, 0)


async def test_one_person_can_be_asked_for(http: aiohttp.ClientSession) -> None:
    await http.post("/klaviyo/api/events", json=event(), headers=HEADERS)
    other = event(profile=profile({"email": "max@shop.example"}))
    await http.post("/klaviyo/api/events", json=other, headers=HEADERS)
    everyone = await received(http, "/received/klaviyo")
    assert (len(everyone["events"]), len(everyone["profiles"])) == (2, 2)
    async with http.get("/received/klaviyo", params={"identifier": "max@shop.example"}) as response:
        found = await response.json()
    assert [one["identifiers"] for one in found["profiles"]] == [{"email": ["max@shop.example"]}]
    assert len(found["events"]) == 1


async def test_the_record_can_be_emptied(http: aiohttp.ClientSession) -> None:
    await http.post("/klaviyo/api/events", json=event(), headers=HEADERS)
    async with http.delete("/received") as response:
        assert response.status == 204
    nothing = {"requests": [], "forgotten": 0, "events": [], "profiles": [], "ignored": []}
    assert (await received(http))["klaviyo"] == nothing


async def test_keys_can_be_changed_while_running(http: aiohttp.ClientSession) -> None:
    limited = {"key": "new", "scopes": ["profiles:write"]}
    async with http.post("/control/keys", json={"vendor": "klaviyo", "keys": ["full", limited]}) as response:
        assert response.status == 204
    statuses = []
    for key in ("sandbox-private-key", "new", "full"):
        headers = {**HEADERS, "Authorization": f"Klaviyo-API-Key {key}"}
        async with http.post("/klaviyo/api/events", json=event(), headers=headers) as response:
            statuses.append(response.status)
    assert statuses == [401, 403, 202]


async def test_rates_can_be_changed_while_running(http: aiohttp.ClientSession) -> None:
    rates = {"create_event": {"burst_per_s": 1, "steady_per_min": 60}}
    async with http.post("/control/rates", json={"vendor": "klaviyo", "rates": rates}) as response:
        assert response.status == 204
    statuses = []
    for _ in range(2):
        async with http.post("/klaviyo/api/events", json=event(), headers=HEADERS) as response:
            statuses.append(response.status)
    assert statuses == [202, 429]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/control/keys", {"vendor": "klaviyo", "keys": "all"}, "keys: an array is needed"),
        ("/control/keys", {"vendor": "nobody", "keys": []}, "vendor: 'nobody' is not one of klaviyo"),
        ("/control/keys", {"vendor": "klaviyo", "keys": [1]}, "keys: each is a string"),
        (
            "/control/rates",
            {"vendor": "klaviyo", "rates": {"search": {"burst_per_s": 1, "steady_per_min": 1}}},
            "search",
        ),
        ("/control/rates", {"vendor": "klaviyo", "rates": {"create_event": 5}}, "rates.create_event"),
        ("/control/rates", [], "not a JSON object"),
    ],
)
async def test_wrong_control_requests_are_refused(
    http: aiohttp.ClientSession, path: str, body: object, message: str
) -> None:
    async with http.post(path, json=body) as response:
        assert response.status == 400
        assert message in (await response.json())["error"]["message"]


async def test_a_vendor_that_is_not_there_is_said(http: aiohttp.ClientSession) -> None:
    async with http.get("/received/nobody") as response:
        assert response.status == 400
        assert "klaviyo" in (await response.json())["error"]["message"]


async def test_the_oldest_requests_are_forgotten_and_counted() -> None:
    kept = Received(kept=2)
    blank = Incoming("GET", "/", (), CIMultiDictProxy(CIMultiDict()), b"", 0, 0.0)
    for _ in range(5):
        kept.open("klaviyo", blank, fault=None)
    assert ([one.number for one in kept], kept.forgotten) == ([4, 5], 3)


async def test_waiting_for_a_request_ends_in_time() -> None:
    with pytest.raises(TimeoutError):
        await Received().until(lambda: False, timeout_s=0.0)


async def test_serving_announces_itself_and_ends_when_cancelled() -> None:
    announced: asyncio.Queue[Running] = asyncio.Queue()
    serving = asyncio.create_task(serve("127.0.0.1", 0, clock=FakeClock(), announce=announced.put_nowait))
    running = await asyncio.wait_for(announced.get(), 5)
    async with aiohttp.ClientSession(running.url) as http:
        assert (await received(http))["klaviyo"]["requests"] == []
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    again = await start(port=running.port, clock=FakeClock())
    await again.close()
