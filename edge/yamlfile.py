"""YAML text to a tree that knows its lines.

The tree grows from the parser's events, without recursion, so no file can exhaust the stack. A plain scalar is a
number, `true`, `false` or `null` only where nobody could mean a text; everything else is the text that was written.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeAlias

import yaml

from edge.errors import ConfigErrors, Problem

MAX_BYTES = 1_000_000
MAX_DEPTH = 20
MAX_EXPANDED_NODES = 100
MAX_SAFE_INTEGER = 2**53 - 1

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
Value: TypeAlias = bool | int | float | str | list["Node"] | dict[str, "Node"] | None

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")
_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^{}]*)\}|\$\{")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?", re.DOTALL)
_SCALAR_TYPES: dict[str, tuple[type, ...]] = {
    _CORE + "int": (int,),
    _CORE + "float": (int, float),
    _CORE + "bool": (bool,),
    _CORE + "null": (type(None),),
}


@dataclass(frozen=True, slots=True)
class Node:
    """One value of a file and the place it was written.

    `key_line` is the line of the key that names it (its own line in a list); `written` is a scalar's text as it
    stands in the file, before `${NAME}` was replaced; `is_from_environ` says that a variable gave (part of) it.
    """

    value: Value
    line: int
    column: int
    file: str
    key_line: int = 0
    written: str | None = None
    is_from_environ: bool = False

    def plain(self) -> Plain:
        """Give the value without its places: None, bool, int, float, str, list or dict."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def load_yaml(text: str, file: str, environ: Mapping[str, str]) -> Node:
    """Read one YAML document.

    Args:
        text: what the file holds.
        file: its name, for messages.
        environ: where `${NAME}` and `${NAME:-default}` are looked up; `$${` stands for a literal `${`.
    Returns:
        The root node. Scalars with a reference are always text, whatever the variable holds.
    Raises:
        ConfigErrors: with every problem found; a file that breaks a limit or the grammar is read no further.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise ConfigErrors([Problem(file, 0, "", "is not valid UTF-8: save it as UTF-8")]) from error
    if len(encoded) > MAX_BYTES:
        raise ConfigErrors([Problem(file, 0, "", f"has {len(encoded)} bytes; at most {MAX_BYTES} are read")])
    builder = _Builder(file, environ)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.take(event)
    except yaml.YAMLError as error:
        raise ConfigErrors([*builder.problems, _syntax_problem(error, encoded, file)]) from error
    return builder.finish()


def _syntax_problem(error: yaml.YAMLError, encoded: bytes, file: str) -> Problem:
    """Say where the grammar was broken, in the parser's own words."""
    if isinstance(error, yaml.reader.ReaderError):
        line = encoded.count(b"\n", 0, error.position) + 1
        return Problem(file, line, "", f"is not YAML: {error.reason} (code {error.character!r})")
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Problem(file, 0, "", f"is not YAML: {error}")
    mark, context = error.problem_mark, f"{error.context}, " if error.context else ""
    what = f"is not YAML: {context}{error.problem} (column {mark.column + 1})"
    if b"${" in b"".join(encoded.split(b"\n")[max(0, mark.line - 1) : mark.line + 1]):
        what += '; inside [ ] and { } a reference needs quotes: "${NAME}"'
    return Problem(file, mark.line + 1, "", what)


def plain_value(text: str) -> bool | int | float | str | None:
    """Give what a plain scalar means; anything doubtful stays the text it is."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and abs(int(text)) <= MAX_SAFE_INTEGER:
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet; `nodes` counts it with all below, aliases expanded."""

    node: Node
    anchor: str | None = None
    key: str | None = None
    key_line: int = 0
    nodes: int = 1
    height: int = 1

    def step(self) -> str:
        key = "" if self.key is None else f".{self.key}"
        return f"[{len(self.node.value)}]" if isinstance(self.node.value, list) else key


