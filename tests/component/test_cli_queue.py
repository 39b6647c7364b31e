"""`edge queue`: how deep, since when, and what a person on call has to know."""

import asyncio
from pathlib import Path

import pytest

from edge.delivery import Fate, Response
from edge.pipeline import compile_pipeline
from tests.backroom import DENIED, PIPELINE, Backroom
from tests.component.world import World, build, served, write_files


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def test_the_table_says_what_stands_where_and_since_when(world: World) -> None:
    with served(world.folder):
        lines = world.lines("queue")
    assert lines == [
        "shop  2026-11-18 11:12:17.000 UTC  accepted up to #13",
        "the resolver is 1 behind, the oldest for 5 s",
        "",
        "pipeline behind waiting  held delivered withheld unmapped skipped expired dead",
        "archive       ·       ·     ·         ·        ·        ·       ·       ·    ·",
        "klaviyo       1       1     1         2        1        3       ·       ·    1",
        "           35 s   4 min 5 min",
        "klaviyo: the oldest that waits last said: 503",
    ]


def test_json_says_the_same_in_numbers(world: World) -> None:
    found = world.json("queue")
    assert (found["accepted_to"], found["resolved_to"]) == (13, 12)
    assert found["resolver"] == {"behind": 1, "oldest_s": 5.0}
    archive, klaviyo = found["pipelines"]
    assert archive["events"] == {fate.value: 0 for fate in Fate}
    assert klaviyo == {
        "name": "klaviyo",
        "cursor": 11,
        "behind": 1,
        "paused": None,
        "events": {
            **{fate.value: 0 for fate in Fate},
            "waiting": 1,
            "held": 1,
            "delivered": 2,
            "withheld": 1,
            "unmapped": 3,
            "dead": 1,
        },
        "oldest_s": 337.0,
        "oldest_each_s": {"behind": 35.0, "waiting": 277.0, "held": 337.0},
        "held_for_consent": 0,
        "dead_dropped": False,
        "told_later": {"counted": 0, "refused": {}, "warned": {}, "untold": 0, "open": 0},
        "notes": ["the oldest that waits last said: 503"],
    }


def test_a_paused_pipeline_is_said_with_its_reason(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def fill() -> None:
        room = await Backroom.open(tmp_path, world.clock)
        room.transport.always = Response(401, {}, b'{"errors":[{"code":"not_authenticated"}]}')
        await room.identify(1, email="user@shop.example")
        await room.store(1, "view_item")
        await room.work()
        await room.close()

    asyncio.run(fill())
    paused = "klaviyo: paused, its credentials are refused (401 not_authenticated)"
    line = f"{paused}; one event is tried every 15 min, and at each start"
    assert line in world.lines("queue")
    assert world.json("queue")["pipelines"][0]["paused"] == "401 not_authenticated"


def test_a_pipeline_whose_every_event_was_withheld_is_pointed_out(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def fill() -> None:
        room = await Backroom.open(tmp_path, world.clock)
        for _ in range(100):
            await room.store(1, "view_item", consent=DENIED)
        await room.work()
        await room.close()

    asyncio.run(fill())
    assert any("every event so far was withheld (it needs marketing)" in line for line in world.lines("queue"))


def test_files_without_a_queue_and_queues_without_a_file_are_named(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    (tmp_path / "pipelines/klaviyo.yaml").write_text(PIPELINE.replace("name: klaviyo", "name: renamed"))

    async def fill() -> None:
        room = await Backroom.open(tmp_path, world.clock)
        await room.close()

    asyncio.run(fill())
    lines = world.lines("queue")
    assert "klaviyo: no file has this name any more" in lines
    assert "renamed: has a file and never ran; it starts with the next `edge serve`" in lines


def test_without_a_ledger_there_is_a_sentence_and_exit_1(tmp_path: Path) -> None:
    result = write_files(tmp_path).edge("queue")
    assert result.exit_code == 1
    assert "no ledger here; `edge serve` makes it" in result.stderr


def test_a_disabled_pipeline_and_a_healthy_head(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    disabled = PIPELINE + "enabled: false\n"
    (tmp_path / "pipelines/klaviyo.yaml").write_text(disabled)

    async def fill() -> None:
        room = await Backroom.open(tmp_path, world.clock, pipeline=disabled)
        assert not compile_pipeline(disabled, "k", {"KEY": "a-key"}).is_enabled
        await room.close()

    asyncio.run(fill())
    with served(tmp_path):
        lines = world.lines("queue")
    assert lines[1] == "the resolver is at the head"
    assert lines[2:] == [
        "",
        "disabled: klaviyo",
        "archive: has a file and never ran; it starts with the next `edge serve`",
    ]
    assert world.json("queue")["pipelines"][0]["notes"] == ["disabled: events are skipped"]


def test_what_holds_of_several_pipelines_is_said_once(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def fill() -> None:
        for name in ("first", "second"):
            room = await Backroom.open(tmp_path, world.clock, pipeline=PIPELINE.replace("klaviyo\n", f"{name}\n", 1))
            await room.close()

    asyncio.run(fill())
    assert "first, second: no file has this name any more" in world.lines("queue")


@pytest.mark.parametrize(
    ("file", "text", "note"),
    [
        ("klaviyo.yaml", PIPELINE + "colour: red\nshape: round\n", "klaviyo.yaml has 2 problems"),
        ("vendor.yaml", "name: 'klaviyo'\nevents: {\n", "vendor.yaml has 1 problem"),
        ("klaviyo.yaml", "events: {\n", "klaviyo.yaml has 1 problem"),
        ("other.yaml", "name: other\nevents: {\n", "no file that can be read has this name; other.yaml has 1 problem"),
    ],
)
def test_a_file_with_mistakes_is_named_with_their_number(tmp_path: Path, file: str, text: str, note: str) -> None:
    world = write_files(tmp_path)

    async def fill() -> None:
        room = await Backroom.open(tmp_path, world.clock)
        await room.close()

    asyncio.run(fill())
    (tmp_path / "pipelines/klaviyo.yaml").unlink()
    (tmp_path / "pipelines" / file).write_text(text)
    assert f"klaviyo: {note}, see `edge check`; what ran before goes on" in world.lines("queue")


def test_dead_events_whose_letters_were_dropped_are_said_to_be(tmp_path: Path) -> None:
    world = build(tmp_path)
    assert world.edge("dead", "drop", "--all", "--yes").exit_code == 0
    row, below = world.lines("queue")[6:8]
    assert (row.split()[0], row.split()[-1], below.split()[-1]) == ("klaviyo", "1", "dropped")
    assert [one["dead_dropped"] for one in world.json("queue")["pipelines"]] == [False, True]
