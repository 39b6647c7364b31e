"""The JSON Schema takes every file that is right, in each of its three documents, and refuses what is wrong."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from edge.destinations import BUILTIN
from edge.mapping import MODES, TYPES
from edge.schema import DIALECT, WHICH, schema
from tests import backroom, pipeline_files
from tests.golden_cases import case_files, load_case, pipeline_text
from tests.schema_walk import plain_tree, words_of
from tests.unit.test_schema_mutations import EVERYTHING

ROOT = Path(__file__).parents[2]
SHIPPED = {file.stem: file.read_text("utf-8") for file in sorted((ROOT / "pipelines").glob("*.yaml"))}
PIPELINES = {
    **SHIPPED,
    **{file.stem: text for file in case_files() if (text := pipeline_text(load_case(file))) not in SHIPPED.values()},
    "minimal": pipeline_files.MINIMAL,
    "backroom": backroom.PIPELINE,
    "everything": EVERYTHING,
}
LEAST = """
name: k
integration: klaviyo-events-api
parameters: {private_api_key: "${NAME}"}
events: {"*": {properties: {x: RULE}}}
"""
# Draft 7 knows these as well, $defs as a place that references lead to.
KEYWORDS = {
    *("$schema", "$ref", "$defs", "title", "description", "default", "examples", "type", "enum", "const", "pattern"),
    *("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"),
    *("properties", "required", "additionalProperties", "propertyNames", "items", "not", "anyOf", "allOf", "oneOf"),
    *("if", "then", "else"),
    "patternErrorMessage",  # of editors' own
}


def errors(which: Any, text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(schema(which)).iter_errors(plain_tree(text))]


def rule_errors(rule: str) -> list[str]:
    return errors("pipeline", LEAST.replace("RULE", rule))


def keywords(shape: Any) -> set[str]:
    """Give every keyword that a schema uses."""
    found = set(shape)
    for key in ("properties", "$defs"):
        found |= {word for below in shape.get(key, {}).values() for word in keywords(below)}
    for key in ("items", "additionalProperties", "not", "if", "then", "else", "propertyNames"):
        found |= keywords(shape[key]) if isinstance(shape.get(key), dict) else set()
    return found | {
        word for key in ("anyOf", "allOf", "oneOf") for below in shape.get(key, ()) for word in keywords(below)
    }


@pytest.mark.parametrize("which", WHICH)
def test_schema_is_one_of_its_dialect_in_words_that_older_editors_know(which):
    Draft202012Validator.check_schema(schema(which))
    assert schema(which)["$schema"] == DIALECT
    assert keywords(schema(which)) <= KEYWORDS


@pytest.mark.parametrize("which", ["config", "both"])
def test_shipped_configuration_and_the_least_one_are_taken(which):
    assert errors(which, (ROOT / "config/edge.yaml").read_text("utf-8")) == []
    assert errors(which, "site: {}") == []


@pytest.mark.parametrize("which", ["pipeline", "both"])
@pytest.mark.parametrize("name", PIPELINES)
def test_every_pipeline_here_is_taken(name, which):
    assert errors(which, PIPELINES[name]) == []


def test_a_file_with_integration_or_events_is_a_pipeline_and_any_other_a_configuration():
    assert errors("both", "events: {search: {}}") == ["$", "$"]  # name and integration are missing
    assert errors("both", "integration: klaviyo-events-api\nsite: {}") != errors("both", "site: {}")
    assert errors("both", "name: shop") == ["$"]


@pytest.mark.parametrize(
    "text",
    [
        "spool: {keep_for: 14}",
        "spool: {keep_for: 14days}",
        "spool: {max_bytes: 20}",
        "spool: {max_byte: 20GB}",
        "site: {origins: []}",
        "site: {origins: [https://shop.example/]}",
        "site: {order_id: number}",
        "collector: {prefix: t}",
        "cookie: {keys: [a-literal-key]}",
        'cookie: {keys: ["${A}", "${B}", "${C}"]}',
        "consent: {default: {marketing: yes_please}}",
        "drainer: {page: 0}",
        "drainer: {page: 1.5}",
        "hooks: {shopify: {}}",
        "site: shop",
        "[]",
    ],
)
def test_wrong_configuration_is_refused(text):
    assert errors("config", text) != []


@pytest.mark.parametrize(
    "rule",
    [
        "{}",
        "a text",
        "{source: properties..price}",
        "{source: a, value: 1}",
        "{source: a, mode: arraymap}",
        "{mode: static}",
        "{mode: first_of, sources: []}",
        "{mode: template, template: '{a'}",
        "{mode: value_map, source: a, map: {}}",
        "{mode: value_map, source: a, map: {b: [c]}}",
        "{mode: array_map, source: a}",
        "{mode: array_map, source: a, field: b, fields: [{source: b, target: c}]}",
        "{mode: array_map, source: a, fields: [{source: b}]}",
        "{mode: array_map, source: a, fields: [{source: b, target: c, mode: sum, separator: d}]}",
        "{mode: count, source: a, field: b}",
        "{mode: join, source: a, separator: [b]}",
        "{mode: expression, expression: ''}",
        "{source: a, type: text}",
        "{source: a, required: perhaps}",
    ],
)
def test_wrong_rule_is_refused(rule):
    assert rule_errors("{source: a, default: 1}") == []
    assert rule_errors(rule) != []


def test_metric_and_event_name_exclude_each_other():
    assert errors("pipeline", LEAST.replace("{properties: {x: RULE}}", "{metric: a, event_name: b}")) != []


def test_parameters_are_those_of_the_integration():
    assert errors("pipeline", LEAST.replace("RULE", "{source: a}").replace("private_api_key", "api_key")) != []
    without = LEAST.replace("RULE", "{source: a}").replace('parameters: {private_api_key: "${NAME}"}\n', "")
    assert errors("pipeline", without) == ["$"]


@pytest.mark.parametrize(
    "changed",
    [
        {"enabled": "${ON}"},
        {"hold_for": "${WAIT:-14d}"},
        {"integration": "klaviyo-events-api", "anonymous": "a${NAME}"},
        {"consent": ["${PURPOSE}"]},
        {"events": {"*": {"properties": {"x": {"source": "a", "type": "${TYPE}", "required": "${MUST}"}}}}},
    ],
)
def test_what_is_no_text_may_be_a_reference(changed):
    validator = Draft202012Validator(schema("pipeline"))
    tree = plain_tree(LEAST.replace("RULE", "{source: a}"))
    assert validator.is_valid(tree | changed)
    escaped = json.loads(json.dumps(changed).replace("${", "$${"))
    assert not validator.is_valid(tree | escaped)


def test_closed_sets_are_those_of_the_code():
    parts = schema("pipeline")["$defs"]
    assert words_of(parts["rule_direct"]["properties"]["type"]) == list(TYPES)
    assert words_of(parts["rule"]["properties"]["mode"]) == list(MODES)
    assert words_of(schema("pipeline")["properties"]["integration"]) == list(BUILTIN)


@pytest.mark.parametrize(
    ("arguments", "which"),
    [(["--schema"], "both"), (["--schema=pipeline"], "pipeline"), (["--schema", "config"], "config")],
)
def test_check_prints_it_without_any_configuration(arguments, which, tmp_path):
    told = check(*arguments, folder=tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert json.loads(told.stdout) == json.loads(json.dumps(schema(which)))


def test_check_knows_no_other_schema(tmp_path):
    told = check("--schema=events", folder=tmp_path)
    assert told.returncode == 2
    assert "'events' is not one of 'both', 'config', 'pipeline'" in told.stderr


def check(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edge", "check", *arguments]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=environ)
