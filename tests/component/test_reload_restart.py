"""What a death finds: files that are broken by then, pages that were on their way, names that are taken."""

import pytest

from edge.delivery import Fate, Response
from edge.ledger import revisions
from edge.ledger.database import fetch
from tests.backroom import PIPELINE
from tests.folder_room import VIEWED, FolderRoom, edited

BROKEN = PIPELINE.replace("metric:", "metrik:", 1)
LOOKED = "Looked At"


class Died(BaseException):
    """Stands for a process that ends between two instructions."""


@pytest.fixture
async def room(tmp_path):
    room = await FolderRoom.open(tmp_path)
    yield room
    await room.close()


async def die_before_settling(room: FolderRoom) -> None:
    """Send the next page, and end before it is settled."""

    async def died(*_):
        raise Died

    [lane] = room.lanes.drainers
    lane.ledger.settle = died
    with pytest.raises(Died):
        await room.lanes.step("klaviyo")


async def test_a_file_that_is_broken_at_a_restart_runs_as_it_was_last_good(room):
    await room.change(klaviyo=edited(LOOKED))
    good = room.hashes
    await room.change(klaviyo=BROKEN)
    await room.restart()
    assert room.hashes == good
    assert len(room.reloader.problems) == 1
    await room.view()
    await room.work()
    assert room.sent == [LOOKED]
    await room.change(klaviyo=PIPELINE)
    await room.view()
    await room.work()
    assert (room.sent, room.reloader.problems) == ([LOOKED, VIEWED], [])


async def test_last_good_is_what_ran_last_and_not_what_is_newest(room):
    first = room.hashes
    await room.change(klaviyo=edited(LOOKED))
    await room.change(klaviyo=PIPELINE)
    room.write("klaviyo", BROKEN)
    await room.restart()
    assert room.hashes == first


async def test_a_file_that_was_never_good_stops_nobody_else(tmp_path):
    room = await FolderRoom.open(tmp_path, bad=BROKEN, good=edited(name="good"))
    assert list(room.hashes) == ["good"]
    assert len(room.reloader.problems) == 1
    await room.view()
    await room.work()
    assert room.sent == [VIEWED]
    await room.close()


async def test_a_stored_text_that_cannot_be_compiled_any_more_stops_nobody_else(room):
    await room.change(second=edited(name="second"), klaviyo=PIPELINE.replace("${KEY}", "${OTHER_KEY}"))
    room.write("klaviyo", BROKEN)
    del room.environ["OTHER_KEY"]
    await room.restart()
    assert list(room.hashes) == ["second"]
    assert len(room.reloader.problems) == 1


async def test_a_file_that_was_removed_and_comes_back_broken_does_not_run_over_a_restart(room):
    await room.change(klaviyo=None)
    await room.change(klaviyo=BROKEN)
    await room.restart()
    assert room.hashes == {}


async def test_a_file_that_was_removed_meanwhile_is_forgotten_as_well(room):
    (room.folder / "klaviyo.yaml").unlink()
    await room.restart()
    assert await revisions.running(room.room.database) == []
    room.write("klaviyo", BROKEN)
    await room.restart()
    assert room.hashes == {}


async def test_a_file_that_was_renamed_meanwhile_is_known_by_its_new_name(room):
    (room.folder / "klaviyo.yaml").rename(room.folder / "moved.yaml")
    await room.restart()
    assert room.reloader.problems == []
    room.write("moved", BROKEN)
    await room.restart()
    assert list(room.hashes) == ["klaviyo"]


async def test_a_page_that_a_process_died_with_is_sent_again_as_it_was(room):
    before = room.hashes["klaviyo"]
    event = await room.view()
    await room.room.resolve()
    await die_before_settling(room)
    room.write("klaviyo", edited(LOOKED))
    await room.restart()
    later = await room.view()
    await room.work()
    assert room.sent == [VIEWED, VIEWED, LOOKED]
    assert room.room.transport.requests[0].body == room.room.transport.requests[1].body
    assert await room.hash_of(event) == before
    assert await room.hash_of(later) == room.hashes["klaviyo"] != before


async def test_a_page_that_cannot_be_rendered_as_it_was_has_the_hash_of_what_renders_it(room):
    await room.change(klaviyo=PIPELINE.replace("${KEY}", "${OTHER_KEY}"))
    event = await room.view()
    await room.room.resolve()
    await die_before_settling(room)
    room.write("klaviyo", edited(LOOKED))
    del room.environ["OTHER_KEY"]
    await room.restart()
    await room.work()
    assert room.sent == [VIEWED, LOOKED]
    assert await room.hash_of(event) == room.hashes["klaviyo"]


async def test_consent_for_a_page_that_is_taken_again_is_asked_of_the_changed_file(room):
    await room.room.identify(1, email="visitor@shop.example")
    event = await room.room.store(1, "view_item", consent={"marketing": "granted", "advertising": "denied"})
    await room.room.resolve()
    await die_before_settling(room)
    room.write("klaviyo", edited(more="consent: [advertising]\n"))
    await room.restart()
    await room.work()
    assert room.sent == [VIEWED]
    assert (await room.fates(event))["klaviyo"].fate is Fate.WITHHELD


