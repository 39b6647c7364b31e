"""Typed reading of a file's values: every problem is collected, with its line and what would be accepted."""

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias, TypeVar

from edge.errors import ConfigErrors, Problem
from edge.secret import Secret
from edge.units import DURATION, DURATION_UNITS_S, RATE, SIZE, SIZE_UNITS_BYTES, span_of, within
from edge.units import parse_duration_s as parse_duration_s
from edge.units import parse_rate as parse_rate
from edge.units import parse_size_bytes as parse_size_bytes
from edge.yamlfile import Node, plain_value

T = TypeVar("T")
Word = TypeVar("Word", bound=str)


class _Marker(Enum):
    REQUIRED = "required"


REQUIRED: Final = _Marker.REQUIRED
Required: TypeAlias = Literal[_Marker.REQUIRED]

LIST = "a list of {}: [a, b], or one a line after '- '; [] for none"
REFERENCE = "a reference to an environment variable, ${NAME}"
_KEY_LIKE = re.compile(r"((?:[ps]k|whsec|shpss|shpat)_)\S*|\S{20,}")


def looks_like_key(text: str) -> bool:
    """Tell whether a text written in a file seems to be a credential."""
    return _KEY_LIKE.fullmatch(text) is not None


def quoted(node: Node) -> str:
    """Show a value as the file has it: never what a variable held, never a credential."""
    if isinstance(node.value, list | dict):
        return "a list" if isinstance(node.value, list) else "a mapping"
    if node.value is None or not node.written:
        return "an empty value" if node.value is None else "an empty text"
    key = _KEY_LIKE.match(node.written)
    if key is not None and key[1]:
        return f"'{key[1]}…'"
    shown = node.written if len(node.written) <= 60 else node.written[:60] + "…"
    return f"'{shown}'" + (" (as the environment has it)" if node.is_from_environ else "")


class Problems:
    """What was found wrong so far; `file` names the file where no node does."""

    def __init__(self, file: str = "") -> None:
        self._file, self._found = file, list[Problem]()

    def add(self, node: Node | None, path: str, what: str, *, line: int | None = None) -> None:
        """Note one problem at a node, in the line of its value unless `line` says otherwise."""
        file, own_line = (node.file, node.line) if node is not None else (self._file, 0)
        self._found.append(Problem(file, own_line if line is None else line, path, what))

    def extend(self, errors: ConfigErrors) -> None:
        """Take over what another reading found."""
        self._found.extend(errors.problems)

    def __len__(self) -> int:
        return len(self._found)

    def raise_if_any(self) -> None:
        """Raise ConfigErrors with everything found, in the order of the files' lines."""
        if self._found:
            raise ConfigErrors(sorted(self._found, key=lambda problem: (problem.file, problem.line)))


class Reader:
    """Reads one mapping key by key.

    Every getter marks its key as known. A getter without a default requires the key. What cannot be read is noted
    in `problems` and a harmless value of the right type is given, so that reading goes on to the next problem.
    """

    def __init__(self, node: Node, path: str, problems: Problems) -> None:
        self.path, self.problems, self._node = path, problems, node
        self._known, self._nodes = dict[str, None](), dict[str, Node]()
        if isinstance(node.value, dict):
            self._nodes = node.value
        elif node.value is not None:
            problems.add(node, path, f"{quoted(node)} is not a mapping; accepted is 'key: value', one a line")

    def path_of(self, key: str) -> str:
        """Give a key's place in the file, e.g. "spool.keep_for"."""
        return f"{self.path}.{key}" if self.path else key

    def refuse(self, key: str, what: str) -> None:
        """Note a problem with a key, or with its absence."""
        self.problems.add(self._nodes.get(key, self._node), self.path_of(key), what)

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
            node = Node({}, self._node.line, self._node.column, self._node.file, self._node.key_line)
        return Reader(node, self.path_of(key), self.problems)

    def sections(self, key: str) -> list["Reader"]:
        """Give a reader of each mapping in a list, none where the key is absent."""
        nodes = enumerate(self._items(key, "mappings") or ())
        return [Reader(node, f"{self.path_of(key)}[{index}]", self.problems) for index, node in nodes]

    def nodes(self) -> list[tuple[str, Node]]:
        """Give every key, all of them accepted, with its raw value."""
        self._known.update(dict.fromkeys(self._nodes))
        return list(self._nodes.items())

    def entries(self) -> list[tuple[str, "Reader"]]:
        """Give every key, all of them accepted, with a reader of its mapping."""
        return [(key, Reader(node, self.path_of(key), self.problems)) for key, node in self.nodes()]

    def done(self) -> None:
        """Note every key that no getter asked for; sections answer for themselves."""
        for key, node in self._nodes.items():
            if key not in self._known:
                accepted = f"accepted here: {', '.join(self._known)}" if self._known else "no key is accepted here"
                what = f"unknown key{_hint(key, self._known)}; {accepted}"
                self.problems.add(node, self.path_of(key), what, line=node.key_line)

    def _is_null(self, key: str) -> bool:
        return (node := self.node(key)) is None or node.value is None

    def _read(self, key: str, default: T | Required, parse: Callable[[Node], T], fallback: T, accepted: str) -> T:
        if (node := self.node(key)) is not None:
            return self._parse(node, self.path_of(key), parse, fallback, accepted)
        if default is not REQUIRED:
            return default
        self.refuse(key, f"is missing; accepted is {accepted}")
        return fallback

    def _parse(self, node: Node, path: str, parse: Callable[[Node], T], fallback: T, accepted: str) -> T:
        if node.value is None or isinstance(node.value, list | dict):
            self.problems.add(node, path, f"{quoted(node)} is not accepted; accepted is {accepted}")
            return fallback
        try:
            return parse(node)
        except ValueError as error:
            self.problems.add(node, path, f"{'this value' if accepted == REFERENCE else quoted(node)} {error}")
            return fallback

    def _items(self, key: str, kind: str) -> list[Node] | None:
        if (node := self.node(key)) is None:
            return None
        if isinstance(node.value, list):
            return node.value
        self.refuse(key, f"{quoted(node)} is not a list; accepted is {LIST.format(kind)}")
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
            self._parse(node, f"{self.path_of(key)}[{index}]", lambda node: found.append(parse(node)), None, accepted)
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
    if not allow_literal and not node.is_from_environ and looks_like_key(text):
        raise ValueError(f"stands in the file itself; accepted is {REFERENCE}")
    if text != text.strip() or not text.isprintable():
        raise ValueError("has a space or line end around it or a control character in it; accepted is the bare key")
    return Secret(text)


def _one_of(text: str, options: Sequence[Word]) -> Word:
    for option in options:
        if option == text:
            return option
    raise ValueError(f"is not one of {', '.join(options)}{_hint(text, options)}")


def _hint(text: str, options: Iterable[str]) -> str:
    near = difflib.get_close_matches(text, options, 1)
    return f" (did you mean {near[0]}?)" if near else ""
