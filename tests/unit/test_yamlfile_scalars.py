"""Scalars that mean different things to different readers, and references to the environment."""

import pytest

from edge.errors import ConfigErrors, Problem
from edge.yamlfile import Problems, load_yaml
from tests.yaml_files import ENVIRON, child, load, read, refused

TO_SOME = "to some readers of YAML and a text to others"


@pytest.mark.parametrize("text", ["no", "No", "NO", "n", "N", "off", "Off", "OFF", "nO"])
def test_words_that_yaml_once_took_for_false_are_refused(text: str) -> None:
    """The region of Norway is NO."""
    accepted = f"accepted is false for the boolean, '{text}' in quotes for the text"
    assert refused(f"a: {text}") == f"f.yaml:1:4: a: {text} without quotes is a boolean {TO_SOME}; {accepted}"


@pytest.mark.parametrize("text", ["yes", "Yes", "YES", "y", "Y", "on", "On", "ON"])
def test_words_that_yaml_once_took_for_true_are_refused(text: str) -> None:
    accepted = f"accepted is true for the boolean, '{text}' in quotes for the text"
    assert refused(f"a: {text}") == f"f.yaml:1:4: a: {text} without quotes is a boolean {TO_SOME}; {accepted}"


@pytest.mark.parametrize(
    ("text", "number", "instead"),
    [
        *[("0123", "83", "123"), ("-0123", "-83", "-123"), ("007", "7", "7"), ("089", "89", "89"), ("00", "0", "0")],
        *[
            ("0x1F", "31", "31"),
            ("0o17", "15", "15"),
            ("0b11", "3", "3"),
            ("-0x10", "-16", "-16"),
            ("0X_f", "15", "15"),
        ],
        *[("1_000", "1000", "1000"), ("+1_0.5_0", "10.50", "10.50"), ("1_", "1", "1"), ("-2_026", "-2026", "-2026")],
    ],
)
def test_numbers_that_only_some_can_read_are_refused(text: str, number: str, instead: str) -> None:
    accepted = f"accepted is {instead} for the number, '{text}' in quotes for the text"
    assert refused(f"a: {text}") == f"f.yaml:1:4: a: {text} without quotes is the number {number} {TO_SOME}; {accepted}"


@pytest.mark.parametrize("text", ["12:30:45", "1:30", "190:20:30.15", "-1:00", "23:59"])
def test_times_that_were_once_numbers_in_base_60_are_refused(text: str) -> None:
    accepted = f"accepted is '{text}' in quotes for the text"
    assert refused(f"a: {text}") == f"f.yaml:1:4: a: {text} without quotes is a number in base 60 {TO_SOME}; {accepted}"


@pytest.mark.parametrize("text", ["no", "0123", "0x1F", "1_000", "12:30"])
def test_quotes_make_a_text_of_any_trap(text: str) -> None:
    assert read(f"a: '{text}'\nb: \"{text}\"\nc: !!str {text}\n'{text}': d\ne: |-\n  {text}") == {
        **dict.fromkeys("abce", text),
        text: "d",
    }


@pytest.mark.parametrize(("key", "is_to_some"), [("on", "a boolean"), ("N", "a boolean"), ("0123", "the number 83")])
def test_traps_are_refused_as_keys_too(key: str, is_to_some: str) -> None:
    what = f"{key} without quotes is {is_to_some} {TO_SOME}; accepted is '{key}' in quotes"
    assert refused(f"a: {{{key}: 1}}") == f"f.yaml:1:5: a.{key}: {what}"


def test_every_trap_of_a_file_is_told_and_the_values_are_marked_as_refused() -> None:
    problems = Problems("f.yaml")
    root = load_yaml("a: no\nb: [0123, x]\non: 1", "f.yaml", {}, problems)
    assert [(problem.line, problem.column, problem.path) for problem in problems.in_order()] == [
        (1, 4, "a"),
        (2, 5, "b[0]"),
        (3, 1, "on"),
    ]
    assert isinstance(root.value, dict) and isinstance(root.value["b"].value, list)
    assert [root.value["a"].is_refused, *[item.is_refused for item in root.value["b"].value]] == [True, True, False]
    assert (root.value["on"].is_refused, root.value["on"].is_key_refused) == (False, True)


@pytest.mark.parametrize("digits", [10, 40, 41, 5_000, 100_000])
def test_a_very_long_number_is_refused_or_a_text_without_effort(digits: int) -> None:
    for text in ("0" * digits, "0x" + "f" * digits, "1_" * digits, "1" * digits):
        try:
            load(f"a: {text}")
        except ConfigErrors as errors:
            assert len(str(errors)) < 400


