"""What the keys of a file may hold, as JSON Schema says it; the loader's own rules decide, these only describe them.

    "keep_for": duration("How long accepted events stay on disk.", default="14d")

Every builder takes the description first; further facts of the schema follow by name. What is no text may also be
written as a text with a reference, "${NAME}", because variables are put in before values are read.

Source: JSON Schema 2020-12; only keywords that draft 7 has as well, since many editors know no newer one.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from edge.units import DURATION, DURATION_UNITS_S, SIZE, SIZE_UNITS_BYTES

Shape: TypeAlias = Mapping[str, object]

REFERENCE = r"(?:^|[^$])\$\{[A-Za-z_][A-Za-z0-9_]*(?::-[^{}]*)?\}"
_BASE_URL = r"https?://[^\s/?#@]+(?:/[A-Za-z0-9._~-]+)*/?"


def text(description: str, **facts: object) -> Shape:
    """Give a text; a number stands for the text that was written."""
    return {"description": description, "type": ["string", "number"], **facts}


def word(description: str, pattern: str, **facts: object) -> Shape:
    """Give a text of one form, described by a regular expression for the whole of it."""
    return {"description": description, "type": "string", "pattern": or_reference(pattern), **facts}


def choice(description: str, options: Iterable[str], **facts: object) -> Shape:
    """Give one of a closed set of words; the set is handed in by the code that owns it."""
    either = [{"enum": list(options)}, {"pattern": REFERENCE}]
    return {"description": description, "type": "string", "anyOf": either, **facts}


def boolean(description: str, **facts: object) -> Shape:
    pattern = or_reference(r"\s*(?:true|True|TRUE|false|False|FALSE)\s*")
    told = _told("true or false")
    return {"description": description, "type": ["boolean", "string"], "pattern": pattern, **told, **facts}


def integer(description: str, minimum: int, maximum: int, **facts: object) -> Shape:
    span = {"minimum": minimum, "maximum": maximum, "pattern": or_reference(r"\s*(?:0|[1-9][0-9]{0,15})\s*")}
    told = _told(f"a whole number from {minimum} to {maximum}")
    return {"description": description, "type": ["integer", "string"], **span, **told, **facts}


def duration(description: str, **facts: object) -> Shape:
    return word(description, _amount(DURATION_UNITS_S), **_told(DURATION), **facts)


def size(description: str, **facts: object) -> Shape:
    return word(description, _amount(SIZE_UNITS_BYTES), **_told(SIZE), **facts)


def reference(description: str, **facts: object) -> Shape:
    """Give a credential that can only come from the environment."""
    return {**_credential(description, REFERENCE), **facts}


def secret(description: str) -> Shape:
    """Give a credential: a reference, or a text that is too short to be a real one, as the sandbox takes."""
    return _credential(description, or_reference(r"(?!(?:[ps]k|whsec|shpss|shpat)_|\$)\S{1,19}"))


def _credential(description: str, pattern: str) -> Shape:
    told = _told("a reference to an environment variable, ${NAME}")
    return {"description": description, "type": "string", "pattern": pattern, "examples": ["${NAME}"], **told}


def base_url(description: str, **facts: object) -> Shape:
    return word(description, _BASE_URL, **facts)


def anything(description: str, **facts: object) -> Shape:
    return {"description": description, **facts}


def refused(description: str) -> Shape:
    """Give a key that is known and not accepted here."""
    return {"description": description, "not": {}}


def nothing_yet(description: str, default: object) -> Shape:
    """Give a key that has its place in the file and must be empty in this version."""
    limits = {"maxItems": 0, "maxProperties": 0, "default": default}
    return {"description": description, "type": ["null", "array", "object"], **limits}


def nullable(shape: Shape) -> Shape:
    """Let null stand as well, as if the key were absent."""
    types = shape["type"]
    return {**shape, "type": [*(types if isinstance(types, list) else [types]), "null"]}


def listing(description: str, items: Shape, **facts: object) -> Shape:
    return {"description": description, "type": "array", "items": items, **facts}


def section(description: str, keys: Mapping[str, Shape], *, required: Iterable[str] = (), **facts: object) -> Shape:
    """Give a mapping of known keys; without required ones it may also be left empty."""
    needed = list(required)
    closed = {"properties": dict(keys), "required": needed, "additionalProperties": False}
    return {"description": description, "type": "object" if needed else ["object", "null"], **closed, **facts}


def open_map(description: str, values: Shape, **facts: object) -> Shape:
    """Give a mapping whose keys are the file's own words."""
    return {"description": description, "type": ["object", "null"], "additionalProperties": values, **facts}


def or_reference(pattern: str) -> str:
    """Let a text with a reference in it stand for anything that the pattern describes."""
    return f"^(?:{pattern})$|{REFERENCE}"


def _told(accepted: str) -> Shape:
    """Say what is accepted where a text is not in form; a word of editors, validators pass it by."""
    return {"patternErrorMessage": f"Accepted is {accepted}."}


def _amount(units: Iterable[str]) -> str:
    return rf"[0-9]{{1,12}}(?:\.[0-9]{{1,6}})? ?(?:{'|'.join(map(re.escape, units))})"
