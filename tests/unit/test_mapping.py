"""Mappings: what is present is rendered, what is absent is left out, what cannot be is said with target and path."""

from typing import Any

import pytest

from edge.mapping import Unfit, apply, look_up
from tests.mapping_rules import SOURCE, compiled, rendered

ITEMS = "source: properties.items"


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
        ("{mode: first_of, sources: [properties.blank, properties.none, properties.name, id]}", "Teapot"),
        ("{mode: first_of, sources: [properties.empty, id]}", []),
        ("{mode: first_of, sources: [properties.nothing], default: x}", "x"),
        ("{mode: first_of, sources: [properties.nothing, properties.price], type: number}", 42.5),
        ('{mode: template, template: "{properties.name} ({id})"}', "Teapot (e-1)"),
        ('{mode: template, template: "{{{properties.flag}}} {properties.items.0.n}}}"}', "{true} 2}"),
        ('{mode: template, template: "{properties.price}", type: number}', 42.5),
        ('{mode: template, template: "no place"}', "no place"),
        ('{mode: template, template: "{properties.nothing}", default: x}', "x"),
        ("{mode: value_map, source: properties.name, map: {Teapot: Pots, '*': Other}}", "Pots"),
        ("{mode: value_map, source: id, map: {Teapot: Pots, '*': Other}}", "Other"),
        ("{mode: value_map, source: properties.flag, map: {'true': 1, 'false': 0}}", 1),
        ("{mode: value_map, source: properties.tags.4, map: {'1': one}}", "one"),
        ("{mode: value_map, source: id, map: {other: x}, default: z}", "z"),
        ("{mode: value_map, source: id, map: {e-1: '7'}, type: integer}", 7),
        (f"{{mode: count, {ITEMS}}}", 2),
        ("{mode: count, source: properties.empty}", 0),
        (f"{{mode: count, {ITEMS}, type: string}}", "2"),
        (f"{{mode: sum, {ITEMS}, field: 'n'}}", 5),
        ("{mode: sum, source: properties.amounts}", 0.3),
        ("{mode: sum, source: properties.empty}", 0),
        (f"{{mode: join, {ITEMS}, field: id}}", "501, 502"),
        (f"{{mode: join, {ITEMS}, field: tags.0.t}}", "a"),
        ("{mode: join, source: properties.tags, separator: ' | '}", "black | 7 | true | 1"),
        ("{mode: join, source: properties.tags, separator: ''}", "black7true1"),
        ("{mode: join, source: properties.empty, default: none}", "none"),
        ('{mode: expression, expression: "properties.items[].id"}', ["501", "502"]),
        ('{mode: expression, expression: "length(properties.items)", type: string}', "2"),
        ("{mode: expression, expression: \"properties.items[?id == '9']\", default: x}", "x"),
        (f"{{{ITEMS}, mode: array_map, fields: [{{source: id, target: ID}}]}}", [{"ID": "501"}, {"ID": "502"}]),
        (f"{{{ITEMS}, mode: array_map, fields: [{{source: extra, target: X}}]}}", [{}, {"X": True}]),
        (f"{{{ITEMS}, mode: array_map, field: id}}", ["501", "502"]),
        (f"{{{ITEMS}, mode: array_map, field: tags.0}}", [{"t": "a"}]),
        ("{source: properties.empty, mode: array_map, fields: [{source: id, target: ID}]}", []),
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
        "{source: properties.items.00000000000000000001}",
        "{source: properties.nothing, type: number}",
        "{source: properties.nothing, mode: array_map, fields: [{source: id, target: ID}]}",
        "{mode: static, value: null}",
        "{source: properties.nothing, default: null}",
        "{mode: first_of, sources: [properties.nothing, properties.blank]}",
        '{mode: template, template: "{properties.name} {properties.nothing}"}',
        "{mode: value_map, source: properties.nothing, map: {'*': Other}}",
        "{mode: value_map, source: id, map: {other: x}}",
        "{mode: value_map, source: id, map: {e-1: null, '*': Other}}",
        "{mode: count, source: properties.nothing}",
        "{mode: sum, source: properties.nothing}",
        "{mode: array_map, source: properties.items, field: nothing}",
        "{mode: array_map, source: properties.nothing, field: id}",
        "{mode: join, source: properties.empty}",
        "{mode: join, source: properties.items, field: nothing}",
        '{mode: expression, expression: "properties.nothing"}',
        "{mode: expression, expression: \"properties.items[?id == '9']\"}",
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
            "{mode: first_of, sources: [properties.a, properties.blank], required: true}",
            "T: properties.a or properties.blank is missing",
        ),
        (
            '{mode: template, template: "{properties.name}{properties.a}{properties.b}", required: true}',
            "T: properties.a is missing",
        ),
        ('{mode: template, template: "{id}{properties.items}"}', "T: properties.items is not a text"),
        ("{mode: value_map, source: properties.items, map: {'*': x}}", "T: properties.items is not a text"),
        (
            "{mode: value_map, source: id, map: {x: z}, required: true}",
            "T: id is missing or not in the map",
        ),
        ("{mode: array_map, source: properties.name, field: id}", "T: properties.name is not a list"),
        (
            "{mode: array_map, source: properties.items, field: nothing, required: true}",
            "T: properties.items is missing or empty",
        ),
        ("{mode: count, source: properties.name}", "T: properties.name is not a list"),
        ("{mode: sum, source: properties.deep}", "T: properties.deep is not a list"),
        ("{mode: sum, source: properties.tags}", "T: properties.tags.0 is not a number"),
        ("{mode: sum, source: properties.items, field: tags}", "T: properties.items.0.tags is not a number"),
        ("{mode: join, source: properties.name}", "T: properties.name is not a list"),
        ("{mode: join, source: properties.mixed}", "T: properties.mixed.0 is not a text"),
        ("{mode: join, source: properties.empty, required: true}", "T: properties.empty is missing or empty"),
        ('{mode: expression, expression: "nothing", required: true}', "T: expression gives nothing"),
        ('{mode: expression, expression: "abs(id)"}', "T: expression cannot be evaluated (JMESPathTypeError)"),
        ('{mode: expression, expression: "&id"}', "T: expression gives no JSON value"),
        ('{mode: expression, expression: "id", type: number}', "T: expression cannot be read as the type number"),
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


