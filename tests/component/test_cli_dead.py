"""`edge dead list` and `edge dead show`."""

import json

import pytest

from tests.component.world import World, build


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def test_the_list_says_who_died_of_what(world: World) -> None:
    assert world.lines("dead", "list") == [
        "died       pipeline  event      seq  id      reason",
        "4 min ago  klaviyo   view_item   #7  dead-1  rejected: 400 invalid at /data/attributes/time",
    ]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (["--pipeline", "klaviyo"], 1),
        (["--pipeline", "archive"], 0),
        (["--event", "view_item"], 1),
        (["--event", "purchase"], 0),
        (["--reason", "rejected"], 1),
        (["--reason", "unrendered"], 0),
        (["--error", "INVALID AT"], 1),
        (["--error", '"detail":"no"'], 0),
        (["--error", "detail"], 1),
        (["--error", "429"], 0),
        (["--since", "5min"], 1),
        (["--since", "1min"], 0),
        (["--until", "5min"], 0),
        (["--since", "2026-11-18T11:07:42", "--until", "2026-11-18T11:07:43"], 1),
        (["--event", "' OR 1=1 --"], 0),
        (["--event", "%"], 0),
    ],
)
def test_filters_choose_letters(world: World, filters: list[str], found: int) -> None:
    lines = world.edge("dead", "list", "--json", *filters).stdout.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ["dead-1"] * found


def test_no_letters_is_a_sentence(world: World) -> None:
    assert world.lines("dead", "list", "--event", "purchase") == ["No dead letters that the filters choose."]


@pytest.mark.parametrize("asked", ["dead-1", "7", "#7"])
def test_a_letter_is_shown_with_its_request_and_answer_and_without_the_key(world: World, asked: str) -> None:
    lines = world.lines("dead", "show", asked)
    assert lines[:10] == [
        "view_item  dead-1  #7 in klaviyo",
        "400 invalid at /data/attributes/time",
        "rejected: the destination answered that it will never take this payload",
        "died 2026-11-18 11:07:42.000 UTC, 4 min ago, after 1 attempt",
        "",
        "POST http://klaviyo.test/api/events",
        "Authorization: ****",
        "revision: 2026-10-15",
        "Content-Type: application/vnd.api+json",
        "Accept: application/vnd.api+json",
    ]
    assert lines.count("answer 400") == 1
    assert '      "unique_id": "dead-1",' in lines
    assert "a-key" not in "\n".join(lines)
    assert "payload" not in lines


def test_json_holds_request_answer_and_payload(world: World) -> None:
    letter = world.json("dead", "show", "dead-1", "--pipeline", "klaviyo")
    assert (letter["request"]["method"], letter["response"]["status"]) == ("POST", 400)
    assert json.loads(letter["payload"])["data"]["attributes"]["unique_id"] == "dead-1"


def test_an_unknown_letter_is_exit_1(world: World) -> None:
    result = world.edge("dead", "show", "delivered-1")
    assert result.exit_code == 1
    assert result.stderr == "No dead letter of 'delivered-1'; `edge dead list` shows what there is.\n"
