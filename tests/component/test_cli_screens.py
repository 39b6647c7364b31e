"""What a terminal of 80 columns shows: no verb's line breaks, colours say what matters, a watch draws over itself."""

from pathlib import Path
from typing import Any

import pytest

from tests.backroom import Backroom
from tests.component.world import REFUSAL, World, build, live, served, write_files
from tests.screen import Screen

TERMINAL = {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color", "FORCE_COLOR": "1", "NO_COLOR": None}
GREEN, YELLOW, MAGENTA, CYAN, BOLD_RED = "32", "33", "35", "36", "1;31"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def seen(world: World, *arguments: str, **options: Any) -> Screen:
    """Call a verb on a terminal; give what stands on it then."""
    result = world.edge(*arguments, env=TERMINAL, **options)
    assert result.exit_code == 0, result.output
    return Screen(80).feed(result.stdout)


@pytest.mark.parametrize(
    "arguments",
    [
        ("tail", "--once"),
        ("queue",),
        ("queue", "--balance"),
        ("why", "delivered-1"),
        ("why", "held-1"),
        ("why", "waiting-1"),
        ("dead", "list"),
        ("dead", "show", "dead-1"),
    ],
    ids=" ".join,
)
def test_no_line_of_a_verb_is_longer_than_the_terminal_is_wide(world: World, arguments: tuple[str, ...]) -> None:
    screen = seen(world, *arguments)
    assert (screen.wraps, any(screen.lines)) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "colours"),
    [
        (
            ("tail", "--once"),
            {
                "delivered": GREEN,
                "waiting": YELLOW,
                "held": CYAN,
                "withheld": MAGENTA,
                "dead": BOLD_RED,
                "view_item": "1",
            },
        ),
        (("queue",), {"service": BOLD_RED, "1 behind": YELLOW, "archive": "1", "klaviyo": "1"}),
        (("queue", "--balance"), {"It balances": GREEN}),
        (("why", "delivered-1"), {"delivered 2026": GREEN}),
        (("why", "withheld-1"), {"withheld": MAGENTA}),
        (("why", "dead-1"), {"dead 2026": BOLD_RED}),
        (("dead", "list"), {"view_item": "1", "400 invalid at /data/attributes/time": "31"}),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, tuple) else "",
)
def test_a_colour_says_what_matters(world: World, arguments: tuple[str, ...], colours: dict[str, str]) -> None:
    screen = seen(world, *arguments)
    for word, colour in colours.items():
        assert colour in screen.styles(word.split()[0]), screen.lines


def test_a_story_is_read_from_top_to_bottom_on_a_narrow_terminal(world: World) -> None:
    assert seen(world, "why", "waiting-1").lines == [
        "view_item  waiting-1  #11  times are UTC",
        "",
        "accepted  2026-11-18 11:07:40.000, 4 min ago",
        "          its own time 2026-11-18 11:07:40.000, the same moment",
        "          source browser, browser 00000000000000000000000000000004",
        "identity  visitor 4, epoch 1 of its browser",
        "          person 2, known through #10, just before this event",
        "          email abc@shop.example",
        "consent   granted: functional, analytics, marketing, advertising; ground:",
        "          explicit",
        "archive   not its event: from before this pipeline began, or no longer kept",
        "klaviyo   waiting",
        "          attempts: 1 failed; the next is due now; last said: 503",
        f"          by pipeline file {world.json('why', 'waiting-1')['pipelines'][1]['hash']}",
    ]


def test_a_watch_draws_each_picture_over_the_one_before_and_leaves_the_terminal_as_it_was(tmp_path: Path) -> None:
    world, rooms, left = write_files(tmp_path), list[Backroom](), [deliver, refuse]
    live(world, deliver)

    async def pause(_: float) -> None:
        if not rooms:
            rooms.append(await Backroom.open(world.folder, world.clock))
        if not left:
            await rooms[0].close()
            raise KeyboardInterrupt
        world.clock.advance(10)
        await left.pop(0)(rooms[0])

    with served(world.folder):
        screen = seen(world, "queue", "--watch", pause=pause)
    pictures = [[line for line in picture if line] for picture in screen.pictures]
    assert pictures == [
        [
            "shop  11:06:40 UTC  accepted 0.0/s",
            "pipeline             now              oldest",
            "klaviyo  depth         0",
            "         delivered 0.0/s",
        ],
        [
            "shop  11:06:50 UTC  accepted 2.1/s            █",
            "pipeline             now              oldest",
            "klaviyo  depth         0",
            "         delivered 2.0/s            █",
        ],
        [
            "shop  11:07:00 UTC  accepted 1.0/s           █▄",
            "pipeline             now              oldest",
            "klaviyo  depth         0",
            "         delivered 0.0/s           █",
            "         dead      1.0/s            █",
        ],
    ]
    assert (screen.lines, screen.wraps) == ([""], 0)


async def deliver(room: Backroom) -> None:
    """Let twenty events arrive."""
    await room.identify(1, email="visitor@shop.example")
    for number in range(20):
        await room.store(1, "view_item", id=f"{room.clock.now_ms()}-{number}")
    await room.work()


async def refuse(room: Backroom) -> None:
    """Let ten events die."""
    room.transport.always = REFUSAL
    for _ in range(10):
        await room.store(1, "view_item")
    await room.work()
