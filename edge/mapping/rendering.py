"""Applying a compiled mapping to what one event brings.

Targets that stand beside each other and read keys of the same object are rendered in one loop over that object; each
has one closure at most for what happens to its value. So a mapping costs little more than the same code by hand.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Tree
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from typing import TypeAlias

from edge.mapping.paths import entry, find_at


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why an event cannot be mapped: the target, the path it reads, and what is wrong; never the value itself."""

    target: str
    path: str
    what: str

    def __str__(self) -> str:
        return f"{self.target}: {self.path} {self.what}"

    def under(self, target: str, path: str = "") -> "Unfit":
        """Give the same, told from one level further out."""
        return replace(
            self,
            target=f"{target}.{self.target}" if self.target else target,
            path=f"{path}.{self.path}" if path else self.path,
        )


# Takes what stands at a target's place, None where nothing does; gives the value, None for none, or an Unfit.
Finish: TypeAlias = Callable[[object], object]
Step: TypeAlias = Callable[[Tree[str, object], dict[str, object]], Unfit | None]


@dataclass(frozen=True, slots=True)
class Field:
    """One target: the steps of the path it reads (none: the whole source), and what is made of what stands there.

    `is_open` says that its value may be an object, or a list of them, whose keys only the events know; `inner` are
    the paths of what a nested mapping makes.
    """

    target: str
    steps: tuple[str, ...]
    finish: Finish | None
    is_open: bool = True
    inner: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """Compiled targets in the order of the file.

    `paths` names what can come out: every target, nested ones with dots ("Items.ProductID"), and "Items.*" where
    only the events know which keys stand inside.
    """

    steps: tuple[Step, ...] = ()
    paths: tuple[str, ...] = ()


def mapping_of(fields: Sequence[Field]) -> Mapping:
    """Compile the fields of one level."""
    steps: list[Step] = []
    for parent, group in groupby(fields, lambda field: field.steps[:-1] if field.steps else None):
        neighbours = list(group)
        steps += map(_whole, neighbours) if parent is None else [_run(parent, neighbours)]
    return Mapping(tuple(steps), tuple(path for field in fields for path in _paths(field)))


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
    for step in mapping.steps:
        unfit = step(source, rendered)
        if unfit is not None:
            return unfit
    return rendered


def _run(parent: tuple[str, ...], group: Sequence[Field]) -> Step:
    """Render targets that read keys of one object."""
    find, fields = find_at(parent), [(field.target, field.steps[-1], field.finish) for field in group]

    def step(source: Tree[str, object], rendered: dict[str, object]) -> Unfit | None:
        held = find(source)
        get = held.get if isinstance(held, dict) else partial(entry, held)
        for target, key, finish in fields:
            value = get(key)
            if finish is not None:
                value = finish(value)
                if type(value) is Unfit:
                    return value.under(target)
            if value is not None:
                rendered[target] = value
        return None

    return step


def _whole(field: Field) -> Step:
    """Render a target that reads the whole source."""
    target, finish = field.target, field.finish

    def step(source: Tree[str, object], rendered: dict[str, object]) -> Unfit | None:
        value = source if finish is None else finish(source)
        if type(value) is Unfit:
            return value.under(target)
        if value is not None:
            rendered[target] = value
        return None

    return step


def _paths(field: Field) -> Iterable[str]:
    yield field.target
    yield from (f"{field.target}.{path}" for path in field.inner)
    if field.is_open:
        yield f"{field.target}.*"
