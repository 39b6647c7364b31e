"""The schema knows the keys, words and defaults that the compiler knows, and no other."""

import copy
import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.config import parse_config
from edge.errors import Problem
from edge.mapping import MODES, Mapping, apply
from edge.pipeline import Pipeline, compile_pipeline
from edge.schema import schema
from edge.schema.pipeline import OWN_KEYS
from tests.schema_walk import CONFIG_FILE, ENVIRON, Walk, config_problems, pipeline_problems

UNKNOWN, NO_WORD = "no_such_key", "no-such-word"
PIPELINE, CONFIG = Walk(schema("pipeline")), Walk(schema("config"))
KINDS = [(PIPELINE, pipeline_problems), (CONFIG, config_problems)]
NAMES = ["pipeline", "config"]

ProblemsOf = Callable[[Any], list[Problem]]
both_kinds = pytest.mark.parametrize(("walk", "problems_of"), KINDS, ids=NAMES)


def accepted(problems: list[Problem], pattern: str, path: str = "") -> set[str]:
    """Give the words that the compiler lists as accepted in the one message of this pattern."""
    told = [
        found for problem in problems if problem.path.endswith(path) and (found := re.search(pattern, problem.what))
    ]
    assert len(told) == 1, problems
    return set(told[0][1].split(", "))


def keys_out_of_step(walk: Walk, problems_of: ProblemsOf) -> dict[str, tuple[set[str], set[str]]]:
    """Give, by place, the keys that only the schema knows and those that only the compiler knows."""
    found = {}
    for place in walk.places():
        if place.knows_its_keys:
            problems = problems_of(place.whole({**walk.sample(place.shape), UNKNOWN: 1}))
            known, written = accepted(problems, "accepted here: (.*)$", UNKNOWN), set(place.shape["properties"])
            if known != written:
                found[place.path] = (written - known, known - written)
    return found


def words_out_of_step(walk: Walk, problems_of: ProblemsOf) -> dict[str, set[str]]:
    """Give, by place, the words that only one of schema and compiler accepts."""
    found = {}
    for place in walk.places():
        if place.words is not None:
            problems = problems_of(place.whole(NO_WORD))
            known = accepted(problems, r"^'no-such-word' is not (?:one of|.*; accepted are) ([\w, -]+)")
            if known != set(place.words):
                found[place.path] = known ^ set(place.words)
    return found


@both_kinds
def test_least_file_around_every_place_is_right(walk, problems_of):
    """Else a message about another mistake could be taken for the one that is asked for."""
    for place in walk.places():
        whole = place.whole(walk.sample(place.shape))
        assert (place.path, problems_of(whole)) == (place.path, [])
        assert (place.path, list(Draft202012Validator(walk.document).iter_errors(whole))) == (place.path, [])


@both_kinds
def test_compiler_knows_the_schemas_keys(walk, problems_of):
    assert keys_out_of_step(walk, problems_of) == {}


@both_kinds
def test_compiler_knows_the_schemas_words(walk, problems_of):
    assert words_out_of_step(walk, problems_of) == {}


def test_schema_reaches_every_mode_in_mappings_and_in_fields():
    paths = {place.path for place in PIPELINE.places() if place.knows_its_keys}
    assert list(OWN_KEYS) == list(MODES)
    for mode in MODES:
        assert f"global.profile.x({mode})" in paths
        assert f"global.profile.x(array_map).fields[]({mode})" in paths


def test_keys_that_one_side_lacks_are_found():
    altered = copy.deepcopy(PIPELINE.document)
    altered["$defs"]["event"]["properties"]["metrc"] = altered["$defs"]["event"]["properties"].pop("metric")
    del altered["$defs"]["rule_static"]["properties"]["type"]
    assert keys_out_of_step(Walk(altered), pipeline_problems) == {
        "events.add_to_cart": ({"metrc"}, {"metric"}),
        "global.profile.x(static)": (set(), {"type"}),
    }


def test_words_that_one_side_lacks_are_found():
    altered = copy.deepcopy(CONFIG.document)
    altered["properties"]["consent"]["properties"]["gpc"]["anyOf"][0]["enum"] = ["deny", "obey"]
    assert words_out_of_step(Walk(altered), config_problems) == {"consent.gpc": {"obey", "ignore"}}


@both_kinds
def test_every_key_is_described(walk, problems_of):
    assert [place.path for place in walk.places() if not place.shape.get("description")] == []


@both_kinds
def test_every_default_is_one_that_the_schema_accepts(walk, problems_of):
    for place in walk.places():
        if "default" in place.shape:
            resolved = {**place.shape, "$defs": walk.document.get("$defs", {})}
            assert list(Draft202012Validator(resolved).iter_errors(place.shape["default"])) == [], place.path


def with_defaults(shape: Any) -> Any:
    """Give a section with every key that has a default written out."""
    sections = {key: below for key, below in shape["properties"].items() if below.get("additionalProperties") is False}
    given = {key: below["default"] for key, below in shape["properties"].items() if "default" in below}
    return given | {key: with_defaults(below) for key, below in sections.items()}


def test_configuration_with_every_default_written_out_is_the_empty_one():
    written = with_defaults(CONFIG.document)
    assert written["cookie"] == {"keys": [], "domain": None, "wait_for_consent": False, "meta": False}
    assert parse_config(json.dumps(written), CONFIG_FILE, {}) == parse_config("site: {}", CONFIG_FILE, {})


def facts(document: Any) -> Pipeline:
    """Compile, and leave aside what holds closures, places or the file's own text."""
    compiled = compile_pipeline(json.dumps(document), "p.yaml", ENVIRON)
    return replace(compiled, text="", hash="", profile=Mapping(), events={}, warnings=())


def test_pipeline_with_every_default_written_out_is_the_least_one():
    least = PIPELINE.sample(PIPELINE.document)
    case = PIPELINE.document["allOf"][0]
    parameters = PIPELINE.resolved(case["then"]["properties"]["parameters"])["properties"]
    written = least | with_defaults({"properties": PIPELINE.document["properties"]})
    written |= {key: case["then"]["properties"][key]["default"] for key in ("consent", "anonymous")}
    written["parameters"] = least["parameters"] | {
        key: shape["default"] for key, shape in parameters.items() if "default" in shape
    }
    assert set(PIPELINE.document["properties"]) - set(written) == set()
    assert facts(written) == facts(least)


@pytest.mark.parametrize("mode", MODES)
def test_rule_with_every_default_written_out_is_the_least_one(mode):
    shape = PIPELINE.document["$defs"][f"rule_{mode}"]
    least = PIPELINE.sample(shape)
    defaults = {key: below["default"] for key, below in shape["properties"].items() if "default" in below}
    assert defaults.items() >= {"required": False}.items()
    source = {"properties": {"item_name": ["Moon Teapot", "River Cup"] if mode == "join" else "Moon Teapot"}}
    assert rendered(least | defaults, source) == rendered(least, source)


def rendered(rule: Any, source: Any) -> Any:
    least = PIPELINE.sample(PIPELINE.document)
    compiled = compile_pipeline(json.dumps(least | {"global": {"profile": {"x": rule}}}), "p.yaml", ENVIRON)
    return apply(compiled.profile, source)
