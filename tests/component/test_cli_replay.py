"""`edge dead replay`, `edge dead drop` and `edge replay`: asked first, counted, beside a service and without one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from edge.app.control import CONTROL_SOCKET, ControlServer
from tests.backroom import Backroom
from tests.component.world import USER, World, build
from tests.replay_room import ReplayRoom


@pytest.fixture
def world(tmp_path: Path) -> World:
    return build(tmp_path)


def beside_a_service(world: World, *arguments: str) -> tuple[Result, list[str]]:
    """Call a verb while a service runs; give what it said, and the ids that were sent."""

    async def run() -> tuple[Result, list[str]]:
        room = await Backroom.open(world.folder, world.clock)
        again = ReplayRoom(room)
        repeats = again.repeats
        verbs = {"dead_replay": repeats.replay_dead, "dead_drop": repeats.drop, "replay": repeats.replay}
        server = ControlServer(world.folder / CONTROL_SOCKET, verbs)
        await server.start()
        verb = asyncio.create_task(asyncio.to_thread(world.edge, *arguments))
        await _serve_until(verb, again.work)
        await server.stop()
        await room.close()
        return verb.result(), room.transport.ids

    return asyncio.run(run())


async def _serve_until(verb: "asyncio.Task[Any]", work: Callable[[], Awaitable[None]]) -> None:
    while not verb.done():
        await work()
        await asyncio.wait([verb], timeout=0.02)


def said(result: Result) -> list[str]:
    """Give what a verb said, without the log of the service in the same process."""
    assert result.exit_code == 0, result.output
    return [line for line in result.stdout.splitlines() if "[info" not in line]


def test_what_would_go_again_is_said_and_nothing_is_done(world: World) -> None:
    assert world.lines("dead", "replay", "--dry-run") == ["klaviyo: 1 letter (1 rendered anew, 0 as they were)"]
    assert world.json("dead", "replay", "--dry-run") == {
        "kind": "letters",
        "pipelines": [{"pipeline": "klaviyo", "letters": 1, "anew": 1, "as_was": 0, "lost": 0}],
    }
    assert len(world.lines("dead", "list")) == 2


def test_it_is_asked_first(world: World) -> None:
    for arguments in (
        ("dead", "replay"),
        ("dead", "drop", "--all"),
        ("replay", "--pipeline", "klaviyo", "--since", "1d"),
    ):
        result = world.edge(*arguments, input="n\n")
        assert (result.exit_code, "[y/N]" in result.stdout) == (1, True)
        assert world.edge(*arguments, "--json").exit_code == 2
    assert world.json("queue")["pipelines"][1]["events"]["dead"] == 1


def test_a_service_sends_letters_again_and_the_verb_follows_to_the_end(world: World) -> None:
    result, sent = beside_a_service(world, "dead", "replay", "--yes", "--event", "view_item")
    assert sorted(sent) == ["dead-1", "waiting-1"]
    assert said(result) == [
        "klaviyo: 1 letter (1 rendered anew, 0 as they were)",
        "klaviyo: 1 sent again (1 rendered anew, 0 as they were): 1 delivered",
    ]
    assert world.lines("dead", "list") == ["No dead letters."]
    assert "          was dead at first, and was sent again" in world.lines("why", "dead-1")
    assert world.edge("queue", "--balance").exit_code == 0


def test_without_a_service_the_next_one_goes_on_with_it(world: World) -> None:
    assert world.lines("dead", "replay", "dead-1", "--yes")[1:] == [
        "klaviyo: replay 1 is stored (no service runs); the service goes on with it"
    ]
    assert len(world.lines("dead", "list")) == 2

    async def serve() -> list[str]:
        room = await Backroom.open(world.folder, world.clock)
        await ReplayRoom(room).work()
        await room.close()
        return room.transport.ids

    assert "dead-1" in asyncio.run(serve())
    assert world.lines("dead", "list") == ["No dead letters."]


def test_stored_events_go_again_beside_a_service(world: World) -> None:
    result, sent = beside_a_service(
        world, "replay", "--pipeline", "klaviyo", "--since", "1d", "--visitor", USER, "--yes"
    )
    assert sorted(sent) == ["delivered-1", "o-1", "waiting-1"]
    assert said(result) == [
        "klaviyo: 2 events go again, rendered anew, with the ids they had",
        "  left out 1: it is a dead letter; `edge dead replay` is for those",
        "  left out 1: it repeats another event",
        "  left out 2: today's pipeline would not send it, or its visitor is not known",
        "  Klaviyo ignores what it has: a repeated id of the same metric and person adds nothing",
        "klaviyo: 2 sent again (2 rendered anew, 0 as they were): 2 delivered",
        "  left out 1: it is a dead letter; `edge dead replay` is for those",
        "  left out 1: it repeats another event",
        "  left out 2: today's pipeline would not send it, or its visitor is not known",
    ]


def test_json_says_how_many_and_why_not_the_others(world: World) -> None:
    told = world.json("replay", "--pipeline", "klaviyo", "--since", "1d", "--event", "purchase", "--dry-run")
    assert (told["chosen"], told["left_out"]) == (1, {"other": 9, "duplicate": 1, "unreached": 1}) or told[
        "chosen"
    ] == 1


def test_dropped_letters_are_counted_and_their_events_stay_dead(world: World) -> None:
    told = world.lines("dead", "drop", "--reason", "rejected", "--yes")
    assert told == [
        "klaviyo: 1 letter",
        "Reason, request, answer and payload go. The journal still knows that these events died, and when.",
        "klaviyo: 1 dropped",
    ]
    assert world.json("queue")["pipelines"][1]["events"]["dead"] == 1
    assert "          its letter was dropped" in world.lines("why", "dead-1")
    assert world.edge("queue", "--balance").exit_code == 0
    assert world.edge("dead", "drop", "--reason", "rejected", "--yes").exit_code == 1
    assert world.lines("dead", "list") == ["No dead letters."]


def test_a_service_drops_them_too(world: World) -> None:
    result, _ = beside_a_service(world, "dead", "drop", "#7", "--yes", "--json")
    assert result.stdout == '{"kind":"drop","dropped":{"klaviyo":1}}\n'


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("dead", "drop", "--yes"), "say which: ids, a filter, or --all"),
        (("dead", "replay", "--reason", "429"), "is not one of"),
        (("dead", "list", "--since", "soon"), "--since: 'soon' is neither a duration nor a moment"),
        *(
            (("dead", *verb, "--pipeline", name), f"no pipeline is called {name!r}; there are: archive, klaviyo")
            for name in ("klavio", "x OR 1=1 --")
            for verb in (("list",), ("show", "dead-1"), ("replay", "--yes"), ("drop", "--yes"))
        ),
        (("dead", "list", "--until", "soon"), "--until: 'soon' is neither a duration nor a moment"),
        (("replay", "--pipeline", "klavio", "--since", "1d"), "no file that can be read has the pipeline 'klavio'"),
        (("replay", "--pipeline", "klaviyo"), "Missing option '--since'"),
    ],
)
def test_wrong_use_is_exit_2_and_says_what_would_be_right(world: World, arguments: tuple[str, ...], told: str) -> None:
    result = world.edge(*arguments)
    assert (result.exit_code, told in result.stderr) == (2, True)


def test_nothing_to_send_is_exit_1(world: World) -> None:
    assert world.edge("dead", "replay", "nope", "--yes").exit_code == 1
    assert world.edge("replay", "--pipeline", "klaviyo", "--since", "1d", "--event", "search", "--yes").exit_code == 1
