"""What a visitor said about consent, and when, over what is under way, waits or is held."""

import pytest

from edge.consent import Purpose
from edge.delivery import Response
from edge.errors import TransportFailed
from tests.backroom import DENIED, TAKEN, Backroom

DOWN = TransportFailed("the connection was refused")
HOUR_S = 3_600


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path)
    yield room
    await room.close()


async def test_nothing_leaves_without_the_purposes_the_pipeline_needs(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", consent=DENIED)
    await room.store(1, "view_item", consent={"marketing": "denied", "analytics": "granted"})
    await room.work()
    assert room.transport.requests == []
    assert (await room.tally())["withheld"] == 2


async def test_without_any_answer_the_sites_default_decides(tmp_path):
    for name, default, delivered in (("denied", Purpose.NONE, 0), ("granted", Purpose.MARKETING, 1)):
        room = await Backroom.open(tmp_path / name, consent=default)
        await room.store(1, "identify", traits={"email": "visitor@shop.example"}, consent={})
        await room.store(1, "view_item", consent={})
        await room.work()
        assert len(room.transport.requests) == delivered
        await room.close()


async def test_a_withdrawal_stops_what_still_waits(room):
    room.transport.always = Response(503, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    assert (await room.tally())["waiting"] == 1
    await room.store(1, "consent", consent=DENIED)
    room.transport.always = Response(202, {}, b"")
    await room.resolve()
    room.clock.advance(HOUR_S)
    sent = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == sent
    assert (await room.tally())["withheld"] == 1


async def test_a_withdrawal_stops_what_is_held(room):
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent=DENIED)
    await room.store(1, "identify", consent=DENIED, traits={"email": "visitor@shop.example"})
    await room.work()
    assert room.transport.requests == []
    assert await room.tally() == {"withheld": 1, "unmapped": 2}


async def test_a_withdrawal_resolved_while_a_page_is_being_sent_stops_the_rest_of_it(room):
    await room.identify(1, email="visitor@shop.example")
    first = await room.store(1, "view_item")
    await room.store(1, "add_to_cart")
    await room.resolve()
    send = room.transport.send

    async def withdrawn_meanwhile(request):
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        return await send(request)

    room.transport.send = withdrawn_meanwhile
    await room.lane.step()
    assert room.transport.ids == [first.id]
    assert (await room.tally())["withheld"] == 1


async def test_the_answer_that_came_with_a_repeated_order_counts(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    await room.store(1, "purchase", properties={"transaction_id": "o-1"}, consent=DENIED)
    room.transport.always = TAKEN
    await room.resolve()
    room.clock.advance(60)
    await room.work()
    assert (await room.tally())["withheld"] == 1


async def test_a_withdrawal_after_a_reset_is_the_browsers_and_stops_what_waits_from_before(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "reset")
    await room.store(1, "consent", consent=DENIED)
    room.transport.always = TAKEN
    await room.resolve()
    room.clock.advance(HOUR_S)
    await room.work()
    assert (await room.tally())["withheld"] == 1


async def test_a_grant_by_the_next_person_does_not_undo_a_withdrawal(room):
    room.transport.always = DOWN
    await room.identify(1, email="one@shop.example")
    await room.store(1, "view_item")
    await room.work()
    await room.store(1, "consent", consent=DENIED)
    await room.identify(1, email="two@shop.example")
    await room.resolve()
    await room.restart()
    room.transport.always = TAKEN
    room.clock.advance(HOUR_S)
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked
    assert (await room.tally())["withheld"] == 1


async def test_a_reset_and_a_withdrawal_stop_the_page_under_way(room):
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.resolve()
    send = room.transport.send

    async def gone_meanwhile(request):
        await room.store(1, "reset")
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        return await send(request)

    room.transport.send = gone_meanwhile
    await room.lane.step()
    assert len(room.transport.requests) == 1
