"""`edge plan`: what an edited folder would send otherwise, in words that a reviewer reads."""

from pathlib import Path
from typing import Any

import pytest

from tests.backroom import PIPELINE
from tests.component.plan_world import build, edit
from tests.component.world import ARCHIVE, World

SINCE = "Events accepted since 2026-11-19 11:30:40.000 UTC."
LEFT_OUT = "Left out: duplicates 1, not resolved yet 1."
NAME = "properties: {ProductName: {source: properties.item_name}}"
PURCHASE = '  purchase: {metric: Placed Order, properties: {"$event_id": {source: properties.transaction_id}}}\n'
METRIC = "data.attributes.metric.data.attributes.name"
KINDS = ("added", "removed", "changed", "otherwise", "same")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world") / "shop")


def planned(world: World, folder: Path, *changes: tuple[str, str]) -> list[str]:
    """Give the lines below the pipeline that did not change, with the hashes of the other taken off."""
    lines = world.lines("plan", edit(folder, *changes))
    assert lines[0] == "archive  the same file"
    title, _, hashes = lines[1].partition("  ")
    assert title == "klaviyo"
    assert " → " in hashes
    return lines[2:]


def total(added: int, removed: int, changed: int, otherwise: int, same: int) -> list[str]:
    counts = f"{added} added, {removed} removed, {changed} changed, {otherwise} otherwise."
    same_for_all = f"Of 11 events looked at, {same} go as before in every pipeline."
    return ["", SINCE, LEFT_OUT, same_for_all, f"Of the others, once for each pipeline: {counts}"]


def test_the_same_folder_changes_nothing(world: World) -> None:
    lines = world.lines("plan", str(world.folder / "pipelines"))
    assert lines == ["archive  the same file", "klaviyo  the same file", *total(0, 0, 0, 0, 11)]


def test_a_comment_or_another_order_of_keys_changes_no_request(world: World, tmp_path: Path) -> None:
    two = '{ProductName: {source: properties.item_name}, "$value": {source: properties.price}}'
    swapped = '{"$value": {source: properties.price}, ProductName: {source: properties.item_name}}'
    edit(tmp_path / "today", (NAME, f"properties: {two}"))
    folder = edit(tmp_path / "edited", (NAME, f"properties: {swapped}"))
    config = tmp_path / "edge.yaml"
    config.write_text(f"data_dir: {world.folder}\npipelines: {tmp_path / 'today'}\n")
    told = World(tmp_path, world.clock).json("plan", folder)
    assert [told[kind] for kind in KINDS] == [0, 0, 0, 0, 11]
    assert told["pipelines"][1]["today"] != told["pipelines"][1]["edited"]


def test_a_renamed_metric_is_changed_with_three_examples(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, ("Viewed Product", "Saw Product")) == [
        "  view_item  4 changed",
        "    changed    #3  2026-11-20 11:09:40  view-1",
        f'      {METRIC}: "Viewed Product" → "Saw Product"',
        "    changed    #4  2026-11-20 11:10:40  view-2",
        f'      {METRIC}: "Viewed Product" → "Saw Product"',
        "    changed    #5  2026-11-20 11:11:40  view-3",
        f'      {METRIC}: "Viewed Product" → "Saw Product"',
        *total(0, 0, 4, 0, 7),
    ]


def test_properties_that_come_and_go_are_told_by_examples_of_different_shapes(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, (NAME, "properties: {Price: {source: properties.price}}")) == [
        "  view_item  4 changed",
        "    changed    #3  2026-11-20 11:09:40  view-1",
        '      - data.attributes.properties.ProductName: "Moon Teapot"',
        "      + data.attributes.properties.Price: 64",
        "    changed    #5  2026-11-20 11:11:40  view-3",
        "      + data.attributes.properties.Price: 5",
        "    changed    #6  2026-11-20 11:12:40  view-4",
        '      - data.attributes.properties.ProductName: "Kettle"',
        *total(0, 0, 4, 0, 7),
    ]


def test_an_event_that_is_newly_mapped_is_added(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, ("events:\n", "events:\n  share: {metric: Shared Product}\n")) == [
        "  share  1 added",
        "    added      #8  2026-11-20 11:14:40  share-1",
        "      was unmapped: the file says nothing of this event",
        "      now sent as Shared Product",
        *total(1, 0, 0, 0, 10),
    ]


