"""`edge queue --watch`: rates, depth and outcomes as small plots, refreshed."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge.cli.watching import Course, Courses, Look, sparkline
from edge.delivery import Response
from edge.ledger.looking import PipelineDepth
from tests.backroom import Backroom
from tests.component.world import REFUSAL, World, build, served, write_files

Step = Callable[[Backroom], Awaitable[object]]


def watch(world: World, *steps: Step, arguments: tuple[str, ...] = ()) -> list[str]:
    """Watch while the service does one step at each pause, then press Ctrl-C."""
    left, rooms = list(steps), list[Backroom]()

    async def pause(_: float) -> None:
        if not rooms:
            rooms.append(await Backroom.open(world.folder, world.clock))
        if not left:
            await rooms[0].close()
            raise KeyboardInterrupt
        world.clock.advance(10)
        await left.pop(0)(rooms[0])

    with served(world.folder):
        result = world.edge("queue", "--watch", *arguments, pause=pause)
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.output.splitlines() if line.strip()]


async def nothing(room: Backroom) -> None:
    """Let time pass."""


async def deliver(room: Backroom) -> None:
    await room.identify(1, email="visitor@shop.example")
    for number in range(20):
        await room.store(1, "view_item", id=f"{room.clock.now_ms()}-{number}")
    await room.work()


async def refuse(room: Backroom) -> None:
    room.transport.always = REFUSAL
    for _ in range(10):
        await room.store(1, "view_item")
    await room.work()


async def fail(room: Backroom) -> None:
    room.transport.always = Response(503, {}, b"")
    for _ in range(4):
        await room.store(1, "view_item")
    await room.work()


def test_rates_depth_age_and_outcomes_are_drawn(tmp_path: Path) -> None:
    lines = watch(write_files(tmp_path), nothing, deliver, refuse, fail, nothing)
    assert lines[0].startswith("waiting: ")
    last = max(index for index, line in enumerate(lines) if line.startswith("shop "))
    assert lines[last:] == [
        "shop  11:07:30 UTC  accepted 0.0/s                           █▄▂",
        "pipeline             now                                oldest",
        "klaviyo  depth         4                             ██   10 s",
        "         delivered 0.0/s                           █",
        "         dead      0.0/s                            █",
    ]


def test_in_json_each_look_is_an_object(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    with_ledger = watch(world, deliver)
    assert with_ledger
    looks = [json.loads(line) for line in watch(world, deliver, arguments=("--json",))]
    assert [one["pipelines"][0]["per_s"]["delivered"] for one in looks] == [0.0, 2.0]
    assert (looks[1]["accepted_per_s"], looks[1]["pipelines"][0]["depth"], looks[1]["pipelines"][0]["oldest_s"]) == (
        2.1,
        0,
        None,
    )


def test_in_json_a_ledger_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    lines = watch(write_files(tmp_path), nothing, deliver, arguments=("--json",))
    assert [line[:8] for line in lines] == ["waiting:", '{"at_ms"', '{"at_ms"']


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([], "    "),
        ([0, 0], "    "),
        ([1], "   █"),
        ([1, 2, 4, 8], "▁▂▄█"),
        ([9, 1, 2, 4, 8], "▁▂▄█"),
        ([0, 8], "   █"),
    ],
)
def test_bars_are_as_high_as_values_are_large(values: list[float], drawn: str) -> None:
    assert sparkline(values, 4) == drawn


def test_what_a_replay_takes_back_is_no_rate_below_nothing() -> None:
    course = Course()
    before, now = (PipelineDepth("k", 9, 0, None, {"delivered": count}) for count in (10, 4))
    course.add(before, now, 2.0)
    assert [list(rates) for rates in course.rates.values()] == [[0.0]] * len(course.rates)


def test_the_first_look_has_no_rate_however_much_there_was() -> None:
    courses = Courses()
    courses.add(Look(1_000, 500, 500, (PipelineDepth("k", 500, 0, None, {"delivered": 500}),), {}))
    assert (list(courses.accepted), courses.of["k"].others()) == ([0.0], 0)


@pytest.mark.parametrize(
    ("told", "why"),
    [("2", "is not a duration"), ("1ms", "a duration of at least 200ms and at most 1min"), ("5min", "at most 1min")],
)
def test_a_look_comes_every_span_that_has_its_unit(tmp_path: Path, told: str, why: str) -> None:
    result = build(tmp_path).edge("queue", "--watch", "--every", told)
    assert (result.exit_code, why in result.stderr) == (2, True)
