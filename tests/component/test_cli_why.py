"""`edge why`: one event's whole story."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from edge.delivery import Response
from edge.event import encode
from edge.spool import SpoolSettings, SpoolWriter
from edge.spool.segment import list_segments, unlink
from tests.backroom import PIPELINE, Backroom
from tests.component.world import USER, World, build, live, write_files


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def test_a_delivered_event_is_told_from_the_door_to_the_destination(world: World) -> None:
    lines = world.lines("why", "delivered-1")
    hash_ = world.json("why", "delivered-1")["pipelines"][1]["hash"]
    assert lines == [
        "view_item  delivered-1  #3  times are UTC",
        "",
        "accepted  2026-11-18 11:07:40.000, 4 min ago",
        "          its own time 2026-11-18 11:07:40.000, the same moment",
        "          source browser, browser 00000000000000000000000000000001, page https://shop.example/cups",
        "repeated  it came again as #6 2026-11-18 11:07:40.000; repeats are counted and go nowhere",
        "identity  visitor 2, epoch 1 of its browser",
        "          person 1, known through #2, just before this event",
        f"          email {USER}",
        "consent   granted: functional, analytics, marketing, advertising; ground: explicit",
        "archive   not its event: from before this pipeline began, or no longer kept",
        "klaviyo   delivered 2026-11-18 11:07:42.000, 2 s after it was accepted, at attempt 1",
        f"          by pipeline file {hash_}",
    ]


@pytest.mark.parametrize(
    ("event_id", "told"),
    [
        (
            "held-1",
            [
                "          nobody knows who this is yet",
                "klaviyo   held 2026-11-18 11:07:42.000, 62 s after it was accepted",
                "          for identity: until somebody knows the visitor, at most until 2026-12-02 11:06:40.000",
            ],
        ),
        (
            "waiting-1",
            [
                "klaviyo   waiting",
                "          attempts: 1 failed; the next is due now; last said: 503",
            ],
        ),
        (
            "dead-1",
            [
                "klaviyo   dead 2026-11-18 11:07:42.000, 2 s after it was accepted",
                "          400 invalid at /data/attributes/time",
                "          see: edge dead show dead-1",
            ],
        ),
        (
            "withheld-1",
            [
                "consent   granted: functional, analytics; not granted: marketing, advertising; ground: explicit",
                "          it needs marketing, which was not granted",
            ],
        ),
        ("unmapped-1", ["          the pipeline's file says nothing of this event"]),
        ("reordered-1", ["duplicate  it repeats #8 of 2026-11-18 11:07:40.000, so no pipeline gets it"]),
        ("late-1", ["klaviyo   not reached yet: it is at #11, and this one is next"]),
        ("unresolved-1", ["resolved  not yet: the resolver is at #12; no pipeline sees the event before"]),
    ],
)
def test_every_fate_is_told_with_its_reason(world: World, event_id: str, told: list[str]) -> None:
    lines = world.lines("why", event_id)
    assert [line for line in told if line not in lines] == []


@pytest.mark.parametrize("asked", ["7", "#7", "dead-1"])
def test_an_event_is_found_by_its_id_and_by_its_number(world: World, asked: str) -> None:
    found: Any = world.json("why", asked)
    assert (found["seq"], found["id"], found["pipelines"][1]["fate"]) == (7, "dead-1", "dead")


def test_a_repeat_asked_by_its_number_points_to_the_first(world: World) -> None:
    found = world.json("why", "6")
    assert (found["decided"], found["original_seq"], found["pipelines"]) == ("duplicate", 3, [])
    assert "           see: edge why 3" in world.lines("why", "6")


@pytest.mark.parametrize("asked", ["nope", "9999", "#x", "' OR ''='", "\x1b[31m", "9" * 40, "\uff11"])
def test_an_unknown_event_is_exit_1_with_a_sentence(world: World, asked: str) -> None:
    result = world.edge("why", asked)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("No event with the id or number ")
    assert "\x1b" not in result.stderr


def test_an_event_whose_envelope_was_unlinked_is_still_told(tmp_path: Path) -> None:
    world = build(tmp_path)

    async def begin_new_segment() -> None:
        writer = SpoolWriter(SpoolSettings(tmp_path / "spool", free_bytes=0, segment_bytes=1), world.clock)
        await writer.open()
        await writer.append([encode(world.events["late"])])
        await writer.close()

    asyncio.run(begin_new_segment())
    for segment in list_segments(tmp_path / "spool")[:-1]:
        unlink(segment)
    lines = world.lines("why", "delivered-1")
    assert lines[0] == "an event whose envelope is gone  #3  times are UTC"
    assert "spool.keep_for 14 d" in " ".join(lines)
    assert any(line.startswith("klaviyo   delivered 2026-11-18 11:07:42.000") for line in lines)
    assert world.json("why", "delivered-1")["is_envelope_kept"] is False


def test_a_changed_pipeline_file_is_pointed_out(tmp_path: Path) -> None:
    world = build(tmp_path)
    file = tmp_path / "pipelines/klaviyo.yaml"
    file.write_text(file.read_text() + "# changed\n")
    assert "it has changed since, to " in world.lines("why", "delivered-1")[-1]
    file.unlink()
    assert world.lines("why", "delivered-1")[-1].endswith("; no readable file has this name now")


def test_disabled_pipelines_share_one_line(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    disabled = PIPELINE + "enabled: false\n"
    (tmp_path / "pipelines/klaviyo.yaml").write_text(disabled)

    async def pass_by() -> None:
        room = await Backroom.open(tmp_path, world.clock, pipeline=disabled)
        await room.identify(1, email=USER)
        await room.store(1, "view_item", id="passed")
        await room.work()
        await room.close()

    asyncio.run(pass_by())
    assert world.lines("why", "passed")[-1] == "disabled  skipped by klaviyo"
    assert world.json("why", "passed")["pipelines"][0]["fate"] == "skipped"


def test_what_a_paused_pipeline_keeps_is_told_with_the_pause_first(tmp_path: Path) -> None:
    world = write_files(tmp_path)

    async def refuse(room: Backroom) -> None:
        room.transport.always = Response(401, {}, b'{"errors":[{"code":"not_authenticated"}]}')
        await room.identify(1, email=USER)
        await room.store(1, "view_item", id="kept")

    live(world, refuse)
    told = world.lines("why", "kept")
    start = told.index("klaviyo   waiting")
    assert told[start : start + 3] == [
        "klaviyo   waiting",
        "          the pipeline is paused, its credentials are refused: 401 not_authenticated",
        "          kept until the credentials are mended; refused attempts do not count",
    ]
