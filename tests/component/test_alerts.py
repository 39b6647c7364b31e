"""Alerts on their way: real HTTP to a receiver on loopback that takes, refuses, redirects, hangs or is not there."""

import asyncio
import base64
import hashlib
import hmac

import pytest
from structlog.testing import capture_logs

from edge.alerting import Seen
from edge.demo.world import free_port
from tests.alert_desk import KEY, PAUSED, TOKEN, open_desks, open_receiver
from tests.alert_world import WELL, pipeline


@pytest.fixture
async def receiver():
    async with open_receiver() as receiver:
        yield receiver


@pytest.fixture
async def make(tmp_path, receiver):
    async with open_desks(tmp_path, receiver) as make:
        yield make


async def test_state_change_is_posted_once_and_signed(make, receiver):
    desk = make()
    for seen in (WELL, PAUSED, WELL):
        desk.see(seen)
        for _ in range(3):
            await desk.desk.tell()
    assert receiver.told == [("alert.raised", "paused"), ("alert.cleared", "paused")]
    for headers, body in receiver.requests:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        made = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        assert headers["webhook-signature"] == f"v1,{made}"
        assert headers["Content-Type"] == "application/json"
    assert desk.count("edge_alert_messages_total", result="told") == 2


async def test_refused_message_is_repeated_alike_after_growing_waits(make, receiver):
    desk, receiver.statuses = make(), [500, 429, 404, 302]
    desk.see(PAUSED)
    waits = []
    while len(receiver.requests) < 5:
        before, began_s = len(receiver.requests), desk.clock.monotonic_s()
        while len(receiver.requests) == before:
            await desk.desk.tell()
            desk.clock.advance(0.25)
        waits.append(desk.clock.monotonic_s() - began_s)
    assert waits == sorted(waits) and waits[-1] > waits[1] > waits[0]
    assert len({(headers["webhook-id"], body) for headers, body in receiver.requests}) == 1
    await desk.desk.tell()
    assert len(receiver.requests) == 5, "a redirect was followed, or a taken message told again"
    counted = [desk.count("edge_alert_messages_total", result=result) for result in ("failed", "told")]
    assert counted == [4, 1]


async def test_waits_never_grow_beyond_a_quarter_of_an_hour(make):
    desk = make(port=free_port())
    desk.see(PAUSED)
    for _ in range(40):
        desk.clock.advance(901)
        await desk.desk.tell()
    assert desk.count("edge_alert_messages_total", result="failed") == 40


async def test_receiver_that_hangs_keeps_nobody_waiting(make, receiver):
    desk = make()
    receiver.gate.clear()
    desk.see(PAUSED)
    telling = asyncio.create_task(desk.desk.tell())
    await receiver.entered.wait()
    for _ in range(100):
        desk.see(WELL, 5)
    assert not telling.done()
    assert desk.count("edge_alert_raised", alert="paused", about="klaviyo") is None, "judging did not go on"
    await telling
    assert desk.count("edge_alert_messages_total", result="failed") == 1


async def test_loops_go_on_beside_a_receiver_that_hangs_and_end_when_told(make, receiver):
    desk = make()
    receiver.gate.clear()
    desk.seen = PAUSED
    running = asyncio.create_task(desk.desk.run(desk.stop))
    await receiver.entered.wait()
    desk.stop.set()
    await asyncio.wait_for(running, 5)
    assert receiver.told[0] == ("alert.raised", "paused")


async def test_nothing_of_address_and_answer_is_logged(make, receiver):
    desk, receiver.statuses = make(), [400]
    gone = make(port=free_port())
    with capture_logs() as logs:
        for one in (desk, gone):
            one.see(PAUSED)
            await one.desk.tell()
    assert [line["event"] for line in logs] == ["alert raised", "alert not told"] * 2
    assert [line["reason"] for line in logs if line["event"] == "alert not told"] == [
        "400",
        "the connection was refused",
    ]
    assert TOKEN not in str(logs) and "visitor" not in str(logs)


async def test_without_an_address_alerts_are_judged_and_nobody_is_told(make, receiver):
    desk = make(webhook=None)
    running = asyncio.create_task(desk.desk.run(desk.stop))
    desk.seen = PAUSED
    while desk.count("edge_alert_raised", alert="paused", about="klaviyo") is None:
        await asyncio.sleep(0)
    desk.stop.set()
    await running
    assert receiver.requests == []


async def test_receiver_that_asks_to_be_left_alone_is(make, receiver):
    desk, receiver.statuses, receiver.headers = make(), [429], {"Retry-After": "240"}
    desk.see(PAUSED)
    await desk.desk.tell()
    desk.clock.advance(239)
    await desk.desk.tell()
    assert len(receiver.requests) == 1
    desk.clock.advance(1)
    await desk.desk.tell()
    assert len(receiver.requests) == 2


async def test_receiver_cannot_ask_for_more_than_a_quarter_of_an_hour(make, receiver):
    desk, receiver.statuses, receiver.headers = make(), [503], {"Retry-After": "999999999"}
    desk.see(PAUSED)
    await desk.desk.tell()
    desk.clock.advance(900)
    await desk.desk.tell()
    assert len(receiver.requests) == 2


async def test_message_that_is_never_taken_keeps_no_other_back(make, receiver):
    desk, receiver.statuses = make(), [400]
    desk.see(pipeline(is_paused=True, oldest_s=901.0))
    for _ in range(2):
        await desk.desk.tell()
        desk.clock.advance(1)
    assert len(set(receiver.told)) == 2


async def test_mistake_of_ours_costs_one_round(make):
    desk = make(webhook=None)
    rounds = 0

    def seen() -> Seen:
        nonlocal rounds
        rounds += 1
        if rounds > 3:
            desk.stop.set()
        raise ValueError("visitor@shop.example")

    desk.eyes = seen
    with capture_logs() as logs:
        await desk.desk.run(desk.stop)
    assert [line["event"] for line in logs] == ["alerting failed unforeseen"] * 4
