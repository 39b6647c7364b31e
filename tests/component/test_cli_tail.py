"""`edge tail`: what was accepted and what became of it, as it happens."""

import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from edge.delivery import Response
from edge.spool import SpoolSettings, SpoolWriter
from edge.spool.segment import list_segments, unlink
from tests.backroom import Backroom
from tests.component.world import USER, World, build, page, served, write_files

Step = Callable[[Backroom], Awaitable[object]]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def test_what_is_there_is_shown_with_what_became_of_it(world: World) -> None:
    assert world.lines("tail", "--once") == [
        "11:06:40      #1  view_item         held-1   00000000 /pots",
        "11:07:42      #1  └ klaviyo held",
        "11:07:40      #2  identify          event-2  00000000                                user@shop.example",
        "11:07:42      #2  └ klaviyo unmapped",
        "11:07:40      #3  view_item         delivere 00000000 /cups                          user@shop.example",
        "11:07:42      #3  └ klaviyo delivered",
        "11:07:40      #4  view_item         withheld 00000000",
        "11:07:42      #4  └ klaviyo withheld",
        "11:07:40      #5  page_view         unmapped 00000000                                user@shop.example",
        "11:07:42      #5  └ klaviyo unmapped",
        "11:07:40      #6  view_item         delivere 00000000 duplicate, goes nowhere",
        "11:07:40      #7  view_item         dead-1   00000000                                user@shop.example",
        "11:07:42      #7  └ klaviyo dead (400 invalid at /data/attributes/time)",
        "11:07:40      #8  purchase          ordered- 00000000                                user@shop.example",
        "11:07:42      #8  └ klaviyo delivered",
        "11:07:40      #9  purchase          reordere 00000000 duplicate, goes nowhere",
        "11:07:40     #10  identify          event-10 00000000                                abc@shop.example",
        "11:07:42     #10  └ klaviyo unmapped",
        "11:07:40     #11  view_item         waiting- 00000000                                abc@shop.example",
        "             #11  └ klaviyo waiting (503, attempt 1 failed)",
        "11:11:42     #12  view_item         late-1   00000000",
    ]


@pytest.mark.parametrize(
    ("filters", "seqs"),
    [
        (["--event", "purchase"], [8, 9]),
        (["--visitor", USER.upper()], [2, 3, 5, 7, 8, 9]),
        (["--visitor", f"{4:032x}"], [10, 11]),
        (["--visitor", USER, "--event", "purchase"], [8, 9]),
        (["--lines", "2"], [11, 12]),
        (["--from-now"], []),
        (["--from-start", "--lines", "2"], [*range(1, 13)]),
        (["--visitor", "' OR 1=1 --"], []),
    ],
)
def test_filters_choose_events(world: World, filters: list[str], seqs: list[int]) -> None:
    told = [json.loads(line) for line in world.edge("tail", "--once", "--json", *filters).stdout.splitlines()]
    assert [one["seq"] for one in told if one["kind"] == "event"] == seqs


def test_json_has_a_line_for_the_event_and_one_for_each_delivery(world: World) -> None:
    event, delivery = world.json("tail", "--once", "--event", "view_item", "--visitor", USER)[:2]
    assert (event["seq"], event["id"], event["page"], event["identifiers"]) == (
        3,
        "delivered-1",
        "/cups",
        {"email": USER},
    )
    assert delivery == {
        "kind": "delivery",
        "seq": 3,
        "id": "delivered-1",
        "pipeline": "klaviyo",
        "fate": "delivered",
        "attempts": 1,
        "settled_at_ms": 1_795_000_062_000,
        "due_at_ms": None,
        "reason": "",
    }


def test_an_unknown_pipeline_is_wrong_use_and_the_known_ones_are_named(world: World) -> None:
    result = world.edge("tail", "--once", "--pipeline", "klavio")
    assert result.exit_code == 2
    assert "there are: archive, klaviyo" in result.stderr


