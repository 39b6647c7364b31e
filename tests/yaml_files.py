"""YAML texts for tests: read, or refused."""

from collections.abc import Mapping

import pytest

from edge.errors import ConfigErrors
from edge.yamlfile import Node, Problems, load_yaml

ENVIRON = {"TOKEN": "s3cret", "PORT": "8080", "EMPTY": "", "TRICK": "x: [1, 2]\n- 'y'", "NESTED": "${TOKEN}"}


def load(text: str, environ: Mapping[str, str] = ENVIRON) -> Node:
    """Read a text that has no problem."""
    problems = Problems("f.yaml")
    root = load_yaml(text, "f.yaml", environ, problems)
    problems.raise_if_any()
    return root


def read(text: str, environ: Mapping[str, str] = ENVIRON) -> object:
    return load(text, environ).plain()


def refused(text: str, environ: Mapping[str, str] = ENVIRON) -> str:
    """Give what is said about a text that cannot be read."""
    with pytest.raises(ConfigErrors) as caught:
        load(text, environ)
    return str(caught.value)


def child(text: str, key: str) -> Node:
    value = load(text).value
    assert isinstance(value, dict)
    return value[key]
