"""`edge preview --event`: a stored event, with what the ledger knows and what was decided."""

import asyncio
import json
from pathlib import Path

import pytest

from edge.spool.segment import list_segments, unlink
from tests.backroom import Backroom
from tests.component.plan_world import build, edit
from tests.component.world import World

WHO = {"identifiers": {"email": "visitor@shop.example"}, "ids": {}, "origin": "ledger", "visitor": 1, "person": 1}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world") / "shop")


def test_a_stored_event_is_shown_with_who_did_it_what_was_granted_and_the_request(world: World) -> None:
    lines = world.lines("preview", "klaviyo", "--event", "view-2")
    assert lines[:8] == [
        "view_item  view-2  #4  2026-11-20 11:10:40.000 UTC, 20 min ago",
        "identity  visitor 1, person 1",
        "          email visitor@shop.example; from the ledger",
        "consent   granted: functional, analytics, marketing",
        "          withdrawn since: advertising",
        "          ground: the event's own answer (explicit)",
        "",
        "klaviyo  view_item → Viewed Product  needs marketing  live",
    ]
    attributes = json.loads("\n".join(lines[15:]))["data"]["attributes"]
    assert (attributes["unique_id"], attributes["properties"]) == ("view-2", {"ProductName": "River cup"})


@pytest.mark.parametrize("asked", ["view-2", "4", "#4"])
def test_an_event_is_found_by_id_and_number_and_shown_for_every_pipeline(world: World, asked: str) -> None:
    told = world.json("preview", "--event", asked)
    assert [(one["pipeline"], one["seq"], one["becomes"]) for one in told] == [
        ("archive", 4, "sent"),
        ("klaviyo", 4, "sent"),
    ]
    assert [one["identity"] for one in told] == [WHO, WHO]


def test_an_event_from_before_its_visitor_was_known_has_the_identity_of_now(world: World) -> None:
    told = world.json("preview", "klaviyo", "--event", "old-1")
    assert (told["identity"], told["becomes"]) == (WHO, "sent")
    assert told["notes"] == ["older than fresh_for, so it is marked as backfill"]
    assert told["request"]["body"]["data"]["attributes"]["backfill"] is True


def test_what_was_withdrawn_since_is_not_granted(world: World) -> None:
    told = world.json("preview", "klaviyo", "--event", "taken-back-1")
    assert told["consent"] == {
        "granted": ["functional", "analytics"],
        "denied": ["marketing", "advertising"],
        "unanswered": [],
        "withdrawn": ["marketing", "advertising"],
        "basis": "explicit",
        "note": "",
    }
    assert (told["becomes"], told["reason"]) == ("withheld", "consent does not grant marketing")


def test_an_edited_file_and_an_option_say_what_would_be(world: World, tmp_path: Path) -> None:
    edit(tmp_path, ("Viewed Product", "Saw Product"))
    file = str(tmp_path / "klaviyo.yaml")
    assert world.json("preview", file, "--event", "stranger-1")["becomes"] == "held"
    told = world.json("preview", file, "--event", "stranger-1", "--email", "a@shop.example")
    assert (told["becomes"], told["metric"]) == ("sent", "Saw Product")
    assert told["identity"] == {
        "identifiers": {"email": "a@shop.example"},
        "ids": {},
        "origin": "options",
        "visitor": 2,
        "person": None,
    }


def test_an_event_that_is_not_resolved_is_judged_by_itself_and_that_is_said(world: World) -> None:
    lines = world.lines("preview", "klaviyo", "--event", "late-1")
    assert lines[:6] == [
        "view_item  late-1  #14  2026-11-20 11:20:40.000 UTC, 10 min ago",
        "identity  nobody knows who this is",
        "consent   granted: functional, analytics, marketing, advertising",
        "          ground: the event's own answer (explicit)",
        "          the event is not resolved yet; this is decided without what is known of its visitor",
        "",
    ]


def test_a_stored_event_that_would_be_dead_is_exit_1(world: World, tmp_path: Path) -> None:
    edit(tmp_path, ("{source: properties.item_name}", "{source: properties.item_name, required: true}"))
    result = world.edge("preview", str(tmp_path / "klaviyo.yaml"), "--event", "view-3")
    assert result.exit_code == 1
    told = "dead: events.view_item.properties.ProductName: properties.item_name is missing"
    assert result.stdout.splitlines()[-1] == told


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("nobody", "no event with the id or number 'nobody' is known here: it was refused at the door"),
        ("#99", "no event with the id or number '#99' is known here: it was refused at the door"),
        ("#12", "#12 repeats #3, so no pipeline gets it; see: edge preview --event '#3'"),
    ],
)
def test_where_there_is_no_such_event_it_is_said_with_exit_1(world: World, asked: str, said: str) -> None:
    result = world.edge("preview", "klaviyo", "--event", asked)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr


def test_an_envelope_that_is_gone_is_said_with_exit_1(tmp_path: Path) -> None:
    world = build(tmp_path / "shop")
    unlink(list_segments(world.folder / "spool")[0])
    result = world.edge("preview", "klaviyo", "--event", "#1")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "the envelope of #1 is gone (the spool has unlinked it since)" in result.stderr


def test_looking_works_while_the_service_has_its_files_open(tmp_path: Path) -> None:
    world = build(tmp_path / "shop")
    room = asyncio.run(_held_open(world))
    assert room == [["sent"], 0]


async def _held_open(world: World) -> list[object]:
    room = await Backroom.open(world.folder, world.clock)
    async with room.database.transaction():
        told = await asyncio.to_thread(world.json, "preview", "klaviyo", "--event", "view-2")
        plan = await asyncio.to_thread(world.json, "plan", str(world.folder / "pipelines"))
    await room.close()
    return [[told["becomes"]], plan["changed"]]
