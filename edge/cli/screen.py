"""What reaches the terminal: nothing that came from outside may move the cursor, hide text or set a title."""

import os
import re
from typing import Any

import orjson
from rich.console import Console, RenderableType
from rich.highlighter import JSONHighlighter
from rich.text import Text

PIPE_COLUMNS = 100

_STRING_SEQUENCE = re.compile(r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)")
_SEQUENCE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")
# C0, DEL, C1, and what turns the direction of text, breaks lines or has no width.
_UNSEEN = "\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff"
_UNSEEN_CHARS = re.compile(f"[{_UNSEEN}]")
_UNSEEN_BUT_LINES = re.compile(f"(?!\n)[{_UNSEEN}]")


def console(*, is_error: bool = False) -> Console:
    """Give a console that reads no markup in what it is told; 100 columns where nobody says how wide it is."""
    made = Console(stderr=is_error, markup=False, emoji=False, highlight=False)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = PIPE_COLUMNS
    return made


def print_trimmed(out: Console, table: RenderableType) -> None:
    """Print a table without the spaces that fill its last column."""
    for line in out.render_lines(table, pad=False):
        text = Text.assemble(*((segment.text, segment.style or "") for segment in line))
        text.rstrip()
        out.print(text, soft_wrap=True)


def plain(text: object, limit: int = 0) -> str:
    """Give a foreign text as one harmless line, cut with … where a limit is given."""
    shown = _SEQUENCE.sub("", _STRING_SEQUENCE.sub("", str(text)))
    shown = _UNSEEN_CHARS.sub("", shown.replace("\n", " ").replace("\t", " "))
    return shown[: limit - 1] + "…" if limit and len(shown) > limit else shown


def plain_lines(text: str) -> str:
    """Give a foreign text harmless, its lines kept."""
    return _UNSEEN_BUT_LINES.sub("", _SEQUENCE.sub("", _STRING_SEQUENCE.sub("", text)))


def counted(number: int, word: str) -> str:
    """Give a number with its word: "1 event", "1,042 events"."""
    return f"{number:,} {word}{'s' if number != 1 else ''}"


def as_json(value: Any) -> str:
    """Give one line of JSON in which every unseen character is written as an escape; it reads back unchanged."""
    return _escaped(orjson.dumps(value, default=str).decode())


def pretty_json(value: Any) -> Text:
    """Give indented JSON with its colours, harmless as `as_json`."""
    text = orjson.dumps(value, default=str, option=orjson.OPT_INDENT_2).decode()
    return JSONHighlighter()(Text("\n".join(_escaped(line) for line in text.split("\n"))))


def pretty_body(body: bytes | str) -> Text:
    """Give a body as JSON where it is JSON, else as its harmless text."""
    try:
        return pretty_json(orjson.loads(body))
    except orjson.JSONDecodeError:
        return Text(plain_lines(body.decode("utf-8", "replace") if isinstance(body, bytes) else body))


def _escaped(text: str) -> str:
    return _UNSEEN_CHARS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
