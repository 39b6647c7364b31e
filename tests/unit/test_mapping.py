"""Mappings: what is present is rendered, what is absent is left out, what cannot be is said with target and path."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import ConfigErrors
from edge.mapping import Mapping, Unfit, apply, compile_mapping, look_up
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

SOURCE: dict[str, Any] = {
    "id": "e-1",
    "properties": {
        "name": "Teapot",
        "price": "42.50",
        "none": None,
        "0": "zero",
        "deep": {"er": [10, {"est": 11}]},
        "items": [{"id": "501", "n": 2, "tags": [{"t": "a"}]}, {"id": "502", "n": "3", "extra": True}],
        "mixed": [{"id": "501"}, "502"],
    },
}


def compiled(text: str) -> Mapping:
    problems = Problems("p.yaml")
    mapping = compile_mapping(Reader(load_yaml(text, "p.yaml", {}), "properties", problems))
    problems.raise_if_any()
    return mapping


def rendered(text: str) -> Any:
    return apply(compiled(text), SOURCE)


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ("{source: properties.name, mode: direct}", "Teapot"),
        ("{source: properties.name}", "Teapot"),
        ("{source: id}", "e-1"),
        ("{source: properties.items.1.id}", "502"),
        ("{source: properties.deep.er.1.est}", 11),
        ("{source: properties.0}", "zero"),
        ("{source: properties.name, default: x}", "Teapot"),
        ("{source: properties.nothing, default: x}", "x"),
        ("{source: properties.none, default: [1, {a: b}]}", [1, {"a": "b"}]),
        ("{source: properties.nothing, default: '7', type: number}", 7),
        ("{mode: static, value: web}", "web"),
        ("{mode: static, value: {a: [1, true]}}", {"a": [1, True]}),
        ("{mode: static, value: '5', type: integer}", 5),
        ("{source: properties.price, type: number}", 42.5),
        ("{source: properties.items.0.n, type: string}", "2"),
        ("{source: properties.name, required: true}", "Teapot"),
        ("{source: properties.nothing, default: x, required: true}", "x"),
        (
            "{source: properties.items, mode: array_map, fields: [{source: id, target: ID}]}",
            [{"ID": "501"}, {"ID": "502"}],
        ),
        ("{source: properties.items, mode: array_map, fields: [{source: extra, target: X}]}", [{}, {"X": True}]),
    ],
)
def test_mode_gives_its_value(rule: str, value: Any) -> None:
    assert rendered(f"T: {rule}") == {"T": value}


@pytest.mark.parametrize(
    "rule",
    [
        "{source: properties.nothing}",
        "{source: properties.none}",
        "{source: properties.name.deeper}",
        "{source: properties.items.2.id}",
        "{source: properties.items.-1.id}",
        "{source: properties.items.id}",
        "{source: properties.nothing, type: number}",
        "{source: properties.nothing, mode: array_map, fields: [{source: id, target: ID}]}",
        "{mode: static, value: null}",
        "{source: properties.nothing, default: null}",
    ],
)
def test_target_is_left_out_when_there_is_no_value(rule: str) -> None:
    assert rendered(f"T: {rule}\nOther: {{source: id}}") == {"Other": "e-1"}


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ("{source: properties.nothing, required: true}", "T: properties.nothing is missing"),
        ("{source: properties.name, type: number}", "T: properties.name cannot be read as the type number"),
        ("{source: properties.items, type: string}", "T: properties.items cannot be read as the type string"),
        (
            "{source: properties.name, mode: array_map, fields: [{source: a, target: A}]}",
            "T: properties.name is not a list",
        ),
        (
            "{source: properties.mixed, mode: array_map, fields: [{source: id, target: ID}]}",
            "T.1: properties.mixed.1 is not an object",
        ),
        (
            "{source: properties.items, mode: array_map, fields: [{source: extra, target: X, required: true}]}",
            "T.0.X: properties.items.0.extra is missing",
        ),
    ],
)
def test_what_cannot_be_mapped_names_target_and_path_and_no_value(rule: str, reason: str) -> None:
    unfit = rendered(f"T: {rule}")
    assert isinstance(unfit, Unfit)
    assert str(unfit) == reason


def test_array_maps_nest_and_carry_every_mode() -> None:
    text = """
    Items:
      source: properties.items
      mode: array_map
      fields:
        - {source: n, target: Quantity, type: integer}
        - {mode: static, value: shop, target: Origin}
        - {source: tags, target: Tags, mode: array_map, fields: [{source: t, target: Tag}], default: []}
    """
    assert rendered(text) == {
        "Items": [
            {"Quantity": 2, "Origin": "shop", "Tags": [{"Tag": "a"}]},
            {"Quantity": 3, "Origin": "shop", "Tags": []},
        ]
    }


@pytest.mark.parametrize(
    ("kind", "given_value", "value"),
    [
        ("string", 5, "5"),
        ("string", 5.0, "5"),
        ("string", 5.25, "5.25"),
        ("string", True, "true"),
        ("string", {}, None),
        ("number", " 5.50 ", 5.5),
        ("number", "5,50", None),
        ("number", True, None),
        ("integer", "5", 5),
        ("integer", 5.0, 5),
        ("integer", 5.5, None),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("boolean", "maybe", None),
        ("boolean", [], None),
        ("datetime", "2026-11-20T15:03:09+01:00", "2026-11-20T14:03:09Z"),
        ("datetime", "2026-11-20T14:03:09.120Z", "2026-11-20T14:03:09.120Z"),
        ("datetime", "2026-11-20", "2026-11-20T00:00:00Z"),
        ("datetime", 1_763_647_389, "2025-11-20T14:03:09Z"),
        ("datetime", "1763647389120", "2025-11-20T14:03:09.120Z"),
        ("datetime", "yesterday", None),
        ("datetime", 10**300, None),
        ("datetime", 10**400, None),
        ("number", float("inf"), None),
        ("datetime", "0001-01-01T00:00:00+14:00", None),
        ("datetime", [], None),
    ],
)
def test_type_converts_or_says_that_it_cannot(kind: str, given_value: Any, value: Any) -> None:
    mapping = compiled(f"T: {{source: v, type: {kind}}}")
    unfit = Unfit("T", "v", f"cannot be read as the type {kind}")
    assert apply(mapping, {"v": given_value}) == (unfit if value is None else {"T": value})


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "T: {source: a, mode: arraymap}",
            [
                "p.yaml:1: properties.T.mode: 'arraymap' is not one of direct, static, array_map "
                "(did you mean array_map?)"
            ],
        ),
        (
            "T: {sorce: a}",
            [
                "p.yaml:1: properties.T.source: is missing; accepted is a text",
                "p.yaml:1: properties.T.sorce: unknown key (did you mean source?); "
                "accepted here: mode, source, type, default, required",
            ],
        ),
        (
            "T: {source: a..b}",
            [
                "p.yaml:1: properties.T.source: 'a..b' has an empty step; "
                "accepted are keys with dots between, items.0.price"
            ],
        ),
        ("T: {mode: static}", ["p.yaml:1: properties.T.value: is missing; accepted is any value"]),
        (
            "T: {mode: static, value: few, type: number}",
            ["p.yaml:1: properties.T.value: cannot be read as the type number"],
        ),
        (
            "T: {source: a, type: date}",
            [
                "p.yaml:1: properties.T.type: 'date' is not one of string, number, integer, boolean, datetime "
                "(did you mean datetime?)"
            ],
        ),
        (
            "T:\n  source: a\n  mode: array_map",
            ["p.yaml:2: properties.T.fields: is missing; accepted is a list of {source: …, target: …}"],
        ),
        (
            "T:\n  source: a\n  mode: array_map\n  fields:\n    - {source: b}",
            ["p.yaml:5: properties.T.fields[0].target: is missing; accepted is a text"],
        ),
        (
            "T:\n  source: a\n  mode: array_map\n  fields:\n    - {source: b, target: B}\n    - {source: c, target: B}",
            ["p.yaml:6: properties.T.fields[1].target: 'B' stands here twice; accepted is one field a target"],
        ),
    ],
)
def test_wrong_rule_is_said_with_line_path_and_what_would_be_accepted(text: str, problems: list[str]) -> None:
    with pytest.raises(ConfigErrors) as caught:
        compiled(text)
    assert [str(problem) for problem in caught.value.problems] == problems


def test_every_problem_is_found_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        compiled("A: {mode: no}\nB: {mode: nor}\nC: {source: x}")
    assert [problem.line for problem in caught.value.problems] == [1, 2]


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3),
)
RULES = compiled(
    """
    A: {source: a}
    B: {source: a.0.b, type: datetime}
    C: {source: b, type: integer, required: true}
    D: {source: a.b, mode: array_map, fields: [{source: a, target: A, type: string}]}
    """
)


@given(st.dictionaries(st.sampled_from(["a", "b"]), json_values))
def test_applying_never_raises_and_never_changes_its_source(source: dict[str, Any]) -> None:
    before = copy.deepcopy(source)
    first = apply(RULES, source)
    assert repr(source) == repr(before)
    assert repr(first) == repr(apply(RULES, source))


def test_path_is_split_when_it_is_compiled() -> None:
    get = look_up("properties.items.0.id")
    assert get(SOURCE) == "501"
    assert get({}) is None