def test_references_are_replaced_anywhere_in_a_scalar() -> None:
    text = "a: ${TOKEN}\nb: 'x-${TOKEN}-${PORT}'\nc: |\n  Bearer ${TOKEN}\nd: [\"${TOKEN}\"]"
    assert read(text) == {"a": "s3cret", "b": "x-s3cret-8080", "c": "Bearer s3cret\n", "d": ["s3cret"]}


def test_default_stands_where_the_variable_is_unset_or_empty() -> None:
    text = "a: ${NONE:-x y}\nb: ${EMPTY:-z}\nc: ${PORT:-1}\nd: ${NONE:-}\ne: ${EMPTY}"
    assert read(text) == {"a": "x y", "b": "z", "c": "8080", "d": "", "e": ""}


@pytest.mark.parametrize("name", ["TRICK", "NESTED", "PORT"])
def test_replaced_text_is_never_read_again(name: str) -> None:
    """Neither as YAML, nor as a reference, nor as a number."""
    assert read(f"a: ${{{name}}}") == {"a": ENVIRON[name]}


def test_doubled_dollar_gives_a_literal_reference() -> None:
    assert read("a: $${TOKEN} costs $5") == {"a": "${TOKEN} costs $5"}


def test_keys_are_not_replaced() -> None:
    assert read("'${TOKEN}': 1") == {"${TOKEN}": 1}


@pytest.mark.parametrize(
    ("text", "is_from_environ"),
    [("${TOKEN}", True), ("x${TOKEN}", True), ("${NONE:-x}", False), ("${EMPTY}", False), ("$${TOKEN}", False)],
)
def test_node_says_whether_a_variable_gave_its_text(text: str, is_from_environ: bool) -> None:
    node = child(f"a: {text}", "a")
    assert (node.is_from_environ, node.written) == (is_from_environ, text)


def test_unset_variables_and_bad_references_are_told_together() -> None:
    set_it = "accepted is a variable that is set or, where it is no secret"
    forms = "accepted are ${NAME} and ${NAME:-default}, and $${ for ${ itself"
    assert refused("a: ${ONE}\nb:\n  c: [x, '${TWO} ${THREE}']\nd: ${properties.value}\ne: '${'").split("\n") == [
        f"f.yaml:1:4: a: the variable ONE is not set; {set_it}, ${{ONE:-default}}",
        f"f.yaml:3:10: b.c[1]: the variable TWO is not set; {set_it}, ${{TWO:-default}}",
        f"f.yaml:3:10: b.c[1]: the variable THREE is not set; {set_it}, ${{THREE:-default}}",
        f"f.yaml:4:4: d: '${{properties.value}}' is no reference; {forms}",
        f"f.yaml:5:4: e: '${{' is no reference; {forms}",
    ]


def test_problems_found_before_the_grammar_breaks_are_told_with_it() -> None:
    said = refused("a: 1\na: ${NONE}\nb: 'x").split("\n")
    assert [line.split(": ")[0] for line in said] == ["f.yaml:2:1", "f.yaml:2:4", "f.yaml:3:6"]


def test_problem_with_a_variable_carries_its_name_and_reading_goes_on() -> None:
    problems = Problems("f.yaml")
    root = load_yaml("a: ${ONE} ${ONE}\nb: 0x1\nc: ${EMPTY}", "f.yaml", ENVIRON, problems)
    assert [(problem.line, problem.variable) for problem in problems.in_order()] == [(1, "ONE"), (2, "")]
    assert root.plain() == {"a": " ", "b": "0x1", "c": ""}


@pytest.mark.parametrize("inside", ["pk_0123456789abcdef0123456789", "a1b2c3d4e5f6a7b8c9d0e1f2"])
def test_a_credential_between_the_braces_is_not_shown(inside: str) -> None:
    """Whoever writes ${…} for the first time puts the key itself there."""
    problems = Problems("f.yaml")
    load_yaml(f"a: ${{{inside}}}", "f.yaml", {}, problems)
    what = "what stands between the braces seems to be a credential"
    accepted = "accepted is the name of the variable that holds it, such as ${SHOP_API_KEY}"
    assert problems.in_order() == [Problem("f.yaml", 1, "a", f"{what}; {accepted}", 4)]


@pytest.mark.parametrize("text", ["a: ${A B pk_0123456789abcdef}", "pk_0123456789abcdef: 1\npk_0123456789abcdef: 1"])
def test_a_credential_in_the_wrong_place_is_cut(text: str) -> None:
    assert "0123456789abcdef" not in refused(text)
