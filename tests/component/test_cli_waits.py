"""What the verbs tell of events that wait for an answer about consent."""

import asyncio
import json
from pathlib import Path

import pytest

from edge.consent import ALL_PURPOSES
from tests.backroom import Backroom
from tests.component.world import World, write_files

WAITS = "consent: {default: {marketing: wait}, wait_for: 1h}\n"
NO_ANSWER: dict[str, str] = {}


async def _fill(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock, waits=ALL_PURPOSES)
    await room.store(1, "view_item", id="asked-1", consent=NO_ANSWER)
    await room.store(2, "identify", traits={"email": "visitor@shop.example"}, consent=NO_ANSWER)
    await room.store(2, "view_item", id="asked-2", consent=NO_ANSWER)
    await room.store(3, "view_item", id="stranger-1")
    await room.store(4, "view_item", id="no-1", consent=NO_ANSWER)
    await room.work()
    await room.store(4, "consent", consent={"marketing": "denied"})
    await room.work()
    await room.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = write_files(tmp_path_factory.mktemp("waits") / "shop")
    with (world.folder / "edge.yaml").open("a") as file:
        file.write(WAITS)
    asyncio.run(_fill(world))
    return world


FOR_CONSENT = "for consent: until somebody answers about marketing, at most until 2026-11-18 12:06:40.000"
FOR_IDENTITY = "for identity: until somebody knows the visitor, at most until 2026-12-02 11:06:40.000"


@pytest.mark.parametrize(
    ("asked", "reasons"),
    [
        ("asked-1", [FOR_CONSENT, FOR_IDENTITY]),
        ("asked-2", [FOR_CONSENT]),
        ("stranger-1", [FOR_IDENTITY]),
        ("no-1", ["it waited for the visitor's answer, which was no"]),
    ],
)
def test_why_tells_for_what_an_event_is_held(asked: str, reasons: list[str], world: World) -> None:
    lines = [line.strip() for line in world.lines("why", asked)]
    assert [line for line in lines if line.startswith(("for ", "it waited"))] == reasons
    assert any("left to the visitor's answer" in line for line in lines) is (asked != "stranger-1")


def test_queue_counts_what_waits_for_an_answer(world: World) -> None:
    assert "klaviyo: 2 of the held wait for an answer about consent" in world.lines("queue")
    [found] = world.json("queue")["pipelines"]
    assert (found["events"]["held"], found["held_for_consent"]) == (3, 2)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("asked-1", "nobody knows the visitor, and nobody has answered about marketing yet"),
        ("asked-2", "nobody has answered about marketing yet"),
        ("stranger-1", "nobody knows the visitor"),
    ],
)
def test_preview_tells_for_what_a_stored_event_would_be_held(asked: str, reason: str, world: World) -> None:
    told = world.json("preview", "klaviyo", "--event", asked)
    assert (told["becomes"], told["reason"]) == ("held", reason)


def test_preview_of_an_event_that_says_nothing_tells_that_it_would_wait(world: World, tmp_path: Path) -> None:
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"id": "5f0c3d1e-0000-4000-8000-000000000001", "name": "view_item", "properties": {}}))
    told = world.json("preview", "klaviyo", str(event), "--email", "visitor@shop.example")
    would = "the site's default would deny functional, analytics, advertising and wait for an answer about marketing"
    assert told["consent"]["note"] == f"taken as granted: the event says nothing; {would}"
