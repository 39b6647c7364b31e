"""A changed pipeline file runs from the next step on; one with an error changes nothing but what is shown."""

import asyncio
import os
from pathlib import Path

import orjson
import pytest

from edge.app.reloading import MAX_SHOWN
from edge.delivery import Fate, Response
from edge.errors import TransportFailed
from edge.ledger import revisions
from edge.ledger.database import fetch, open_read_only
from tests.backroom import PIPELINE, TAKEN
from tests.component.test_vendor_erasing import META
from tests.folder_room import VIEWED, VISITOR, FolderRoom, edited

DOWN = TransportFailed("the connection was refused")
BROKEN = PIPELINE.replace("metric:", "metrik:", 1)
LOOKED = "Looked At"


@pytest.fixture
async def room(tmp_path):
    room = await FolderRoom.open(tmp_path)
    yield room
    await room.close()


class Gate:
    """Holds the first request back until told to let it go."""

    def __init__(self, room: FolderRoom) -> None:
        self.reached, self.opened = asyncio.Event(), asyncio.Event()
        self._send = room.room.transport.send
        room.room.transport.send = self.send

    async def send(self, request):
        self.reached.set()
        await self.opened.wait()
        return await self._send(request)


async def test_a_change_waits_for_the_end_of_a_step_and_each_page_has_the_hash_that_made_it(room):
    before = room.hashes["klaviyo"]
    first, second = await room.view(), await room.view()
    await room.room.resolve()
    gate = Gate(room)
    step = asyncio.create_task(room.lanes.step("klaviyo"))
    await gate.reached.wait()
    await room.change(klaviyo=edited(LOOKED))
    gate.opened.set()
    await step
    third = await room.view()
    await room.work()
    after = room.hashes["klaviyo"]
    assert room.sent == [VIEWED, VIEWED, LOOKED]
    assert [await room.hash_of(event) for event in (first, second, third)] == [before, before, after]
    assert before != after


async def test_a_file_with_an_error_changes_nothing_but_what_is_shown_until_it_is_good_again(room):
    before = room.hashes
    await room.change(klaviyo=BROKEN)
    await room.view()
    await room.work()
    [problem] = room.reloader.problems
    assert problem.startswith(f"{room.folder}/klaviyo.yaml:") and "metrik" in problem
    assert (room.sent, room.hashes) == ([VIEWED], before)
    assert room.counted("edge_pipeline_file_problems", file="klaviyo.yaml") == 1
    assert room.counted("edge_pipeline_reloads_total", result="refused") == 1
    await room.change(klaviyo=edited(LOOKED))
    await room.view()
    await room.work()
    assert (room.reloader.problems, room.sent) == ([], [VIEWED, LOOKED])
    assert room.counted("edge_pipeline_file_problems", file="klaviyo.yaml") is None
    assert room.counted("edge_pipeline_reloads_total", result="swapped") == 1


async def test_a_problem_clears_itself_when_its_file_is_gone(room):
    await room.change(other="name: [")
    assert len(room.reloader.problems) == 1
    await room.change(other=None)
    assert room.reloader.problems == []


async def test_a_file_that_says_what_it_said_is_not_touched(room):
    before = room.lanes.drainers
    await room.change(klaviyo=PIPELINE)
    assert room.lanes.drainers == before
    assert room.counted("edge_pipeline_reloads_total", result="swapped") is None


async def test_an_unchanged_file_is_not_touched_by_another_ones_change(room):
    [before] = room.lanes.drainers
    await room.change(second=edited(name="second"))
    assert room.lanes.drainers[0] is before


async def test_a_new_file_starts_with_the_newest_event(room):
    await room.view()
    await room.work()
    await room.change(second=edited(LOOKED, "second"))
    await room.view()
    await room.work()
    assert sorted(room.sent) == [LOOKED, VIEWED, VIEWED]
    assert room.counted("edge_pipeline_reloads_total", result="started") == 1


