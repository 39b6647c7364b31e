"""YAML text to a tree that knows its lines.

The tree grows from the parser's events, without recursion, so no file can exhaust the stack. A plain scalar is a
number, `true`, `false` or `null` only where nobody could mean a text; what readers of YAML disagree about is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import yaml

from edge.errors import ConfigErrors, Problem
from edge.secret import masked
from edge.yamlfile.grammar import advice_on
from edge.yamlfile.node import Node, Problems, Value
from edge.yamlfile.scalars import plain_value, substitute, trap_of

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 10_000
MAX_EXPANDED_NODES = 100

NOT_UTF8 = "is not valid UTF-8: save it as UTF-8"

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_SCALAR_TYPES: dict[str, tuple[type, ...]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}


def read_text(path: Path) -> str:
    """Give a text file's content; raises ConfigErrors with the reason where it has none."""
    try:
        content = path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror}); accepted is a file that this user may read"
        raise ConfigErrors([Problem(str(path), 0, "", what)]) from error
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line, column = _end_of(content[: error.start].decode())
        raise ConfigErrors([Problem(str(path), line, "", NOT_UTF8, column)]) from error


def load_yaml(text: str, file: str, environ: Mapping[str, str], problems: Problems) -> Node:
    """Read one YAML document.

    Args:
        text: what the file holds.
        file: its name, for messages.
        environ: where `${NAME}` and `${NAME:-default}` are looked up; `$${` stands for a literal `${`.
        problems: collects what can be survived, such as a variable that is not set; such nodes are `is_refused`.
    Returns:
        The root node. Scalars with a reference are always text, whatever the variable holds.
    Raises:
        ConfigErrors: the file breaks a limit or the grammar or is empty; with what was found before.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        line, column = _end_of(text[: error.start])
        problems.stop(Problem(file, line, "", NOT_UTF8, column))
    if len(encoded) > MAX_BYTES:
        problems.stop(Problem(file, 0, "", f"has {len(encoded)} bytes; at most {MAX_BYTES} are read"))
    builder = _Builder(file, environ, problems)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        line, column, what = advice_on(error, text)
        problems.stop(Problem(file, line, "", what, column))
    return builder.finish()


@dataclass(slots=True)
class _Key:
    """A key whose value has not come yet."""

    text: str
    place: tuple[int, int]
    is_refused: bool


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; `nodes` counts it with all below, aliases expanded."""

    node: Node
    anchor: str | None = None
    key: _Key | None = None
    nodes: int = 1
    height: int = 1

    def step(self) -> str:
        key = "" if self.key is None else f".{masked(self.key.text)}"
        return f"[{len(self.node.value)}]" if isinstance(self.node.value, list) else key