def test_an_event_that_is_no_longer_mapped_is_removed(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, (PURCHASE, "")) == [
        "  purchase  1 removed",
        "    removed    #7  2026-11-20 11:13:40  order-1",
        "      was sent as Placed Order",
        "      now unmapped: the file says nothing of this event",
        *total(0, 1, 0, 0, 10),
    ]


def test_required_makes_events_dead_and_says_what_is_missing(world: World, tmp_path: Path) -> None:
    change = ("{source: properties.item_name}", "{source: properties.item_name, required: true}")
    assert planned(world, tmp_path, change) == [
        "  view_item  1 removed",
        "    removed    #5  2026-11-20 11:11:40  view-3",
        "      was sent as Viewed Product",
        "      now dead: events.view_item.properties.ProductName: properties.item_name is missing",
        *total(0, 1, 0, 0, 10),
    ]


def test_another_purpose_withholds_what_was_not_granted_or_is_denied_since(world: World, tmp_path: Path) -> None:
    """The visitor of all of these denied advertising with the seventh event."""
    change = ("global:\n", "consent: [marketing, advertising]\nglobal:\n")
    lines = planned(world, tmp_path, change, ("events:\n", "events:\n  share: {}\n"))
    assert lines[:8] == [
        "  purchase  1 removed",
        "    removed    #7  2026-11-20 11:13:40  order-1",
        "      was sent as Placed Order",
        "      now withheld: consent does not grant advertising",
        "  share  1 otherwise",
        "    otherwise  #8  2026-11-20 11:14:40  share-1",
        "      was unmapped: the file says nothing of this event",
        "      now withheld: consent does not grant advertising",
    ]
    assert lines[8] == "  view_item  4 removed"
    assert lines[-5:] == total(0, 5, 0, 1, 5)


def test_consent_is_what_was_stored_less_what_was_withdrawn_since(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, ("global:\n", "consent: [functional]\nglobal:\n")) == [
        "  view_item  2 added",
        "    added      #10  2026-11-20 11:16:40  denied-1",
        "      was withheld: consent does not grant marketing",
        "      now sent as Viewed Product",
        "    added      #11  2026-11-20 11:17:40  taken-back-1",
        "      was withheld: consent does not grant marketing",
        "      now sent as Viewed Product",
        *total(2, 0, 0, 0, 9),
    ]


def test_what_sends_nothing_before_and_after_is_otherwise(world: World, tmp_path: Path) -> None:
    assert planned(world, tmp_path, ("global:\n", "anonymous: drop\nhold_for: 1d\nglobal:\n")) == [
        "  hold_for: 14 d → 24 h; how long things wait is not played through",
        "  view_item  1 otherwise",
        "    otherwise  #9  2026-11-20 11:15:40  stranger-1",
        "      was held: nobody knows the visitor",
        "      now skipped: nobody knows the visitor, and the file says anonymous: drop",
        *total(0, 0, 0, 1, 10),
    ]


def test_another_name_is_a_pipeline_gone_and_a_new_one(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path, ("name: klaviyo\n", "name: shop\n"), (PURCHASE, ""))
    assert world.lines("plan", folder, "--since", "15min") == [
        "archive  the same file",
        "klaviyo  no longer there; no event goes otherwise",
        "shop  new pipeline; no event goes otherwise",
        "",
        "Events accepted since 2026-11-20 11:15:40.000 UTC.",
        LEFT_OUT,
        "Of 4 events looked at, 4 go as before in every pipeline.",
        "Of the others, once for each pipeline: 0 added, 0 removed, 0 changed, 0 otherwise.",
    ]
    lines = world.lines("plan", folder)
    assert lines[1:10] == [
        "klaviyo  no longer there",
        "  purchase  1 removed",
        "    removed    #7  2026-11-20 11:13:40  order-1",
        "      sent as Placed Order",
        "  view_item  4 removed",
        "    removed    #3  2026-11-20 11:09:40  view-1",
        "      sent as Viewed Product",
        "    removed    #4  2026-11-20 11:10:40  view-2",
        "      sent as Viewed Product",
    ]
    assert lines[12:16] == [
        "shop  new pipeline",
        "  view_item  4 added",
        "    added      #3  2026-11-20 11:09:40  view-1",
        "      sent as Viewed Product",
    ]
    assert lines[-2:] == [
        "Of 11 events looked at, 6 go as before in every pipeline.",
        "Of the others, once for each pipeline: 4 added, 5 removed, 0 changed, 0 otherwise.",
    ]