def follow(world: World, *steps: Step, arguments: tuple[str, ...] = ()) -> list[str]:
    """Follow while the service does one step at each pause, then press Ctrl-C."""
    left, rooms = list(steps), list[Backroom]()

    async def pause(_: float) -> None:
        if not rooms:
            rooms.append(await Backroom.open(world.folder, world.clock))
        if not left:
            await rooms[0].close()
            raise KeyboardInterrupt
        await left.pop(0)(rooms[0])

    with served(world.folder):
        result = world.edge("tail", *arguments, pause=pause)
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.output.splitlines()]


async def _work(room: Backroom) -> None:
    await room.work()


def test_deliveries_appear_when_they_settle_and_ctrl_c_is_a_good_end(tmp_path: Path) -> None:
    async def accept(room: Backroom) -> None:
        room.transport.answers = [Response(503, {}, b"")]
        await room.identify(1, email=USER)
        await room.store(1, "view_item", id="cup", page=page("/cups"))

    async def try_again(room: Backroom) -> None:
        room.clock.advance(5)
        await room.work()

    lines = follow(write_files(tmp_path), accept, Backroom.resolve, _work, try_again)
    assert lines[0].endswith("no ledger here; `edge serve` makes it, and --data-dir names another place")
    assert lines[1:] == [
        "11:06:40      #1  identify          event-1  00000000                                user@shop.example",
        "11:06:40      #2  view_item         cup      00000000 /cups                          user@shop.example",
        "11:06:40      #1  └ klaviyo unmapped",
        "              #2  └ klaviyo waiting (503, attempt 1 failed, next in 1 s)",
        "11:06:45      #2  └ klaviyo delivered at attempt 2",
    ]


def test_a_held_event_is_shown_again_when_it_is_released(tmp_path: Path) -> None:
    async def stranger(room: Backroom) -> None:
        await room.store(1, "view_item", id="pot")
        await room.work()

    async def known(room: Backroom) -> None:
        await room.identify(1, email=USER)
        await room.work()

    lines = follow(write_files(tmp_path), stranger, known, arguments=("--pipeline", "klaviyo"))[1:]
    assert [line[18:] for line in lines if "#1 " in line][1:] == ["└ klaviyo held", "└ klaviyo delivered"]


def test_nothing_is_missed_or_repeated_when_the_spool_begins_new_segments(tmp_path: Path) -> None:
    async def many(room: Backroom) -> None:
        await room.writer.close()
        settings = SpoolSettings(room.folder / "spool", free_bytes=0, segment_bytes=1)
        room.writer = SpoolWriter(settings, room.clock)
        await room.writer.open()
        for number in range(12):
            await room.store(1, "view_item", id=f"n-{number}")
        await room.work()

    lines = follow(write_files(tmp_path), many, many, arguments=("--json", "--event", "view_item"))
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one["seq"] for one in told if one["kind"] == "event"] == [*range(1, 25)]


def test_a_resolver_that_stands_still_is_said_once(tmp_path: Path) -> None:
    async def accept(room: Backroom) -> None:
        await room.store(1, "view_item")

    async def nothing(room: Backroom) -> None:
        return None

    lines = follow(write_files(tmp_path), accept, *[nothing] * 8)
    assert [line for line in lines if "not resolved" in line] == [
        "accepted and not resolved yet: 1; is the drainer running?"
    ]


def test_a_fate_chooses_deliveries_and_only_the_events_that_have_one(world: World) -> None:
    assert world.lines("tail", "--once", "--fate", "dead", "--fate", "waiting") == [
        "11:07:40      #7  view_item         dead-1   00000000                                user@shop.example",
        "11:07:42      #7  └ klaviyo dead (400 invalid at /data/attributes/time)",
        "11:07:40     #11  view_item         waiting- 00000000                                abc@shop.example",
        "             #11  └ klaviyo waiting (503, attempt 1 failed)",
    ]
    assert world.edge("tail", "--once", "--fate", "lost").exit_code == 2


