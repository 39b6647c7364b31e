"""The reference pages list the schema's keys and their defaults, and no other."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.destinations import BUILTIN
from edge.destinations.base import event_keys_of
from edge.schema import schema
from edge.schema.pipeline import EVENT, EVERY_RULE, GIVES, OPTIONAL, OWN_KEYS, pipeline_schema
from edge.yamlfile import plain_value

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^ {0,3}\|(.*)\|\s*$")
CODE = re.compile(r"`([^`]+)`")
PAGES = {word: word for word in BUILTIN} | {
    "klaviyo-events-api": "klaviyo",
    "meta-conversions-api": "meta",
    "ga4-measurement-protocol": "ga4",
    "tiktok-events-api": "tiktok",
}

Row = dict[str, str]


def tables(text: str) -> list[list[Row]]:
    """Give every table as rows by the header's names, in the order of the page."""
    found: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if row := ROW.match(line):
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", row[1])])
        elif found[-1]:
            found.append([])
    return [[dict(zip(header, cells, strict=False)) for cells in rest] for header, _, *rest in filter(None, found)]


def under(page: str, heading: str) -> list[list[Row]]:
    """Give the tables between a heading of any level and the next one of its own or a higher level."""
    text = re.sub(r"^```.*?^```", "", (DOCS / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    start = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert start is not None, f"{page} has no heading {heading}"
    end = re.compile(rf"^#{{1,{len(start[1])}}} ", re.MULTILINE).search(text, start.end())
    return tables(text[start.end() : end.start() if end else len(text)])


def keys(table: list[Row]) -> list[str]:
    """Give the names in backticks of the first column, "`metric` (or `event_name`)" as two."""
    return [key for row in table for key in CODE.findall(next(iter(row.values())))]


def with_column(found: list[list[Row]], name: str) -> list[Row]:
    """Give the first table whose first column has this header."""
    return next(table for table in found if next(iter(table[0])) == name)


def defaults(table: list[Row]) -> dict[str, Any]:
    """Give the defaults that a table writes in backticks, as values."""
    said = {keys([row])[0]: CODE.fullmatch(row.get("default", "")) for row in table}
    return {key: value_of(code[1]) for key, code in said.items() if code is not None}


def value_of(code: str) -> Any:
    return json.loads(code) if code.startswith(("[", "{")) else plain_value(code)


def leaves(shape: Any, path: str = "") -> dict[str, Any]:
    """Give the schema of every key that is no section, by its path; a section that has a default is told as one key."""
    if "properties" not in shape or "default" in shape:
        return {path: shape}
    below = [leaves(part, f"{path}.{key}".removeprefix(".")) for key, part in shape["properties"].items()]
    return {key: part for one in below for key, part in one.items()}


def schema_defaults(properties: Any) -> dict[str, Any]:
    return {key: shape["default"] for key, shape in properties.items() if "default" in shape}


def configuration() -> list[Row]:
    return [row for table in under("configuration.md", "Keys") for row in table]


def for_each_purpose(table: dict[str, Any]) -> dict[str, Any]:
    purposes = "functional|analytics|marketing|advertising"
    return {re.sub(rf"\.(?:{purposes})$", ".<purpose>", key): value for key, value in table.items()}


def test_configuration_page_lists_the_schemas_keys():
    listed = keys(configuration())
    assert sorted(listed) == sorted(for_each_purpose(leaves(schema("config"))))


def test_configuration_page_gives_the_schemas_defaults():
    assert defaults(configuration()) == for_each_purpose(schema_defaults(leaves(schema("config"))))


def test_pipeline_page_lists_the_keys_of_a_file_with_their_defaults():
    table, properties = with_column(under("pipelines.md", "Keys of a file"), "key"), pipeline_schema()["properties"]
    assert sorted(keys(table)) == sorted(properties)
    assert defaults(table) == schema_defaults(properties)


def test_pipeline_page_lists_the_keys_of_an_event():
    assert sorted(keys(with_column(under("pipelines.md", "Keys of an event"), "key"))) == sorted(EVENT["properties"])


def test_pipeline_page_lists_every_mode_with_its_own_keys():
    table = with_column(under("pipelines.md", "Modes"), "mode")
    assert {keys([row])[0]: CODE.findall(row["its own keys"]) for row in table} == {
        mode: list(own) for mode, own in OWN_KEYS.items()
    }
    assert [row["gives"].replace("`", "") for row in table] == list(GIVES.values())


def test_pipeline_page_lists_the_keys_of_every_rule():
    table = with_column(under("pipelines.md", "Modes"), "key")
    assert sorted(keys(table)) == sorted(["mode", *EVERY_RULE])


def test_optional_keys_of_modes_are_keys_of_modes():
    assert set(OPTIONAL) <= {key for own in OWN_KEYS.values() for key in own}


@pytest.mark.parametrize("integration", BUILTIN)
def test_destination_page_lists_its_parameters_with_their_defaults(integration):
    table = with_column(under(f"destinations/{PAGES[integration]}.md", "Parameters"), "key")
    shape = BUILTIN[integration].parameters
    assert sorted(keys(table)) == sorted(shape["properties"])
    assert defaults(table) == schema_defaults(shape["properties"])
    assert [keys([row])[0] for row in table if row["default"] == "required"] == shape["required"]


@pytest.mark.parametrize("integration", [name for name, found in BUILTIN.items() if event_keys_of(found)])
def test_destination_page_lists_its_own_event_keys_with_their_defaults(integration):
    table = with_column(under(f"destinations/{PAGES[integration]}.md", "Event keys"), "key")
    declared = event_keys_of(BUILTIN[integration])
    assert keys(table) == list(declared)
    assert defaults(table) == schema_defaults({key: one.shape for key, one in declared.items()})


def test_a_missing_row_is_found():
    table = with_column(under("pipelines.md", "Keys of an event"), "key")
    assert sorted(keys(table[1:])) != sorted(EVENT["properties"])
