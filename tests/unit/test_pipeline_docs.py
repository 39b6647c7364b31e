"""docs/pipelines.md: every example does what it shows, and its tables know what the code knows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from edge.event import OTHER_NAMES
from edge.mapping import MODES, apply, compile_mapping
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

PAGE = (Path(__file__).parents[2] / "docs/pipelines.md").read_text("utf-8")
EXAMPLE = re.compile(r"\n### (\w+)\n\n```yaml\n(.*?)```\n```json\n(.*?)```\n```json\n(.*?)```\n", re.DOTALL)
EXAMPLES = [(mode, *parts) for mode, *parts in EXAMPLE.findall(PAGE)]


def rendered(mapping: str, event: str) -> Any:
    problems = Problems("docs/pipelines.md")
    compiled = compile_mapping(Reader(load_yaml(mapping, "docs/pipelines.md", {}, problems), "", problems))
    problems.raise_if_any()
    return apply(compiled, json.loads(event))


def table(heading: str) -> list[list[str]]:
    """Give the cells of the first table under a heading, the line of dashes and the header left out."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


@pytest.mark.parametrize(("mode", "mapping", "event", "shown"), EXAMPLES, ids=[one[0] for one in EXAMPLES])
def test_example_gives_what_the_page_shows(mode, mapping, event, shown):
    assert f"mode: {mode}" in mapping or mode == "direct"
    assert rendered(mapping, event) == json.loads(shown)


def test_the_example_of_consent_gives_what_the_page_shows():
    section = PAGE.split("\n## Consent\n")[1].split("\n## ")[0]
    mapping, event, shown = re.findall(r"```(?:yaml|json)\n(.*?)```", section, re.DOTALL)
    assert rendered(mapping, event) == json.loads(shown)


def test_every_mode_has_an_example():
    assert [example[0] for example in EXAMPLES] == list(MODES)


def test_an_example_can_fail():
    _, mapping, event, shown = EXAMPLES[0]
    assert rendered(mapping, event.replace("Moon", "Sun")) != json.loads(shown)


def test_the_table_of_event_names_is_the_codes_own():
    assert table("Event names") == [[f"`{other}`", f"`{name}`"] for other, name in OTHER_NAMES.items()]
