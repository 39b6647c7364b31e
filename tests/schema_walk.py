"""Walking a JSON Schema of ours: every place in it, with a whole file that holds a value there."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from edge.config import parse_config
from edge.errors import ConfigErrors, Problem
from edge.pipeline import compile_pipeline
from tests import yaml_files

ENVIRON = dict.fromkeys(("NAME", "KLAVIYO_PRIVATE_API_KEY"), "n" * 32) | {"KLAVIYO_BASE_URL": "https://a.klaviyo.com"}
CONFIG_FILE = Path("/etc/shop/edge.yaml")


class AsWritten(dict[str, str]):
    """An environment in which every variable holds the reference to itself."""

    def get(self, name: str, default: Any = None) -> Any:
        return f"${{{name}}}"


def plain_tree(text: str) -> Any:
    """Read a file's text as an editor sees it, without putting variables in."""
    return yaml_files.read(text, AsWritten())


@dataclass(frozen=True)
class Place:
    """One place of a schema; `whole` gives a file that is right but for the value handed in."""

    path: str
    shape: dict[str, Any]
    whole: Callable[[Any], Any]

    @property
    def knows_its_keys(self) -> bool:
        return self.shape.get("additionalProperties") is False

    @property
    def words(self) -> list[str] | None:
        """The closed set that stands here, if one does."""
        return words_of(self.shape) or None


def words_of(shape: Any) -> list[str]:
    """Give the closed set of a shape, none where it has none."""
    return [word for one in shape.get("anyOf", ()) for word in one.get("enum", ())]


class Walk:
    """Goes over one schema document, each of its named parts once."""

    def __init__(self, document: Any) -> None:
        self.document = json.loads(json.dumps(document))
        self._seen: set[str] = set()

    def places(self) -> list[Place]:
        self._seen.clear()
        return list(self._visit(self.document, "", lambda inner: inner))

    def resolved(self, shape: Any) -> Any:
        if "$ref" not in shape:
            return shape
        return self.document["$defs"][shape["$ref"].removeprefix("#/$defs/")] | {
            key: value for key, value in shape.items() if key != "$ref"
        }

    def sample(self, shape: Any) -> Any:
        """Give the least value that is right."""
        shape = self.resolved(shape)
        for key in ("const", "default"):
            if key in shape:
                return shape[key]
        if "examples" in shape:
            return shape["examples"][0]
        if "anyOf" in shape:
            return words_of(shape)[0]
        needed = [*shape.get("required", ()), *shape.get("oneOf", [{"required": ()}])[0]["required"]]
        made = {key: self.sample(shape["properties"][key]) for key in needed}
        if shape.get("minProperties") and not made:
            made = {"x": self.sample(shape["additionalProperties"])}
        for case in shape.get("allOf", ()):
            if Draft202012Validator(case["if"]).is_valid(made):
                made |= self.sample(case["then"])
        return made

    def _visit(self, shape: Any, path: str, whole: Callable[[Any], Any]) -> Iterator[Place]:
        if shape.get("$ref") in self._seen or shape.get("not") == {}:
            return
        self._seen |= {shape["$ref"]} if "$ref" in shape else set()
        shape = self.resolved(shape)
        yield Place(path, shape, whole)
        refined = {key for case in shape.get("allOf", ()) for key in case["then"].get("properties", ())}
        for key, below in shape.get("properties", {}).items():
            if key in refined:
                continue
            within = lambda inner, key=key: whole({**self._complete(shape, key), key: inner})  # noqa: E731
            yield from self._visit(below, f"{path}.{key}".removeprefix("."), within)
        if isinstance(below := shape.get("additionalProperties"), dict):
            yield from self._visit(below, f"{path}.x", lambda inner: whole({"x": inner}))
        if "items" in shape:
            yield from self._visit(shape["items"], f"{path}[]", lambda inner: whole([inner]))
        for case in shape.get("allOf", ()):
            yield from self._case(shape, case, path, whole)

    def _complete(self, shape: Any, key: str = "") -> Any:
        """Give the least mapping that this key may be put into."""
        others = [one for one in shape.get("oneOf", ()) if key in one["required"]] or shape.get("oneOf", ())
        told = {name: value for name, value in shape.items() if name not in ("default", "examples", "oneOf")}
        return self.sample(told | ({"oneOf": others} if others else {}))

    def _case(self, shape: Any, case: Any, path: str, whole: Callable[[Any], Any]) -> Iterator[Place]:
        ((key, condition),) = case["if"]["properties"].items()
        named = f"{path}({condition['const']})"
        if self.resolved(case["then"]).get("additionalProperties") is False:
            yield from self._visit(case["then"], named, whole)
            return
        around = self._complete({**shape, "allOf": []}) | {key: condition["const"]} | self.sample(case["then"])
        for key, further in case["then"]["properties"].items():
            within = lambda inner, key=key: whole({**around, key: inner})  # noqa: E731
            yield from self._visit({**shape["properties"][key], **further}, f"{named}.{key}", within)


def pipeline_problems(document: Any) -> list[Problem]:
    """Give what the compiler says of a document; JSON is YAML in flow form."""
    try:
        compile_pipeline(json.dumps(document), "p.yaml", ENVIRON)
    except ConfigErrors as errors:
        return list(errors.problems)
    return []


def config_problems(document: Any) -> list[Problem]:
    """Give what the configuration's reader says of a document."""
    try:
        parse_config(json.dumps(document), CONFIG_FILE, ENVIRON)
    except ConfigErrors as errors:
        return list(errors.problems)
    return []
