"""What is sent again keeps every rule of a delivery: its lane, its age, consent, and that nobody erased comes back."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.delivery import Response
from edge.ledger.database import fetch
from edge.ledger.replaying import Again
from edge.pipeline import compile_pipeline
from edge.spool.segment import list_segments, unlink
from tests.backroom import GRANTED, TAKEN, Backroom
from tests.component.world import REFUSAL, page
from tests.eraser_room import DAY_S, EraserRoom
from tests.replay_room import ReplayRoom

USER = "visitor@shop.example"
WEBHOOK = """
name: hook
integration: webhook
parameters: {url: "https://hook.test/in", secret: "${SECRET}"}
events: {view_item: {}}
"""
META = """
name: meta
integration: meta-conversions-api
parameters: {pixel_id: "123456789012345", access_token: "${KEY}", base_url: "http://meta.test"}
global: {profile: {em: {source: context.traits.email}}}
events: {view_item: {event_name: ViewContent}}
"""


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Backroom]:
    opened = await Backroom.open(tmp_path)
    yield opened
    await opened.close()


async def waiting(room: Backroom) -> list[tuple[object, ...]]:
    """Give what waits: in which lane, whether alone in its request, how often it was tried, whether it is rendered."""
    async with room.database.snapshot() as db:
        rows = await fetch(db, "SELECT seq, is_live, alone, attempts, payload IS NOT NULL FROM waiting ORDER BY seq")
    return [tuple(row) for row in rows]


@asynccontextmanager
async def delivering(folder: Path, text: str) -> AsyncIterator[Backroom]:
    """Open a room whose one pipeline is another than usual."""
    room = await Backroom.open(folder, starts_lane=False)
    secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
    room.pipeline = compile_pipeline(text, "other.yaml", {"KEY": "a-key", "SECRET": secret})
    await room.restart()
    try:
        yield room
    finally:
        await room.close()


async def lose_envelopes(room: Backroom) -> None:
    """Let the spool have unlinked everything."""
    assert room.reader is not None
    await room.reader.close()
    for segment in list_segments(room.folder / "spool"):
        unlink(segment)
    await room.restart()


async def test_a_replay_waits_in_the_background_and_shares_no_request(room: Backroom) -> None:
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    room.transport.answers = [TAKEN, REFUSAL]
    await room.store(1, "view_item")
    await room.work()
    again = ReplayRoom(room)
    number = await again.ask_dead()
    await again.replayer.step()
    assert await waiting(room) == [(3, 0, 1, 0, 0)]
    await again.done(number)
    await again.ask_stored()
    await again.replayer.step()
    assert await waiting(room) == [(2, 0, 1, 0, 0), (3, 0, 1, 0, 0)]


async def test_who_was_erased_between_the_look_and_the_sending_is_left_out(room: Backroom) -> None:
    await room.identify(1, email=USER)
    await room.store(1, "view_item")
    await room.work()
    room.transport.requests.clear()
    again = ReplayRoom(room)
    asked = await again.ledger.find(await again.ask_stored())
    looked, upto = await again.ledger.look(asked, 10)
    await EraserRoom(room).ask(("email", USER))
    chosen = [Again(one.seq, one.visitor) for one in looked if one.seq == 2]
    await again.ledger.send(asked, chosen, Counter(), upto=upto, now_ms=room.clock.now_ms())
    done = await again.done(asked.id)
    assert (dict(done.left_out), await waiting(room), room.transport.requests) == ({"erased": 1}, [], [])
    assert (await again.balance()).is_even


async def test_a_payload_as_it_was_is_not_sent_when_it_tells_of_a_purpose_that_was_withdrawn(tmp_path: Path) -> None:
    async with delivering(tmp_path, WEBHOOK) as room:
        room.transport.always = Response(400, {}, b"")
        for number in (1, 2):
            await room.store(number, "view_item", id=f"dead-{number}")
        await room.work()
        await room.store(2, "page_view", consent={**GRANTED, "advertising": "denied"})
        await room.work()
        assert (await room.tally())["dead"] == 2
        await lose_envelopes(room)
        room.transport.always, room.transport.requests = Response(204, {}, b""), []
        again = ReplayRoom(room)
        done = await again.done(await again.ask_dead())
        assert (done.anew, dict(done.outcomes)) == (0, {"delivered": 1, "withheld": 1})
        assert [b'"dead-1"' in request.body for request in room.transport.requests] == [True]


async def test_what_is_too_old_for_the_destination_keeps_the_fate_it_had(tmp_path: Path) -> None:
    async with delivering(tmp_path, META) as room:
        room.transport.always = Response(200, {}, b'{"events_received":1}')
        await room.identify(1, email=USER)
        seen = {"page": page("/cups"), "user_agent": "Mozilla/5.0", "ip": "192.0.2.1"}
        await room.store(1, "view_item", id="old", **seen)
        await room.work()
        room.clock.advance(8 * DAY_S)
        await room.store(1, "view_item", id="new", **seen)
        await room.work()
        before, again = await room.tally(), ReplayRoom(room)
        assert before["delivered"] == 2
        done = await again.done(await again.ask_stored())
        assert (dict(done.outcomes), done.left_out["too_old"]) == ({"delivered": 1}, 2)
        assert await room.tally() == before