def _substitute(written: str, environ: Mapping[str, str]) -> tuple[str, bool, list[str]]:
    """Replace every reference once: the text, whether a variable gave any of it, and what went wrong."""
    wrong: list[str] = []
    given: list[str] = []

    def one(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        inside = _INSIDE.fullmatch(found["inside"] or "")
        if inside is None:
            wrong.append(f"{found[0]!r} is no reference: write ${{NAME}} or ${{NAME:-default}}; $${{ gives ${{ itself")
            return ""
        name, default = inside["name"], inside["default"]
        value = environ.get(name)
        if default is not None and not value:
            return str(default)
        if value is None:
            wrong.append(
                f"the variable {name} is not set: set it; what is no secret may have a default, ${{{name}:-default}}"
            )
        given.append(value or "")
        return value or ""

    return _REFERENCE.sub(one, written), any(given), wrong


class _Builder:
    """Takes events one by one and grows the tree; what can be survived is noted, what cannot is raised."""

    def __init__(self, file: str, environ: Mapping[str, str]) -> None:
        self.problems: list[Problem] = []
        self._file, self._environ = file, environ
        self._root: Node | None = None
        self._open: list[_Open] = []
        self._anchors: dict[str, _Open | None] = {}
        self._expanded = 0

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
            case yaml.DocumentStartEvent() if self._root is not None:
                self._stop(event, "a second document starts here (---): one file holds one document")

    def finish(self) -> Node:
        if not self.problems and (self._root is None or self._root.value is None):
            self.problems.append(Problem(self._file, 0, "", "is empty: nothing is configured in it"))
        if self._root is None or self.problems:
            raise ConfigErrors(self.problems)
        return self._root

    def _path(self) -> str:
        return "".join(level.step() for level in self._open).removeprefix(".")

    def _note(self, event: yaml.Event, what: str) -> None:
        self.problems.append(Problem(self._file, _place_of(event)[0], self._path(), what))

    def _stop(self, event: yaml.Event, what: str) -> NoReturn:
        self._note(event, what)
        raise ConfigErrors(self.problems)

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].node.value, dict) and self._open[-1].key is None

    def _node(self, event: yaml.Event, value: Value, written: str | None = None, is_from_environ: bool = False) -> Node:
        line, column = _place_of(event)
        return Node(value, line, column, self._file, self._key_line(line), written, is_from_environ)

    def _key_line(self, line: int) -> int:
        return self._open[-1].key_line if self._open and self._open[-1].key is not None else line

    def _place(self, node: Node, nodes: int = 1, height: int = 0) -> None:
        """Hang a node under the innermost open one."""
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.nodes += nodes
        parent.height = max(parent.height, height + 1)
        if isinstance(parent.node.value, list):
            parent.node.value.append(node)
        elif isinstance(parent.node.value, dict):
            parent.node.value.setdefault(parent.key or "", node)
            parent.key = None

    def _key(self, event: yaml.ScalarEvent) -> None:
        level, text = self._open[-1], str(event.value)
        level.key, level.key_line = text, _place_of(event)[0]
        is_plain = event.tag is None and event.implicit[0]
        if is_plain and text == "<<":
            self._note(event, "merge keys are not read: write the keys out, or quote it where '<<' is a name")
        elif is_plain and not isinstance(plain_value(text), str):
            self._note(event, f"the key {text or '(nothing)'} is not a text: put it in quotes, '{text}'")
        self._check_tag(event, _CORE + "str")
        first = level.node.value.get(text) if isinstance(level.node.value, dict) else None
        if first is not None:
            self._note(event, f"this key stands here and in line {first.key_line}: keep one of them")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        written = str(event.value)
        text, is_from_environ, wrong = _substitute(written, self._environ) if "${" in written else (written, False, [])
        for what in wrong:
            self._note(event, what)
        self._check_tag(event, _CORE + "str", *_SCALAR_TYPES)
        value: Value = text
        if text is written and ((event.tag is None and event.implicit[0]) or event.tag in _SCALAR_TYPES):
            value = plain_value(text)
        if text is written and type(value) not in _SCALAR_TYPES.get(event.tag or "", (type(value),)):
            self._note(event, f"{written!r} is not what its tag {(event.tag or '').replace(_CORE, '!!')} says")
        node = self._node(event, value, written, is_from_environ)
        if event.anchor:
            self._anchors[event.anchor] = _Open(node, height=0)
        self._place(node)

    def _check_tag(self, event: Any, *accepted: str) -> None:
        if event.tag not in (None, "!", *accepted):
            self._note(event, f"the tag {event.tag.replace(_CORE, '!!')} is not read here: write the value without it")

    def _start(self, event: Any, value: list[Node] | dict[str, Node], kind: str) -> None:
        if self._expects_key():
            self._stop(event, "a key is a text, not a list or a mapping")
        if len(self._open) >= MAX_DEPTH:
            self._stop(event, f"is nested too deep: at most {MAX_DEPTH} levels are read")
        self._check_tag(event, _CORE + kind)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._open.append(_Open(self._node(event, value), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        if done.anchor:
            self._anchors[done.anchor] = done
        self._place(done.node, done.nodes, done.height)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name, line = event.anchor, _place_of(event)[0]
        if self._expects_key():
            self._stop(event, f"*{name} stands for a key: write the key itself")
        if name not in self._anchors:
            self._stop(event, f"*{name} refers to nothing: no &{name} stands above it")
        target = self._anchors[name]
        if target is None:
            self._stop(event, f"*{name} stands inside its own &{name}")
        self._expanded += target.nodes
        if self._expanded > MAX_EXPANDED_NODES:
            self._stop(event, f"aliases (*{name}) repeat more than {MAX_EXPANDED_NODES} values: write them out")
        if len(self._open) + target.height > MAX_DEPTH:
            self._stop(event, f"*{name} is nested too deep: at most {MAX_DEPTH} levels are read")
        self._place(replace(target.node, key_line=self._key_line(line)), target.nodes, target.height)


def _place_of(event: yaml.Event) -> tuple[int, int]:
    """Give line and column as people count them."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
