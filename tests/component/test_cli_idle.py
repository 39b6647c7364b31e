"""Pipelines that are switched off take one line of a screen; where anything ever moved in one it stands in full."""

import asyncio
import json
from pathlib import Path

import pytest

from edge.cli.idle import Disabled, idle_among
from edge.config import load_config
from edge.ledger.looking import PipelineDepth
from edge.pipeline import compile_pipeline
from tests.backroom import PIPELINE, Backroom
from tests.component.world import ARCHIVE, World, served, write_files

OFF = ARCHIVE + "enabled: false\n"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give a world in which klaviyo delivers and the archive is switched off."""
    made = write_files(tmp_path_factory.mktemp("world"))
    (made.folder / "pipelines/archive.yaml").write_text(OFF)
    asyncio.run(_fill(made))
    return made


async def _fill(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock)
    for pipeline in (compile_pipeline(OFF, "archive.yaml", {"ARCHIVE_KEY": "another"}), room.pipeline):
        room.pipeline = pipeline
        await room.restart()
    await room.identify(1, email="visitor@shop.example")
    await room.store(1, "view_item", id="cup")
    await room.work()
    room.pipeline = compile_pipeline(OFF, "archive.yaml", {"ARCHIVE_KEY": "another"})
    await room.restart()
    await room.work()
    await room.close()


def watched(world: World, *arguments: str) -> list[str]:
    """Look once, then press Ctrl-C."""

    async def pause(_: float) -> None:
        raise KeyboardInterrupt

    with served(world.folder):
        return world.edge("queue", "--watch", *arguments, pause=pause).stdout.splitlines()


def test_the_table_has_a_line_for_those_switched_off_and_json_keeps_them(world: World) -> None:
    lines = world.lines("queue")
    assert [line.split()[0] for line in lines[-3:]] == ["pipeline", "klaviyo", "disabled:"]
    assert lines[-1] == "disabled: archive"
    archive, klaviyo = world.json("queue")["pipelines"]
    assert (archive["events"]["skipped"], archive["notes"]) == (1, ["disabled: events are skipped"])
    assert klaviyo["events"]["delivered"] == 1


def test_a_watch_draws_no_rows_of_those_switched_off(world: World) -> None:
    lines = watched(world)
    assert [line.split()[0] for line in lines if line.strip()] == [
        "shop",
        "pipeline",
        "klaviyo",
        "delivered",
        "disabled:",
    ]
    assert [one["name"] for one in json.loads(watched(world, "--json")[0])["pipelines"]] == ["archive", "klaviyo"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), ["└ klaviyo unmapped", "└ klaviyo delivered"]),
        (("--pipeline", "archive"), ["└ archive unmapped", "└ archive skipped"]),
        (("--fate", "skipped"), ["└ archive skipped"]),
    ],
    ids=str,
)
def test_tail_leaves_out_what_a_disabled_pipeline_skips_unless_it_is_asked_for(
    world: World, arguments: tuple[str, ...], told: list[str]
) -> None:
    assert [line[18:] for line in world.lines("tail", "--once", *arguments) if "└" in line] == told


def test_tail_in_json_keeps_what_a_disabled_pipeline_skips(world: World) -> None:
    told = [one["fate"] for one in world.json("tail", "--once") if one.get("pipeline") == "archive"]
    assert told == ["unmapped", "skipped"]


@pytest.mark.parametrize(
    ("paused", "events", "is_idle"),
    [
        (None, {}, True),
        (None, {"skipped": 7, "withheld": 1, "unmapped": 2, "expired": 1, "erased": 1, "delivered": 0}, True),
        (None, {"skipped": 7, "delivered": 1}, False),
        (None, {"held": 1}, False),
        (None, {"waiting": 1}, False),
        (None, {"dead": 1}, False),
        ("401", {}, False),
    ],
)
def test_only_what_never_moved_is_idle(paused: str | None, events: dict[str, int], is_idle: bool) -> None:
    depth = PipelineDepth("archive", 9, 3, paused, events)
    assert (idle_among([depth], {"archive"}), idle_among([depth], set())) == ({"archive"} if is_idle else set(), set())


def test_a_file_that_is_switched_on_counts_from_the_next_look(tmp_path: Path) -> None:
    write_files(tmp_path)
    file = tmp_path / "pipelines/klaviyo.yaml"
    file.write_text(PIPELINE + "enabled: false\n")
    disabled = Disabled(load_config(tmp_path / "edge.yaml", {}))
    assert disabled.names() == {"klaviyo"}
    file.write_text(PIPELINE)
    assert disabled.names() == set()
