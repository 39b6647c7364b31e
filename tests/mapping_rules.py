"""Mappings for tests, compiled from their text."""

from typing import Any

import pytest

from edge.errors import ConfigErrors
from edge.mapping import Mapping, apply, compile_mapping
from edge.settings import Problems, Reader
from edge.yamlfile import load_yaml

SOURCE: dict[str, Any] = {
    "id": "e-1",
    "properties": {
        "name": "Teapot",
        "price": "42.50",
        "none": None,
        "blank": " ",
        "flag": True,
        "0": "zero",
        "deep": {"er": [10, {"est": 11}]},
        "items": [{"id": "501", "n": 2, "tags": [{"t": "a"}]}, {"id": "502", "n": "3", "extra": True}],
        "mixed": [{"id": "501"}, "502"],
        "tags": ["black", None, 7, True, 1.0],
        "amounts": [0.1, "0.20", 0, None],
        "empty": [],
    },
}


def compiled(text: str) -> Mapping:
    problems = Problems("p.yaml")
    mapping = compile_mapping(Reader(load_yaml(text, "p.yaml", {}, problems), "properties", problems))
    problems.raise_if_any()
    return mapping


def rendered(text: str, source: dict[str, Any] = SOURCE) -> Any:
    return apply(compiled(text), source)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        compiled(text)
    return [str(problem).removeprefix("p.yaml:") for problem in caught.value.problems]
