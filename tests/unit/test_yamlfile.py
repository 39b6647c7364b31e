"""Files written by people: what is read, what is refused, and in which line."""

import json
from collections.abc import Mapping

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from edge.errors import ConfigErrors
from edge.yamlfile import MAX_BYTES, MAX_DEPTH, MAX_SAFE_INTEGER, Node, load_yaml

ENVIRON = {"TOKEN": "s3cret", "PORT": "8080", "EMPTY": "", "TRICK": "x: [1, 2]\n- 'y'", "NESTED": "${TOKEN}"}


def read(text: str, environ: Mapping[str, str] = ENVIRON) -> object:
    return load_yaml(text, "f.yaml", environ).plain()


def refused(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Give what is said about a text that cannot be read."""
    with pytest.raises(ConfigErrors) as caught:
        load_yaml(text, "f.yaml", environ)
    return str(caught.value)


def child(text: str, key: str) -> Node:
    value = load_yaml(text, "f.yaml", ENVIRON).value
    assert isinstance(value, dict)
    return value[key]


@pytest.mark.parametrize("text", ["no", "yes", "on", "off", "No", "Y", "n"])
def test_words_that_yaml_once_took_for_booleans_stay_texts(text: str) -> None:
    """The region of Norway is NO."""
    assert read(f"a: {text}") == {"a": text}


@pytest.mark.parametrize(
    "text",
    [
        *[
            "12:30:00",
            "0123",
            "-012",
            "2026-11-21",
            "2026-11-21T18:00:00Z",
            "1_000",
            "0x1F",
            "0o17",
            "0b11",
            "1e5",
            ".5",
        ],
        *["5.", "+5", "+447700900123", "01.5", ".inf", "-.inf", ".nan", "1.5e999", "9007199254740992", "٣", "1.5.2"],
    ],
)
def test_scalars_that_only_look_like_numbers_or_times_stay_texts(text: str) -> None:
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
    assert child("# one\na:\n\n  1.10", "a") == Node(1.1, 4, 3, "f.yaml", 2, "1.10", False)


def test_list_item_has_its_own_line_for_its_key_line() -> None:
    node = child("a:\n  - x\n  - y", "a")
    assert isinstance(node.value, list)
    assert [(item.line, item.key_line) for item in node.value] == [(2, 2), (3, 3)]


def test_alias_gives_the_value_again_under_its_own_key() -> None:
    text = "a: &it {x: [1, 2]}\nb: *it\nc: [*it]"
    assert read(text) == {"a": {"x": [1, 2]}, "b": {"x": [1, 2]}, "c": [{"x": [1, 2]}]}
    assert (child(text, "b").line, child(text, "b").key_line) == (1, 2)


def test_duplicate_key_names_both_lines() -> None:
    assert (
        refused("a:\n  b: 1\n  c: 2\n  b: 3") == "f.yaml:4: a.b: this key stands here and in line 2: keep one of them"
    )


def test_duplicate_key_is_found_beside_a_null() -> None:
    assert refused("b:\nb: 1") == "f.yaml:2: b: this key stands here and in line 1: keep one of them"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1: x", "f.yaml:1: 1: the key 1 is not a text: put it in quotes, '1'"),
        ("true: x", "f.yaml:1: true: the key true is not a text: put it in quotes, 'true'"),
        ("~: x", "f.yaml:1: ~: the key ~ is not a text: put it in quotes, '~'"),
        ("?\n: x", "f.yaml:1: the key (nothing) is not a text: put it in quotes, ''"),
        ("a: {? [1] : x}", "f.yaml:1: a: a key is a text, not a list or a mapping"),
        ("a: &b c\n*b : x", "f.yaml:2: *b stands for a key: write the key itself"),
        ("!!int 1: x", "f.yaml:1: 1: the tag !!int is not read here: write the value without it"),
        ("<<: {a: 1}", "f.yaml:1: <<: merge keys are not read: write the keys out, or quote it where '<<' is a name"),
    ],
)
def test_key_that_is_not_a_text_is_refused(text: str, said: str) -> None:
    assert refused(text) == said


def test_quoted_keys_may_look_like_anything() -> None:
    assert read("'1': a\n'<<': b\n'': c\nno: d\n$email: e") == {"1": "a", "<<": "b", "": "c", "no": "d", "$email": "e"}


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!binary", "!!timestamp", "!!set", "!own"])
def test_tag_beyond_the_core_is_refused(tag: str) -> None:
    value = "[x]" if "python" in tag else "x" if tag != "!!set" else "{x}"
    assert refused(f"k: 1\na: {tag} {value}") == (
        f"f.yaml:2: a: the tag {tag} is not read here: write the value without it"
    )


@pytest.mark.parametrize("tagged", ["!!int x", "!!int 0123", "!!bool no", "!!float 1:30", "!!null x"])
def test_core_tag_that_does_not_fit_its_text_is_refused(tagged: str) -> None:
    tag, _, text = tagged.partition(" ")
    assert refused(f"a: {tagged}") == f"f.yaml:1: a: '{text}' is not what its tag {tag} says"


def test_twenty_levels_are_read_and_the_next_is_refused() -> None:
    assert read("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert refused("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)).endswith(
        "[0]: is nested too deep: at most 20 levels are read"
    )


@pytest.mark.parametrize("text", ["[" * 3_000, "- " * 3_000, "{a: " * 3_000, "? " * 3_000, "a: " + "[" * 500_000])
def test_thousands_of_levels_are_refused_without_recursion(text: str) -> None:
    assert "nested too deep" in refused(text) or "not a list or a mapping" in refused(text)


def test_alias_cannot_carry_a_tree_below_the_depth() -> None:
    text = "a: &a [[[[[[[[[[1]]]]]]]]]]\nb: [[[[[[[[[*a]]]]]]]]]\nc: [[[[[[[[[[*a]]]]]]]]]]"
    assert (
        refused(text) == "f.yaml:3: c[0][0][0][0][0][0][0][0][0][0]: *a is nested too deep: at most 20 levels are read"
    )


def test_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert refused(bomb) == "f.yaml:3: c[0]: aliases (*b) repeat more than 100 values: write them out"


def test_a_hundred_repeated_values_are_read_and_the_next_is_refused() -> None:
    assert read("[&a x, " + "*a, " * 100 + "]") == ["x"] * 101
    assert "repeat more than 100 values" in refused("[&a x, " + "*a, " * 101 + "]")


def test_alias_inside_its_own_anchor_is_refused() -> None:
    assert refused("a: &x {y: *x}") == "f.yaml:1: a.y: *x stands inside its own &x"


def test_alias_to_nothing_is_refused_in_its_place() -> None:
    assert refused("a:\n - b: *x") == "f.yaml:2: a[0].b: *x refers to nothing: no &x stands above it"


def test_a_file_of_more_than_a_megabyte_is_refused() -> None:
    assert read("a: " + "x" * (MAX_BYTES - 3)) == {"a": "x" * (MAX_BYTES - 3)}
    assert refused("a: " + "ä" * (MAX_BYTES // 2)) == "f.yaml: has 1000003 bytes; at most 1000000 are read"


@pytest.mark.parametrize("text", ["", "\n", "# nothing here\n", "---\n", "null", "--- ~\n..."])
def test_empty_file_is_refused(text: str) -> None:
    assert refused(text) == "f.yaml: is empty: nothing is configured in it"


def test_second_document_is_refused() -> None:
    assert refused("a: 1\n---\nb: 2") == ("f.yaml:2: a second document starts here (---): one file holds one document")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: [1\nc: 2", "f.yaml:3: is not YAML: while parsing a flow sequence, did not find expected ',' or ']'"),
        ("a: 1\n  b: 2", "f.yaml:2: is not YAML: mapping values are not allowed in this context (column 4)"),
        ("a:\n\tb: 2", "f.yaml:2: is not YAML: while scanning for the next token, found character that cannot start"),
        ("ä: 1\nb: \x07", "f.yaml:2: is not YAML: control characters are not allowed (code 7)"),
        ("a: '\ud800'", "f.yaml: is not valid UTF-8: save it as UTF-8"),
    ],
)
def test_broken_grammar_is_said_with_its_line(text: str, said: str) -> None:
    assert refused(text).startswith(said)


def test_unquoted_reference_in_a_flow_list_gets_the_advice_to_quote_it() -> None:
    assert refused("a: [${TOKEN}]").endswith('; inside [ ] and { } a reference needs quotes: "${NAME}"')
    assert "needs quotes" not in refused("a: [TOKEN}")


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
    assert refused("a: ${ONE}\nb:\n  c: [x, '${TWO} ${THREE}']\nd: ${properties.value}\ne: '${'").split("\n") == [
        "f.yaml:1: a: the variable ONE is not set: set it; what is no secret may have a default, ${ONE:-default}",
        "f.yaml:3: b.c[1]: the variable TWO is not set: set it; what is no secret may have a default, ${TWO:-default}",
        "f.yaml:3: b.c[1]: the variable THREE is not set: set it; "
        "what is no secret may have a default, ${THREE:-default}",
        "f.yaml:4: d: '${properties.value}' is no reference: write ${NAME} or ${NAME:-default}; $${ gives ${ itself",
        "f.yaml:5: e: '${' is no reference: write ${NAME} or ${NAME:-default}; $${ gives ${ itself",
    ]


def test_problems_found_before_the_grammar_breaks_are_told_with_it() -> None:
    said = refused("a: 1\na: ${NONE}\nb: 'x").split("\n")
    assert [line.split(": ")[0] for line in said] == ["f.yaml:2", "f.yaml:2", "f.yaml:3"]


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
        tree = load_yaml("".join(parts), "f.yaml", {})
    except ConfigErrors as errors:
        assert errors.problems
    else:
        assert tree.value is not None


def test_pyyaml_itself_still_falls_into_the_traps() -> None:
    """Should this fail one day, the loader's own rules may be simplified."""
    assert yaml.safe_load("a: no\nb: 12:30:00\nc: 0123") == {"a": False, "b": 45_000, "c": 83}
    assert yaml.safe_load("a: 1\na: 2") == {"a": 2}
