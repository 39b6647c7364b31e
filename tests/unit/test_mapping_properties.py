"""Mappings, any of them, on any JSON: nothing is raised, nothing given is changed, what comes out is JSON."""

import copy
import math
from typing import Any

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import ConfigErrors
from edge.mapping import MODES, TYPES, Mapping, Unfit, apply, compile_expression, compile_mapping
from edge.settings import Problems, Reader
from edge.yamlfile import Node

PATHS = st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=3).map(".".join)
WORDS = [
    *("mode", "source", "sources", "value", "template", "map", "fields", "field", "separator", "expression", "target"),
    *("default", "type", "required", "*", "a", ""),
]
EXPRESSIONS = [
    *("a", "@", "a.b", "a[0]", "a[*].b", "a[]", "[]", "*", "a || b", "!a", "keys(@)", "{x: a, y: b}", "[a, b]", "&a"),
    *("length(a)", "sum(a)", "to_number(a)", "to_string(@)", "join(',', a)", "a[::0]", "max_by(a, &b)", "sort(a)"),
    *("`NaN`", "`1e999`", "`99999999999999999999`", '`"\\ud800"`', '{"\\ud800": a}', "avg(a)", "a > `1`", "[&a]"),
    *(
        " | ".join(["[@, @]"] * 40),
        "[" * 50 + "@" + "]" * 50,
        "floor(to_number('1e999'))",
        "a[?b == `1`]",
        "map(&b, a)",
    ),
]
scalars: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(["1", "2.50", "2026-11-20", " ", "true", "-1"])
)
json_values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "0"]), inner, max_size=3),
    max_leaves=12,
)
sources = st.dictionaries(st.sampled_from(["a", "b", "0"]), json_values)


def shaped(mode: str, keys: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    common = {"type": st.sampled_from(list(TYPES)), "default": json_values, "required": st.booleans()}
    if mode == "array_map":
        del common["type"]
    return st.fixed_dictionaries({"mode": st.just(mode), **keys}, optional=common)


rules: st.SearchStrategy[dict[str, Any]] = st.deferred(
    lambda: st.one_of(
        shaped("direct", {"source": PATHS}),
        shaped("static", {"value": json_values}),
        shaped("first_of", {"sources": st.lists(PATHS, min_size=1, max_size=3)}),
        shaped(
            "template", {"template": st.lists(PATHS, min_size=1, max_size=3).map(lambda p: "{" + "} {".join(p) + "}")}
        ),
        shaped("value_map", {"source": PATHS, "map": st.dictionaries(st.sampled_from("a1*"), scalars, min_size=1)}),
        shaped("count", {"source": PATHS}),
        shaped("sum", {"source": PATHS, "field": PATHS}),
        shaped("sum", {"source": PATHS}),
        shaped("join", {"source": PATHS, "field": PATHS, "separator": st.text(max_size=2)}),
        shaped("join", {"source": PATHS}),
        shaped("expression", {"expression": st.sampled_from(EXPRESSIONS)}),
        shaped("array_map", {"source": PATHS, "fields": fields}),
        shaped("array_map", {"source": PATHS, "field": PATHS}),
    )
)
fields = st.lists(st.tuples(st.sampled_from("TUV"), rules), min_size=1, max_size=3, unique_by=lambda pair: pair[0]).map(
    lambda pairs: [{"target": target, **rule} for target, rule in pairs]
)
mappings = st.dictionaries(st.sampled_from("PQRSTUV"), rules, max_size=5)
any_tree: st.SearchStrategy[Any] = st.recursive(
    scalars | st.sampled_from([*MODES, *TYPES, *EXPRESSIONS]) | PATHS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=6),
    max_leaves=25,
)


def node_of(value: Any) -> Node:
    if isinstance(value, dict):
        return Node({key: node_of(inner) for key, inner in value.items()}, 1, 1, "p.yaml")
    if isinstance(value, list):
        return Node([node_of(inner) for inner in value], 1, 1, "p.yaml")
    return Node(value, 1, 1, "p.yaml", written="" if value is None else str(value))


def compiled(tree: Any) -> tuple[Mapping, Problems]:
    problems = Problems("p.yaml")
    return compile_mapping(Reader(node_of(tree), "", problems)), problems


def is_covered(rendered: Any, paths: tuple[str, ...], under: str = "") -> bool:
    """Tell whether the mapping's paths name every key that came out."""
    if isinstance(rendered, list):
        return all(is_covered(item, paths, under) for item in rendered)
    if not isinstance(rendered, dict) or f"{under}*" in paths:
        return True
    return all(
        f"{under}{key}" in paths and is_covered(value, paths, f"{under}{key}.") for key, value in rendered.items()
    )


@settings(max_examples=400, deadline=None)
@given(mappings, sources)
def test_applying_never_raises_never_changes_its_source_and_gives_json(tree: Any, source: dict[str, Any]) -> None:
    mapping, _ = compiled(tree)
    before = copy.deepcopy(source)
    rendered = apply(mapping, source)
    assert source == before
    assert apply(mapping, source) == rendered
    if not isinstance(rendered, Unfit):
        assert orjson.loads(orjson.dumps(rendered)) == rendered
        assert set(rendered) <= set(tree)
        assert is_covered(rendered, mapping.paths)


@settings(deadline=None)
@given(mappings, sources)
def test_targets_do_not_depend_on_their_neighbours(tree: Any, source: dict[str, Any]) -> None:
    alone = [apply(compiled({target: rule})[0], source) for target, rule in tree.items()]
    unfit = next((one for one in alone if isinstance(one, Unfit)), None)
    together = {target: value for one in alone if isinstance(one, dict) for target, value in one.items()}
    assert apply(compiled(tree)[0], source) == (unfit or together)


@settings(max_examples=300, deadline=None)
@given(any_tree, sources)
def test_compiling_any_tree_raises_nothing_but_config_errors(tree: Any, source: dict[str, Any]) -> None:
    try:
        mapping, problems = compiled(tree)
        problems.raise_if_any()
    except ConfigErrors as errors:
        assert all(problem.what for problem in errors.problems)
    else:
        apply(mapping, source)


@settings(deadline=None)
@given(st.sampled_from(EXPRESSIONS), json_values)
def test_expression_gives_json_or_says_why_not(text: str, source: Any) -> None:
    given_value = compile_expression(text)(source)
    assert isinstance(given_value, Unfit) or orjson.loads(orjson.dumps(given_value)) == given_value


@given(st.lists(st.integers(0, 10**9), max_size=20))
def test_sum_of_cents_is_exact(cents: list[int]) -> None:
    mapping, _ = compiled({"T": {"mode": "sum", "source": "a"}})
    rendered = apply(mapping, {"a": [cent / 100 for cent in cents]})
    assert isinstance(rendered, dict)
    assert math.isclose(rendered["T"], sum(cents) / 100, rel_tol=0, abs_tol=0)
