"""A file that changes what becomes of strangers while their events are held: nothing overtakes, all is counted."""

from pathlib import Path

import pytest

from edge.delivery import Fate
from tests.backroom import PIPELINE
from tests.component.world import USER
from tests.folder_room import FolderRoom

SENDS, DROPS = "anonymous: send\n", "anonymous: drop\n"
OFF = "enabled: false\n"


@pytest.fixture
async def room(tmp_path: Path):
    room = await FolderRoom.open(tmp_path)
    yield room
    await room.close()


async def test_a_file_that_comes_to_send_strangers_sends_what_is_held_before_what_is_new(room) -> None:
    events = [await room.room.store(number, "view_item") for number in (1, 2, 1)]
    await room.work()
    assert await room.room.tally() == {"held": 3}
    await room.change(klaviyo=PIPELINE + SENDS)
    events += [await room.room.store(number, "view_item") for number in (2, 1)]
    await room.work()
    by_visitor = {number: [one.id for one in events if one.browser.endswith(str(number))] for number in (1, 2)}
    sent = room.room.transport.ids
    assert {number: [one for one in sent if one in ids] for number, ids in by_visitor.items()} == by_visitor
    assert await room.room.tally() == {"delivered": 5}


async def test_a_file_that_comes_to_drop_strangers_ends_what_is_held_and_says_so(room) -> None:
    event = await room.room.store(1, "view_item")
    await room.work()
    await room.change(klaviyo=PIPELINE + DROPS)
    await room.work()
    found = (await room.fates(event))["klaviyo"]
    assert (found.fate, found.first_fate) == (Fate.SKIPPED, Fate.HELD)
    assert "anonymous: drop" in found.reason
    await room.room.identify(1, email=USER)
    await room.work()
    assert (room.sent, await room.room.tally()) == ([], {"skipped": 1, "unmapped": 1})


async def test_a_file_that_is_disabled_ends_what_is_held_as_it_ends_what_is_new(room) -> None:
    held = await room.room.store(1, "view_item")
    await room.work()
    await room.change(klaviyo=PIPELINE + OFF)
    new = await room.room.store(1, "view_item")
    await room.work()
    found = [(await room.fates(event))["klaviyo"] for event in (held, new)]
    assert [one.fate for one in found] == [Fate.SKIPPED, Fate.SKIPPED]
    assert "disabled" in found[0].reason
    assert await room.room.tally() == {"skipped": 2}


async def test_a_death_between_the_change_and_the_release_forgets_nothing(room) -> None:
    held = await room.room.store(1, "view_item")
    await room.work()
    await room.change(klaviyo=PIPELINE + SENDS)
    await room.restart()
    new = await room.room.store(1, "view_item")
    await room.work()
    assert room.room.transport.ids == [held.id, new.id]


async def test_a_change_of_other_words_leaves_what_is_held_where_it_is(room) -> None:
    held = await room.room.store(1, "view_item")
    await room.work()
    await room.change(klaviyo=PIPELINE.replace("Viewed Product", "Saw Product"))
    await room.work()
    assert (await room.fates(held))["klaviyo"].fate is Fate.HELD


async def test_many_visitors_are_released_over_several_steps(room) -> None:
    events = [await room.room.store(number, "view_item") for number in range(1, 451)]
    await room.work()
    await room.change(klaviyo=PIPELINE + SENDS)
    await room.work()
    assert sorted(room.room.transport.ids) == sorted(event.id for event in events)
    assert await room.room.tally() == {"delivered": 450}
