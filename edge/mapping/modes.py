"""What `mode` may say, but for lists: each reads its own keys and gives how its value is made."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from edge.mapping.expressions import Expression, compile_expression, read_by
from edge.mapping.paths import Get, look_up, parse_path
from edge.mapping.rendering import Finish, Unfit
from edge.mapping.templates import NO_TEMPLATE, filled, parse_template
from edge.mapping.types import as_string
from edge.settings import Reader

T = TypeVar("T")

SOURCES = "a list of paths, [properties.sku, properties.item_id]"
MAP = 'a mapping of texts to values, {newsletter: Newsletter, "*": Other}'


@dataclass(frozen=True, slots=True)
class Made:
    """What a mode made of its keys.

    `path` is what messages name; `steps` are those of the path it reads, none for the whole source. `make` gets what
    stands there, never None, and gives the value, None for none, or an Unfit; `strict` does the same where a value is
    required and knows better than `missing` what to say. `written` are the values that the file itself holds. `reads`
    are paths from the top of the source, each with the key it stands under; those of `steps` are not among them.
    """

    path: str
    steps: tuple[str, ...] = ()
    make: Finish | None = None
    strict: Finish | None = None
    missing: str = "is missing"
    is_open: bool = True
    inner: tuple[str, ...] = ()
    written: Sequence[tuple[Reader, str]] = ()
    reads: Sequence[tuple[str, str]] = ()


def parsed_at(reader: Reader, key: str, parse: Callable[[str], T], fallback: T) -> T:
    """Read a text that has to be there, as `Reader.parsed` does."""
    if reader.node(key) is None:
        reader.text(key)
    return reader.parsed(key, parse, fallback)


def reading(reader: Reader) -> tuple[str, tuple[str, ...]]:
    """Read `source`: the path, and its steps."""
    path = parsed_at(reader, "source", parse_path, "")
    return path, tuple(path.split("."))


def direct(reader: Reader) -> Made:
    path, steps = reading(reader)
    return Made(path, steps)


def static(reader: Reader) -> Made:
    node = reader.node("value")
    if node is None:
        reader.refuse("value", "is missing; accepted is any value")
        return Made("value")
    value = node.plain()
    return Made("value", make=lambda source: value, written=[(reader, "value")])


def first_of(reader: Reader) -> Made:
    node, paths = reader.node("sources"), reader.parsed_list("sources", parse_path, ())
    if node is None or node.value == []:
        reader.refuse("sources", f"is {'missing' if node is None else 'empty'}; accepted is {SOURCES}")
    find = _first_there([look_up(path) for path in paths])
    return Made(" or ".join(paths), make=find, reads=[("sources", path) for path in paths])


def _first_there(finders: Sequence[Get]) -> Finish:
    def make(source: object) -> object:
        for get in finders:
            value = get(source)
            if value is not None and not (isinstance(value, str) and (not value or value.isspace())):
                return value
        return None

    return make


def template(reader: Reader) -> Made:
    parts = parsed_at(reader, "template", parse_template, NO_TEMPLATE)
    paths = [path for _, path in parts if path is not None]
    make, strict = filled(parts, None), filled(parts, "is missing")
    reads = [("template", path) for path in paths]
    return Made(" or ".join(paths) or "template", make=make, strict=strict, is_open=False, reads=reads)


def value_map(reader: Reader) -> Made:
    path, steps = reading(reader)
    node, section = reader.node("map"), reader.section("map")
    nodes = dict(section.nodes())
    if node is None or node.value in ({}, None):
        reader.refuse("map", f"is {'missing' if node is None else 'empty'}; accepted is {MAP}")
    for key, value in nodes.items():
        if isinstance(value.value, list | dict):
            section.refuse(key, "is not a single value; accepted is a text, a number, true, false or null")
    values: dict[str, object] = {key: value.plain() for key, value in nodes.items()}
    missing = "is missing" if "*" in values else "is missing or not in the map"
    return Made(path, steps, _mapped(values, path), missing=missing, written=[(section, key) for key in values])


def _mapped(values: dict[str, object], path: str) -> Finish:
    other, unfit = values.get("*"), Unfit("", path, "is not a text")

    def make(value: object) -> object:
        text = as_string(value)
        return unfit if text is None else values.get(text, other)

    return make


def expression(reader: Reader) -> Made:
    nothing: Expression = _nothing
    evaluate = parsed_at(reader, "expression", compile_expression, nothing)
    reads = [("expression", name) for name in read_by(reader.text("expression"))]
    return Made("expression", make=_evaluated(evaluate), missing="gives nothing", reads=reads)


def _nothing(source: object) -> object:
    return None


def _evaluated(evaluate: Expression) -> Finish:
    def make(source: object) -> object:
        value = evaluate(source)
        if type(value) is Unfit:
            return replace(value, path="expression")
        return None if value == [] else value

    return make
