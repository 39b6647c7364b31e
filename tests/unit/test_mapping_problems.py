"""Wrong rules: each mistake is said once, with its place and what would be accepted, and all of them together."""

import pytest

from edge.mapping import MODES, compile_expression, compile_mapping
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml
from tests.mapping_rules import problems_of

MODE_NAMES = ", ".join(MODES)
SUCH_AS = "accepted is one such as properties.value > `0`"


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        (
            "{source: a, mode: arraymap, valu: 1}",
            [f"mode: 'arraymap' is not one of {MODE_NAMES} (did you mean array_map?)"],
        ),
        ("{source: a, mode: [direct]}", [f"mode: a list is not accepted; accepted is one of {MODE_NAMES}"]),
        (
            "{sorce: a}",
            [
                "sorce: unknown key (did you mean source?); accepted here: mode, source, type, default, required",
            ],
        ),
        ("{source: a..b}", ["source: 'a..b' has an empty step; accepted are keys with dots between, items.0.price"]),
        (
            "{source: a. b}",
            ["source: 'a. b' has a space around a step; accepted are keys with dots between, items.0.price"],
        ),
        (
            "{source: ''}",
            ["source: an empty text has an empty step; accepted are keys with dots between, items.0.price"],
        ),
        ("{source: [a]}", ["source: a list is not accepted; accepted is a text"]),
        ("{mode: static}", ["value: is missing; accepted is any value"]),
        (
            "{mode: static, value: few, type: number}",
            ["value: 'few' cannot be read as the type number; accepted is a number such as 5 or 12.50"],
        ),
        (
            "{source: a, default: few, type: number}",
            ["default: 'few' cannot be read as the type number; accepted is a number such as 5 or 12.50"],
        ),
        (
            "{source: a, type: date}",
            ["type: 'date' is not one of string, number, integer, boolean, datetime (did you mean datetime?)"],
        ),
        ("{source: a, required: 1}", ["required: '1' is not a boolean; accepted are true and false"]),
        (
            "{mode: first_of}",
            ["sources: is missing; accepted is a list of paths, [properties.sku, properties.item_id]"],
        ),
        (
            "{mode: first_of, sources: []}",
            ["sources: is empty; accepted is a list of paths, [properties.sku, properties.item_id]"],
        ),
        (
            "{mode: first_of, sources: a}",
            ["sources: 'a' is not a list; accepted is a list of texts: [a, b], or one a line after '- '; [] for none"],
        ),
        (
            "{mode: first_of, sources: [a, .b]}",
            ["sources[1]: '.b' has an empty step; accepted are keys with dots between, items.0.price"],
        ),
        (
            "{mode: first_of, source: a, sources: [a]}",
            ["source: unknown key (did you mean sources?); accepted here: mode, sources, type, default, required"],
        ),
        ("{mode: template}", ["template: is missing; accepted is a text"]),
        (
            '{mode: template, template: "{a"}',
            [
                "template: '{a' has a brace that stands alone; accepted is a text with paths in braces, "
                "{properties.item_name}; {{ and }} give braces themselves"
            ],
        ),
        (
            '{mode: template, template: "{a} {}"}',
            ["template: '{a} {}' has an empty step; accepted are keys with dots between, items.0.price"],
        ),
        (
            '{mode: template, template: "{ a }"}',
            ["template: '{ a }' has a space around a step; accepted are keys with dots between, items.0.price"],
        ),
        (
            '{mode: template, template: ""}',
            [
                "template: an empty text is not a template; accepted is a text with paths in braces, "
                "{properties.item_name}; {{ and }} give braces themselves"
            ],
        ),
        (
            "{mode: value_map, source: a}",
            ['map: is missing; accepted is a mapping of texts to values, {newsletter: Newsletter, "*": Other}'],
        ),
        (
            "{mode: value_map, source: a, map: {}}",
            ['map: is empty; accepted is a mapping of texts to values, {newsletter: Newsletter, "*": Other}'],
        ),
        (
            "{mode: value_map, source: a, map: [b]}",
            ["map: a list is not a mapping; accepted is 'key: value', one a line"],
        ),
        (
            "{mode: value_map, source: a, map: {b: [c]}}",
            ["map.b: is not a single value; accepted is a text, a number, true, false or null"],
        ),
        (
            "{mode: value_map, source: a, map: {b: c}, type: number}",
            ["map.b: 'c' cannot be read as the type number; accepted is a number such as 5 or 12.50"],
        ),
        (
            "{mode: count, source: a, field: b}",
            ["field: unknown key; accepted here: mode, source, type, default, required"],
        ),
        (
            "{mode: sum, source: a, field: b.}",
            ["field: 'b.' has an empty step; accepted are keys with dots between, items.0.price"],
        ),
        ("{mode: join, source: a, separator: [b]}", ["separator: a list is not accepted; accepted is a text"]),
        ("{mode: expression}", ["expression: is missing; accepted is a text"]),
        (
            '{mode: expression, expression: "a >"}',
            [f"expression: 'a >' is not a JMESPath expression: it ends too early; {SUCH_AS}"],
        ),
        (
            "{source: a, mode: array_map}",
            ["fields: is missing; accepted is a list of {source: …, target: …}, or a path inside each item as field"],
        ),
        (
            "{source: a, mode: array_map, fields: []}",
            ["fields: is empty; accepted is a list of {source: …, target: …}, or a path inside each item as field"],
        ),
        (
            "{source: a, mode: array_map, fields: b}",
            [
                "fields: 'b' is not a list; "
                "accepted is a list of mappings: [a, b], or one a line after '- '; [] for none"
            ],
        ),
        (
            "{source: a, mode: array_map, fields: [{source: b, target: B}], type: string}",
            ["type: is not for a list; accepted is a type in its fields"],
        ),
        (
            "{source: a, mode: array_map, fields: [{source: b, target: B}], field: b}",
            ["field: stands beside fields; accepted is one of the two"],
        ),
        (
            "{source: a, mode: array_map, field: .b}",
            ["field: '.b' has an empty step; accepted are keys with dots between, items.0.price"],
        ),
        (
            "{source: a, mode: array_map, fields: [{source: b}]}",
            ["fields[0].target: is missing; accepted is a text"],
        ),
        (
            "{source: a, mode: array_map, fields: [{source: b, target: ''}]}",
            ["fields[0].target: is empty; accepted is a text"],
        ),
        (
            "{source: a, mode: array_map, fields: [{source: b, target: B}, {source: c, target: B}]}",
            ["fields[1].target: 'B' stands here twice; accepted is one field a target"],
        ),
        (
            "{source: a, mode: array_map, fields: [{mode: joined, target: B}, {mode: count, sorce: c, target: C}]}",
            [
                f"fields[0].mode: 'joined' is not one of {MODE_NAMES} (did you mean join?)",
                "fields[1].sorce: unknown key (did you mean source?); "
                "accepted here: target, mode, source, type, default, required",
            ],
        ),
    ],
)
def test_wrong_rule_is_said_with_what_would_be_accepted(rule: str, problems: list[str]) -> None:
    said = problems_of(f"T: {rule}")
    assert [problem.partition(": properties.T.")[2] for problem in said] == problems


