"""Typed reading: values with their units, and problems told all together."""

from collections.abc import Callable

import pytest

from edge.errors import ConfigErrors, Problem
from edge.secret import Secret
from edge.settings import (
    Problems,
    Reader,
    quoted,
)
from edge.yamlfile import Node, load_yaml

KEY = "pk_0123456789abcdef0123456789"
ENVIRON = {"KEY": KEY, "PORT": "8080", "YES": "true", "AGE": "2h", "BAD": "hidden"}
DURATION = "a number with its unit (ms, s, min, h or d), such as 500ms, 90s, 15min, 4h or 14d"
SIZE = "a number with its unit (B, KB, MB, GB, TB, or KiB, MiB, GiB, TiB), such as 512KB, 64MB or 20GB"


def reader_of(text: str) -> Reader:
    problems = Problems("f.yaml")
    return Reader(load_yaml(text, "f.yaml", ENVIRON, problems), "", problems)


def said(reader: Reader) -> list[str]:
    """Give what was found wrong; nothing is an empty list."""
    try:
        reader.problems.raise_if_any()
    except ConfigErrors as errors:
        return str(errors).split("\n")
    return []


def test_every_getter_reads_what_was_written() -> None:
    reader = reader_of(
        "text: a\nversion: 1.10\nflag: true\ncount: 5\nshare: 0.5\nwhole: 2\nage: 4h\nsize: 64MB\nrate: 50/s\n"
        "word: drop\nlist: [a, 5]\nempty: ''\nnone:\nkey: ${KEY}\nkeys: ['${KEY}', short]\nraw: {x: [1]}"
    )
    raw = reader.node("raw")
    assert (
        reader.text("text"),
        reader.text("version"),
        reader.boolean("flag"),
        reader.integer("count"),
        reader.number("share"),
        reader.number("whole"),
        reader.duration_s("age"),
        reader.size_bytes("size"),
        reader.rate("rate"),
        reader.choice("word", ("hold", "send", "drop")),
        reader.texts("list"),
        reader.text("empty"),
        (reader.optional_text("empty"), reader.optional_text("none"), reader.optional_text("text")),
        reader.parsed("text", str.upper, ""),
        reader.parsed_list("list", str.upper, ()),
        reader.secret("key"),
        reader.secrets("keys"),
        raw.plain() if raw else None,
    ) == (
        "a", "1.10", True, 5, 0.5, 2, 14_400.0, 64_000_000, 50.0, "drop", ("a", "5"), "", (None, None, "a"), "A",
        ("A", "5"), Secret(KEY), (Secret(KEY), Secret("short")), {"x": [1]},
    )  # fmt: skip
    reader.done()
    assert said(reader) == []


def test_absent_keys_have_their_defaults() -> None:
    reader = reader_of("x: 1")
    assert (
        reader.text("a", "b"),
        reader.boolean("a", True),
        reader.integer("a", 7),
        reader.number("a", 0.5),
        reader.duration_s("a", 60.0),
        reader.size_bytes("a", 10),
        reader.rate("a", 2.0),
        reader.choice("a", ("hold", "send"), "send"),
        reader.texts("a", ("x",)),
        reader.parsed("a", str.upper, "low"),
        reader.parsed_list("a", str.upper, ("low",)),
        (reader.optional_text("a"), reader.optional_secret("a"), reader.secrets("a"), reader.node("a")),
        (reader.section("a").entries(), reader.section("a").nodes(), reader.sections("a")),
    ) == ("b", True, 7, 0.5, 60.0, 10, 2.0, "send", ("x",), "low", ("low",), (None, None, (), None), ([], [], []))
    assert said(reader) == []


def test_variables_give_numbers_and_booleans_too() -> None:
    reader = reader_of("a: ${PORT}\nb: ${YES}\nc: ${AGE}\nd: ${NONE:-0.5}\ne: '8080'")
    assert (reader.integer("a"), reader.boolean("b"), reader.duration_s("c")) == (8080, True, 7_200.0)
    assert (reader.number("d"), reader.integer("e"), reader.text("a")) == (0.5, 8080, "8080")
    assert said(reader) == []


