"""JMESPath expressions: checked whole when they are compiled, bounded when they are evaluated."""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import jmespath
from jmespath.exceptions import JMESPathError, ParseError
from jmespath.functions import Functions

from edge.jsontree import MAX_SAFE_INTEGER
from edge.mapping.rendering import Unfit

Expression: TypeAlias = Callable[[object], object]

MAX_CHARS = 2_000
MAX_NESTING = 60  # of an expression's parts, and of what it gives
MAX_VALUES = 100_000
WRONG = "is not a JMESPath expression"
ACCEPTED = "accepted is one such as properties.value > `0`"
_CHAINS = frozenset(
    {"subexpression", "index_expression", "projection", "filter_projection", "value_projection", "flatten", "pipe"}
)
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def compile_expression(text: str) -> Expression:
    """Compile an expression; it is evaluated on what mappings read.

    Args:
        text: e.g. "properties.items[?price > `20`].item_name".
    Returns:
        A function that never raises: it gives the result, which is always JSON, or an Unfit without target and path.
        Its words name the kind of the error only, as the interpreter's own quote the event.
    Raises:
        ValueError: "is not a JMESPath expression; accepted is …".
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"is longer than {MAX_CHARS} characters; accepted is a shorter expression")
    try:
        parsed = jmespath.compile(text)
    except ParseError as error:
        raise ValueError(f"{_where(error.lex_position, text)}; {ACCEPTED}") from error
    except (JMESPathError, RecursionError) as error:
        raise ValueError(f"{WRONG}; {ACCEPTED}") from error
    parts = list(_parts(parsed.parsed))
    if max(depth for _, depth in parts) > MAX_NESTING:
        raise ValueError(f"is nested more than {MAX_NESTING} levels deep; accepted is a simpler expression")
    for part, _ in parts:
        if part["type"] == "function_expression":
            _check_call(part)
    return _bounded(parsed.search)


def read_by(text: str) -> list[str]:
    """Give the keys that an expression reads from the top of what it is evaluated on; [] where it is none."""
    try:
        return list(dict.fromkeys(_tops(jmespath.compile(text).parsed)))
    except (JMESPathError, RecursionError):
        return []


def _tops(part: dict[str, Any]) -> Iterator[str]:
    """Walk what is evaluated on the whole; behind a dot, a bracket or a bar, only the beginning is."""
    if part["type"] == "field":
        yield part["value"]
    elif part["type"] in _CHAINS:
        yield from _tops(part["children"][0])
    elif part["type"] != "expref":
        for child in part["children"]:
            if isinstance(child, dict):
                yield from _tops(child)


def _where(position: int, text: str) -> str:
    """Say from where on a text is no expression, where that tells more than that it is none."""
    if position >= len(text):
        return f"{WRONG}: it ends too early"
    return f"{WRONG} from its character {position + 1} on" if position else WRONG


def _parts(tree: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    waiting = [(tree, 1)]
    while waiting:
        part, depth = waiting.pop()
        yield part, depth
        waiting += [(child, depth + 1) for child in part["children"] if isinstance(child, dict)]


def _check_call(part: dict[str, Any]) -> None:
    """Refuse a function that does not exist, or that is given too few or too many values."""
    name, given = part["value"], len(part["children"])
    known = Functions.FUNCTION_TABLE.get(name)
    if known is None:
        near = difflib.get_close_matches(name, Functions.FUNCTION_TABLE, 1)
        meant = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(f"calls a function that does not exist{meant}; accepted are those of JMESPath")
    expected = known["signature"]
    is_variadic = bool(expected and expected[-1].get("variadic"))
    if given < len(expected) or (given > len(expected) and not is_variadic):
        more = " or more" if is_variadic else ""
        raise ValueError(f"gives {name} {given} values; accepted for {name} are {len(expected)}{more}")


def _bounded(search: Callable[[object], object]) -> Expression:
    def evaluate(source: object) -> object:
        try:
            result = search(source)
        except Exception as error:  # foreign code on foreign data: also ArithmeticError, TypeError, RecursionError
            return Unfit("", "", f"cannot be evaluated ({type(error).__name__})")
        return result if _is_json(result) else Unfit("", "", "gives no JSON value")

    return evaluate


def _is_json(tree: object) -> bool:
    """Tell whether a result can be sent: JSON alone, and bounded, as one part may be repeated many times over."""
    level, seen = [tree], 1
    for _ in range(MAX_NESTING):
        if not all(map(_is_json_value, level)):
            return False
        inner = [_inside(value) for value in level if isinstance(value, list | dict)]
        seen += sum(map(len, inner))
        if not inner or seen > MAX_VALUES:
            return not inner
        level = [value for values in inner for value in values]
    return False


def _inside(value: list[object] | dict[str, object]) -> list[object]:
    return value if isinstance(value, list) else [*value, *value.values()]


def _is_json_value(value: object) -> bool:
    if isinstance(value, str):
        return value.isascii() or not _LONE_SURROGATE.search(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, int):
        return abs(value) <= MAX_SAFE_INTEGER
    return value is None or isinstance(value, list | dict)
