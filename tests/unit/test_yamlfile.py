"""Files written by people: what is read, what is refused, and in which line."""

import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from edge.errors import ConfigErrors
from edge.yamlfile import MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_PROBLEMS, MAX_SAFE_INTEGER, Node
from tests.yaml_files import child, load, read, refused


@pytest.mark.parametrize(
    "text",
    [
        *[
            "2026-11-21",
            "2026-11-21T18:00:00Z",
            "1e5",
            ".5",
            "5.",
            "+5",
            "+447700900123",
            "01.5",
            ".inf",
            "-.inf",
            ".nan",
        ],
        *["1.5e999", "9007199254740992", "٣", "1.5.2", "127.0.0.1:8080", "localhost:80", "8080:80"],
        *["yes please", "nope", "None", "0x", "x_1", "item_1", "a:1", "1:60", "00:1a", "0 1"],
    ],
)
def test_scalars_that_only_look_like_something_else_stay_texts(text: str) -> None:
    assert read(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("true", True), ("False", False), ("TRUE", True), ("null", None), ("~", None), ("", None), ("0", 0)],
        *[("-7", -7), ("1.50", 1.5), ("-0.5", -0.5), ("1.5e3", 1500.0), (str(MAX_SAFE_INTEGER), MAX_SAFE_INTEGER)],
    ],
)
def test_plain_scalars_that_nobody_could_take_for_a_text_are_values(text: str, value: object) -> None:
    assert repr(read(f"a: {text}")) == repr({"a": value})


@pytest.mark.parametrize("text", ["'5'", '"5"', "!!str 5", "! 5", "|-\n  5", ">-\n  5"])
def test_quoted_and_block_scalars_are_always_texts(text: str) -> None:
    assert read(f"a: {text}") == {"a": "5"}


def test_core_tags_are_taken_where_they_fit() -> None:
    text = "a: !!int '5'\nb: !!float 5\nc: !!bool true\nd: !!null ''\ne: !!map {}\nf: !!seq []"
    assert read(text) == {"a": 5, "b": 5, "c": True, "d": None, "e": {}, "f": []}


def test_node_knows_its_place_and_its_words() -> None:
    assert child("# one\na:\n\n  1.10", "a") == Node(1.1, 4, 3, "f.yaml", 2, 1, written="1.10")


def test_list_item_has_its_own_place_for_its_keys() -> None:
    node = child("a:\n  - x\n  - z", "a")
    assert isinstance(node.value, list)
    places = [(item.line, item.column, item.key_line, item.key_column) for item in node.value]
    assert places == [(2, 5, 2, 5), (3, 5, 3, 5)]


def test_alias_gives_the_value_again_under_its_own_key() -> None:
    text = "a: &it {x: [1, 2]}\nb: *it\nc: [*it]"
    assert read(text) == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": [{"x": [1, 2]}]}
    node = child(text, "b")
    assert (node.line, node.column, node.key_line, node.key_column) == (1, 4, 2, 1)


def test_duplicate_key_names_both_lines() -> None:
    assert (
        refused("a:\n  b: 1\n  c: 2\n  b: 3")
        == "f.yaml:4:3: a.b: this key stands here and in line 2; accepted is one of them"
    )


def test_duplicate_key_is_found_beside_a_null() -> None:
    assert refused("b:\nb: 1") == "f.yaml:2:1: b: this key stands here and in line 1; accepted is one of them"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: x", "1:1: 1: the key 1 is not a text; accepted is '1' in quotes"),
        ("true: x", "1:1: true: the key true is not a text; accepted is 'true' in quotes"),
        ("~: x", "1:1: ~: the key ~ is not a text; accepted is '~' in quotes"),
        ("?\n: x", "1:2: the key (nothing) is not a text; accepted is '' in quotes"),
        ("a: {? [1] : x}", "1:7: a: this key is a list or a mapping; accepted are texts"),
        ("a: &b c\n*b : x", "2:1: *b stands for a key; accepted is the key itself"),
        ("!!int 1: x", "1:1: 1: the tag !!int is not read; accepted is the value without a tag"),
        (
            "<<: {a: 1}",
            "1:1: <<: merge keys are not read; accepted are the keys written out, or '<<' in quotes for the name",
        ),
    ],
)
def test_key_that_is_not_a_text_is_refused(text: str, said: str) -> None:
    assert refused(text) == f"f.yaml:{said}"


