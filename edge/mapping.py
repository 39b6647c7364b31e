"""Mappings: a target, where its value comes from, and how; compiled once to closures.

    ProductName: {source: properties.item_name, mode: direct}
    Items:
      source: properties.items
      mode: array_map
      fields:
        - {source: item_name, target: ProductName}

Compiling collects problems in its reader; applying never raises. A source that is not there, or is null, leaves its
target out; `default` fills it, `required` makes it a reason not to send the event.
"""

from collections.abc import Callable
from collections.abc import Mapping as Tree
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeAlias

from edge.jsontree import number_of
from edge.settings import Reader


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why an event cannot be mapped: the target, the path it reads, and what is wrong; never the value itself."""

    target: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.target}: {self.path} {self.what}"


Get: TypeAlias = Callable[[Tree[str, object]], object]


@dataclass(frozen=True, slots=True)
class Mapping:
    """Compiled targets in the order of the file; each `Get` gives a value, None where there is none, or an Unfit."""

    targets: tuple[tuple[str, Get], ...] = ()


def compile_mapping(reader: Reader) -> Mapping:
    """Compile a mapping whose keys are targets; what is wrong is collected in the reader's problems."""
    return Mapping(tuple((target, _compile(rule)) for target, rule in reader.entries()))


def apply(mapping: Mapping, source: Tree[str, object]) -> dict[str, object] | Unfit:
    """Render one event's targets.

    Args:
        mapping: from `compile_mapping`.
        source: {"id", "name", "time", "properties": {…}, "traits": {…}, "context": {…}}; never modified.
    Returns:
        Only the targets whose source was present, in the mapping's order; arrays keep theirs. Values may be shared
        with the source and with the mapping: do not modify them. Or the first Unfit.
    Source:
        docs/pipelines.md, "Modes".
    """
    rendered: dict[str, object] = {}
    for target, get in mapping.targets:
        value = get(source)
        if isinstance(value, Unfit):
            return replace(value, target=f"{target}.{value.target}" if value.target else target)
        if value is not None:
            rendered[target] = value
    return rendered


def look_up(path: str) -> Get:
    """Compile a dotted path: keys, and list positions such as `items.0.item_name`. Null counts as not there."""
    steps = tuple((part, int(part) if part.isascii() and part.isdigit() else -1) for part in path.split("."))

    def get(source: Tree[str, object]) -> object:
        value: object = source
        for key, index in steps:
            if isinstance(value, dict):
                value = value.get(key)
            elif isinstance(value, list) and 0 <= index < len(value):
                value = value[index]
            else:
                return None
        return value

    return get


def _as_string(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else None


def _as_integer(value: object) -> int | None:
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None


def _as_boolean(value: object) -> bool | None:
    if isinstance(value, bool | int | str):
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(str(value).lower())
    return None


def _as_datetime(value: object) -> str | None:
    """Give ISO 8601 in UTC, e.g. "2026-11-20T14:03:09Z", from ISO 8601 text or from seconds or milliseconds."""
    number = number_of(value)
    try:
        if number is not None:
            moment = datetime.fromtimestamp(number / 1000 if abs(number) >= 1e11 else number, UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        else:
            return None
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds" if moment.microsecond >= 1000 else "seconds").replace("+00:00", "Z")


TYPES: dict[str, Callable[[object], object]] = {
    "string": _as_string,
    "number": number_of,
    "integer": _as_integer,
    "boolean": _as_boolean,
    "datetime": _as_datetime,
}


def _direct(reader: Reader) -> "_Found":
    path = _path(reader)
    return _Found(path, look_up(path))


def _static(reader: Reader) -> "_Found":
    node = reader.node("value")
    if node is None:
        reader.refuse("value", "is missing; accepted is any value")
        return _Found("value", _nothing)
    value = node.plain()
    return _Found("value", lambda source: value)


def _array_map(reader: Reader) -> "_Found":
    path = _path(reader)
    fields: dict[str, Get] = {}
    for row in reader.sections("fields"):
        target = row.text("target")
        if target in fields:
            row.refuse("target", f"'{target}' stands here twice; accepted is one field a target")
        fields[target] = _compile(row)
    if not fields:
        reader.refuse("fields", "is missing; accepted is a list of {source: …, target: …}")
    mapping = Mapping(tuple(fields.items()))
    return _Found(path, _each(path, look_up(path), mapping))


def _each(path: str, look: Get, mapping: Mapping) -> Get:
    def get(source: Tree[str, object]) -> object:
        items = look(source)
        if not isinstance(items, list):
            return None if items is None else Unfit("", path, "is not a list")
        made: list[object] = []
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                return Unfit(str(index), f"{path}.{index}", "is not an object")
            row = apply(mapping, item)
            if isinstance(row, Unfit):
                return replace(row, target=f"{index}.{row.target}", path=f"{path}.{index}.{row.path}")
            made.append(row)
        return made

    return get


@dataclass(frozen=True, slots=True)
class _Found:
    """What a mode made of its keys: the path that messages name, and the closure."""

    path: str
    get: Get


MODES: dict[str, Callable[[Reader], _Found]] = {"direct": _direct, "static": _static, "array_map": _array_map}


def _nothing(source: Tree[str, object]) -> object:
    return None


def _path(reader: Reader) -> str:
    path = reader.text("source")
    if path and not all(path.split(".")):
        reader.refuse("source", f"'{path}' has an empty step; accepted are keys with dots between, items.0.price")
    return path


def _compile(reader: Reader) -> Get:
    """Compile one target's rule: its mode, then what may stand with every mode."""
    mode, written = reader.choice("mode", tuple(MODES), "direct"), reader.node("mode")
    if written is not None and written.value != mode:
        return _nothing
    found = MODES[mode](reader)
    kind = None if reader.node("type") is None else reader.choice("type", tuple(TYPES))
    default = _written(reader, "default", kind)
    if mode == "static":
        _written(reader, "value", kind)
    get = found.get if kind is None else _converted(found, kind)
    if default is not None:
        get = _or_default(get, default)
    if reader.boolean("required", False):
        get = _required(get, found.path)
    reader.done()
    return get


def _converted(found: _Found, kind: str) -> Get:
    convert, unfit = TYPES[kind], Unfit("", found.path, f"cannot be read as the type {kind}")

    def get(source: Tree[str, object]) -> object:
        value = found.get(source)
        if value is None or isinstance(value, Unfit):
            return value
        converted = convert(value)
        return unfit if converted is None else converted

    return get


def _or_default(inner: Get, default: object) -> Get:
    def get(source: Tree[str, object]) -> object:
        value = inner(source)
        return default if value is None else value

    return get


def _required(inner: Get, path: str) -> Get:
    missing = Unfit("", path, "is missing")

    def get(source: Tree[str, object]) -> object:
        value = inner(source)
        return missing if value is None else value

    return get


def _written(reader: Reader, key: str, kind: str | None) -> object:
    """Give a value that the file itself holds, in the type that it is to have."""
    node = reader.node(key)
    value = None if node is None else node.plain()
    if value is None or kind is None:
        return value
    converted = TYPES[kind](value)
    if converted is None:
        reader.refuse(key, f"cannot be read as the type {kind}")
    return converted
