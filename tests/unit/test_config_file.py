"""The shipped configuration, its reference and the code say the same."""

import json
import re
from pathlib import Path

import pytest

from edge.config import (
    CollectorConfig,
    Config,
    CookieConfig,
    DrainerConfig,
    IdentityConfig,
    OpsConfig,
    SiteConfig,
    SpoolConfig,
    load_config,
    parse_config,
)
from edge.yamlfile import MAX_BYTES, MAX_DEPTH, MAX_EXPANDED_NODES, MAX_NODES, Node, Problems, load_yaml

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "config/edge.yaml"
FILE = Path("/etc/shop/edge.yaml")
DEFAULTS = Config(FILE, Path("/etc/var"), Path("/etc/pipelines"))


def leaves(node: Node, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Give the path of every key, sections and single values alike."""
    if not isinstance(node.value, dict):
        return [path]
    return [path, *[leaf for key, child in node.value.items() for leaf in leaves(child, (*path, key))]]


def without(node: Node, path: tuple[str, ...]) -> object:
    """Give the tree with one key taken out."""
    if not isinstance(node.value, dict):
        return node.plain()
    kept = {key: child for key, child in node.value.items() if path != (key,)}
    return {key: without(child, path[1:] if path[0] == key else ("",)) for key, child in kept.items()}


SHIPPED_TREE = load_yaml(SHIPPED.read_text("utf-8"), "edge.yaml", {}, Problems())
KEYS = [path for path in leaves(SHIPPED_TREE) if path]


def test_shipped_file_says_the_defaults() -> None:
    assert load_config(SHIPPED, {}) == Config(SHIPPED, ROOT / "var", ROOT / "pipelines")


@pytest.mark.parametrize("path", KEYS, ids=".".join)
def test_any_key_may_be_left_out(path: tuple[str, ...]) -> None:
    """Flow YAML is what JSON is, so the shortened tree can be written as that."""
    assert parse_config(json.dumps(without(SHIPPED_TREE, path)), FILE, {}) == DEFAULTS


def test_a_single_line_is_a_configuration() -> None:
    assert parse_config("site: {}", FILE, {}) == DEFAULTS


def test_shipped_file_and_reference_name_every_key_with_its_default() -> None:
    """A key that is added is added to both."""
    reference = (ROOT / "docs/configuration.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([a-z_.<>]+)` \|[^|]*\| `([^|]*)` \|", reference, re.MULTILINE))
    written = {
        re.sub(r"(default)\.\w+", r"\1.<purpose>", ".".join(path)): path
        for path in KEYS
        if ".".join(path) in ("write_keys", "hooks", "limits", "consent.map")
        or not any(other[: len(path)] == path and other != path for other in KEYS)
    }
    assert rows.keys() == written.keys()
    for name, path in written.items():
        assert f"{path[-1]}: {rows[name]}" in SHIPPED.read_text("utf-8").replace('"127.0.0.1:8', "127.0.0.1:8"), name


def test_shipped_file_names_every_field_of_the_dataclasses() -> None:
    sections = (SiteConfig, SpoolConfig, CollectorConfig, CookieConfig, OpsConfig, IdentityConfig, DrainerConfig)
    for section in sections:
        name = section.__name__.removesuffix("Config").lower()
        fields = {field.removesuffix("_s") for field in section.__dataclass_fields__}
        assert fields == {path[1] for path in KEYS if path[0] == name and len(path) == 2}


def test_environment_example_holds_placeholders_only() -> None:
    lines = (ROOT / "config/edge.env.example").read_text("utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == [
        "EDGE_COOKIE_KEY=",
        "KLAVIYO_PRIVATE_API_KEY=",
    ]


def test_limits_of_a_file_are_the_documented_ones() -> None:
    reference = (ROOT / "docs/configuration.md").read_text("utf-8")
    limits = f"{MAX_BYTES // 10**6} MB, {MAX_NODES:,} values, {MAX_DEPTH} levels and one document, "
    limits += f".* at most {MAX_EXPANDED_NODES} values"
    assert re.search(limits, reference)
