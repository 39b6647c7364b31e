"""Typed reading of a file's values: every problem is collected, with its place and what would be accepted."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from typing import Final, Literal, TypeAlias, TypeVar

from edge.errors import Problem
from edge.secret import Secret, looks_like_key, masked
from edge.units import DURATION, DURATION_UNITS_S, RATE, SIZE, SIZE_UNITS_BYTES, span_of, within
from edge.units import parse_duration_s as parse_duration_s
from edge.units import parse_rate as parse_rate
from edge.units import parse_size_bytes as parse_size_bytes
from edge.yamlfile import Node, defaults_of, plain_value, variables_of
from edge.yamlfile import Problems as Problems

T = TypeVar("T")
Word = TypeVar("Word", bound=str)


class _Marker(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Marker.REQUIRED
Required: TypeAlias = Literal[_Marker.REQUIRED]

LIST = "a list of {}: [a, b], or one a line after '- '; [] for none"
MAPPING = "'key: value', one a line"
_SHELL_LIKE = re.compile(r"\$[A-Za-z_][A-Za-z0-9_]*")
MAX_HINTED_CHARS = 100
REFERENCE = "a reference to an environment variable, ${NAME}"


def quoted(node: Node) -> str:
    """Show a value as the file has it: never what a variable held, never a credential."""
    if isinstance(node.value, list | dict):
        return "a list" if isinstance(node.value, list) else "a mapping"
    if node.value is None or not node.written:
        return "an empty value" if node.value is None else "an empty text"
    of_environ = " (as the environment has it)" if node.is_from_environ else ""
    return f"'{masked(node.written)}'" + (" (empty in the environment)" if node.value == "" else of_environ)


class Reader:
    """Reads one mapping key by key.

    Every getter marks its key as known. A getter without a default requires the key. What cannot be read is noted
    in `problems` and a harmless value of the right type is given, so that reading goes on to the next problem;
    of such a key, and of what is missing in a value that is no mapping, nothing more is said.
    """

    def __init__(self, node: Node, path: str, problems: Problems, shape: str = MAPPING) -> None:
        self.path, self.problems, self._node = path, problems, node
        self._known, self._nodes, self._unread = dict[str, None](), dict[str, Node](), set[str]()
        self._missing = dict[str, Problem]()
        if isinstance(node.value, dict):
            self._nodes = node.value
        elif node.value is not None:
            problems.add(node, path, f"{quoted(node)} is not a mapping; accepted is {shape}")
            self._node = replace(node, is_refused=True)

    def path_of(self, key: str) -> str:
        """Give a key's place in the file, e.g. "spool.keep_for"."""
        return f"{self.path}.{masked(key)}" if self.path else masked(key)

    def refuse(self, key: str, what: str) -> None:
        """Note a problem with a key, or with its absence."""
        if key not in self._unread:
            noted = self.problems.add(self._nodes.get(key, self._node), self.path_of(key), what)
            if noted is not None and key not in self._nodes:
                self._missing[key] = noted

    def refuse_key(self, key: str, what: str) -> None:
        """Note a problem with the name of a key that is there."""
        self.problems.add_to_key(self._nodes[key], self.path_of(key), what)

    def problem_at(self, key: str, what: str) -> Problem:
        """Give a problem with a key, or with its absence, without noting it."""
        node = self._nodes.get(key, self._node)
        return Problem(node.file, node.key_line, self.path_of(key), what, node.key_column)

    def is_from_environ(self, key: str) -> bool:
        """Tell whether a variable gave (part of) a key's value, or of an entry of its list."""
        node = self._nodes[key]
        return any(one.is_from_environ for one in (node.value if isinstance(node.value, list) else [node]))

    def is_unread(self, key: str) -> bool:
        """Tell whether a getter could not read a key, so that the value it gave says nothing."""
        return key in self._unread

    def node(self, key: str) -> Node | None:
        """Give a key's raw value, if it is there."""
        self._known[key] = None
        return self._nodes.get(key)

    def text(self, key: str, default: str | Required = REQUIRED) -> str:
        """Give a text; a number stands for the text that was written, "1.10" stays "1.10"."""
        return self._read(key, default, _text, "", "a text")

    def optional_text(self, key: str) -> str | None:
        """Give a text, or None where the key is absent, null or empty."""
        return None if self._is_null(key) else self.text(key) or None

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """Give what `parse` makes of a text; it raises ValueError("is not …; accepted is …")."""
        return self._read(key, default, lambda node: parse(_text(node)), default, "a text")

    def secret(self, key: str, *, allow_literal: bool = False) -> Secret:
        """Give a credential; one that stands in the file itself is refused unless literals are allowed."""
        return self._read(key, REQUIRED, lambda node: _secret(node, allow_literal), Secret(""), REFERENCE)

    def optional_secret(self, key: str, *, allow_literal: bool = False) -> Secret | None:
        """Give a credential or, where the key is absent or null, None; an empty one is an error."""
        return None if self._is_null(key) else self.secret(key, allow_literal=allow_literal)

    def secrets(self, key: str) -> tuple[Secret, ...]:
        """Give a list of credentials, empty where the key is absent."""
        return self._list(key, (), lambda node: _secret(node, False), REFERENCE)

    def boolean(self, key: str, default: bool | Required = REQUIRED) -> bool:
        return self._read(key, default, _boolean, False, "true or false")

    def integer(
        self, key: str, default: int | Required = REQUIRED, *, minimum: int | None = None, maximum: int | None = None
    ) -> int:
        span = span_of("a whole number", minimum, maximum)
        return self._read(key, default, lambda node: within(_integer(node), minimum, maximum, span), 0, span)

    def number(
        self, key: str, default: float | Required = REQUIRED, minimum: float | None = None, maximum: float | None = None
    ) -> float:
        span = span_of("a number", minimum, maximum)
        return self._read(key, default, lambda node: within(_number(node), minimum, maximum, span), 0.0, span)

    def duration_s(
        self,
        key: str,
        default: float | Required = REQUIRED,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
    ) -> float:
        """Give seconds; the file says them with a unit, and limits are in seconds."""
        span, parse = span_of("a duration", minimum, maximum, DURATION_UNITS_S), parse_duration_s
        return self._read(key, default, lambda node: within(parse(_text(node)), minimum, maximum, span), 0.0, DURATION)

    def size_bytes(
        self, key: str, default: int | Required = REQUIRED, *, minimum: int | None = None, maximum: int | None = None
    ) -> int:
        """Give bytes; the file says them with a unit, and limits are in bytes."""
        span, parse = span_of("a size", minimum, maximum, SIZE_UNITS_BYTES), parse_size_bytes
        return self._read(key, default, lambda node: within(parse(_text(node)), minimum, maximum, span), 0, SIZE)

    def rate(self, key: str, default: float | Required = REQUIRED) -> float:
        """Give events per second; the file says "50/s" or "3000/min"."""
        return self._read(key, default, lambda node: parse_rate(_text(node)), 0.0, RATE)

    def choice(self, key: str, options: Sequence[Word], default: Word | Required = REQUIRED) -> Word:
        """Give one of a closed set of words."""
        accepted = f"one of {', '.join(options)}"
        return self._read(key, default, lambda node: _one_of(_text(node), options), options[0], accepted)

    def texts(self, key: str, default: tuple[str, ...] | Required = REQUIRED) -> tuple[str, ...]:
        return self._list(key, default, _text, "a text")

    def parsed_list(self, key: str, parse: Callable[[str], T], default: tuple[T, ...]) -> tuple[T, ...]:
        """Give what `parse` makes of each text of a list, as `parsed` does."""
        return self._list(key, default, lambda node: parse(_text(node)), "a text")

    def section(self, key: str) -> "Reader":
        """Give a reader of a mapping, an empty one where the key is absent or null."""
        node = self.node(key)
        if node is None:
            node = replace(self._node, value={})
        elif node.value is not None and not isinstance(node.value, dict):
            self._unread.add(key)
        return Reader(node, self.path_of(key), self.problems)

    def sections(self, key: str, shape: str = MAPPING) -> list["Reader"]:
        """Give a reader of each mapping in a list, none where the key is absent; `shape` says what one looks like."""
        nodes = enumerate(self._items(key, "mappings") or ())
        return [Reader(node, f"{self.path_of(key)}[{index}]", self.problems, shape) for index, node in nodes]

    def nodes(self) -> list[tuple[str, Node]]:
        """Give every key, all of them accepted, with its raw value."""
        self._known.update(dict.fromkeys(self._nodes))
        return list(self._nodes.items())

    def entries(self, shape: str = MAPPING) -> list[tuple[str, "Reader"]]:
        """Give every key, all of them accepted, with a reader of its mapping; `shape` says what one looks like."""
        return [(key, Reader(node, self.path_of(key), self.problems, shape)) for key, node in self.nodes()]

    def done(self) -> None:
        """Note every key that no getter asked for; sections answer for themselves.

        Where such a key is nearly the name of a missing one, one message says both.
        """
        accepted = f"accepted here: {', '.join(self._known)}" if self._known else "no key is accepted here"
        for key, node in self._nodes.items():
            if key not in self._known:
                self.problems.add_to_key(node, self.path_of(key), f"unknown key{_hint(key, self._known)}; {accepted}")
                if not node.is_key_refused and (meant := self._missing.pop(_nearest(key, self._known), None)):
                    self.problems.withdraw(meant)

    def _is_null(self, key: str) -> bool:
        return (node := self.node(key)) is None or node.value is None

    def _read(self, key: str, default: T | Required, parse: Callable[[Node], T], fallback: T, accepted: str) -> T:
        if (node := self.node(key)) is not None:
            return (
                fallback
                if key in self._unread
                else self._parse(node, key, self.path_of(key), parse, fallback, accepted)
            )
        if default is not REQUIRED:
            return default
        self.refuse(key, f"is missing; accepted is {accepted}")
        self._unread.add(key)
        return fallback

    def _parse(self, node: Node, key: str, path: str, parse: Callable[[Node], T], fallback: T, accepted: str) -> T:
        """Give what `parse` makes of a node; where it cannot, note that under `path` and remember `key` as unread."""
        try:
            if node.value is None or isinstance(node.value, list | dict):
                raise ValueError(f"is not accepted; accepted is {accepted}")
            if not node.is_refused:
                return parse(node)
        except ValueError as error:
            self._note(node, path, str(error), accepted)
        self._unread.add(key)
        return fallback

    def _note(self, node: Node, path: str, what: str, accepted: str) -> None:
        """Note why a value cannot be read; an empty variable is named where its being empty is what is wrong."""
        is_scalar = node.value is not None and not isinstance(node.value, list | dict)
        names = variables_of(node.written or "") if node.value == "" else ()
        subject = "this value" if accepted == REFERENCE and is_scalar else quoted(node)
        self.problems.add(node, path, f"{subject} {what}", variable=names[0] if names else "")

    def _items(self, key: str, kind: str) -> list[Node] | None:
        if (node := self.node(key)) is None:
            return None
        if isinstance(node.value, list):
            return node.value
        self.refuse(key, f"{quoted(node)} is not a list; accepted is {LIST.format(kind)}")
        self._unread.add(key)
        return []

    def _list(
        self, key: str, default: tuple[T, ...] | Required, parse: Callable[[Node], T], accepted: str
    ) -> tuple[T, ...]:
        found, nodes = list[T](), self._items(key, "texts")
        if nodes is None:
            if default is not REQUIRED:
                return default
            self.refuse(key, f"is missing; accepted is {LIST.format('texts')}")
        for index, node in enumerate(nodes or ()):
            path = f"{self.path_of(key)}[{index}]"
            self._parse(node, key, path, lambda node: found.append(parse(node)), None, accepted)
        return tuple(found)