async def test_what_was_withheld_beside_a_page_that_is_taken_again_stays_withheld(tmp_path):
    """Else it would follow the visitor's later events, which went out before the death."""
    room = await FolderRoom.open(tmp_path, klaviyo=edited(more="consent: [advertising]\n"))
    await room.room.identify(1, email="visitor@shop.example")
    first = await room.room.store(1, "view_item", consent={"marketing": "granted", "advertising": "denied"})
    second = await room.room.store(1, "view_item")
    await room.room.resolve()
    await die_before_settling(room)
    room.write("klaviyo", edited(LOOKED))
    await room.restart()
    await room.work()
    assert room.room.transport.ids == [second.id, second.id]
    assert (await room.fates(first))["klaviyo"].fate is Fate.WITHHELD
    await room.close()


async def test_a_stranger_beside_a_page_that_is_taken_again_is_held_and_then_sent_by_the_file_that_sends_strangers_now(
    room,
):
    """What rendered the page has no identifier for a stranger: sent as it was, the event would be dead."""
    await room.view()
    stranger = await room.room.store(2, "view_item")
    await room.room.resolve()
    await die_before_settling(room)
    room.write(
        "klaviyo",
        edited(more="anonymous: send\n").replace("external_id:", "anonymous_id: {source: id}\n    external_id:"),
    )
    await room.restart()
    await room.work()
    found = (await room.fates(stranger))["klaviyo"]
    assert (found.first_fate, found.fate) == (Fate.HELD, Fate.DELIVERED)
    assert (room.sent, room.reloader.problems) == ([VIEWED, VIEWED, VIEWED], [])


async def test_a_stranger_in_a_page_that_is_taken_again_is_not_held_by_a_file_that_holds_strangers_now(tmp_path):
    """Released later, what was sent already would be sent again with other bytes."""
    sends = edited(more="anonymous: send\n").replace("external_id:", "anonymous_id: {source: id}\n    external_id:")
    room = await FolderRoom.open(tmp_path, klaviyo=sends)
    await room.room.store(1, "view_item")
    await room.room.resolve()
    await die_before_settling(room)
    room.write("klaviyo", edited(LOOKED))
    await room.restart()
    await room.work()
    await room.room.identify(1, email="visitor@shop.example")
    await room.work()
    assert room.sent == [VIEWED, VIEWED]
    assert room.room.transport.requests[0].body == room.room.transport.requests[1].body
    await room.close()


async def test_what_was_skipped_beside_waiting_events_that_are_taken_again_stays_skipped(tmp_path):
    """Else it would follow the visitor's later events, which went out before the death."""
    unlike = PIPELINE.replace("{metric:", "{when: \"properties.item_name != 'Lamp'\", metric:", 1)
    room = await FolderRoom.open(tmp_path, klaviyo=unlike)
    first = await room.room.store(1, "view_item", properties={"item_name": "Lamp"})
    second = await room.room.store(1, "view_item", properties={"item_name": "Moon Teapot"})
    await room.work()
    await room.room.identify(1, email="visitor@shop.example")
    await room.room.resolve()
    room.room.transport.answers = [Died()]
    with pytest.raises(Died):
        await room.lanes.step("klaviyo")
    room.write("klaviyo", edited(LOOKED))
    await room.restart()
    await room.work()
    assert room.room.transport.ids == [second.id, second.id]
    assert (await room.fates(first))["klaviyo"].fate is Fate.SKIPPED
    await room.close()


async def test_what_rendered_an_unfinished_page_is_compiled_once_however_long_the_page_rests(room):
    room.room.transport.always = Response(401, {}, b"")
    await room.view(1)
    await room.work()
    await room.view(2)
    await room.room.resolve()
    room.room.clock.advance(3_600)
    await room.lanes.step("klaviyo")  # the first probe is of what waits
    room.room.clock.advance(3_600)
    await die_before_settling(room)
    room.write("klaviyo", edited(LOOKED))
    await room.restart()
    for _ in range(10):
        await room.lanes.step("klaviyo")
        room.room.clock.advance(900)
    assert len(room.recalled) == 1


async def test_a_full_ledger_starts_with_what_ran_and_follows_the_folder_when_there_is_room(room):
    before = room.hashes
    await room.fill(is_full=True)
    room.write("klaviyo", edited(LOOKED, more=f"# {'long ' * 5_000}\n"))
    await room.restart()
    assert room.hashes == before
    await room.change()
    assert room.hashes == before
    await room.fill(is_full=False)
    await room.change()
    assert room.hashes.keys() == before.keys() and room.hashes != before


async def test_another_integration_under_a_known_name_is_refused_over_a_restart_too(room):
    before = room.hashes
    async with room.room.database.transaction() as db:
        await fetch(db, "UPDATE pipeline SET integration = 'another-vendor'")
    await room.change(klaviyo=edited(LOOKED))
    what = "'klaviyo-events-api' is not what 'klaviyo' delivers to, which is another-vendor"
    problem = f"{room.folder}/klaviyo.yaml: integration: {what}; accepted is a new name for another destination"
    assert (room.reloader.problems, room.hashes) == ([problem], before)
    await room.restart()
    assert (room.reloader.problems, room.hashes) == ([problem], before)