def test_everything_missing_is_told_at_once_with_what_would_be_accepted() -> None:
    reader = reader_of("a:\n  x: 1").section("a")
    reader.text("text"), reader.secret("key"), reader.boolean("flag"), reader.integer("count", minimum=1, maximum=9)
    reader.number("share"), reader.duration_s("age"), reader.size_bytes("size"), reader.rate("rate")
    reader.choice("word", ("hold", "send")), reader.texts("list")
    assert said(reader) == [
        "f.yaml:2:3: a.text: is missing; accepted is a text",
        "f.yaml:2:3: a.key: is missing; accepted is a reference to an environment variable, ${NAME}",
        "f.yaml:2:3: a.flag: is missing; accepted is true or false",
        "f.yaml:2:3: a.count: is missing; accepted is a whole number of at least 1 and at most 9",
        "f.yaml:2:3: a.share: is missing; accepted is a number",
        f"f.yaml:2:3: a.age: is missing; accepted is {DURATION}",
        f"f.yaml:2:3: a.size: is missing; accepted is {SIZE}",
        "f.yaml:2:3: a.rate: is missing; accepted is a number for each s, min or h, such as 50/s or 3000/min",
        "f.yaml:2:3: a.word: is missing; accepted is one of hold, send",
        "f.yaml:2:3: a.list: is missing; accepted is a list of texts: [a, b], or one a line after '- '; [] for none",
    ]


@pytest.mark.parametrize(
    ("value", "get", "what"),
    [
        ("true", lambda r: r.text("k"), "'true' is not a text; accepted is a text, a word like this one in quotes"),
        ("[a]", lambda r: r.text("k"), "a list is not accepted; accepted is a text"),
        ("", lambda r: r.text("k", "x"), "an empty value is not accepted; accepted is a text"),
        ("{}", lambda r: r.integer("k"), "a mapping is not accepted; accepted is a whole number"),
        ("nope", lambda r: r.boolean("k"), "'nope' is not a boolean; accepted are true and false"),
        ("1", lambda r: r.boolean("k"), "'1' is not a boolean; accepted are true and false"),
        ("'0123'", lambda r: r.integer("k"), "'0123' is not a whole number; accepted are digits alone, such as 100"),
        ("5.0", lambda r: r.integer("k"), "'5.0' is not a whole number; accepted are digits alone, such as 100"),
        ("true", lambda r: r.integer("k"), "'true' is not a whole number; accepted are digits alone, such as 100"),
        ("1e5", lambda r: r.number("k"), "'1e5' is not a number; accepted are numbers such as 100 or 0.5"),
        ("0", lambda r: r.integer("k", minimum=1), "'0' is out of range; accepted is a whole number of at least 1"),
        ("9", lambda r: r.number("k", maximum=8), "'9' is out of range; accepted is a number of at most 8"),
        ("14", lambda r: r.duration_s("k"), f"'14' is not a duration; accepted is {DURATION}"),
        (
            "2h",
            lambda r: r.duration_s("k", minimum=1, maximum=3_600),
            "'2h' is out of range; accepted is a duration of at least 1s and at most 1h",
        ),
        ("64", lambda r: r.size_bytes("k"), f"'64' is not a size; accepted is {SIZE}"),
        (
            "1KB",
            lambda r: r.size_bytes("k", minimum=10**6),
            "'1KB' is out of range; accepted is a size of at least 1MB",
        ),
        (
            "arraymap",
            lambda r: r.choice("k", ("direct", "array_map")),
            "'arraymap' is not one of direct, array_map (did you mean array_map?)",
        ),
        ("zzz", lambda r: r.choice("k", ("direct", "count")), "'zzz' is not one of direct, count"),
        (
            "x",
            lambda r: r.texts("k"),
            "'x' is not a list; accepted is a list of texts: [a, b], or one a line after '- '; [] for none",
        ),
        (
            "{a: 1}",
            lambda r: r.sections("k"),
            "a mapping is not a list; accepted is a list of mappings: [a, b], or one a line after '- '; [] for none",
        ),
        ("x", lambda r: r.section("k"), "'x' is not a mapping; accepted is 'key: value', one a line"),
        ("x", lambda r: r.parsed("k", int, 0), "'x' invalid literal for int() with base 10: 'x'"),
        (
            "${BAD}",
            lambda r: r.boolean("k"),
            "'${BAD}' (as the environment has it) is not a boolean; accepted are true and false",
        ),
        (
            "''",
            lambda r: r.rate("k"),
            "an empty text is not a rate; accepted is a number for each s, min or h, such as 50/s or 3000/min",
        ),
    ],
)
def test_wrong_value_is_quoted_with_what_would_be_accepted(
    value: str, get: Callable[[Reader], object], what: str
) -> None:
    reader = reader_of(f"x: 1\nk: {value}")
    get(reader)
    assert said(reader) == [f"f.yaml:2:{4 if value else 3}: k: {what}"]


