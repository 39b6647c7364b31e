"""Templates: a text with paths in braces, "{properties.item_name} ({properties.item_id})"."""

import re
from typing import TypeAlias

from edge.mapping.paths import look_up, parse_path
from edge.mapping.rendering import Finish, Unfit
from edge.mapping.types import as_string

# What stands before a placeholder, and the placeholder's path; the last part has none.
Template: TypeAlias = tuple[tuple[str, str | None], ...]

NO_TEMPLATE: Template = (("", None),)
ACCEPTED = "accepted is a text with paths in braces, {properties.item_name}; {{ and }} give braces themselves"
_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


def parse_template(text: str) -> Template:
    """Take a template apart.

    Raises:
        ValueError: "… a brace that stands alone; accepted is …".
    """
    if not text:
        raise ValueError(f"is not a template; {ACCEPTED}")
    parts: list[tuple[str, str | None]] = []
    literal, end = "", 0
    for brace in _BRACES.finditer(text):
        literal, end = literal + text[end : brace.start()], brace.end()
        if brace[0] in ("{{", "}}"):
            literal += brace[0][0]
        elif brace[1] is None:
            raise ValueError(f"has a brace that stands alone; {ACCEPTED}")
        else:
            parts.append((literal, parse_path(brace[1])))
            literal = ""
    return (*parts, (literal + text[end:], None))


def filled(template: Template, absent: str | None) -> Finish:
    """Compile what writes a template's values into it.

    Args:
        template: from `parse_template`.
        absent: what is said of a placeholder that is not there; None: then there is no text either.
    """
    parts = [(literal, path, look_up(path)) for literal, path in template if path is not None]
    end = template[-1][0]

    def make(source: object) -> object:
        texts: list[str] = []
        for literal, path, get in parts:
            value = get(source)
            if value is None:
                return None if absent is None else Unfit("", path, absent)
            text = as_string(value)
            if text is None:
                return Unfit("", path, "is not a text")
            texts += (literal, text)
        return "".join((*texts, end))

    return make