def test_problem_has_the_place_of_what_is_wrong() -> None:
    text = "T:\n  source: a\n  mode: array_map\n  fields:\n    - {source: b, target: B}\n    - {source: c., target: C}"
    assert problems_of(text) == [
        "6:16: properties.T.fields[1].source: 'c.' has an empty step; "
        "accepted are keys with dots between, items.0.price"
    ]


def test_target_without_a_name_is_refused() -> None:
    assert problems_of("'': {source: a}") == [
        "1:1: properties.: is no target; accepted is a text with at least one character"
    ]


def test_every_problem_is_found_at_once() -> None:
    said = problems_of("A: {mode: few}\nB: {mode: many}\nC: {source: x}\nD: {mode: count}")
    assert [problem.partition(":")[0] for problem in said] == ["1", "2", "4"]


NO_EXPRESSION = f"is not a JMESPath expression; {SUCH_AS}"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a >", f"is not a JMESPath expression: it ends too early; {SUCH_AS}"),
        ("a = b", f"is not a JMESPath expression from its character 3 on; {SUCH_AS}"),
        ("lenght(a)", "calls a function that does not exist (did you mean length?); accepted are those of JMESPath"),
        ("", NO_EXPRESSION),
        ("a && nosuch(b)", "calls a function that does not exist; accepted are those of JMESPath"),
        ("b[?length(a, b)]", "gives length 2 values; accepted for length are 1"),
        ("not_null()", "gives not_null 0 values; accepted for not_null are 1 or more"),
        ("`" + "[" * 1_990, NO_EXPRESSION),
        ("(" * 1_990, NO_EXPRESSION),
        ("a || " * 90 + "a", "is nested more than 60 levels deep; accepted is a simpler expression"),
        ("a" * 2_001, "is longer than 2000 characters; accepted is a shorter expression"),
    ],
    ids=range(11),
)
def test_expression_is_checked_whole_before_any_event(text: str, what: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_expression(text)
    assert str(caught.value) == what


ROOTS = ("properties", "context", "id")


def astray(rule: str) -> list[str]:
    """Give what is said of a rule that reads an event: {"properties", "context", "id"}."""
    problems = Problems("p.yaml")
    compile_mapping(Reader(load_yaml(f"T: {rule}", "p.yaml", {}, problems), "", problems), ROOTS)
    return [f"{one.path}: {one.what}" for one in problems.in_order()]


@pytest.mark.parametrize(
    ("rule", "key", "first", "meant"),
    [
        ("{source: item_name}", "source", "item_name", "properties.item_name"),
        ("{source: propertis.a.b}", "source", "propertis", "properties.a.b"),
        ("{source: $.properties.a}", "source", "$", "properties.a"),
        ("{mode: first_of, sources: [id, sku]}", "sources", "sku", "properties.sku"),
        ("{mode: template, template: '{id} {sku}'}", "template", "sku", "properties.sku"),
        ("{mode: sum, source: items, field: a}", "source", "items", "properties.items"),
        ("{mode: expression, expression: 'max_by(items, &price).id'}", "expression", "items", "properties.items"),
    ],
)
def test_path_that_can_never_find_anything_is_said_with_what_was_meant(rule, key, first, meant) -> None:
    accepted = "accepted is one that begins with properties, context or id"
    assert astray(rule) == [f"T.{key}: finds nothing: no path begins with {first} (did you mean {meant}?); {accepted}"]


@pytest.mark.parametrize(
    "rule",
    [
        "{source: id}",
        "{mode: expression, expression: 'properties.items[?price > `1`] | [0].{a: id, b: name}'}",
        "{mode: expression, expression: '[properties.a, context.b] && id'}",
        "{mode: array_map, source: properties.items, fields: [{source: any.where, target: A}]}",
        "{mode: join, source: properties.items, field: any.where}",
    ],
)
def test_path_inside_an_item_or_behind_a_bar_may_begin_with_anything(rule: str) -> None:
    assert astray(rule) == []


@pytest.mark.parametrize("rule", ["{source: '${KEY}'}", "{mode: first_of, sources: [id, '${KEY}']}"])
def test_path_that_a_variable_gave_is_not_repeated(rule: str) -> None:
    problems = Problems("p.yaml")
    node = load_yaml(f"T: {rule}", "p.yaml", {"KEY": "a-credential"}, problems)
    compile_mapping(Reader(node, "", problems), ROOTS)
    assert [one.what for one in problems.in_order()] == [
        "finds nothing: no path begins so; accepted is one that begins with properties, context or id"
    ]


def test_position_in_brackets_is_said_to_be_a_step_of_its_own() -> None:
    what = "'properties.items[0].a' has a position in brackets; accepted is a step of its own, items.0.price"
    assert astray("{source: 'properties.items[0].a'}") == [f"T.source: {what}"]