def test_quoted_keys_may_look_like_anything() -> None:
    assert read("'1': a\n'<<': b\n'': c\n'no': d\n$email: e") == {
        "1": "a",
        "<<": "b",
        "": "c",
        "no": "d",
        "$email": "e",
    }


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!binary", "!!timestamp", "!!set", "!own"])
def test_tag_beyond_the_core_is_refused(tag: str) -> None:
    value = "[x]" if "python" in tag else "x" if tag != "!!set" else "{x}"
    assert refused(f"k: 1\na: {tag} {value}") == (
        f"f.yaml:2:4: a: the tag {tag} is not read; accepted is the value without a tag"
    )


@pytest.mark.parametrize("tagged", ["!!int x", "!!int 0123", "!!bool no", "!!float 1:30", "!!null x"])
def test_core_tag_that_does_not_fit_its_text_is_refused(tagged: str) -> None:
    tag, _, text = tagged.partition(" ")
    what = f"'{text}' is not what its tag {tag} says; accepted is the value without a tag"
    assert refused(f"a: {tagged}") == f"f.yaml:1:4: a: {what}"


def test_twenty_levels_are_read_and_the_next_is_refused() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert refused("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).endswith(
        "[0]: is nested too deep; accepted are at most 20 levels"
    )


@pytest.mark.parametrize("text", ["[" * 3_000, "- " * 3_000, "{a: " * 3_000, "? " * 3_000, "a: " + "[" * 500_000])
def test_thousands_of_levels_are_refused_without_recursion(text: str) -> None:
    assert "nested too deep" in refused(text) or "this key is a list or a mapping" in refused(text)


def test_alias_cannot_carry_a_tree_below_the_depth() -> None:
    text = "a: &a [[[[[[[[[[1]]]]]]]]]]\nb: [[[[[[[[[*a]]]]]]]]]\nc: [[[[[[[[[[*a]]]]]]]]]]"
    assert (
        refused(text)
        == "f.yaml:3:14: c[0][0][0][0][0][0][0][0][0][0]: *a is nested too deep; accepted are at most 20 levels"
    )


def test_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert refused(bomb) == "f.yaml:3:8: c[0]: aliases (*b) repeat more than 100 values: write them out"


def test_a_hundred_repeated_values_are_read_and_the_next_is_refused() -> None:
    assert read("[&a x, " + "*a, " * 100 + "]") == ["x"] * 101
    assert "repeat more than 100 values" in refused("[&a x, " + "*a, " * 101 + "]")


def test_alias_inside_its_own_anchor_is_refused() -> None:
    assert refused("a: &x {b: *x}") == "f.yaml:1:11: a.b: *x stands inside its own &x"


def test_alias_to_nothing_is_refused_in_its_place() -> None:
    assert refused("a:\n - b: *x") == "f.yaml:2:7: a[0].b: *x refers to nothing: no &x stands above it"