@dataclass(slots=True)
class _Builder:
    """Takes events one by one and grows the tree; what can be survived is noted, what cannot is raised."""

    file: str
    environ: Mapping[str, str]
    problems: Problems
    root: Node | None = None
    nodes: int = 0
    expanded: int = 0
    open: list[_Open] = field(default_factory=list)
    anchors: dict[str, _Open | None] = field(default_factory=dict)

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.ScalarEvent() if self._expects_key():
                self._key(event)
            case yaml.ScalarEvent():
                self._scalar(event)
            case yaml.MappingStartEvent():
                self._start(event, {}, "map")
            case yaml.SequenceStartEvent():
                self._start(event, [], "seq")
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._end()
            case yaml.AliasEvent():
                self._alias(event)
            case yaml.DocumentStartEvent() if self.root is not None:
                self._stop(event, "a second document starts here (---); accepted is one document a file")

    def finish(self) -> Node:
        if self.root is None or self.root.value is None:
            line, column = (1, 1) if self.root is None else (self.root.line, self.root.column)
            self.problems.stop(Problem(self.file, line, "", "is empty: nothing is configured in it", column))
        return self.root

    def _path(self) -> str:
        return "".join(level.step() for level in self.open).removeprefix(".")

    def _problem(self, event: yaml.Event, what: str, variable: str = "") -> Problem:
        line, column = _place_of(event)
        return Problem(self.file, line, self._path(), what, column, variable)

    def _note(self, event: yaml.Event, what: str, variable: str = "") -> None:
        self.problems.note(self._problem(event, what, variable))

    def _stop(self, event: yaml.Event, what: str) -> NoReturn:
        self.problems.stop(self._problem(event, what))

    def _expects_key(self) -> bool:
        return bool(self.open) and isinstance(self.open[-1].node.value, dict) and self.open[-1].key is None

    def _node(self, event: yaml.Event, value: Value, **more: Any) -> Node:
        self.nodes += 1
        if self.nodes > MAX_NODES:
            self._stop(event, f"holds more than {MAX_NODES} values, the most that are read")
        line, column = _place_of(event)
        return Node(value, line, column, self.file, *self._key_of(line, column), **more)

    def _key_of(self, line: int, column: int) -> tuple[int, int, bool]:
        """Give place and state of the key that waits for its value; an entry of a list has its own."""
        key = self.open[-1].key if self.open else None
        return (line, column, False) if key is None else (*key.place, key.is_refused)

    def _place(self, node: Node, nodes: int = 1, height: int = 0) -> None:
        """Hang a node under the innermost open one; of two keys with one name the first stays."""
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        parent.nodes += nodes
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif isinstance(parent.node.value, dict) and parent.key is not None:
            parent.node.value.setdefault(parent.key.text, node)
            parent.key = None

    def _key(self, event: yaml.ScalarEvent) -> None:
        level, text = self.open[-1], str(event.value)
        level.key = _Key(text, _place_of(event), is_refused=False)
        for what in self._wrong_with_key(event, text):
            level.key.is_refused = True
            self._note(event, what)
        first = level.node.value.get(text) if isinstance(level.node.value, dict) else None
        if first is not None:
            self._note(event, f"this key stands here and in line {first.key_line}; accepted is one of them")

    def _wrong_with_key(self, event: yaml.ScalarEvent, text: str) -> list[str]:
        wrong = self._wrong_tag(event, _CORE + "str")
        if event.tag is not None or not event.implicit[0]:
            return wrong
        if text == "<<":
            wrong.append("merge keys are not read; accepted are the keys written out, or '<<' in quotes for the name")
        elif not isinstance(plain_value(text), str):
            wrong.append(f"the key {text or '(nothing)'} is not a text; accepted is '{text}' in quotes")
        elif trap := trap_of(text):
            wrong.append(trap.of_key())
        return wrong

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        written = str(event.value)
        given = substitute(written, self.environ)
        for one in given.unresolved:
            self._note(event, one.what, one.variable)
        wrong = self._wrong_tag(event, _CORE + "str", *_SCALAR_TYPES)
        value: Value = given.text
        if given.text is written:
            value = self._value_of(event, written, wrong)
        for what in wrong:
            self._note(event, what)
        node = self._node(
            event,
            value,
            written=written,
            is_from_environ=given.is_from_environ,
            is_refused=bool(wrong or given.unresolved),
        )
        if event.anchor:
            self.anchors[event.anchor] = _Open(node, height=0)
        self._place(node)

    def _value_of(self, event: yaml.ScalarEvent, written: str, wrong: list[str]) -> Value:
        """Give what a scalar without references means; what is wrong with it goes to `wrong`."""
        is_plain = event.tag is None and event.implicit[0]
        value = plain_value(written) if is_plain or event.tag in _SCALAR_TYPES else written
        if type(value) not in _SCALAR_TYPES.get(event.tag or "", (type(value),)):
            tag = (event.tag or "").replace(_CORE, "!!")
            wrong.append(f"'{masked(written)}' is not what its tag {tag} says; accepted is the value without a tag")
        elif is_plain and isinstance(value, str) and (trap := trap_of(written)):
            wrong.append(trap.of_value())
        return value

    def _wrong_tag(self, event: Any, *accepted: str) -> list[str]:
        if event.tag in (None, "!", *accepted):
            return []
        return [f"the tag {masked(event.tag.replace(_CORE, '!!'))} is not read; accepted is the value without a tag"]

    def _start(self, event: Any, value: list[Node] | dict[str, Node], kind: str) -> None:
        if self._expects_key():
            self._stop(event, "this key is a list or a mapping; accepted are texts")
        if len(self.open) >= MAX_DEPTH:
            self._stop(event, f"is nested too deep; accepted are at most {MAX_DEPTH} levels")
        wrong = self._wrong_tag(event, _CORE + kind)
        for what in wrong:
            self._note(event, what)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.open.append(_Open(self._node(event, value, is_refused=bool(wrong)), event.anchor))

    def _end(self) -> None:
        done = self.open.pop()
        if done.anchor:
            self.anchors[done.anchor] = done
        self._place(done.node, done.nodes, done.height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = masked(str(event.anchor))
        if self._expects_key():
            self._stop(event, f"*{name} stands for a key; accepted is the key itself")
        if event.anchor not in self.anchors:
            self._stop(event, f"*{name} refers to nothing: no &{name} stands above it")
        target = self.anchors[event.anchor]
        if target is None:
            self._stop(event, f"*{name} stands inside its own &{name}")
        self.expanded += target.nodes
        if self.expanded > MAX_EXPANDED_NODES:
            self._stop(event, f"aliases (*{name}) repeat more than {MAX_EXPANDED_NODES} values: write them out")
        if len(self.open) + target.height > MAX_DEPTH:
            self._stop(event, f"*{name} is nested too deep; accepted are at most {MAX_DEPTH} levels")
        line, column, is_refused = self._key_of(*_place_of(event))
        node = replace(target.node, key_line=line, key_column=column, is_key_refused=is_refused)
        self._place(node, target.nodes, target.height)


def _place_of(event: yaml.Event) -> tuple[int, int]:
    """Give line and column as people count them."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)


def _end_of(text: str) -> tuple[int, int]:
    """Give line and column of what follows a text."""
    return text.count("\n") + 1, len(text) - text.rfind("\n")
