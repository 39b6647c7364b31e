"""Dead letters that are sent again, or let go: same ids, a balance that holds, nothing without consent."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.ledger import LedgerView
from edge.ledger.letters import REASON_CLASSES, Letters, letters_of
from edge.pipeline import compile_pipeline
from edge.spool.segment import list_segments, unlink
from tests.backroom import DENIED, ENVIRON, PIPELINE, TAKEN, Backroom
from tests.component.world import REFUSAL
from tests.replay_room import ALL_LETTERS, ReplayRoom

USER = "visitor@shop.example"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Backroom]:
    opened = await Backroom.open(tmp_path)
    yield opened
    await opened.close()


async def bury(room: Backroom, count: int = 1, *, name: str = "view_item") -> list[str]:
    """Let some events of one known visitor die; give their ids."""
    await room.identify(1, email=USER)
    events = [
        await room.store(1, name, id=f"{name}-{n}", properties={"item_name": "Moon Teapot"}) for n in range(count)
    ]
    room.transport.always = REFUSAL
    await room.work()
    room.transport.always, room.transport.requests = TAKEN, []
    room.clock.advance(60)
    return [event.id for event in events]


async def letters(room: Backroom, wanted: Letters = ALL_LETTERS) -> list[str]:
    view = await LedgerView.open(room.folder / "ledger.db")
    found, _ = await view.newest_letters(wanted, 100)
    await view.close()
    return [letter.event_id for letter in found]


async def test_letters_go_again_with_their_ids_and_the_tally_moves_there_and_back(room):
    ids = await bury(room, 3)
    again = ReplayRoom(room)
    number = await again.ask_dead()
    await again.replayer.step()
    assert await room.tally() == {"unmapped": 1, "waiting": 3}
    assert (await again.balance()).is_even
    done = await again.done(number)
    assert room.transport.ids == ids
    assert (done.chosen, done.anew, dict(done.outcomes), dict(done.left_out), done.open) == (
        3,
        3,
        {"delivered": 3},
        {},
        0,
    )
    assert await room.tally() == {"unmapped": 1, "delivered": 3}
    assert (await again.balance()).pipelines[0].fates == {"unmapped": 1, "delivered": 3}
    assert await letters(room) == []


async def test_they_go_through_the_file_as_it_is_today(room):
    await bury(room)
    room.pipeline = compile_pipeline(PIPELINE.replace("Viewed Product", "Looked At"), "klaviyo.yaml", ENVIRON)
    await room.restart()
    again = ReplayRoom(room)
    await again.done(await again.ask_dead())
    assert [body["metric"]["data"]["attributes"]["name"] for body in room.transport.bodies] == ["Looked At"]


async def test_without_the_envelope_the_payload_goes_as_it_was(room):
    [event_id] = await bury(room)
    room.pipeline = compile_pipeline(PIPELINE.replace("Viewed Product", "Looked At"), "klaviyo.yaml", ENVIRON)
    await room.reader.close()
    for segment in list_segments(room.folder / "spool"):
        unlink(segment)
    await room.restart()
    again = ReplayRoom(room)
    done = await again.done(await again.ask_dead())
    assert (done.chosen, done.anew, dict(done.outcomes)) == (1, 0, {"delivered": 1})
    assert room.transport.ids == [event_id]
    assert room.transport.bodies[0]["metric"]["data"]["attributes"]["name"] == "Viewed Product"


async def test_what_dies_again_is_a_new_letter_and_is_not_tried_for_ever(room):
    ids = await bury(room, 2)
    again = ReplayRoom(room)
    room.transport.always = REFUSAL
    done = await again.done(await again.ask_dead())
    assert (dict(done.outcomes), len(room.transport.requests)) == ({"dead": 2}, 2)
    assert sorted(await letters(room)) == ids
    assert await room.tally() == {"unmapped": 1, "dead": 2}
    assert (await again.balance()).is_even


async def test_nothing_goes_again_whose_consent_was_withdrawn(room):
    await bury(room, 2)
    await room.store(1, "page_view", consent=DENIED)
    await room.work()
    again = ReplayRoom(room)
    done = await again.done(await again.ask_dead())
    assert (done.chosen, dict(done.left_out), room.transport.requests) == (0, {"withheld": 2}, [])
    assert await room.tally() == {"unmapped": 2, "dead": 2}


async def test_a_withdrawal_after_the_choice_ends_it_withheld(room):
    await bury(room)
    again = ReplayRoom(room)
    number = await again.ask_dead()
    await again.replayer.step()
    await room.store(1, "page_view", consent=DENIED)
    await room.work()
    done = await again.done(number)
    assert (dict(done.outcomes), room.transport.requests) == ({"withheld": 1}, [])
    assert (await again.balance()).is_even


async def test_a_death_anywhere_neither_forgets_nor_repeats(room):
    ids = await bury(room, 120)
    again = ReplayRoom(room)
    number = await again.ask_dead()
    for _ in range(8):
        await again.replayer.step()
        again.restart()
        await room.lane.step()
        await room.restart()
        again.restart()
    done = await again.done(number)
    assert (done.chosen, dict(done.outcomes)) == (120, {"delivered": 120})
    assert sorted(room.transport.ids) == sorted(ids)


async def test_only_a_few_are_on_their_way_and_none_while_the_pipeline_is_behind_or_blocked(room):
    await bury(room, 120)
    again = ReplayRoom(room, is_blocked=True)
    number = await again.ask_dead()
    await room.store(2, "view_item")
    await room.resolve()
    assert not await again.replayer.step()
    await room.work()
    again.is_blocked = False
    for _ in range(150):
        await room.store(2, "page_view")
    await room.resolve()
    assert not await again.replayer.step()
    await room.work()
    assert await again.replayer.step()
    assert not await again.replayer.step()
    assert (await again.ledger.find(number)).open == 50


async def test_a_replay_tries_by_itself_whether_a_destination_works_again_where_nothing_else_is_open(room):
    """Else nobody would find out before the next live event, and whoever mended it at night would wait till morning."""
    await bury(room, 60)
    while not room.health.is_open:
        room.health.failed(room.clock.monotonic_s())
    again = ReplayRoom(room, asks_lane=True)
    number = await again.ask_dead()
    assert await again.replayer.step()
    assert not await again.replayer.step()
    assert (await again.ledger.find(number)).open == 1
    room.clock.advance(10)
    done = await again.done(number)
    assert (done.chosen, dict(done.outcomes)) == (60, {"delivered": 60})


async def test_a_letter_that_somebody_drops_meanwhile_stays_dropped(room):
    await bury(room, 3)
    again = ReplayRoom(room)
    number = await again.ask_dead()
    end = [told async for told in again.repeats.drop({"ids": ["view_item-1"]})][-1]
    assert end == {"kind": "end", "dropped": {"klaviyo": 1}}
    done = await again.done(number)
    assert dict(done.outcomes) == {"delivered": 2}
    assert await room.tally() == {"unmapped": 1, "dead": 1, "delivered": 2}


async def test_a_dropped_letter_stays_dead_in_tally_and_balance(room):
    await bury(room, 2)
    again = ReplayRoom(room)
    assert [told async for told in again.repeats.drop({})][-1]["dropped"] == {"klaviyo": 2}
    assert await letters(room) == []
    assert await room.tally() == {"unmapped": 1, "dead": 2}
    balance = await again.balance()
    assert (balance.is_even, balance.pipelines[0].fates) == (True, {"unmapped": 1, "dead": 2})


async def test_every_letter_has_one_class_by_what_happened(room):
    await bury(room)
    room.transport.always = Response(302, {}, b"")
    await room.store(1, "view_item", id="odd")
    await room.work()
    room.clock.advance(60)
    await room.work()
    room.pipeline = compile_pipeline(
        PIPELINE.replace("{source: properties.item_name}", "{source: properties.nothing, required: true}"),
        "klaviyo.yaml",
        ENVIRON,
    )
    await room.restart()
    await room.store(1, "view_item", id="bare")
    await room.work()
    assert {name: await letters(room, Letters(reason_class=name)) for name in REASON_CLASSES} == {
        "rejected": ["view_item-0"],
        "unclear": ["odd"],
        "unrendered": ["bare"],
        "killer": [],
    }


def test_a_request_of_another_shape_is_refused():
    for told in (
        {"event": 5},
        {"reason_class": "429"},
        {"since_ms": "1"},
        {"ids": "x"},
        {"ids": [None]},
        {"until_ms": True},
    ):
        with pytest.raises(ValueError, match="accepted"):
            letters_of(told)
    wanted = Letters("klaviyo", "view_item", "rejected", 1, 2, "no", ("a", 7))
    assert letters_of(wanted.told()) == wanted


async def test_a_pipeline_that_does_not_run_cannot_send_again(room):
    with pytest.raises(ValueError, match="none of this name runs"):
        await ReplayRoom(room).ask_dead(Letters("archive"))


async def test_the_fate_of_a_letter_that_was_sent_again_is_the_later_one(room):
    await room.identify(1, email=USER)
    event = await room.store(1, "view_item")
    room.transport.always = REFUSAL
    await room.work()
    room.transport.always = TAKEN
    room.clock.advance(60)
    again = ReplayRoom(room)
    number = await again.ask_dead()
    await again.replayer.step()
    waiting = await room.fate(event)
    assert (waiting.fate, waiting.first_fate, waiting.reason) == (Fate.WAITING, Fate.DEAD, "replay")
    await again.done(number)
    ended = await room.fate(event)
    assert (ended.fate, ended.first_fate) == (Fate.DELIVERED, Fate.DEAD)
