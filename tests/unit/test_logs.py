"""docs/logs.md lists every event that the code logs, with its level and fields; found by reading the source."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "edge").rglob("*.py"))
PAGE = (ROOT / "docs/logs.md").read_text("utf-8")
LEVELS = ("debug", "info", "warning", "error", "critical", "exception")
_EVENT = re.compile(
    r"^\| `([^`]+)` \| (\w+) \| (?:supervisor|collector|drainer|any) \| ([^|]*) \| [^|]+ \|$", re.MULTILINE
)
_FIELD = re.compile(r"^\| `([a-z_]+)` \| [^|]+ \|$", re.MULTILINE)
# What would hold a visitor's words, a payload or a credential: no log line has a field of such a name.
TELLTALE = re.compile(
    r"email|phone|name|ip|agent|query|cookie|body|payload|request|response|answer|header|url|traits|secret"
)


class Logged(NamedTuple):
    event: str
    level: str
    fields: frozenset[str]


def calls_in(tree: ast.AST) -> list[ast.Call]:
    """Give every call of a logger; one that is bound to further fields would hide them, and is not ours to have."""
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
    ]


def logged(call: ast.Call) -> Logged:
    """Read a call; raises AssertionError where its event or its fields cannot be known by reading."""
    assert isinstance(call.func, ast.Attribute) and call.func.attr in LEVELS, f"line {call.lineno}: no level"
    (event,) = call.args
    assert isinstance(event, ast.Constant) and isinstance(event.value, str), f"line {call.lineno}: no plain text"
    fields = {keyword.arg for keyword in call.keywords}
    assert None not in fields, f"line {call.lineno}: fields that cannot be read"
    is_exception = call.func.attr == "exception"
    told = {str(name) for name in fields} | ({"exception"} if is_exception else set())
    return Logged(event.value, "error" if is_exception else call.func.attr, frozenset(told))


def in_code() -> set[Logged]:
    return {logged(call) for file in FILES for call in calls_in(ast.parse(file.read_text("utf-8")))}


def in_page() -> list[Logged]:
    return [
        Logged(event, level, frozenset(re.findall(r"`([a-z_]+)`", fields)))
        for event, level, fields in _EVENT.findall(PAGE)
    ]


def test_every_event_of_the_code_is_on_the_page_and_the_other_way_round():
    listed = in_page()
    assert len(listed) == len(set(listed))
    assert in_code() == set(listed)


def test_every_field_is_described_and_no_other():
    used = {field for one in in_code() for field in one.fields}
    assert set(_FIELD.findall(PAGE)) == used


def test_no_field_is_named_for_what_may_not_be_told():
    told = {field for one in in_code() for field in one.fields}
    assert [field for field in sorted(told) if any(map(TELLTALE.fullmatch, field.split("_")))] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_nothing_is_logged_but_by_the_one_logger_of_a_file(file):
    """Else a line could be told that nobody has listed."""
    text = file.read_text("utf-8")
    assert len(re.findall(r"\bget_logger\(", text)) == len(
        re.findall(r"^log = structlog\.get_logger\(", text, re.MULTILINE)
    )
    if file.name != "log.py":
        assert "logging" not in {
            alias.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for alias in node.names
        }
    assert not re.search(r"\blog\.(bind|new|log|msg|warn|fatal)\b", text)


@pytest.mark.parametrize(
    "text", ["log.info(f'{x} is there')", "log.info(said)", "log.info('a', **fields)", "log.bind(a=1)", "log.info()"]
)
def test_call_that_hides_what_it_tells_is_found(text):
    with pytest.raises((AssertionError, ValueError)):
        logged(*calls_in(ast.parse(text)))


def test_call_is_read_with_its_fields():
    (call,) = calls_in(ast.parse("log.exception('task ended unasked', task=name)"))
    assert logged(call) == Logged("task ended unasked", "error", frozenset({"task", "exception"}))
