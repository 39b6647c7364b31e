"""Stored events that go through a pipeline again: same ids, only what may go, a balance that holds."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.ledger.letters import Letters
from edge.ledger.replaying import NOT_AGAIN, Stored
from edge.pipeline import compile_pipeline
from tests.backroom import DENIED, ENVIRON, PIPELINE, TAKEN, Backroom
from tests.component.world import REFUSAL
from tests.eraser_room import EraserRoom, holding
from tests.replay_room import EVER, ReplayRoom


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Backroom]:
    opened = await Backroom.open(tmp_path)
    yield opened
    await opened.close()


async def fill(room: Backroom) -> None:
    """Bring about one event of each fate, and two that were delivered."""
    await room.identify(1, email="visitor@shop.example")
    for number in range(2):
        await room.store(1, "view_item", id=f"sent-{number}")
    await room.store(2, "view_item", id="held")
    await room.store(3, "view_item", id="withheld", consent=DENIED)
    await room.store(1, "view_item", id="sent-0")
    await room.work()
    await room.identify(4, email="four@shop.example")
    room.transport.answers = [REFUSAL]
    await room.store(4, "view_item", id="dead")
    await room.work()
    await room.identify(5, email="five@shop.example")
    room.transport.answers = [Response(503, {}, b"")]
    await room.store(5, "view_item", id="waiting")
    await room.work()
    room.transport.requests.clear()


async def test_what_was_delivered_goes_again_with_its_ids_and_everything_else_says_why_not(room):
    await fill(room)
    before = await room.tally()
    room.health.stay_paused("no")  # so that what waits stays
    again = ReplayRoom(room)
    number = await again.ask_stored()
    await again.replayer.step()
    looked = await again.ledger.find(number)
    assert (looked.chosen, dict(looked.left_out)) == (
        2,
        {"unwanted": 3, "open": 2, "withheld": 1, "duplicate": 1, "dead": 1},
    )
    moved = {fate: count for fate, count in before.items() if fate != "delivered"}
    assert await room.tally() == {**moved, "waiting": 3}
    assert (await again.balance()).is_even
    assert set(looked.left_out) <= set(NOT_AGAIN)


async def test_the_tally_is_as_before_when_all_have_arrived(room):
    await room.identify(1, email="visitor@shop.example")
    ids = [(await room.store(1, "view_item")).id for _ in range(120)]
    await room.work()
    before = await room.tally()
    room.transport.requests.clear()
    again = ReplayRoom(room)
    done = await again.done(await again.ask_stored())
    assert room.transport.ids == ids
    assert (dict(done.outcomes), done.open) == ({"delivered": 120}, 0)
    assert await room.tally() == before
    assert (await again.balance()).is_even


async def test_only_the_span_the_name_and_the_visitor_that_are_asked_for_go(room):
    for number in (1, 2):
        await room.identify(number, email=f"v{number}@shop.example")
        await room.store(number, "view_item", id=f"view-{number}")
        await room.store(number, "add_to_cart", id=f"cart-{number}")
    await room.work()
    room.transport.requests.clear()
    again = ReplayRoom(room)
    await again.done(await again.ask_stored(Stored(1, EVER, "add_to_cart")))
    assert sorted(room.transport.ids) == ["cart-1", "cart-2"]
    await again.done(await again.ask_stored(Stored(1, EVER, None, (2,))))
    assert room.transport.ids[2:] == ["view-2", "cart-2"]
    await again.done(await again.ask_stored(Stored(2, 2)))
    assert room.transport.ids[4:] == ["view-1"]


async def test_a_new_pipeline_gets_what_is_from_before_it_began(tmp_path):
    room = await Backroom.open(tmp_path, starts_lane=False)
    await room.identify(1, email="visitor@shop.example")
    event = await room.store(1, "view_item", id="early")
    await room.resolve()
    await room.restart()
    await room.work()
    again = ReplayRoom(room)
    assert (await again.balance()).pipelines[0].before_it_began == 2
    await again.done(await again.ask_stored())
    assert room.transport.ids == ["early"]
    assert (await room.fate(event)).fate is Fate.DELIVERED
    balance = await again.balance()
    assert (balance.is_even, balance.pipelines[0].fates, balance.pipelines[0].before_it_began) == (
        True,
        {"delivered": 1},
        1,
    )
    await room.close()


async def test_nothing_of_an_erased_person_goes_again(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    room.transport.requests.clear()
    again = ReplayRoom(room)
    number = await again.ask_stored()
    await EraserRoom(room).ask(("email", "visitor@shop.example"))
    done = await again.done(number)
    assert (done.chosen, dict(done.left_out), room.transport.requests) == (0, {"erased": 2}, [])


async def test_whoever_is_erased_while_on_the_way_gets_nothing(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    room.transport.requests.clear()
    again = ReplayRoom(room)
    number = await again.ask_stored()
    await again.replayer.step()
    await EraserRoom(room).ask(("email", "visitor@shop.example"))
    done = await again.done(number)
    assert (dict(done.outcomes), room.transport.requests) == ({"erased": 1}, [])
    assert (await again.balance()).is_even


async def test_what_todays_file_would_not_send_keeps_the_fate_it_had(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    await room.work()
    before = await room.tally()
    room.pipeline = compile_pipeline(PIPELINE.replace("view_item:", "search:"), "klaviyo.yaml", ENVIRON)
    await room.restart()
    again = ReplayRoom(room)
    done = await again.done(await again.ask_stored())
    assert (done.chosen, dict(done.left_out)) == (0, {"unwanted": 2})
    assert await room.tally() == before


async def test_a_live_event_of_the_same_visitor_goes_behind_the_one_that_is_sent_again(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", id="old")
    await room.work()
    room.transport.requests.clear()
    room.transport.answers = [Response(503, {}, b"")]
    again = ReplayRoom(room)
    await again.ask_stored()
    await again.replayer.step()
    await room.store(1, "view_item", id="new")
    await room.work()
    room.transport.always = TAKEN
    room.clock.advance(5)
    await room.work()
    assert room.transport.ids == ["old", "old", "new"]


@pytest.mark.parametrize(
    "told",
    [
        {"first": "1", "last": 2},
        {"first": 1},
        {"first": -1, "last": 2},
        {"first": 1, "last": True},
        {"first": 1, "last": 2, "event": 5},
        {"first": 1, "last": 2, "visitors": ["1"]},
        {"first": 1, "last": 2, "visitors": [1] * 1_001},
    ],
)
async def test_a_request_of_another_shape_is_refused(room, told):
    with pytest.raises(ValueError, match="accepted"):
        await ReplayRoom(room).repeats.begin_stored({"pipeline": "klaviyo", **told})


async def test_a_replay_that_was_asked_for_with_somebodys_address_keeps_none_of_it(room):
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item")
    room.transport.always = REFUSAL
    await room.work()
    again, erasing = ReplayRoom(room), EraserRoom(room)
    number = await again.ask_dead(Letters(text="Visitor@shop.example"))
    await erasing.ask(("email", "visitor@shop.example"))
    while await erasing.eraser.step():
        await room.resolve()
    done = await again.done(number)
    assert (done.done_at_ms is not None, done.wanted) == (True, Letters())
    assert "ledger.db" not in holding(room.folder, "isitor@shop.example")
