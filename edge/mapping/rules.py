"""Compiling rules: a mode finds a value, `type` converts it, `default` fills a gap, `required` asks for a value."""

from collections.abc import Callable, Sequence

from edge.mapping.lists import Entries, count, each, join, picked, total
from edge.mapping.modes import Made, direct, expression, first_of, reading, static, template, value_map
from edge.mapping.paths import astray
from edge.mapping.rendering import Field, Finish, Mapping, Unfit, mapping_of
from edge.mapping.types import TYPE_EXAMPLES, TYPES
from edge.settings import Reader, quoted

RULE = "a rule, {source: properties.item_name}"
FIELD = "a rule with its target, {source: item_name, target: ProductName}"
FIELDS = "a list of {source: …, target: …}, or a path inside each item as field"


def compile_mapping(reader: Reader, roots: Sequence[str] = ()) -> Mapping:
    """Compile a mapping whose keys are targets; what is wrong is collected in the reader's problems.

    Args:
        reader: of the mapping.
        roots: what stands at the top of what the mapping will be applied to, the likeliest first; a path that begins
            otherwise is a problem. Empty: any path may find something.
    """
    fields = []
    for target, rule in reader.entries(RULE):
        if not target:
            reader.refuse_key(target, "is no target; accepted is a text with at least one character")
        fields.append(_compile(target, rule, roots))
    return mapping_of(fields)


def _array_map(reader: Reader) -> Made:
    path, steps = reading(reader)
    node, mapping, entries = reader.node("fields"), _fields(reader), Entries(reader, path)
    if reader.node("field") is None:
        if node is None or node.value == []:
            reader.refuse("fields", f"is {'missing' if node is None else 'empty'}; accepted is {FIELDS}")
        return Made(path, steps, each(path, mapping), is_open=False, inner=mapping.paths)
    if node is not None:
        reader.refuse("field", "stands beside fields; accepted is one of the two")
    return Made(path, steps, picked(entries), missing="is missing or empty")


def _fields(reader: Reader) -> Mapping:
    fields: dict[str, Field] = {}
    for row in reader.sections("fields", FIELD):
        target = row.text("target")
        if not target and row.node("target") is not None:
            row.refuse("target", "is empty; accepted is a text")
        if target in fields:
            row.refuse("target", f"'{target}' stands here twice; accepted is one field a target")
        fields[target] = _compile(target, row, roots=())
    return mapping_of(list(fields.values()))


MODES: dict[str, Callable[[Reader], Made]] = {
    "direct": direct,
    "static": static,
    "first_of": first_of,
    "template": template,
    "value_map": value_map,
    "array_map": _array_map,
    "count": count,
    "sum": total,
    "join": join,
    "expression": expression,
}


def _compile(target: str, reader: Reader, roots: Sequence[str]) -> Field:
    """Compile one target's rule: its mode, then what may stand with every mode."""
    mode, written = reader.choice("mode", tuple(MODES), "direct"), reader.node("mode")
    if written is not None and written.value != mode:
        return Field(target, (), None)  # which keys are right is not known
    made = MODES[mode](reader)
    for key, path in made.reads or [("source", made.path)] * bool(made.steps):
        if path and roots and (what := astray(path, roots, is_secret=reader.is_from_environ(key))):
            reader.refuse(key, what)
    kind = None if reader.node("type") is None else reader.choice("type", tuple(TYPES))
    if kind is not None and mode == "array_map":
        reader.refuse("type", "is not for a list; accepted is a type in its fields")
    default = _written(reader, "default", kind)
    for holder, key in made.written:
        _written(holder, key, kind)
    is_required = reader.boolean("required", False)
    reader.done()
    finish = _finish(made, kind, default, is_required)
    return Field(target, made.steps, finish, (made.is_open and kind is None) or default is not None, made.inner)


def _written(reader: Reader, key: str, kind: str | None) -> object:
    """Give a value that the file itself holds, in the type that it is to have."""
    node = reader.node(key)
    value = None if node is None else node.plain()
    if value is None or kind is None:
        return value
    converted = TYPES[kind](value)
    if node is not None and converted is None:
        reader.refuse(key, f"{quoted(node)} cannot be read as the type {kind}; accepted is {TYPE_EXAMPLES[kind]}")
    return converted


def _finish(made: Made, kind: str | None, default: object, is_required: bool) -> Finish | None:
    """Put a mode, its type and what stands for no value into as few closures as it takes."""
    fallback, make = default, made.make
    if default is None and is_required:
        fallback, make = Unfit("", made.path, made.missing), made.strict or made.make
    if kind is None:
        return _made(make, fallback)
    unfit = Unfit("", made.path, f"cannot be read as the type {kind}")
    return _converted(TYPES[kind], unfit, fallback) if make is None else _made(_both(make, kind, unfit), fallback)


def _made(make: Finish | None, fallback: object) -> Finish | None:
    if make is None:
        return None if fallback is None else lambda value: fallback if value is None else value
    known = make

    def finish(value: object) -> object:
        if value is None:
            return fallback
        value = known(value)
        return fallback if value is None else value

    return finish


def _converted(convert: Finish, unfit: Unfit, fallback: object) -> Finish:
    def finish(value: object) -> object:
        if value is None:
            return fallback
        value = convert(value)
        return unfit if value is None else value

    return finish


def _both(make: Finish, kind: str, unfit: Unfit) -> Finish:
    convert = TYPES[kind]

    def made(value: object) -> object:
        value = make(value)
        if value is None or type(value) is Unfit:
            return value
        converted = convert(value)
        return unfit if converted is None else converted

    return made