def test_wrong_item_of_a_list_is_named_by_its_place() -> None:
    reader = reader_of("k:\n  - a\n  - [b]\n  - true\nm: [{x: 1}, z]")
    assert reader.texts("k") == ("a",)
    assert [section.path for section in reader.sections("m")] == ["m[0]", "m[1]"]
    assert said(reader) == [
        "f.yaml:3:5: k[1]: a list is not accepted; accepted is a text",
        "f.yaml:4:5: k[2]: 'true' is not a text; accepted is a text, a word like this one in quotes",
        "f.yaml:5:13: m[1]: 'z' is not a mapping; accepted is 'key: value', one a line",
    ]


def test_long_values_are_quoted_in_part() -> None:
    assert quoted(Node("a b" * 50, 1, 1, "f.yaml", written="a b" * 50)) == "'" + "a b" * 20 + "…'"


def test_unknown_key_names_the_nearest_and_the_accepted_ones_in_its_own_line() -> None:
    reader = reader_of("spool:\n  keepfor:\n    14d\n  zzz: 1\n  max_bytes: 1GB")
    spool = reader.section("spool")
    spool.duration_s("keep_for", 1.0), spool.size_bytes("max_bytes")
    spool.done()
    reader.done()
    assert said(reader) == [
        "f.yaml:2:3: spool.keepfor: unknown key (did you mean keep_for?); accepted here: keep_for, max_bytes",
        "f.yaml:4:3: spool.zzz: unknown key; accepted here: keep_for, max_bytes",
    ]


def test_misspelt_key_is_not_told_a_second_time_as_missing() -> None:
    reader = reader_of("a: {sorce: x, taget: z, feilds: [], zzz: 1}")
    rule = reader.section("a")
    rule.text("source"), rule.text("target"), rule.texts("fields"), rule.text("mode")
    rule.done()
    assert [line.split("; ")[0] for line in said(reader)] == [
        "f.yaml:1:4: a.mode: is missing",
        "f.yaml:1:5: a.sorce: unknown key (did you mean source?)",
        "f.yaml:1:15: a.taget: unknown key (did you mean target?)",
        "f.yaml:1:25: a.feilds: unknown key (did you mean fields?)",
        "f.yaml:1:37: a.zzz: unknown key",
    ]


def test_key_read_twice_is_told_once() -> None:
    reader = reader_of("a: [x]")
    reader.parsed("a", str.upper, ""), reader.text("a"), reader.text("b"), reader.text("b")
    assert said(reader) == [
        "f.yaml:1:1: b: is missing; accepted is a text",
        "f.yaml:1:4: a: a list is not accepted; accepted is a text",
    ]


