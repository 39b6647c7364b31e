"""The sandbox goes wrong as it is told, on the wire, and remembers what really happened."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from edge.sandbox import Klaviyo, Running, start
from tests.clock import FakeClock
from tests.klaviyo_requests import HEADERS, event

SOON_S = 5.0


class Shop:
    """A client of one running sandbox."""

    def __init__(self, running: Running, klaviyo: Klaviyo, http: aiohttp.ClientSession) -> None:
        self.running, self.klaviyo, self.http = running, klaviyo, http

    async def post(self, **changes: Any) -> tuple[int, bytes, dict[str, str]]:
        url = f"{self.running.base_url('klaviyo')}/api/events"
        async with self.http.post(url, json=event(**changes), headers=HEADERS) as response:
            return response.status, await response.read(), dict(response.headers)

    async def break_it(self, **fault: Any) -> None:
        url = f"{self.running.url}/control/faults"
        async with self.http.post(url, json={"vendor": "klaviyo", **fault}) as response:
            assert response.status == 201, await response.text()

    async def clear(self) -> None:
        async with self.http.delete(f"{self.running.url}/control/faults") as response:
            assert response.status == 204

    async def opened(self, count: int) -> None:
        received = self.running.sandbox.received
        await received.until(lambda: len(received) >= count, timeout_s=SOON_S)

    def recorded(self) -> list[str]:
        events: Any = self.klaviyo.taken()["events"]
        return [one["unique_id"] for one in events]

    def story(self) -> list[tuple[int | None, int | None, str | None]]:
        """Of each request: the status sent, the vendor's own, the fault."""
        return [(one.status, one.vendor_status, one.fault) for one in self.running.sandbox.received]


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    klaviyo = Klaviyo()
    running = await start(clock=FakeClock(), vendors=(klaviyo,))
    async with aiohttp.ClientSession() as http:
        yield Shop(running, klaviyo, http)
    await running.close()


async def test_a_status_is_answered_so_often_and_nothing_is_taken(shop: Shop) -> None:
    await shop.break_it(fault="status", status=503, times=2)
    assert [(await shop.post())[0] for _ in range(3)] == [503, 503, 202]
    assert shop.story() == [(503, None, "status"), (503, None, "status"), (202, 202, None)]
    assert shop.recorded() == ["order-70311"]


async def test_a_status_may_bring_retry_after_and_a_body(shop: Shop) -> None:
    await shop.break_it(fault="status", status=503, retry_after=7, body={"why": "maintenance"})
    status, body, headers = await shop.post()
    assert (status, body, headers["Retry-After"]) == (503, b'{"why":"maintenance"}', "7")


async def test_a_status_without_a_body_has_the_vendors_form(shop: Shop) -> None:
    await shop.break_it(fault="status", status=500)
    _, body, headers = await shop.post()
    assert headers["Content-Type"] == "application/vnd.api+json"
    assert b'"status":500' in body


async def test_a_status_may_come_after_the_event_was_taken(shop: Shop) -> None:
    await shop.break_it(fault="status", status=504, after_processing=True)
    assert (await shop.post())[0] == 504
    assert shop.story() == [(504, 202, "status")]
    assert shop.recorded() == ["order-70311"]


async def test_a_rate_limit_answers_as_the_vendor_does(shop: Shop) -> None:
    await shop.break_it(fault="rate_limit", retry_after=12)
    status, body, headers = await shop.post()
    assert (status, headers["Retry-After"]) == (429, "12")
    assert b'"code":"throttled"' in body
    assert "RateLimit-Limit" not in headers
    assert shop.recorded() == []


@pytest.mark.parametrize(("after_processing", "recorded"), [(False, []), (True, ["order-70311"])])
async def test_a_drop_closes_the_connection_without_an_answer(
    shop: Shop, after_processing: bool, recorded: list[str]
) -> None:
    await shop.break_it(fault="drop", after_processing=after_processing)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await shop.post()
    assert shop.recorded() == recorded
    assert shop.story() == [(None, 202 if after_processing else None, "drop")]
    assert (await shop.post())[0] == 202


async def test_an_event_sent_again_after_a_lost_answer_is_recorded_once(shop: Shop) -> None:
    await shop.break_it(fault="drop", after_processing=True)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await shop.post()
    assert (await shop.post())[0] == 202
    assert shop.recorded() == ["order-70311"]


async def test_a_truncated_answer_promises_more_than_it_brings(shop: Shop) -> None:
    await shop.break_it(fault="truncate")
    with pytest.raises(aiohttp.ClientPayloadError):
        await shop.post()
    assert shop.story() == [(202, 202, "truncate")]


