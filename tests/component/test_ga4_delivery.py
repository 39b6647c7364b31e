"""GA4 behind the drainer: what may have been counted is not sent again, and an outage does not cost every event."""

import json

import pytest

from edge.delivery import Response
from edge.errors import TransportFailed
from tests.backroom import Backroom

PIPELINE = """
name: ga4
integration: ga4-measurement-protocol
parameters: {measurement_id: G-1, api_secret: "${KEY}", base_url: "http://ga4.test"}
events: {view_item: {}, purchase: {properties: {transaction_id: {source: properties.transaction_id}}}}
"""
LOST = TransportFailed("no answer in time")
UNSENT = TransportFailed("the connection was refused", may_have_arrived=False)
TAKEN = Response(204, {}, b"")


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path, pipeline=PIPELINE)
    room.transport.always = TAKEN
    yield room
    await room.close()


def sent(room: Backroom) -> list[str]:
    return [event["name"] for request in room.transport.requests for event in json.loads(request.body)["events"]]


async def test_event_whose_answer_is_lost_is_sent_once_and_an_order_until_it_is_answered(room):
    for number, name in ((1, "view_item"), (2, "purchase")):
        room.transport.answers = [LOST]
        await room.store(number, name, properties={"transaction_id": "70311"})
        await room.work()
        room.clock.advance(900)
        await room.work()
    assert sent(room) == ["view_item", "purchase", "purchase"]
    assert await room.tally() == {"dead": 1, "delivered": 1}


async def test_event_that_was_certainly_not_sent_is_tried_again(room):
    room.transport.answers = [UNSENT, Response(503, {}, b"")]
    await room.store(1, "view_item")
    for _ in range(3):
        await room.work()
        room.clock.advance(900)
    assert sent(room) == ["view_item"] * 3
    assert await room.tally() == {"delivered": 1}


async def test_outage_that_loses_answers_costs_some_events_and_not_all(room):
    room.transport.always = LOST
    for number in range(40):
        await room.store(number, "view_item")
        await room.work()
    lost = (await room.tally()).get("dead", 0)
    assert 5 <= lost <= 10
    room.transport.always = TAKEN
    for _ in range(5):
        room.clock.advance(60)
        await room.work()
    assert await room.tally() == {"dead": lost, "delivered": 40 - lost}