async def test_a_pipeline_that_settles_nothing_after_a_restart_shows_where_it_stands(room):
    """On a dashboard it is the one that is looked for."""
    await room.view()
    await room.work()
    room.room.transport.always = DOWN
    await room.view()
    await room.room.resolve()
    await room.restart()
    assert room.counted("edge_pipeline_cursor", pipeline="klaviyo") is None
    await room.lanes.drainers[0].open()
    assert room.counted("edge_pipeline_cursor", pipeline="klaviyo") == 2


async def test_vendors_behind_one_proxy_with_one_key_have_rates_of_their_own(tmp_path):
    """As in the sandbox: Klaviyo's calls for profiles and jobs count by rates that no other vendor has."""
    text = edited().replace("events:\n", "events:\n  identify: {}\n")
    room = await FolderRoom.open(tmp_path, another=META, klaviyo=text)
    event = await room.room.identify(1, email=VISITOR)
    room.room.transport.always = Response(201, {}, b"")
    await room.room.resolve()
    await room.work()
    assert (await room.fates(event))["klaviyo"].fate is Fate.DELIVERED
    await room.close()


async def test_a_removed_file_ends_its_pipeline_and_what_waits_goes_on_when_it_comes_back(room):
    room.room.transport.always = DOWN
    event = await room.view()
    await room.work()
    await room.change(klaviyo=None)
    room.room.transport.always = TAKEN
    room.room.clock.advance(3_600)
    await room.work()
    assert room.lanes.names == []
    assert (await room.fates(event))["klaviyo"].fate is Fate.WAITING
    assert room.counted("edge_pipeline_cursor", pipeline="klaviyo") is None
    await room.change(klaviyo=PIPELINE)
    await room.work()
    assert (await room.fates(event))["klaviyo"].fate is Fate.DELIVERED


async def test_a_pipeline_whose_file_is_removed_in_a_step_ends_after_it(room):
    event = await room.view()
    await room.room.resolve()
    gate = Gate(room)
    step = asyncio.create_task(room.lanes.step("klaviyo"))
    await gate.reached.wait()
    await room.change(klaviyo=None)
    gate.opened.set()
    await step
    assert (await room.fates(event))["klaviyo"].fate is Fate.DELIVERED
    assert "klaviyo" not in room.lanes


async def test_another_name_is_another_pipeline_that_starts_with_the_newest_event(room):
    await room.view()
    await room.work()
    await room.change(klaviyo=edited(LOOKED, "renamed"))
    later = await room.view()
    await room.work()
    assert room.sent == [VIEWED, LOOKED]
    fates = {name: fate.fate for name, fate in (await room.fates(later)).items()}
    assert fates == {"klaviyo": None, "renamed": Fate.DELIVERED}


async def test_who_runs_under_a_name_keeps_it_until_its_file_is_gone(room):
    before = room.hashes
    await room.change(a_copy=edited(LOOKED))
    assert room.hashes == before
    assert room.reloader.problems == [
        f"{room.folder}/a_copy.yaml: name: 'klaviyo' is also the name of {room.folder}/klaviyo.yaml; "
        "accepted is a name that no other pipeline has"
    ]
    await room.change(klaviyo=None)
    await room.view()
    await room.work()
    assert (room.sent, room.reloader.problems) == ([LOOKED], [])


async def test_two_files_may_swap_their_names(tmp_path):
    room = await FolderRoom.open(tmp_path, one=edited("One", "first"), two=edited("Two", "second"))
    before = room.hashes
    await room.change(one=edited("One", "second"), two=edited("Two", "first"))
    assert room.reloader.problems == []
    assert room.hashes.keys() == before.keys() and room.hashes != before
    await room.restart()
    assert room.hashes.keys() == before.keys()
    await room.close()


async def test_refused_credentials_are_tried_at_once_when_the_file_changes(room):
    room.room.transport.always = Response(401, {}, b"")
    event = await room.view()
    await room.work()
    assert room.lanes.paused == {"klaviyo": "401"}
    room.room.transport.always = TAKEN
    await room.change(klaviyo=PIPELINE.replace("${KEY}", "${OTHER_KEY}"))
    await room.work()
    assert (await room.fates(event))["klaviyo"].fate is Fate.DELIVERED
    assert (room.lanes.paused, room.counted("edge_pipeline_paused", pipeline="klaviyo")) == ({}, 0)
    assert "another-key" in room.room.transport.requests[-1].headers["Authorization"]