def test_a_file_of_more_than_a_megabyte_is_refused() -> None:
    assert read("a: " + "x" * (MAX_BYTES - 3)) == {"a": "x" * (MAX_BYTES - 3)}
    assert refused("a: " + "ä" * (MAX_BYTES // 2)) == "f.yaml: has 1000003 bytes; at most 1000000 are read"


@pytest.mark.parametrize(
    ("text", "place"),
    [("", "1:1"), ("\n", "1:1"), ("# nothing here\n", "1:1"), ("---\n", "2:1"), ("null", "1:1"), ("--- ~\n...", "1:5")],
)
def test_empty_file_is_refused(text: str, place: str) -> None:
    assert refused(text) == f"f.yaml:{place}: is empty: nothing is configured in it"


def test_second_document_is_refused() -> None:
    assert (
        refused("a: 1\n---\nb: 2") == "f.yaml:2:1: a second document starts here (---); accepted is one document a file"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [1\nc: 2", "3:2: is not YAML: did not find expected ',' or ']'; the [ of line 2 is not closed"),
        ("a: {b: 1\nc: 2}", "2:2: is not YAML: did not find expected ',' or '}'; the { of line 1 is not closed"),
        ("a: 'x\nb: 2\n", "3:1: is not YAML: found unexpected end of stream; the quote of line 1 is not closed"),
        ("a: 'it's'", "1:8: is not YAML: did not find expected key; the quotes end before this; inside single quotes"),
        ('a: "\\d"', r"1:5: is not YAML: found unknown escape character; in double quotes a \ begins an escape"),
        ("a: Foo: b", "1:7: is not YAML: mapping values are not allowed in this context; a text with ': ' in it needs"),
        ("a:\n    b: 1\n  c: 2", "3:3: is not YAML: did not find expected key; the keys of one mapping begin in one"),
        ("*: {}", "1:2: is not YAML: did not find expected alphabetic or numeric character; a text that begins with *"),
        ("a: @b", "1:4: is not YAML: found character that cannot start any token; a text that begins with this charac"),
        ("ä: 1\nb: \x07", "2:4: is not YAML: control characters are not allowed (code 7)"),
        ("a: - b", "1:4: is not YAML: block sequence entries are not allowed in this context"),
        ("a: }", "1:4: is not YAML: while parsing a block node, did not find expected node content"),
        ("a: 1\nb: '\ud800'", "2:5: is not valid UTF-8: save it as UTF-8"),
    ],
)
def test_broken_grammar_is_said_with_its_place_and_what_mends_it(text: str, said: str) -> None:
    assert refused(text).startswith(f"f.yaml:{said}")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a:\n\tb: 2", "2:1"),
        ("a: 1\n\tb: 2", "2:1"),
        ("a:\n  b: 1\n  \tc: 2", "3:3"),
        ("a: |\n\tfoo", "2:1"),
        ("-\ta: 1", "1:2"),
    ],
)
def test_tab_that_indents_is_called_a_tab(text: str, place: str) -> None:
    assert refused(text) == f"f.yaml:{place}: a tab stands where spaces indent; accepted are spaces alone, two a level"


def test_tabs_elsewhere_are_read() -> None:
    """JSON is often indented with them, and JSON is YAML."""
    assert read('{\n\t"a":\t[\n\t\t1\n\t]\n}') == {"a": [1]}


def test_unquoted_reference_in_a_flow_list_gets_the_advice_to_quote_it() -> None:
    assert refused("a: [${TOKEN}]").endswith('; inside [ ] and { } a reference needs quotes: "${NAME}"')
    assert "needs quotes" not in refused("a: [TOKEN}")


def test_a_file_of_very_many_values_is_refused_before_it_costs_seconds() -> None:
    assert read("[" + "a," * (MAX_NODES - 1) + "]") == ["a"] * (MAX_NODES - 1)
    assert refused("[" + "a," * MAX_NODES + "]").endswith(
        f"[{MAX_NODES - 1}]: holds more than {MAX_NODES} values, the most that are read"
    )


def test_very_many_problems_are_told_in_part() -> None:
    said = refused("\n".join(["a: 1"] * 1_000)).split("\n")
    assert len(said) == MAX_PROBLEMS + 1
    assert said[-1] == "f.yaml:101:1: has more problems than the 100 told here"


# JSON writes what is beyond U+FFFF as two halves, which YAML does not know.
texts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=6)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(texts, json_values, min_size=1, max_size=4))
def test_json_reads_as_itself(tree: dict[str, object]) -> None:
    text = json.dumps(tree)
    if "${" not in text:
        assert read(text) == tree


@given(st.lists(st.sampled_from([*"&*!|>%@`'\"{}[],:?-#~$ \n\tab0", "- ", ": ", "&a ", "*a ", "${", "<<", "---\n"])))
@example(["&a ", "[", "*a ", "]"])
def test_any_text_gives_a_tree_or_problems_and_nothing_else(parts: list[str]) -> None:
    try:
        tree = load("".join(parts), {})
    except ConfigErrors as errors:
        assert errors.problems
    else:
        assert tree.value is not None


def test_pyyaml_itself_still_falls_into_the_traps() -> None:
    """Should this fail one day, the loader's own rules may be simplified."""
    assert yaml.safe_load("a: no\nb: 12:30:00\nc: 0123") == {"a": False, "b": 45_000, "c": 83}
    assert yaml.safe_load("a: 1\na: 2") == {"a": 2}
