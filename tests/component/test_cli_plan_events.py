"""`edge plan`: which events it looks at, when it says no, and what it refuses."""

import asyncio
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from edge.spool.segment import list_segments
from tests.backroom import Backroom
from tests.component.plan_world import build, edit
from tests.component.world import World, write_files

RENAMED = ("Viewed Product", "Saw Product")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world") / "shop")


def looked_at(world: World, folder: str, *arguments: str) -> list[int]:
    """Give how many events were looked at and how many of them changed."""
    told = world.json("plan", folder, *arguments)
    return [told["events"], told["changed"]]


@pytest.mark.parametrize(
    ("since", "events"),
    [
        ("1d", [11, 4]),
        ("19min", [8, 2]),
        ("1140001ms", [8, 2]),
        ("1139999ms", [7, 1]),
        ("2026-11-20T11:11:40", [8, 2]),
        ("2026-11-20T11:11:40.001", [7, 1]),
        ("2026-11-20T12:11:40+01:00", [8, 2]),
        ("2026-11-20", [11, 4]),
        ("2026-11-18", [12, 5]),
        ("7d", [12, 5]),
        ("999999999999d", [12, 5]),
        ("0001-01-01T00:00+10:00", [12, 5]),
        ("1s", [0, 0]),
    ],
)
def test_the_window_begins_at_its_very_moment(world: World, tmp_path: Path, since: str, events: list[int]) -> None:
    assert looked_at(world, edit(tmp_path, RENAMED), "--since", since) == events


def test_a_spool_that_does_not_go_back_so_far_is_said(world: World, tmp_path: Path) -> None:
    lines = world.lines("plan", edit(tmp_path, RENAMED), "--since", "7d")
    assert lines[-5:] == [
        "Events accepted since 2026-11-13 11:30:40.000 UTC.",
        "The spool goes back to 2026-11-18 11:07:40.000 UTC only.",
        "Left out: duplicates 1, not resolved yet 1.",
        "Of 12 events looked at, 7 go as before in every pipeline.",
        "Of the others, once for each pipeline: 0 added, 0 removed, 5 changed, 0 otherwise.",
    ]


def test_a_window_from_before_all_clocks_is_said_to_begin_with_theirs(world: World, tmp_path: Path) -> None:
    lines = world.lines("plan", edit(tmp_path, RENAMED), "--since", "999999999999d")
    assert lines[-5] == "Events accepted since 1970-01-01 00:00:00.000 UTC."


def test_a_sample_is_evenly_spread_and_always_the_same(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path, RENAMED, ("events:\n", 'events:\n  "*": {}\n'))
    first, second = (world.edge("plan", folder, "--sample", "4").stdout for _ in range(2))
    assert first == second
    assert "(at most 4 of them, evenly spread)" in first
    told: Any = world.json("plan", folder, "--sample", "4")
    examples = [one["seq"] for group in told["pipelines"][1]["groups"] for one in group["examples"]]
    assert (told["events"], told["changed"], told["sample"], examples) == (4, 1, 4, [8, 5])
    assert looked_at(world, folder, "--sample", "1000") == looked_at(world, folder)


@pytest.mark.parametrize(("change", "code"), [(RENAMED, 1), (("Viewed Product", "Viewed Product"), 0)])
def test_expecting_none_exits_1_when_something_changes(
    world: World, tmp_path: Path, change: tuple[str, str], code: int
) -> None:
    folder = edit(tmp_path, change)
    assert world.edge("plan", folder, "--expect-none").exit_code == code
    assert world.edge("plan", folder).exit_code == 0


def test_a_change_that_sends_nothing_is_one_too(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path, ("global:\n", "anonymous: drop\nglobal:\n"))
    assert world.edge("plan", folder, "--expect-none").exit_code == 1


def test_every_problem_of_the_edited_folder_is_said_and_nothing_is_compared(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path, ("global:\n", "lanes: 1\nglobal:\n"))
    (tmp_path / "broken.yaml").write_text("name: [")
    result = world.edge("plan", folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{tmp_path}/broken.yaml:" in result.stderr
    assert f"{tmp_path}/klaviyo.yaml:5" in result.stderr


def test_a_name_that_two_edited_files_have_is_a_problem(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path)
    (tmp_path / "z.yaml").write_text((tmp_path / "klaviyo.yaml").read_text())
    result = world.edge("plan", folder)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'klaviyo' is also the name " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--since", "soon"], "--since: 'soon' is neither a duration nor a moment; accepted is a duration such as"),
        (["--since", "2027-01-01"], "--since: 2027-01-01 lies ahead; accepted is a moment that has been"),
        (["--pipeline", "nobody"], "no pipeline is called 'nobody'; there are: archive, klaviyo"),
        (["--sample", "0"], "--sample"),
    ],
)
def test_wrong_use_is_exit_2(world: World, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = world.edge("plan", edit(tmp_path), *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_folder_that_is_none_is_exit_2(world: World, tmp_path: Path) -> None:
    result = world.edge("plan", str(tmp_path / "nowhere"))
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is not a directory" in result.stderr


def test_beside_a_broken_folder_of_today_nothing_is_compared(tmp_path: Path) -> None:
    """What runs then is what the file said before, which no file says any more."""
    world = build(tmp_path / "shop")
    folder = edit(tmp_path / "edited", RENAMED)
    (world.folder / "pipelines/archive.yaml").write_text("name: [")
    result = world.edge("plan", folder, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "archive.yaml:" in result.stderr
    assert "what runs today is not what its files say: mend them, then compare" in result.stderr


def test_a_variable_that_is_not_set_is_stood_in_for_on_both_sides_and_said_once(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path, RENAMED)
    result = world.edge("plan", folder, "--json", env={"KEY": "", "ARCHIVE_KEY": "another"})
    assert result.stderr == "KEY is not set; unset-KEY stands in for it\n"
    assert json.loads(result.stdout)["pipelines"][1]["groups"][0]["examples"][0]["differences"] == [
        {
            "path": "data.attributes.metric.data.attributes.name",
            "today": "Viewed Product",
            "edited": "Saw Product",
        }
    ]


def test_damaged_events_are_left_out_and_counted(tmp_path: Path) -> None:
    world = build(tmp_path / "shop")
    with sqlite3.connect(list_segments(world.folder / "spool")[-1].path) as spool:
        spool.execute("UPDATE event SET checksum = checksum + 1 WHERE seq = 4")
    with sqlite3.connect(world.folder / "ledger.db") as ledger:
        ledger.execute("UPDATE journal SET granted = 15, checksum = checksum + 1 WHERE seq = 5")
    told = world.json("plan", edit(tmp_path / "edited", RENAMED))
    assert (told["events"], told["changed"]) == (9, 2)
    assert told["left_out"] == {"duplicates": 1, "damaged": 2, "unresolved": 1}


def test_without_any_event_nothing_is_counted(tmp_path: Path) -> None:
    world = write_files(tmp_path / "shop")
    asyncio.run(_empty(world))
    for sample in ([], ["--sample", "3"]):
        assert looked_at(world, edit(tmp_path / "edited", RENAMED), *sample) == [0, 0]


def test_without_a_ledger_the_verb_says_so(tmp_path: Path) -> None:
    result = write_files(tmp_path / "shop").edge("plan", edit(tmp_path / "edited", RENAMED))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "ledger.db: no ledger here" in result.stderr


async def _empty(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock)
    await room.close()
