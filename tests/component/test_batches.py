"""Several events a request: what each one's answer means for the others, and what is never sent with strangers."""

import asyncio
import json
from itertools import chain

import pytest

from edge.delivery import Response
from edge.errors import TransportFailed
from edge.ledger import LedgerView
from edge.ledger.letters import Letters
from tests.backroom import DENIED
from tests.parcels import TAKEN, answer, open_room, parcels, with_parcels

DOWN = TransportFailed("no answer in time")


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


@pytest.fixture
async def room(tmp_path):
    room = await open_room(tmp_path)
    yield room
    await room.close()


async def told(room, *visitors: int) -> list[str]:
    """Store an event for each visitor named, in order; give their ids."""
    for visitor in dict.fromkeys(visitors):
        await room.identify(visitor, email=f"v{visitor}@shop.example")
    return [(await room.store(visitor, "view_item")).id for visitor in visitors]


def all_of(room) -> list[str]:
    return list(chain.from_iterable(parcels(room)))


async def letters(room):
    view = await LedgerView.open(room.folder / "ledger.db")
    try:
        found, _ = await view.newest_letters(Letters(), 100)
        return [whole for one in found for whole in await view.letters_of(None, event_id=one.event_id, seq=None)]
    finally:
        await view.close()


async def test_a_page_goes_in_requests_of_several_visitors_and_nobody_waits_for_a_full_one(room):
    a, b, c, d, e = await told(room, 1, 2, 1, 3, 2)
    await room.work()
    assert sorted(parcels(room)) == sorted([[a, c, b, e], [d]])
    assert (await room.tally())["delivered"] == 5


async def test_more_events_of_a_visitor_than_fit_go_one_request_after_the_other(room):
    ids = await told(room, *[1] * 9)
    await room.work()
    assert parcels(room) == [ids[:4], ids[4:8], ids[8:]]


async def test_outcomes_are_settled_one_by_one(room):
    taken, later, never, what = await told(room, 1, 2, 3, 4)
    room.transport.answers = [answer(**{later: "later", never: "never", what: "what"})]
    await room.work()
    assert await room.tally() == {"delivered": 1, "waiting": 2, "dead": 1, "unmapped": 4}
    room.clock.advance(5)
    await room.work()
    assert parcels(room)[0] == [taken, later, never, what]
    assert sorted(parcels(room)[1:]) == sorted([[later], [what]])
    assert await room.tally() == {"delivered": 3, "dead": 1, "unmapped": 4}


async def test_what_was_not_sent_stays_behind_a_retry_and_what_was_is_delivered(room):
    ids = await told(room, *[1] * 6)
    room.transport.answers = [answer(**{ids[1]: "later"})]
    await room.work()
    assert parcels(room) == [ids[:4]]
    assert await room.tally() == {"delivered": 3, "waiting": 3, "unmapped": 1}
    room.clock.advance(5)
    await room.work()
    assert parcels(room)[1:] == [[ids[1]], ids[4:]]
    assert (await room.tally())["delivered"] == 6


async def test_a_request_without_an_answer_is_repeated_one_event_at_a_time(room):
    """A vendor may fail a whole request because it has one of its events already."""
    ids = await told(room, 1, 2, 3)
    room.transport.answers = [DOWN]
    await room.work()
    room.clock.advance(1)
    await room.work()
    assert parcels(room)[0] == ids
    assert sorted(parcels(room)[1:]) == sorted([one] for one in ids)


async def test_a_failed_requests_events_are_due_at_one_moment(room):
    ids = await told(room, 1, 2, 3)
    draws = iter([0.25, 0.75])
    room.sender._uniform = lambda low, high: low + next(draws) * (high - low)
    room.transport.answers = [Response(503, {}, b"")]
    await room.work()
    async with room.database.snapshot() as db:
        cursor = await db.execute("SELECT count(DISTINCT due_at_ms), count(*) FROM waiting")
        assert await cursor.fetchone() == (1, len(ids))


