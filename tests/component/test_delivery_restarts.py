"""Deaths between two instructions of a delivery: what is sent again is the same, byte for byte."""

import asyncio

import pytest

from edge.delivery import Fate, Response
from tests.backroom import TAKEN, Backroom


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path)
    yield room
    await room.close()


async def test_event_is_sent_again_with_the_same_id_when_killed_between_send_and_settle(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert len({request.body for request in room.transport.requests}) == 1
    assert await room.tally() == {"delivered": 1, "unmapped": 1}


async def test_an_event_that_kills_its_process_is_found_alone_and_the_others_are_delivered(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    poison = await room.store(1, "view_item")
    healthy = [await room.store(2, "view_item") for _ in range(3)]

    def answer(request):
        if poison.id.encode() in request.body:
            raise Died
        return Response(202, {}, b"")

    room.transport.always = answer
    for _ in range(20):
        try:
            await room.work()
            break
        except Died:
            await room.restart()
    else:
        raise AssertionError("the process still dies")
    assert (await room.fate(poison)).fate is Fate.DEAD
    assert [(await room.fate(event)).fate for event in healthy] == [Fate.DELIVERED] * 3
    assert sum(poison.id in request.body.decode() for request in room.transport.requests) <= 6


async def test_a_repeat_after_a_death_has_the_same_bytes_although_more_is_known_by_now(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.resolve()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert room.transport.requests[0].body == room.transport.requests[1].body


async def test_a_polite_stop_is_no_death(room):
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.resolve()
    room.transport.always = asyncio.CancelledError()
    for _ in range(10):
        with pytest.raises(asyncio.CancelledError):
            await room.lane.step()
    room.transport.always = TAKEN
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED


async def test_a_released_event_keeps_its_bytes_over_a_death(room):
    event = await room.store(1, "view_item")
    await room.work()
    await room.identify(1, email="visitor@shop.example")
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle_due = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.resolve()
    await room.restart()
    await room.work()
    assert room.transport.ids == [event.id, event.id]
    assert len({request.body for request in room.transport.requests}) == 1


async def test_events_taken_alone_keep_the_bytes_of_the_page_they_came_from(room):
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.resolve()
    for _ in range(3):

        async def died(*_):
            raise Died

        room.lane.ledger.settle = died
        with pytest.raises(Died):
            await room.lane.step()
        await room.restart()
    await room.identify(1, email="visitor@shop.example", customer_id="c-19")
    await room.work()
    bodies: dict[str, set[bytes]] = {}
    for one, request in zip(room.transport.ids, room.transport.requests, strict=True):
        bodies.setdefault(one, set()).add(request.body)
    assert [len(versions) for versions in bodies.values()] == [1, 1, 1]