async def test_an_open_circuit_stays_open_over_a_change(room):
    room.room.transport.always = DOWN
    for visitor in range(8):
        await room.view(visitor)
    await room.work()
    asked = len(room.room.transport.requests)
    await room.change(klaviyo=edited(LOOKED))
    await room.view(9)
    await room.work()
    assert len(room.room.transport.requests) == asked


async def test_what_waits_keeps_its_bytes_and_the_hash_that_made_it(room):
    before = room.hashes["klaviyo"]
    room.room.transport.always = DOWN
    event = await room.view()
    await room.work()
    room.room.transport.always = TAKEN
    await room.change(klaviyo=edited(LOOKED))
    room.room.clock.advance(3_600)
    await room.work()
    assert len({request.body for request in room.room.transport.requests}) == 1
    fate = (await room.fates(event))["klaviyo"]
    assert (fate.fate, fate.hash) == (Fate.DELIVERED, before)


async def test_purposes_of_the_changed_file_count_for_what_waits(room):
    consent = {"marketing": "granted", "advertising": "denied"}
    room.room.transport.always = DOWN
    await room.room.identify(1, email=VISITOR)
    event = await room.room.store(1, "view_item", consent=consent)
    await room.work()
    asked = len(room.room.transport.requests)
    await room.change(klaviyo=edited(more="consent: [advertising]\n"))
    room.room.clock.advance(3_600)
    await room.work()
    assert (await room.fates(event))["klaviyo"].fate is Fate.WITHHELD
    assert len(room.room.transport.requests) == asked


async def test_a_file_that_is_still_being_written_is_not_taken_in_parts(room):
    room.write("klaviyo", edited(LOOKED)[:-40])
    room.while_pausing = [lambda: room.write("klaviyo", edited(LOOKED))]
    await room.change()
    assert (room.counted("edge_pipeline_reloads_total", result="swapped"), room.reloader.problems) == (1, [])


async def test_what_is_no_file_is_refused_and_never_waited_for(room):
    before = room.hashes
    os.mkfifo(room.folder / "pipe.yaml")
    (room.folder / "folder.yaml").mkdir()
    await room.change()
    what = "cannot be read; accepted is a file that this user may read"
    assert room.reloader.problems == [f"{room.folder}/{name}.yaml: {what}" for name in ("folder", "pipe")]
    assert room.hashes == before


async def test_a_folder_that_is_gone_ends_nothing(room):
    before = room.hashes
    room.folder.rename(room.room.folder / "elsewhere")
    await room.change()
    assert room.hashes == before
    what = "is not a directory that can be read; accepted is the one with the pipelines"
    assert room.reloader.problems == [f"{room.folder}: {what}"]
    await room.restart()
    assert room.hashes == before


async def test_what_is_shown_is_bounded(room):
    await room.change(**{f"{number:0200}": "name: [" for number in range(60)})
    problems = room.reloader.problems
    assert len(problems) == MAX_SHOWN + 1
    assert problems[-1] == "and 40 more: edge check shows all"
    assert len(orjson.dumps(problems)) < 32_000


async def test_a_file_name_that_is_no_text_can_be_shown(room):
    Path(str(room.folder).encode().decode(), "bad\udcff.yaml").write_text("name: [")
    await room.change()
    assert b"bad?.yaml" in orjson.dumps(room.reloader.problems)
    assert room.counted("edge_pipeline_file_problems", file="bad?.yaml") == 1


async def test_registering_what_runs_already_writes_nothing(room):
    outside = await open_read_only(room.room.folder / "ledger.db")
    version = await fetch(outside, "PRAGMA data_version")
    await room.restart()
    assert await fetch(outside, "PRAGMA data_version") == version
    assert len(await revisions.running(room.room.database)) == 1
    await outside.close()