async def test_one_event_that_makes_every_request_fail_does_not_end_its_neighbours(room):
    poison, *healthy = await told(room, 1, 2, 3, 4)
    room.transport.always = lambda request: Response(500 if poison.encode() in request.body else 200, {}, b"{}")
    for _ in range(4):
        await room.work()
        room.clock.advance(10)
    assert await room.tally() == {"delivered": len(healthy), "waiting": 1, "unmapped": 4}


async def test_too_many_requests_uses_up_no_attempt_and_the_batch_goes_again_as_it_was(room):
    ids = await told(room, 1, 2, 3)
    room.transport.answers = [Response(429, {}, b"")]
    await room.work()
    room.clock.advance(31)
    await room.work()
    assert parcels(room) == [ids, ids]
    async with room.database.snapshot() as db:
        cursor = await db.execute("SELECT max(attempts) FROM settled")
        assert await cursor.fetchone() == (1,)


async def test_refused_credentials_pause_and_the_probe_is_one_event(room):
    ids = await told(room, 1, 2, 3)
    room.transport.answers = [Response(401, {}, b"")]
    await room.work()
    assert room.health.paused_reason == "401"
    room.clock.advance(16 * 60)
    await room.work()
    assert [len(ids) for ids in parcels(room)][:2] == [3, 1]
    assert sorted(all_of(room)[3:]) == sorted(ids)
    assert (await room.tally())["delivered"] == 3


async def test_an_open_circuit_probes_with_one_event(room):
    await told(room, 1, 2, 3)
    for _ in range(5):
        room.health.failed(room.clock.monotonic_s())
    room.clock.advance(5)
    await room.resolve()
    await room.lane.step()
    assert [len(ids) for ids in parcels(room)] == [1]


async def test_who_withdrew_before_the_batch_is_formed_has_no_part_in_it(room):
    (_, *others) = await told(room, 1, 2, 3)
    await room.resolve()
    take = room.lane.ledger.take

    async def withdrawn_meanwhile(*arguments, **named):
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()
        await take(*arguments, **named)

    room.lane.ledger.take = withdrawn_meanwhile
    await room.lane.step()
    assert parcels(room) == [others]
    assert (await room.tally())["withheld"] == 1


async def test_who_withdrew_while_the_batch_waited_for_its_turn_has_no_part_in_it(tmp_path):
    room = await open_room(tmp_path)
    (_, *others) = await told(room, 1, 2, 3)
    await room.resolve()
    waits_s = iter([1.0, 0.0])
    room.budget.take = lambda name, lane, now_s: False
    room.budget.wait_s = lambda turn, now_s: next(waits_s)

    async def withdrawn_meanwhile(seconds):
        await room.store(1, "consent", consent=DENIED)
        await room.resolve()

    room.sender._pause = withdrawn_meanwhile
    await room.lane.step()
    assert parcels(room) == [others]
    assert await room.tally() == {"withheld": 1, "delivered": 2, "unmapped": 3}
    await room.close()


async def test_dead_letter_of_a_shared_request_holds_nothing_of_the_others(room):
    never, _ = await told(room, 1, 2)
    room.transport.answers = [answer(**{never: "never"})]
    await room.work()
    [letter] = await letters(room)
    assert json.loads(json.loads(letter.request)["body"]) == {"id": never, "email": "v1@shop.example"}
    assert b"v2@" not in letter.payload
    assert "v2@" not in letter.response


async def test_after_a_death_events_that_may_have_arrived_go_alone_and_with_the_same_bytes(room):
    ids = await told(room, 1, 2, 3)
    await room.resolve()

    async def died(*_):
        raise Died

    room.lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lane.step()
    await room.restart()
    await room.work()
    assert parcels(room)[0] == ids
    assert sorted(parcels(room)[1:]) == sorted([one] for one in ids)
    sent = [json.dumps(one) for request in room.transport.requests for one in json.loads(request.body)]
    assert len(set(sent)) == 3


