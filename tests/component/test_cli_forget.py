"""`edge identity forget` where no service runs: the verb does all the work itself."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from edge.app.lock import take_lock
from edge.cli.times import moment
from tests.backroom import CONSENT_KEY, Backroom, browser
from tests.component.world import USER, World, build, live
from tests.eraser_room import holding

HOOK = """
name: hook
integration: webhook
parameters: {url: "https://hook.example/in", secret: "${HOOK_SECRET}"}
events: {"*": {}}
"""
HOOK_SECRET = "whsec_bW9vbiB0ZWFwb3QgbW9vbiB0ZWFwb3Q="


@pytest.fixture
def world(tmp_path: Path) -> World:
    return build(tmp_path)


def test_what_will_go_is_shown_and_asked_first(world: World) -> None:
    result = world.edge("identity", "forget", USER.upper(), input="n\n")
    assert result.exit_code == 1
    shown = [line.strip() for line in result.stdout.splitlines()]
    assert shown[:3] == ["person 1", f"email {USER}", f"browser {browser(1)}"]
    assert "6 events and 1 repeats of them, and whatever else names it; 1 open or dead deliveries" in shown
    assert "klaviyo will be asked to erase the email" in shown
    assert world.edge("identity", "show", USER).exit_code == 0


def test_nothing_is_left_but_what_the_vendor_is_still_to_be_asked(world: World) -> None:
    assert holding(world.folder, USER) != []
    shown = world.lines("identity", "forget", USER, "--yes")
    assert "  the ledger's file is written anew" in shown
    assert [name for name in holding(world.folder, USER) if name != "ledger.db"] == []
    assert "klaviyo: is asked to erase the email when the service runs; `edge queue` shows it" in shown
    left = "until the vendor has answered, who is asked when the service runs: the identifier it is asked about"
    assert f"left: ledger.db, {left}" in shown
    assert shown.count("  the ledger's file is written anew") == 1
    assert world.edge("identity", "show", USER).exit_code == 1
    assert world.json("queue")["erasures"] == [
        "erasure 1: archive is asked when the service runs",
        "erasure 1: klaviyo is asked when the service runs",
    ]


def test_what_is_announced_is_what_goes(world: World) -> None:
    shown = world.lines("identity", "forget", USER, "--yes")
    assert "  6 events and 1 repeats of them, and whatever else names it; 1 open or dead deliveries" in shown
    took = "1 persons, 1 visitors, 1 identifiers, 7 events, repeats and what else named it included"
    assert f"Erasure 1: {took}, 1 open or dead deliveries" in shown


def test_only_pipelines_that_may_have_told_somebody_are_left_to_be_done_by_hand(world: World) -> None:
    def hooks(who: str) -> list[str]:
        shown = world.edge("identity", "forget", who, "--yes", env={"HOOK_SECRET": HOOK_SECRET})
        return [line for line in shown.stdout.splitlines() if "hook" in line]

    (world.folder / "pipelines/hook.yaml").write_text(HOOK)
    assert hooks("person:1") == [
        "  hook offers no call for it: erase the profile there by hand",
        "hook: offers no call for it: erase the profile there by hand",
    ]
    (world.folder / "pipelines/hook.yaml").write_text(HOOK + "enabled: false\n")
    assert hooks("abc@shop.example") == []


def test_what_becomes_of_archives_is_said_with_their_folder(world: World) -> None:
    (world.folder / "pipelines/files.yaml").write_text("name: files\nintegration: archive\nevents: {'*': {}}\n")
    shown = world.lines("identity", "forget", USER, "--yes")
    assert [line for line in shown if line.strip().startswith("files")] == [
        "  files keeps files here: the person's lines are taken out of archive",
        "files: the person's lines are out of archive, if any were there",
    ]


def test_files_that_may_still_hold_somebody_are_named_with_their_dates(world: World) -> None:
    shown = world.lines("identity", "forget", USER, "--yes")
    sealed = shown.index("  the spool's newest file is closed")
    found = shown.index("  everything that names the person is found")
    name = f"0000000000000001.segment (complete since {moment(world.clock.now_ms())} UTC)"
    assert shown[sealed + 1 : sealed + 2] == [
        f"    looked through now: 2 files, from {name} to 0000000000000014.segment (still open)"
    ]
    assert shown[found + 1 : found + 3] == [
        f"    holds it until it is written anew: {name}",
        "  no file of the spool holds it any more",
    ]


def test_in_json_everything_stands_in_one_object_and_nobody_is_named(world: World) -> None:
    told = world.json("identity", "forget", "dead-1", "--yes")
    assert (told["erasure"]["state"], told["erasure"]["persons"], told["by_hand"]) == ("done", 1, [])
    assert USER not in json.dumps(told)
    assert world.json("why", "dead-1")["decided"] == "erased"


def test_whoever_is_not_known_or_not_one_person_is_said_so(world: World) -> None:
    result = world.edge("identity", "forget", "c-99", "--yes")
    assert (result.exit_code, result.stderr.partition(",")[0]) == (1, "Nobody is known by 'c-99'")

    async def share(room: Backroom) -> None:
        await room.identify(1, email="next@shop.example")

    live(world, share)
    result = world.edge("identity", "forget", browser(1), "--yes")
    assert (result.exit_code, result.stderr) == (
        2,
        f"'{browser(1)}' leads to several persons: say which, person:1, person:3\n",
    )
    assert world.edge("identity", "forget", "person:3", "--yes").exit_code == 0


def test_a_service_that_does_not_answer_yet_is_left_alone(world: World) -> None:
    lock = take_lock(world.folder, "drainer")
    result = world.edge("identity", "forget", USER, "--yes")
    os.close(lock)
    assert result.exit_code == 1
    assert "does not answer yet; try again when it is ready" in result.stderr


def test_the_balance_holds_afterwards(world: World) -> None:
    before = world.json("queue")["pipelines"]
    world.lines("identity", "forget", USER, "--yes")
    after = world.json("queue")["pipelines"]
    assert [one["name"] for one in after] == [one["name"] for one in before]
    for old, new in zip(before, after, strict=True):
        assert sum(new["events"].values()) == sum(old["events"].values())
    assert asyncio.run(_all_there(world))


def test_where_late_arrivals_still_lie_is_named_with_a_date(world: World) -> None:
    (world.folder / "consent.key").write_text(CONSENT_KEY.reveal())
    world.lines("identity", "forget", USER, "--yes")
    world.clock.advance(60)

    async def arrive(room: Backroom) -> None:
        await room.store(
            6, "view_item", id="late-one", traits={"email": USER}, time_ms=world.clock.now_ms() - 3_600_000
        )

    live(world, arrive)
    [note] = [note for note in world.json("queue")["erasures"] if "late" in note]
    assert note.startswith("1 late arrivals of erased persons went to no pipeline; their bodies lie in 0000")
    assert note.endswith(f"by {moment(world.clock.now_ms() + 3_600_000)} at the latest")


async def _all_there(world: World) -> bool:
    room = await Backroom.open(world.folder, world.clock)
    rows = await room.reader.read(0, 1_000)
    await room.close()
    return [row.seq for row in rows] == list(range(1, len(rows) + 1)) and not any(row.is_damaged for row in rows)
