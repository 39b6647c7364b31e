"""What an event had left to the visitor's answer is proved by that answer: `edge why` and `edge consent prove`."""

import asyncio
from pathlib import Path

import pytest

from edge.app.keys import CONSENT_NAME
from edge.cli.answered import Answered, answers_among
from edge.consent import ALL_PURPOSES, Purpose
from edge.ledger.consent_log import LoggedConsent
from tests.backroom import CONSENT_KEY, PIPELINE, Backroom
from tests.component.world import USER, World, write_files

NO_ANSWER: dict[str, str] = {}
SENDS = PIPELINE.replace("parameters:", "anonymous: send\nparameters:")


def waiting(folder: Path, *said: str, again: str = "") -> World:
    """Make a shop in which a visitor's event waits, and the answers about marketing that follow it."""
    world = write_files(folder)
    (folder / "pipelines/klaviyo.yaml").write_text(SENDS)
    (folder / CONSENT_NAME).write_text(CONSENT_KEY.reveal())

    async def run() -> None:
        room = await Backroom.open(folder, world.clock, pipeline=SENDS, waits=ALL_PURPOSES, server_waits=ALL_PURPOSES)
        await room.store(2, "consent", consent={"marketing": "granted"})
        await room.store(1, "view_item", id="asked", consent=NO_ANSWER)
        await room.work()
        if again:
            await room.store(1, again, consent=NO_ANSWER)
        for word in said:
            await room.store(1, "consent", consent={"marketing": word})
            await room.work()
        await room.close()

    asyncio.run(run())
    return world


def test_why_names_the_answer_that_released_an_event(tmp_path: Path) -> None:
    world = waiting(tmp_path, "granted")
    told = world.lines("why", "asked")
    start = next(index for index, line in enumerate(told) if line.startswith("consent"))
    assert told[start : start + 3] == [
        "consent   granted: nothing; left to the visitor's answer: functional, analytics, marketing,",
        "          advertising; ground: default",
        "          released by the answer in #3 (row 2): granted marketing",
    ]
    found = world.json("why", "asked")
    answer = {"row": 2, "seq": 3, "granted": ["marketing"], "denied": []}
    assert (found["answered_by"], found["pipelines"][0]["released_by"]) == ([answer], [answer])


def test_the_proof_of_a_released_event_is_the_answer(tmp_path: Path) -> None:
    world = waiting(tmp_path, "granted", "denied")
    assert world.lines("consent", "prove", "asked")[-3:] == [
        "no answer, but the default, held when #2 was decided, and left functional, analytics, marketing, advertising"
        " to the visitor's answer",
        "released by the answer in #3 (row 2): granted marketing",
        "the log holds from row 1 to row 3",
    ]
    assert world.json("consent", "prove", "asked")["answered_by"] == [
        {"row": 2, "seq": 3, "granted": ["marketing"], "denied": []}
    ]


def test_an_answer_that_ended_an_event_released_nothing(tmp_path: Path) -> None:
    world = waiting(tmp_path, "denied", "granted")
    assert "          decided by the answer in #3 (row 2): denied marketing" in world.lines("why", "asked")
    assert world.json("why", "asked")["pipelines"][0]["released_by"] == []


def test_a_yes_of_whoever_came_after_a_reset_is_not_the_events_answer(tmp_path: Path) -> None:
    world = waiting(tmp_path, "granted", again="reset")
    found = world.json("why", "asked")
    assert (found["answered_by"], found["pipelines"][0]["fate"]) == ([], "held")


def test_a_servers_event_names_what_its_person_answered_in_another_browser(tmp_path: Path) -> None:
    world = write_files(tmp_path)
    (tmp_path / "pipelines/klaviyo.yaml").write_text(SENDS)
    (tmp_path / CONSENT_NAME).write_text(CONSENT_KEY.reveal())

    async def run() -> None:
        room = await Backroom.open(tmp_path, world.clock, pipeline=SENDS, waits=ALL_PURPOSES, server_waits=ALL_PURPOSES)
        await room.store(1, "identify", traits={"email": USER}, consent=NO_ANSWER)
        await room.told_by_server(7, "view_item", id="told", traits={"email": USER}, consent=NO_ANSWER)
        await room.work()
        await room.store(1, "consent", consent={"marketing": "granted"})
        await room.work()
        await room.close()

    asyncio.run(run())
    [pipeline] = world.json("why", "#2")["pipelines"]
    answer = {"row": 1, "seq": 3, "granted": ["marketing"], "denied": []}
    assert (pipeline["fate"], pipeline["released_by"]) == ("delivered", [answer])
    proof = world.json("consent", "prove", "#2")
    assert ([one["row"] for one in proof["answers"]], proof["decided_by"], proof["answered_by"]) == (
        [1],
        None,
        [answer],
    )


def test_without_the_key_why_still_tells_the_rest(tmp_path: Path) -> None:
    world = waiting(tmp_path, "granted")
    (tmp_path / CONSENT_NAME).unlink()
    assert world.json("why", "asked")["answered_by"] == []


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Purpose.MARKETING, (Answered(2, 12, Purpose.MARKETING, Purpose.NONE),)),
        (
            Purpose.MARKETING | Purpose.ANALYTICS,
            (
                Answered(2, 12, Purpose.MARKETING, Purpose.NONE),
                Answered(3, 13, Purpose.NONE, Purpose.ANALYTICS),
            ),
        ),
        (Purpose.ADVERTISING, ()),
    ],
)
def test_the_first_answer_of_each_purpose_counts(asked: Purpose, found: tuple[Answered, ...]) -> None:
    rows = [
        logged(2, Purpose.MARKETING, Purpose.NONE),
        logged(3, Purpose.NONE, Purpose.MARKETING | Purpose.ANALYTICS),
        logged(4, Purpose.ANALYTICS, Purpose.NONE),
    ]
    assert answers_among(rows, asked) == found


def logged(row: int, granted: Purpose, denied: Purpose) -> LoggedConsent:
    return LoggedConsent(row, 1, granted, denied, "explicit", "", "", b"", row + 10, b"")