def _text(node: Node) -> str:
    if isinstance(node.value, str):
        return node.value
    if isinstance(node.value, bool):
        raise ValueError("is not a text; accepted is a text, a word like this one in quotes")
    return node.written or ""


def _typed(node: Node) -> object:
    """Give what a value means as a plain scalar, also where a variable or quotes made it a text."""
    return plain_value(node.value.strip()) if isinstance(node.value, str) else node.value


def _boolean(node: Node) -> bool:
    if isinstance(value := _typed(node), bool):
        return value
    raise ValueError("is not a boolean; accepted are true and false")


def _integer(node: Node) -> int:
    if isinstance(value := _typed(node), int) and not isinstance(value, bool):
        return value
    raise ValueError("is not a whole number; accepted are digits alone, such as 100")


def _number(node: Node) -> float:
    if isinstance(value := _typed(node), int | float) and not isinstance(value, bool):
        return value
    raise ValueError("is not a number; accepted are numbers such as 100 or 0.5")


def _secret(node: Node, allow_literal: bool) -> Secret:
    text = _text(node)
    if not text:
        raise ValueError(f"is empty; accepted is {REFERENCE}, that is set")
    literals = [*defaults_of(node.written or ""), *([] if node.is_from_environ else [text])]
    if not allow_literal and any(map(looks_like_key, literals)):
        raise ValueError(f"stands in the file itself; accepted is {REFERENCE}")
    if _SHELL_LIKE.fullmatch(node.written or ""):
        raise ValueError(f"is no reference without its braces; accepted is {REFERENCE}")
    if text != text.strip() or not text.isprintable():
        raise ValueError("has a space or line end around it or a control character in it; accepted is the bare key")
    return Secret(text)


def _one_of(text: str, options: Sequence[Word]) -> Word:
    for option in options:
        if option == text:
            return option
    raise ValueError(f"is not one of {', '.join(options)}{_hint(text, options)}")


def _hint(text: str, options: Iterable[str]) -> str:
    near = _nearest(text, options)
    return f" (did you mean {near}?)" if near else ""


def _nearest(text: str, options: Iterable[str]) -> str:
    """Give the option that was probably meant, or ""."""
    if not 0 < len(text) <= MAX_HINTED_CHARS:
        return ""
    longer = [option for option in options if len(text) > 3 and option.startswith(text)]
    return next(iter([*difflib.get_close_matches(text, options, 1), *longer]), "")