async def test_garbage_is_a_200_that_nobody_understands(shop: Shop) -> None:
    await shop.break_it(fault="garbage")
    status, body, headers = await shop.post()
    assert (status, headers["Content-Type"]) == (200, "text/html")
    assert body.startswith(b"<html>")
    assert shop.recorded() == []


async def test_a_hanging_request_is_answered_when_faults_are_cleared(shop: Shop) -> None:
    await shop.break_it(fault="hang", times=None)
    waiting = asyncio.create_task(shop.post())
    await shop.opened(1)
    assert (shop.recorded(), shop.story()) == ([], [(None, None, "hang")])
    await shop.clear()
    status, _, _ = await asyncio.wait_for(waiting, SOON_S)
    assert (status, shop.recorded()) == (202, ["order-70311"])


async def test_a_hanging_request_is_dropped_at_its_bound(shop: Shop) -> None:
    await shop.break_it(fault="hang", seconds=0)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await shop.post()
    assert shop.recorded() == []


async def test_what_hangs_is_never_taken_when_its_client_has_left(shop: Shop) -> None:
    await shop.break_it(fault="hang")
    waiting = asyncio.create_task(shop.post())
    await shop.opened(1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert (await shop.post(unique_id="later"))[0] == 202
    await shop.clear()
    received = shop.running.sandbox.received
    await received.until(lambda: not any(one.is_open for one in received), timeout_s=SOON_S)
    assert shop.story() == [(None, None, "hang"), (202, 202, None)]
    assert shop.recorded() == ["later"]


async def test_a_slow_answer_is_released_when_faults_are_cleared(shop: Shop) -> None:
    """The vendor has taken the event at once: only the answer is late."""
    await shop.break_it(fault="slow", seconds=500)
    waiting = asyncio.create_task(shop.post())
    await shop.opened(1)
    await shop.running.sandbox.received.until(lambda: shop.recorded() == ["order-70311"], timeout_s=SOON_S)
    assert not waiting.done()
    await shop.clear()
    status, _, _ = await asyncio.wait_for(waiting, SOON_S)
    assert status == 202


async def test_closing_the_sandbox_releases_what_hangs() -> None:
    running = await start(clock=FakeClock())
    async with aiohttp.ClientSession() as http:
        shop = Shop(running, Klaviyo(), http)
        await shop.break_it(fault="hang", times=None, seconds=600)
        waiting = asyncio.create_task(shop.post())
        await shop.opened(1)
        await asyncio.wait_for(running.close(), SOON_S)
        assert (await waiting)[0] == 202


async def test_a_fault_may_fit_one_event_only(shop: Shop) -> None:
    await shop.break_it(fault="status", status=400, match="order-2", times=None)
    answers = [(await shop.post(unique_id=f"order-{number}"))[0] for number in (1, 2, 3, 2)]
    assert answers == [202, 400, 202, 400]


async def test_faults_are_applied_in_the_order_they_were_set(shop: Shop) -> None:
    await shop.break_it(fault="status", status=500)
    await shop.break_it(fault="status", status=503)
    async with shop.http.get(f"{shop.running.url}/control/faults") as response:
        waiting = await response.json()
    assert [one["remaining"] for one in waiting["faults"]] == [1, 1]
    assert [(await shop.post())[0] for _ in range(3)] == [500, 503, 202]


async def test_cleared_faults_are_gone(shop: Shop) -> None:
    await shop.break_it(fault="status", times=None)
    await shop.clear()
    assert (await shop.post())[0] == 202


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ([], "the body is not a JSON object"),
        ({"vendor": "meta", "fault": "drop"}, "vendor: 'meta' is not one of klaviyo"),
        ({"vendor": "klaviyo", "fault": "explode"}, "fault: 'explode' is not one of status, slow"),
        ({"vendor": "klaviyo", "fault": "drop", "status": 503}, "'status' is not a key of 'drop'"),
        ({"vendor": "klaviyo", "fault": "status", "status": 99}, "status: 99 is not from 200 to 599"),
        ({"vendor": "klaviyo", "fault": "drop", "times": 0}, "times: 0 is not a whole number from 1"),
        ({"vendor": "klaviyo", "fault": "slow", "seconds": "1"}, "seconds: '1' is not from 0 to 600"),
        ({"vendor": "klaviyo", "fault": "drop", "after_processing": 1}, "after_processing: 1 is not true or false"),
        ({"vendor": "klaviyo", "fault": "drop", "match": 1}, "match: 1 is not a string"),
    ],
)
async def test_a_wrong_fault_is_refused_with_what_would_be_accepted(shop: Shop, fault: Any, message: str) -> None:
    async with shop.http.post(f"{shop.running.url}/control/faults", json=fault) as response:
        assert response.status == 400
        assert message in (await response.json())["error"]["message"]