def test_one_more_file_adds_what_it_sends_and_one_pipeline_may_be_picked(world: World, tmp_path: Path) -> None:
    folder = edit(tmp_path)
    (tmp_path / "second.yaml").write_text(ARCHIVE.replace("archive", "second"))
    (tmp_path / "klaviyo.yaml").write_text(PIPELINE.replace("Viewed", "Saw"))
    told: Any = world.json("plan", folder, "--pipeline", "second")
    (second,) = told["pipelines"]
    assert (second["name"], second["today"], told["added"], told["changed"]) == ("second", None, 8, 0)
    assert [(group["event"], group["added"]) for group in second["groups"]] == [
        ("purchase", 1),
        ("share", 1),
        ("view_item", 6),
    ]


def test_another_key_address_or_lane_is_a_change_and_no_secret_is_shown(world: World, tmp_path: Path) -> None:
    changes = [
        ("${KEY}", "${ARCHIVE_KEY}"),
        ("http://klaviyo.test", "http://proxy.test"),
        ("metric: Placed", "lane: background, metric: Placed"),
    ]
    folder = edit(tmp_path, *changes)
    for arguments in ([], ["--json"]):
        output = world.edge("plan", folder, *arguments).output
        assert "a-key" not in output
        assert "another" not in output
    lines = world.lines("plan", folder)
    assert lines[2:7] == [
        "  purchase  1 changed",
        "    changed    #7  2026-11-20 11:13:40  order-1",
        '      lane: "live" → "background"',
        '      url: "http://klaviyo.test/api/events" → "http://proxy.test/api/events"',
        "      headers.Authorization: changed",
    ]


def test_a_long_difference_is_cut_after_eight_lines(world: World, tmp_path: Path) -> None:
    many = ", ".join(f"P{number}: {{mode: static, value: {number}}}" for number in range(12))
    lines = planned(world, tmp_path, (NAME, f"properties: {{{many}}}"))
    assert lines[2] == '      - data.attributes.properties.ProductName: "Moon Teapot"'
    assert lines[3:9] == [f"      + data.attributes.properties.P{number}: {number}" for number in range(6)]
    assert lines[9:11] == ["      … and 6 more", "    changed    #4  2026-11-20 11:10:40  view-2"]


def test_a_long_name_of_a_key_is_cut(world: World, tmp_path: Path) -> None:
    name = "P" * 500
    lines = planned(world, tmp_path, (NAME, f"properties: {{{name}: {{mode: static, value: 1}}}}"))
    assert lines[3] == f"      + data.attributes.properties.{'P' * 92}…: 1"


def test_json_tells_the_same_in_one_object(world: World, tmp_path: Path) -> None:
    told: Any = world.json("plan", edit(tmp_path, ("{source: properties.item_name}", "{source: properties.price}")))
    assert [told[kind] for kind in KINDS] == [0, 0, 4, 0, 7]
    assert (told["events"], told["left_out"]) == (11, {"duplicates": 1, "damaged": 0, "unresolved": 1})
    (group,) = told["pipelines"][1]["groups"]
    assert {key: group[key] for key in ("event", "changed", "added")} == {
        "event": "view_item",
        "changed": 4,
        "added": 0,
    }
    sent = {"becomes": "sent", "reason": "", "metric": "Viewed Product"}
    assert group["examples"][0] == {
        "kind": "changed",
        "seq": 3,
        "id": "view-1",
        "received_at_ms": 1_795_172_980_000,
        "today": sent,
        "edited": sent,
        "differences": [{"path": "data.attributes.properties.ProductName", "today": "Moon Teapot", "edited": 64}],
    }
    assert [one["differences"][0].keys() - {"path"} for one in group["examples"]] == [
        {"today", "edited"},
        {"edited"},
        {"today"},
    ]
