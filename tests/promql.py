"""Enough of PromQL to know that an expression of ours is well formed, and which metrics and labels it names.

The grammar: numbers, metrics with matchers and a range, functions, aggregations with by or without, operators with
on, ignoring and group_left. Source: Prometheus documentation, "Querying basics", "Operators", "Functions", 3.x.
"""

import re
from dataclasses import dataclass, field

AGGREGATIONS = frozenset({"sum", "min", "max", "avg", "count", "topk", "bottomk", "quantile"})
OVER_RANGES = frozenset({"rate", "increase", "irate", "delta", "max_over_time", "min_over_time", "avg_over_time"})
OVER_VALUES = frozenset(
    {"abs", "absent", "ceil", "clamp_max", "clamp_min", "floor", "round", "scalar", "sort_desc", "time", "vector"}
)
OPERATORS = frozenset({"+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"})
MATCHERS = frozenset({"=", "!=", "=~", "!~"})

_TOKEN = re.compile(
    r"""\s*(?:(?P<number>\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?![\w.])|(?P<word>[A-Za-z_:][\w:]*)|(?P<text>"(?:[^"\\]|\\.)*")
    |(?P<range>\[(?:\d+(?:ms|[smhdwy]))+\]|\[\$__rate_interval\])|(?P<sign>=~|!~|==|!=|>=|<=|[-+*/%^=<>(){},]))""",
    re.VERBOSE,
)


class Malformed(ValueError):
    """Raised when a text is no expression; says where."""


@dataclass
class Named:
    """What an expression names: of each metric the labels that are matched, and the labels it is grouped by."""

    metrics: dict[str, set[tuple[str, str, str]]] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._at, self.named = text, _tokens(text), 0, Named()

    def whole(self) -> Named:
        self._expression()
        if self._at < len(self._tokens):
            raise self._wrong("the end")
        return self.named

    def _expression(self) -> None:
        self._operand()
        while (sign := self._peek()[1]) in OPERATORS:
            self._at += 1
            if sign in ("==", "!=", ">", "<", ">=", "<="):
                self._take_if("bool")
            if self._take_if("on") or self._take_if("ignoring"):
                self.named.groups |= set(self._names())
                if self._take_if("group_left") or self._take_if("group_right"):
                    self._names() if self._peek()[1] == "(" else None
            self._operand()

    def _operand(self) -> None:
        if self._take_if("-"):
            return self._operand()
        kind, text = self._peek()
        if kind == "number":
            self._at += 1
        elif text == "(":
            self._inside()
        elif text in AGGREGATIONS:
            self._aggregation()
        elif text in OVER_RANGES | OVER_VALUES:
            self._call(text)
        elif kind == "word" and text not in OPERATORS:
            self._selector()
        else:
            raise self._wrong("a value")
        return None

    def _inside(self) -> None:
        self._take("(")
        self._expression()
        while self._take_if(","):
            self._expression()
        self._take(")")

    def _aggregation(self) -> None:
        self._at += 1
        is_grouped = self._grouping()
        self._inside()
        if not is_grouped:
            self._grouping()

    def _grouping(self) -> bool:
        if not (self._take_if("by") or self._take_if("without")):
            return False
        self.named.groups |= set(self._names())
        return True

    def _call(self, name: str) -> None:
        self._at += 1
        if name == "time":
            self._take("(")
            self._take(")")
        elif name in OVER_RANGES:
            self._take("(")
            self._selector()
            self._take_kind("range")
            self._take(")")
        else:
            self._inside()

    def _selector(self) -> None:
        name = self._take_kind("word")
        matchers = self.named.metrics.setdefault(name, set())
        if self._take_if("{"):
            while not self._take_if("}"):
                label = self._take_kind("word")
                sign = self._take_kind("sign")
                if sign not in MATCHERS:
                    raise self._wrong("a matcher")
                matchers.add((label, sign, self._take_kind("text")[1:-1]))
                if self._peek()[1] != "}":
                    self._take(",")

    def _names(self) -> list[str]:
        self._take("(")
        names = []
        while not self._take_if(")"):
            names.append(self._take_kind("word"))
            if self._peek()[1] != ")":
                self._take(",")
        return names

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("end", "")

    def _take_if(self, text: str) -> bool:
        is_there = self._peek()[1] == text
        self._at += is_there
        return is_there

    def _take(self, text: str) -> None:
        if not self._take_if(text):
            raise self._wrong(text)

    def _take_kind(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise self._wrong(f"a {kind}")
        self._at += 1
        return text

    def _wrong(self, wanted: str) -> Malformed:
        return Malformed(f"{wanted} is expected where {self._peek()[1] or 'the end'!r} stands: {self._text}")


def named_in(text: str) -> Named:
    """Give what an expression names; raises Malformed."""
    return _Parser(text).whole()


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while text[at:].strip():
        token = _TOKEN.match(text, at)
        if token is None:
            raise Malformed(f"{text[at:].strip()[:20]!r} is no part of an expression: {text}")
        kind = str(token.lastgroup)
        found.append((kind, token[kind]))
        at = token.end()
    return found
