"""Visitors whose person has lost all that named it: strangers again, until somebody names them anew."""

from pathlib import Path

import pytest

from edge.ledger import UndoLedger
from tests.backroom import Backroom
from tests.component.world import USER


async def _unlink(room: Backroom) -> None:
    async with room.resolver.between_pages():
        await UndoLedger(room.database).end_fact("email", USER)
        room.resolver.forget_cached()


@pytest.fixture
async def unlinked(tmp_path: Path):
    """Two browsers of one person whose address was taken back."""
    room = await Backroom.open(tmp_path)
    await room.identify(1, email=USER)
    await room.identify(2, email=USER)
    await room.work()
    await _unlink(room)
    yield room
    await room.close()


async def test_events_of_a_person_without_a_name_are_held_and_not_lost(unlinked: Backroom) -> None:
    await unlinked.store(1, "view_item")
    await unlinked.work()
    assert await unlinked.tally() == {"unmapped": 2, "held": 1}


async def test_what_was_held_of_all_browsers_is_sent_once_one_of_them_names_the_person(unlinked: Backroom) -> None:
    events = [await unlinked.store(number, "view_item") for number in (1, 2, 1)]
    await unlinked.work()
    await unlinked.identify(1, email="other@shop.example")
    await unlinked.work()
    assert sorted(unlinked.transport.ids) == sorted(event.id for event in events)
    assert await unlinked.tally() == {"unmapped": 3, "delivered": 3}
    assert {body["profile"]["data"]["attributes"]["email"] for body in unlinked.transport.bodies} == {
        "other@shop.example"
    }


async def test_the_event_that_follows_the_taking_back_may_name_the_person_anew(unlinked: Backroom) -> None:
    event = await unlinked.store(1, "view_item")
    await unlinked.work()
    await unlinked.identify(1, email=USER)
    await unlinked.work()
    assert unlinked.transport.ids == [event.id]
