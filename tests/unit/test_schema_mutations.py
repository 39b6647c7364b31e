"""One mistake at a time, everywhere: schema and compiler agree whether it is one, but for what is named here."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from edge.schema import schema
from tests.schema_walk import config_problems, pipeline_problems, plain_tree

ROOT = Path(__file__).parents[2]
NO_KEY = "no_such_key"
WRONG = (None, True, 5, "", "no-such-word", [], {}, ["no-such-word"], {NO_KEY: "no-such-word"})
PIPELINE, CONFIG = (Draft202012Validator(schema(which)) for which in ("pipeline", "config"))

KNOWN = (
    r'.*\.(expression|when): "no-such-word": only the compiler refuses it',  # JMESPath's functions and grammar
    r".*\.default: .*: only the compiler refuses it",  # whether a value can be read as the rule's type
    r'.*\.sources?(\.[0-9])?: (\["no-such-word"\]|"no-such-word"|5): only the compiler refuses it',  # begins nowhere
    r"parameters\.private_api_key: 5: only the schema refuses it",
)

Path_ = tuple[str | int, ...]


def places(tree: Any, path: Path_ = ()) -> Iterator[Path_]:
    """Give the path of everything in a tree, the tree itself first."""
    yield path
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, below in entries:
        yield from places(below, (*path, key))


def mutations(tree: Any, path: Path_) -> Iterator[tuple[str, Any]]:
    """Give every changed copy of a tree that differs from it at one place."""
    for value in WRONG:
        yield json.dumps(value), changed(tree, path, lambda held, key, value=value: held.__setitem__(key, value))
    if path:
        yield "removed", changed(tree, path, lambda held, key: held.__delitem__(key))
    if isinstance(at(tree, path), dict):
        yield "unknown key", changed(tree, path, lambda held, key: held[key].__setitem__(NO_KEY, 1))


def at(tree: Any, path: Path_) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def changed(tree: Any, path: Path_, change: Any) -> Any:
    held = {"": copy.deepcopy(tree)}
    full: Path_ = ("", *path)
    change(at(held, full[:-1]), full[-1])
    return held[""]


def disagreements(validator: Draft202012Validator, problems_of: Any, tree: Any, paths: list[Path_]) -> set[str]:
    """Say where only one of the two refuses; the tree itself is taken by both."""
    assert (problems_of(tree), list(validator.iter_errors(tree))) == ([], [])
    found = set()
    for path in paths:
        for name, mutated in mutations(tree, path):
            is_refused, is_described = bool(problems_of(mutated)), validator.is_valid(mutated)
            if is_refused == is_described:
                who = "only the compiler" if is_refused else "only the schema"
                found.add(f"{'.'.join(map(str, path))}: {name}: {who} refuses it")
    return found


def unknown(found: set[str]) -> set[str]:
    return {one for one in found if not any(re.fullmatch(known, one) for known in KNOWN)}


def test_shipped_pipeline_with_one_mistake_is_refused_by_both_or_by_none():
    """Every 23rd place: its rules are all alike."""
    tree = plain_tree((ROOT / "pipelines/klaviyo-events.yaml").read_text("utf-8"))
    assert unknown(disagreements(PIPELINE, pipeline_problems, tree, list(places(tree))[::23])) == set()


EVERYTHING = """
name: everything
integration: klaviyo-events-api
enabled: true
parameters:
  private_api_key: "${NAME}"
  endpoint: auto
  native_integration: none
  base_url: "https://k.shop.example/k"
  revision: 2026-07-15
consent: [marketing]
anonymous: hold
hold_for: 14d
fresh_for: 4h
max_age: 72h
global: {profile: {"$email": {source: context.traits.email, mode: direct, type: string, default: a, required: true}}}
events:
  search:
    metric: Searched Site
    when: properties.value > `0`
    lane: live
    ordered_product: true
    subscribe: {email: {source: properties.newsletter}, list: {mode: static, value: XyZ123}}
    properties:
      Static: {mode: static, value: shop}
      First: {mode: first_of, sources: [properties.sku, properties.item_id]}
      Template: {mode: template, template: "{properties.item_name}"}
      Map: {mode: value_map, source: properties.method, map: {a: b, "*": c}}
      Names: {mode: array_map, source: properties.items, field: item_name}
      Count: {mode: count, source: properties.items}
      Sum: {mode: sum, source: properties.items, field: quantity}
      Join: {mode: join, source: properties.items, field: item_name, separator: " / "}
      Expression: {mode: expression, expression: "properties.items[0]"}
      List:
        mode: array_map
        source: properties.items
        fields:
          - {source: item_name, target: Name, type: string, default: a, required: false}
          - {mode: array_map, target: Inner, source: parts, fields: [{mode: static, target: S, value: 1}]}
  "*": {event_name: Something}
"""


def test_pipeline_of_every_key_with_one_mistake_is_refused_by_both_or_by_none():
    tree = plain_tree(EVERYTHING)
    found = disagreements(PIPELINE, pipeline_problems, tree, list(places(tree)))
    assert unknown(found) == set()
    assert [known for known in KNOWN if not any(re.fullmatch(known, one) for one in found)] == []


def test_configuration_with_one_mistake_is_refused_by_both_or_by_none():
    tree = plain_tree((ROOT / "config/edge.yaml").read_text("utf-8"))
    assert disagreements(CONFIG, config_problems, tree, list(places(tree))) == set()


def test_a_disagreement_is_found():
    lenient = Draft202012Validator({"type": "object"})
    assert disagreements(lenient, config_problems, {"site": {"name": "shop"}}, [("site", "name")]) == {
        f"site.name: {name}: only the compiler refuses it"
        for name in ("null", "true", "[]", "{}", '["no-such-word"]', '{"no_such_key": "no-such-word"}')
    }