def test_an_events_line_fits_into_80_columns(tmp_path: Path) -> None:
    async def accept(room: Backroom) -> None:
        await room.identify(1, email=f"{'v' * 40}@shop.example")
        await room.store(1, "started_checkout_x", id="c-1", page=page(f"/{'p' * 60}"))
        await room.work()

    world = write_files(tmp_path)
    follow(world, accept)
    lines = world.edge("tail", "--once", env={"COLUMNS": "80"}).stdout.splitlines()
    assert [len(line) <= 80 for line in lines] == [True] * 4
    assert lines[2].endswith(" /pppppppp… vvvvvvvvvvvvvv…")


def test_it_goes_on_when_the_ledger_is_written_anew_or_its_folder_replaced(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def first(room: Backroom) -> None:
        for number in range(3):
            await room.store(1, "view_item", id=f"before-{number}")
        await room.work()

    async def compact(room: Backroom) -> None:
        assert await room.database.compact()
        await room.store(1, "view_item", id="after")
        await room.work()

    async def replace_all(room: Backroom) -> None:
        await room.close()
        for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        shutil.rmtree(tmp_path / "spool")

    async def begin_anew(room: Backroom) -> None:
        fresh = await Backroom.open(tmp_path, world.clock)
        vars(room).update(vars(fresh))
        await room.store(1, "view_item", id="anew")
        await room.work()

    lines = follow(world, first, compact, replace_all, begin_anew, arguments=("--json",))
    told = [json.loads(line) for line in lines if line.startswith("{")]
    assert [one["id"] for one in told if one["kind"] == "event"] == [
        "before-0",
        "before-1",
        "before-2",
        "after",
        "anew",
    ]


def test_it_goes_on_over_restarts_of_the_service_and_when_old_segments_go(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def accept(room: Backroom) -> None:
        await room.identify(1, email=USER)
        await room.store(1, "view_item", id="before")
        await room.work()

    async def restart(room: Backroom) -> None:
        room.transport.answers = [Response(503, {}, b"")]
        await room.store(1, "view_item", id="accepted last")
        await room.work()
        await room.close()

    async def come_back(room: Backroom) -> None:
        vars(room).update(vars(await Backroom.open(tmp_path, world.clock)))
        room.clock.advance(5)
        await room.work()

    async def unlink_old(room: Backroom) -> None:
        await room.writer.seal()
        await room.store(1, "view_item", id="after")
        for segment in list_segments(tmp_path / "spool")[:-1]:
            unlink(segment)
        await room.work()

    told = follow(world, accept, restart, come_back, unlink_old, arguments=("--json", "--event", "view_item"))
    lines = [json.loads(line) for line in told if line.startswith("{")]
    assert [(one["id"], one.get("fate")) for one in lines if one.get("fate") != "unmapped"] == [
        ("before", None),
        ("before", "delivered"),
        ("accepted last", None),
        ("accepted last", "waiting"),
        ("accepted last", "delivered"),
        ("after", None),
        ("after", "delivered"),
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "\x1b[2J\x1b[31mred",
        "\x1b]0;title\x07",
        "\x9b2J",
        "\x1bP1$r\x1b\\",
        "a\rb\nc\x00d\x7f",
        "\u202egnp.exe",
        "\x1b\x1b[31m[31m",
        "[bold red]markup[/]",
        ":smile:",
    ],
)
def test_nothing_from_outside_reaches_the_terminal_as_a_command(tmp_path: Path, hostile: str) -> None:
    async def accept(room: Backroom) -> None:
        await room.store(1, "view_item", id="h-1", page=page(f"/{hostile}"), traits={"customer_id": hostile})
        await room.work()

    world = write_files(tmp_path)
    for arguments in ((), ("--json",)):
        output = "\n".join(follow(world, accept, arguments=(*arguments, "--from-start")))
        assert not {*output} & {"\x1b", "\x9b", "\x07", "\r", "\x00", "\x7f", "\u202e"}
        assert "h-1" in output
    if hostile.startswith(("[", ":")):
        assert hostile in "\n".join(world.lines("tail", "--once"))
