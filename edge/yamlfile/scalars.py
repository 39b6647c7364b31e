"""What a scalar of a YAML file means: as a plain value, as a trap, and with its references replaced.

Source: YAML 1.2.2 (core schema) against YAML 1.1 (2005, its types bool, int, float), whose readers are still common.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from edge.secret import masked

MAX_SAFE_INTEGER = 2**53 - 1
MAX_WORD_CHARS, MAX_TRAP_CHARS = 3, 40

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,15})")
_FLOAT = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]+)?")

_OLD_BOOLEANS = {**dict.fromkeys(("y", "yes", "on"), "true"), **dict.fromkeys(("n", "no", "off"), "false")}
_NUMERAL = re.compile(r"[-+]?[0-9]")
_BASED = re.compile(r"[-+]?0(x[0-9a-f_]+|o[0-7_]+|b[01_]+)", re.IGNORECASE)
_PADDED = re.compile(r"[-+]?0[0-9]+")
_SCORED = re.compile(r"[-+]?[0-9]+(_[0-9]*)+(\.[0-9_]*)?")
_SIXTIES = re.compile(r"[-+]?[0-9]+(:[0-5]?[0-9])+(\.[0-9]*)?")

_REFERENCE = re.compile(r"\$\$\{|\$\{(?P<inside>[^{}]*)\}|\$\{")
_INSIDE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?", re.DOTALL)


def plain_value(text: str) -> bool | int | float | str | None:
    """Give what a plain scalar means; anything doubtful stays the text it is."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text) and abs(int(text)) <= MAX_SAFE_INTEGER:
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text


@dataclass(frozen=True, slots=True)
class Trap:
    """A plain scalar that readers of YAML disagree about: what it is to some, and how to write that for all."""

    text: str
    is_to_some: str
    instead: str = ""

    def of_value(self) -> str:
        """Say what is wrong where the scalar is a value."""
        return f"{self._said}; accepted is {self.instead}'{self.text}' in quotes for the text"

    def of_key(self) -> str:
        """Say what is wrong where the scalar is a key."""
        return f"{self._said}; accepted is '{self.text}' in quotes"

    @property
    def _said(self) -> str:
        return f"{self.text} without quotes is {self.is_to_some} to some readers of YAML and a text to others"


def trap_of(text: str) -> Trap | None:
    """Give what makes a plain scalar a trap; None for all that every reader takes alike."""
    if len(text) <= MAX_WORD_CHARS and (boolean := _OLD_BOOLEANS.get(text.lower())):
        return Trap(text, "a boolean", f"{boolean} for the boolean, ")
    if len(text) > MAX_TRAP_CHARS or not _NUMERAL.match(text):
        return None
    if _PADDED.fullmatch(text):
        sign, digits = "-" if text[0] == "-" else "", text.lstrip("+-0") or "0"
        number = digits if set(digits) & set("89") else str(int(digits, 8))
        return Trap(text, f"the number {sign}{number}", f"{sign}{digits} for the number, ")
    if _BASED.fullmatch(text):
        return _numeric(text, text.lower().replace("_", ""))
    if _SCORED.fullmatch(text):
        return _numeric(text, text.replace("_", ""))
    return Trap(text, "a number in base 60") if _SIXTIES.fullmatch(text) else None


def _numeric(text: str, digits: str) -> Trap:
    """Explain another way of writing a number by its usual one, where it has one."""
    try:
        number = str(int(digits, 0))
    except ValueError:
        number = digits.lstrip("+")
    return Trap(text, f"the number {number}", f"{number} for the number, ")


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A reference that gives nothing: what is wrong with it, and the variable to set where that would mend it."""

    what: str
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Substituted:
    """A scalar with its references replaced; `is_from_environ` says that a variable gave (part of) it."""

    text: str
    is_from_environ: bool = False
    unresolved: tuple[Unresolved, ...] = ()


def substitute(written: str, environ: Mapping[str, str]) -> Substituted:
    """Replace every reference once; what a variable holds is never read again."""
    if "${" not in written:
        return Substituted(written)
    wrong: dict[Unresolved, None] = {}
    given: list[str] = []

    def one(found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        value = _value_of(found, environ)
        if isinstance(value, Unresolved):
            wrong[value] = None
            return ""
        text, is_from_environ = value
        if is_from_environ:
            given.append(text)
        return text

    text = _REFERENCE.sub(one, written)
    return Substituted(text, any(given), tuple(wrong))


def variables_of(written: str) -> tuple[str, ...]:
    """Give the names of the variables that a scalar refers to, in their order."""
    inside = (_INSIDE.fullmatch(found["inside"] or "") for found in _REFERENCE.finditer(written) if found[0] != "$${")
    return tuple(dict.fromkeys(found["name"] for found in inside if found is not None))


def defaults_of(written: str) -> tuple[str, ...]:
    """Give the defaults that stand in a scalar's references, whether they are used or not."""
    inside = (_INSIDE.fullmatch(found["inside"] or "") for found in _REFERENCE.finditer(written) if found[0] != "$${")
    return tuple(found["default"] for found in inside if found is not None and found["default"])


def _value_of(found: re.Match[str], environ: Mapping[str, str]) -> tuple[str, bool] | Unresolved:
    inside = _INSIDE.fullmatch(found["inside"] or "")
    if inside is None:
        accepted = "accepted are ${NAME} and ${NAME:-default}, and $${ for ${ itself"
        return Unresolved(f"'{masked(found[0])}' is no reference; {accepted}")
    name, default = inside["name"], inside["default"]
    value = environ.get(name)
    if default is not None and not value:
        return str(default), False
    if value is not None:
        return value, True
    if masked(name) != name and name != name.upper():
        accepted = "accepted is the name of the variable that holds it, such as ${SHOP_API_KEY}"
        return Unresolved(f"what stands between the braces seems to be a credential; {accepted}")
    accepted = f"accepted is a variable that is set or, where it is no secret, ${{{name}:-default}}"
    return Unresolved(f"the variable {name} is not set; {accepted}", name)
