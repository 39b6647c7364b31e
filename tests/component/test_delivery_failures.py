"""Destinations that fail, refuse, ask for patience or say what nobody understands."""

from dataclasses import replace

import pytest

from edge.delivery import Fate, Rate, Response
from edge.errors import TransportFailed
from edge.ledger import LedgerView
from edge.pipeline import compile_pipeline
from tests.backroom import PIPELINE, TAKEN, Backroom
from tests.clock import FakeClock
from tests.paced import Rated

DOWN = TransportFailed("the connection was refused")
HOUR_S = 3_600


@pytest.fixture
async def room(tmp_path):
    room = await Backroom.open(tmp_path)
    yield room
    await room.close()


async def test_a_failed_delivery_is_repeated_with_the_same_bytes_after_a_wait(room):
    room.transport.answers = [Response(500, {}, b""), DOWN]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    assert len(room.transport.requests) == 1
    assert (await room.fate(event)).reason == "500"
    for wait_s in (1, 2):
        room.clock.advance(wait_s)
        await room.work()
    assert len({request.body for request in room.transport.requests}) == 1
    assert len(room.transport.requests) == 3
    assert (await room.fate(event)).attempts == 3


async def test_a_visitors_later_events_queue_behind_its_failed_one_and_nobody_elses_do(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    first = await room.store(1, "view_item")
    second = await room.store(1, "add_to_cart")
    other = await room.store(2, "view_item")
    room.transport.always = lambda request: Response(503 if b"one@" in request.body else 202, {}, b"")
    await room.work()
    assert await room.tally() == {"unmapped": 2, "waiting": 2, "delivered": 1}
    third = await room.store(1, "purchase", properties={"transaction_id": "o-1"})
    await room.work()
    room.transport.always = Response(202, {}, b"")
    room.clock.advance(10)
    await room.work()
    ids = list(dict.fromkeys(room.transport.ids))
    assert [one for one in ids if one != other.id] == [first.id, second.id, "o-1"]
    assert (await room.fate(third)).fate is Fate.DELIVERED


async def test_too_many_requests_uses_up_no_attempt_and_waits_as_told(room):
    room.transport.answers = [Response(429, {"retry-after": "30"}, b"")]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    assert (await room.fate(event)).attempts == 0
    room.clock.advance(29)
    await room.work()
    assert len(room.transport.requests) == 1
    room.clock.advance(2)
    await room.work()
    assert len(room.transport.requests) == 2
    assert (await room.fate(event)).attempts == 1


async def test_a_refused_event_is_a_dead_letter_with_request_and_answer_and_without_the_key(room):
    refusal = b'{"errors":[{"id":"1","code":"invalid","title":"t","detail":"d","source":{"pointer":"/data"}}]}'
    room.transport.answers = [Response(400, {"content-type": "application/vnd.api+json"}, refusal)]
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    fate = await room.fate(event)
    assert (fate.fate, fate.reason) == (Fate.DEAD, "400 invalid at /data")
    view = await LedgerView.open(room.folder / "ledger.db")
    [letter] = await view.letters_of(None, event_id=event.id, seq=None)
    await view.close()
    assert '"invalid"' in letter.response.replace("\\", "")
    assert letter.event_name == "view_item"
    assert "a-key" not in letter.request
    assert "****" in letter.request


async def test_refused_credentials_pause_the_pipeline_and_keep_everything(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    for _ in range(3):
        await room.store(1, "view_item")
    await room.work()
    room.clock.advance(4 * 24 * HOUR_S)  # longer than max_age
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked + 1  # one probe
    assert (await room.tally())["waiting"] == 3
    room.transport.always = Response(202, {}, b"")
    room.clock.advance(16 * 60)
    await room.work()
    assert (await room.tally())["delivered"] >= 1
    assert room.health.paused_reason is None


async def test_an_answer_nobody_understands_is_repeated_once_and_then_dead(room):
    room.transport.always = Response(200, {}, b"hello")
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(5)
    await room.work()
    assert len(room.transport.requests) == 2
    assert (await room.fate(event)).fate is Fate.DEAD


async def test_an_answer_nobody_understands_is_repeated_once_also_where_the_repeat_had_to_stand_back(room):
    """Two want the one turn of the next second: who has to wait must not forget what was answered before."""
    room.pipeline = replace(room.pipeline, destination=Rated(room.pipeline.destination, Rate(1, 60)))
    await room.restart()
    room.transport.always = Response(200, {}, b"hello")
    for visitor in (1, 2):
        await room.identify(visitor, email=f"visitor{visitor}@shop.example")
    events = [await room.store(visitor, "view_item") for visitor in (1, 2)]
    for _ in range(5):
        await room.work()
        room.clock.advance(1)
    assert [(await room.fate(event)).fate for event in events] == [Fate.DEAD] * 2
    assert len(room.transport.requests) == 4


async def test_a_destination_that_is_dead_for_an_hour_costs_waiting_and_nothing_else(tmp_path):
    clock = FakeClock()
    room = await Backroom.open(tmp_path, clock)
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    room.transport.always = DOWN
    events = []
    for minute in range(60):
        events += [await room.store(1 + minute % 2, "view_item") for _ in range(5)]
        clock.advance(60)
        await room.work()
    assert len(room.transport.requests) < 200  # probes, not a storm
    assert (await room.tally())["waiting"] < 100  # the rest stays in the spool, uncopied
    room.transport.always = Response(202, {}, b"")
    room.transport.requests.clear()
    for _ in range(10):
        clock.advance(5)
        await room.work()
    assert sorted(room.transport.ids) == sorted(event.id for event in events)
    assert await room.tally() == {"delivered": 300, "unmapped": 2}
    for visitor in (1, 2):
        mine = [e.id for e in events if e.browser.endswith(str(visitor))]
        assert [i for i in room.transport.ids if i in set(mine)] == mine
    await room.close()


async def test_what_waits_longer_than_max_age_expires(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.clock.advance(73 * HOUR_S)
    await room.work()
    assert (await room.fate(event)).fate is Fate.EXPIRED


async def test_one_event_the_vendor_never_takes_does_not_stop_the_others(room):
    """With the circuit open, probes go in turn to what waits and to what is new."""
    await room.identify(1, email="poison@shop.example")
    await room.identify(2, email="two@shop.example")
    poison = await room.store(1, "view_item")
    room.transport.always = lambda request: Response(500 if b"poison@" in request.body else 202, {}, b"")
    for _ in range(40):
        await room.work()
        room.clock.advance(60)
    healthy = [await room.store(2, "view_item") for _ in range(3)]
    for _ in range(3):
        await room.work()
        room.clock.advance(10)
    assert [(await room.fate(event)).fate for event in healthy] == [Fate.DELIVERED] * 3
    assert (await room.fate(poison)).fate is Fate.WAITING


async def test_a_pause_does_not_count_towards_max_age_even_over_a_restart(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    events = [await room.store(1, "view_item") for _ in range(3)]
    await room.work()
    room.clock.advance(4 * 24 * HOUR_S)
    await room.restart()
    await room.work()
    assert room.health.paused_reason == "401"
    room.transport.always = TAKEN
    room.clock.advance(16 * 60)
    for _ in range(3):
        await room.work()
    assert [(await room.fate(event)).fate for event in events] == [Fate.DELIVERED] * 3


async def test_an_error_of_ours_costs_its_event_and_not_the_neighbours(room):
    await room.identify(1, email="one@shop.example")
    await room.identify(2, email="two@shop.example")
    broken = await room.store(1, "view_item")
    healthy = await room.store(2, "view_item")

    def answer(request):
        if b"one@" in request.body:
            raise ZeroDivisionError
        return TAKEN

    room.transport.always = answer
    for _ in range(3):
        await room.work()
        room.clock.advance(5)
    assert (await room.fate(healthy)).fate is Fate.DELIVERED
    assert (await room.fate(broken)).reason == "answer not understood: ZeroDivisionError"
    assert room.transport.ids.count(healthy.id) == 1


async def test_a_disabled_pipeline_sends_nothing_that_waits(room):
    room.transport.always = DOWN
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    room.pipeline = compile_pipeline(PIPELINE + "enabled: false\n", "klaviyo.yaml", {"KEY": "a-key"})
    await room.restart()
    room.clock.advance(HOUR_S)
    asked = len(room.transport.requests)
    await room.work()
    assert len(room.transport.requests) == asked
    assert (await room.tally())["skipped"] == 1


async def test_another_reason_does_not_start_the_pause_anew(room):
    room.transport.always = Response(401, {}, b"")
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item")
    await room.work()
    room.transport.always = Response(403, {}, b"")
    room.clock.advance(4 * 24 * HOUR_S)
    await room.work()
    room.transport.always = TAKEN
    room.clock.advance(16 * 60)
    await room.work()
    assert (await room.fate(event)).fate is Fate.DELIVERED
