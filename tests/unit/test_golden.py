"""Golden cases: one file each with an event, a pipeline and what becomes of it, to the last byte of the body."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from edge.event import ALIASES
from edge.mapping import MODES, TYPES
from tests.golden_cases import ROOT, became, case_files, event_of, expected, find_case, load_case, pipeline_text

FILES = case_files()
CASES = [load_case(file) for file in FILES]
SHOP_EVENTS = set(yaml.safe_load((ROOT / "pipelines/klaviyo-events.yaml").read_text("utf-8"))["events"])


def is_shipped(case: Any) -> bool:
    return bool(case.get("pipeline", "").endswith(".yaml"))


def is_sent(case: Any) -> bool:
    return case["becomes"] != "unmapped" and not case["becomes"].keys() & {"dead", "skipped"}


def rules_of(tree: Any) -> Iterator[Any]:
    """Give every rule of a file's mappings: each object that says a mode or reads something."""
    if isinstance(tree, dict) and tree.keys() & {"mode", "source"}:
        yield tree
    if isinstance(tree, dict | list):
        for inner in tree.values() if isinstance(tree, dict) else tree:
            yield from rules_of(inner)


def written(cases: Iterable[Any], key: str, default: str | None = None) -> set[str | None]:
    """Give what the rules say under a key, in those cases that end in a request and bring a pipeline of their own."""
    own = [yaml.safe_load(pipeline_text(case)) for case in cases if is_sent(case) and not is_shipped(case)]
    return {rule.get(key, default) for rule in rules_of(own)}


def repeated(words: Iterable[str]) -> list[str]:
    return [word for word, times in Counter(words).items() if times > 1]


def shipped_events(cases: Iterable[Any]) -> set[str]:
    """Give the events that a case sends with the shipped pipeline, by the names the file has."""
    return {event_of(case).canonical_name for case in cases if is_shipped(case) and is_sent(case)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_event_becomes_what_its_golden_case_says(file: Path) -> None:
    case = load_case(file)
    told, should = became(case), expected(case)
    assert told == should, case["says"]
    assert orjson.dumps(told) == orjson.dumps(should), f"{case['says']} (true is not 1, and the order counts)"


def test_golden_case_can_fail() -> None:
    case = find_case("search")
    case["event"]["properties"]["search_term"] = "cup"
    assert became(case) != expected(case)
    pair = find_case("item_search")
    pair["event"]["properties"]["items"] = []
    assert became(pair) != expected(pair)


def test_all_six_shop_events_are_sent_flat_and_with_an_item() -> None:
    pairs = [case for case in CASES if is_sent(case) and "same_as" in case["becomes"]]
    assert shipped_events(CASES) == shipped_events(pairs) == SHOP_EVENTS


def test_every_mode_and_every_type_is_sent_by_some_case() -> None:
    assert written(CASES, "mode", "direct") == set(MODES)
    assert written(CASES, "type") == {None, *TYPES}


def test_mode_or_event_without_a_case_is_found() -> None:
    others = [case for case in CASES if "mode: sum" not in pipeline_text(case)]
    assert set(MODES) - written(others, "mode", "direct") == {"sum"}
    unsigned = [case for case in CASES if event_of(case).canonical_name != "sign_up"]
    assert SHOP_EVENTS - shipped_events(unsigned) == {"sign_up"}


def test_names_and_sentences_of_the_cases_are_unique() -> None:
    assert repeated(file.stem for file in FILES) == []
    assert repeated(case["says"] for case in CASES) == []


def test_repeated_sentence_is_found() -> None:
    assert repeated(["a", "b", "a"]) == ["a"]


def test_each_shop_event_is_sent_under_another_name_by_some_case() -> None:
    others = [case for case in CASES if event_of(case).name in ALIASES and is_sent(case)]
    assert {event_of(case).canonical_name for case in others} >= SHOP_EVENTS