async def test_after_a_polite_stop_they_go_alone_as_well_and_it_is_no_death(room):
    ids = await told(room, 1, 2)
    await room.resolve()
    room.transport.answers = [asyncio.CancelledError()] * 5
    for _ in range(2):
        with pytest.raises(asyncio.CancelledError):
            await room.lane.step()
    room.transport.answers = []
    await room.work()
    assert parcels(room)[0] == ids
    assert all(len(one) == 1 for one in parcels(room)[1:])
    assert (await room.tally())["delivered"] == 2


async def test_waiting_events_that_were_taken_once_go_alone_after_a_death(room):
    for visitor in (1, 2):
        await room.store(visitor, "view_item")
    await room.work()
    for visitor in (1, 2):
        await room.identify(visitor, email=f"v{visitor}@shop.example")
    await room.resolve()
    room.transport.answers = [Died()]
    with pytest.raises(Died):
        await room.lane.step()
    await room.restart()
    await room.work()
    assert [len(one) for one in parcels(room)] == [2, 1, 1]
    assert (await room.tally())["delivered"] == 2


async def test_an_event_that_kills_its_process_is_found_and_its_neighbours_are_delivered(room):
    poison, *healthy = await told(room, 1, 2, 3, 4)

    def deadly(request):
        if poison.encode() in request.body:
            raise Died
        return TAKEN

    room.transport.always = deadly
    for _ in range(20):
        try:
            await room.work()
            break
        except Died:
            await room.restart()
    else:
        raise AssertionError("the process still dies")
    assert await room.tally() == {"delivered": len(healthy), "dead": 1, "unmapped": 4}


async def test_an_error_of_ours_in_a_batch_costs_each_event_one_repeat_by_itself(room):
    broken, *healthy = await told(room, 1, 2, 3)

    def mistaken(request):
        if broken.encode() in request.body:
            raise ZeroDivisionError
        return TAKEN

    room.transport.always = mistaken
    for _ in range(3):
        await room.work()
        room.clock.advance(5)
    assert await room.tally() == {"delivered": len(healthy), "dead": 1, "unmapped": 3}
    [letter] = await letters(room)
    assert (letter.event_id, letter.reason) == (broken, "answer not understood: ZeroDivisionError")


async def test_pages_grow_while_a_pipeline_lags_and_are_small_again_afterwards(room):
    room.pipeline = with_parcels(room.pipeline, max_batch=50)
    await room.restart()
    room.lane._page_events = 5
    ids = await told(room, *[1] * 40)
    await room.work()
    assert [len(one) for one in parcels(room)] == [4, 36]
    assert all_of(room) == ids
    again = [(await room.store(1, "view_item")).id for _ in range(6)]
    await room.work()
    assert parcels(room)[2:] == [again[:5], again[5:]]


async def test_a_page_ends_where_its_bytes_are_too_many(room):
    room.pipeline = with_parcels(room.pipeline, max_batch=1_000)
    await room.restart()
    room.lane._page_events, room.lane._page_bytes = 1_000, 1_000
    ids = await told(room, *[1] * 130)
    await room.work()
    assert [len(one) for one in parcels(room)] == [99, 31]
    assert all_of(room) == ids
    assert (await room.tally())["delivered"] == 130


async def test_every_fate_of_a_batch_is_in_the_balance(room):
    ids = await told(room, 1, 2, 3, 4, 1, 2)
    room.transport.answers = [answer(**{ids[0]: "later", ids[1]: "never"}), DOWN, Response(429, {}, b"")]
    await room.resolve()
    for _ in range(20):
        await room.lane.step()
        room.clock.advance(3)
        passed = await room.lane.ledger.look(1)
        assert sum((await room.tally()).values()) == (10 if passed is None else passed.cursor)
    assert await room.tally() == {"delivered": 5, "dead": 1, "unmapped": 4}