def test_beginning_of_a_word_leads_to_the_word() -> None:
    reader = reader_of("a: klaviyo\nb: kla")
    reader.choice("a", ("klaviyo-events-api", "webhook")), reader.choice("b", ("klaviyo-events-api", "webhook"))
    assert [line.partition("'")[2] for line in said(reader)] == [
        "klaviyo' is not one of klaviyo-events-api, webhook (did you mean klaviyo-events-api?)",
        "kla' is not one of klaviyo-events-api, webhook",
    ]


def test_unknown_key_where_none_is_accepted() -> None:
    reader = reader_of("a: {b: 1}")
    reader.section("a").done()
    assert said(reader) == ["f.yaml:1:5: a.b: unknown key; no key is accepted here"]


def test_free_keys_are_all_accepted() -> None:
    reader = reader_of("view_item: {metric: a}\npurchase: {metric: b}")
    assert [(key, entry.path, entry.text("metric")) for key, entry in reader.entries()] == [
        ("view_item", "view_item", "a"),
        ("purchase", "purchase", "b"),
    ]
    reader.done()
    assert said(reader) == []


def test_null_section_is_an_empty_one() -> None:
    reader = reader_of("limits:\nx: 1")
    assert reader.section("limits").entries() == []
    assert said(reader) == []


def test_problems_come_in_the_order_of_the_lines_whoever_found_them() -> None:
    problems = Problems("f.yaml")
    problems.add(None, "", "about the whole file")
    problems.add(Node("x", 9, 1, "f.yaml"), "b", "later")
    problems.add(Node("x", 3, 7, "f.yaml"), "a", "farther right")
    problems.add(Node("x", 3, 1, "f.yaml"), "a", "earlier")
    problems.extend(ConfigErrors([Problem("f.yaml", 5, "m", "between")]))
    with pytest.raises(ConfigErrors) as caught:
        problems.raise_if_any()
    assert [problem.what for problem in caught.value.problems] == [
        "about the whole file",
        "earlier",
        "farther right",
        "between",
        "later",
    ]


def test_nothing_is_raised_where_nothing_is_wrong() -> None:
    Problems("f.yaml").raise_if_any()


def test_of_a_value_that_could_not_be_read_nothing_more_is_said() -> None:
    """Neither that it has the wrong type, nor what is missing in it, nor what a verb finds wrong with it."""
    reader = reader_of("a: ${NONE}\nb: ['${NONE}']\nc: no\nd: !own {x: 1}\ne: ${BAD.}\nf: {on: 1}\ng: ${NONE}\nh: 1")
    reader.integer("a"), reader.texts("b"), reader.choice("c", ("x",)), reader.section("d").text("missing")
    reader.section("e").text("missing"), reader.sections("g"), reader.section("h").text("missing")
    reader.section("f").done()
    for key in "abcegh":
        reader.refuse(key, "is wrong in another way too")
    reader.done()
    assert [line.split(": ")[:2] for line in said(reader)] == [
        ["f.yaml:1:4", "a"],
        ["f.yaml:2:5", "b[0]"],
        ["f.yaml:3:4", "c"],
        ["f.yaml:4:4", "d"],
        ["f.yaml:5:4", "e"],
        ["f.yaml:6:5", "f.on"],
        ["f.yaml:7:4", "g"],
        ["f.yaml:8:4", "h"],
    ]


def test_empty_variable_is_named_where_its_being_empty_is_what_is_wrong() -> None:
    problems = Problems("f.yaml")
    text = "a: ${EMPTY}\nb: ${EMPTY}${NONE:-}\nc: '${EMPTY}'\nd: ${EMPTY}"
    reader = Reader(load_yaml(text, "f.yaml", {"EMPTY": ""}, problems), "", problems)
    reader.secret("a"), reader.size_bytes("b"), reader.boolean("c"), reader.text("d")
    assert [(problem.line, problem.variable) for problem in problems.in_order()] == [
        (1, "EMPTY"),
        (2, "EMPTY"),
        (3, "EMPTY"),
    ]
    assert problems.in_order()[2].what == (
        "'${EMPTY}' (empty in the environment) is not a boolean; accepted are true and false"
    )