def test_sum_is_told_to_be_too_large_when_no_integer_of_json_holds_it() -> None:
    text = "T: {mode: sum, source: amounts}"
    assert rendered(text, {"amounts": [1e300, 5]}) == Unfit("T", "amounts", "adds up to too much")


def test_array_maps_nest_and_carry_every_mode() -> None:
    text = """
    Items:
      source: properties.items
      mode: array_map
      fields:
        - {source: "n", target: Quantity, type: integer}
        - {mode: static, value: shop, target: Origin}
        - {mode: first_of, sources: [sku, id], target: SKU}
        - {mode: template, template: "#{id}", target: Label}
        - {mode: value_map, source: id, map: {"501": first}, target: Place, default: later}
        - {mode: count, source: tags, target: TagCount, default: 0}
        - {mode: sum, source: tags, field: weight, target: Weight}
        - {mode: join, source: tags, field: t, target: TagText}
        - {mode: expression, expression: "keys(@)[0]", target: FirstKey}
        - {source: tags, target: Tags, mode: array_map, fields: [{source: t, target: Tag}], default: []}
    """
    both = {"Origin": "shop", "FirstKey": "id"}
    first = {"Quantity": 2, "SKU": "501", "Label": "#501", "Place": "first", "TagCount": 1, "Weight": 0, "TagText": "a"}
    second = {"Quantity": 3, "SKU": "502", "Label": "#502", "Place": "later", "TagCount": 0}
    assert rendered(text) == {"Items": [{**both, **first, "Tags": [{"Tag": "a"}]}, {**both, **second, "Tags": []}]}


def test_targets_keep_the_order_of_the_file() -> None:
    text = "C: {source: properties.name}\nA: {mode: static, value: 1}\nB: {source: id}\nD: {source: properties.price}"
    assert list(rendered(text)) == ["C", "A", "B", "D"]


def test_paths_name_every_target_that_can_come_out() -> None:
    text = """
    Name: {source: a, type: string}
    Any: {source: a}
    Title: {mode: template, template: "{a}"}
    Lines: {mode: count, source: a, default: {none: true}}
    Items:
      source: items
      mode: array_map
      fields: [{source: id, target: ID, type: string}, {mode: static, value: {a: 1}, target: Fixed}]
    """
    assert compiled(text).paths == (
        *("Name", "Any", "Any.*", "Title", "Lines", "Lines.*"),
        *("Items", "Items.ID", "Items.Fixed", "Items.Fixed.*"),
    )


@pytest.mark.parametrize(
    ("kind", "given_value", "value"),
    [
        ("string", 5, "5"),
        ("string", 5.0, "5"),
        ("string", 5.25, "5.25"),
        ("string", True, "true"),
        ("string", {}, None),
        ("string", float("nan"), None),
        ("string", 10**300, None),
        ("number", " 5.50 ", 5.5),
        ("number", "5,50", None),
        ("number", True, None),
        ("integer", "5", 5),
        ("integer", 5.0, 5),
        ("integer", 5.5, None),
        ("integer", 1e300, None),
        ("boolean", "Yes", True),
        ("boolean", 0, False),
        ("boolean", 1.0, True),
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


def test_path_is_split_when_it_is_compiled() -> None:
    get = look_up("properties.items.0.id")
    assert get(SOURCE) == "501"
    assert get({}) is None
