"""Broken grammar in words that say what to write instead; the parser's own words where nothing better is known."""

import re
from typing import TypeAlias

import yaml

from edge.secret import masked

Place: TypeAlias = tuple[int, int]

TAB = "a tab stands where spaces indent; accepted are spaces alone, two a level"
_INDENTATION = re.compile(r"[ \t]*")
_MAPPING = "a text with ': ' in it needs quotes, keys of one mapping begin in one column, ':' has a space behind it"
# What the parser complains of, in its context, and what usually mends it; {line} is where the open thing begins.
_ADVICE = (
    (r"flow mapping", "the {{ of line {line} is not closed before this, or a comma is missing"),
    (r"flow sequence", "the [ of line {line} is not closed before this, or a comma is missing"),
    (r"quoted scalar.*end of stream|quoted scalar.*document indicator", "the quote of line {line} is not closed"),
    (r"unknown escape|hexdecimal", r"in double quotes a \ begins an escape: put the text in single quotes"),
    (r"scanning an (alias|anchor)", "a text that begins with * or & needs quotes"),
    (
        r"mapping values are not allowed",
        "a text with ': ' in it needs quotes, keys of one mapping begin in one column, ':' has a space behind it",
    ),
    (r"expected ':'", "a key has ': ' behind it, with the space"),
    (r"expected key", "the keys of one mapping begin in one column"),
    (r"expected '-' indicator", "the entries of one list begin in one column, each with '- '"),
    (r"cannot start any token", "a text that begins with this character needs quotes"),
    (r"directive", "a text that begins with % needs quotes"),
    (r"scanning a tag|parsing a tag|tag handle", "a text that begins with ! needs quotes"),
)
_AFTER_QUOTE = "the quotes end before this; inside single quotes a quote is written twice, ''"
_IN_FLOW = 'inside [ ] and { } a reference needs quotes: "${NAME}"'


def advice_on(error: yaml.YAMLError, text: str) -> tuple[int, int, str]:
    """Give line, column and words for what broke the grammar."""
    if isinstance(error, yaml.reader.ReaderError):
        before = text.encode()[: error.position].decode(errors="replace")
        column = len(before) - (before.rfind("\n") + 1) + 1
        what = f"is not YAML: {error.reason} (code {_code(error.character)}); accepted is the text without it"
        return before.count("\n") + 1, column, what
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return 0, 0, f"is not YAML: {masked(str(error))}"
    mark = error.problem_mark
    line = text[mark.index - mark.column :].partition("\n")[0]
    indentation = _INDENTATION.match(line)
    if indentation is not None and "\t" in indentation[0]:
        return mark.line + 1, indentation[0].index("\t") + 1, TAB
    if text[mark.index : mark.index + 1] == "\t":
        return mark.line + 1, mark.column + 1, TAB
    return mark.line + 1, mark.column + 1, f"is not YAML: {_words(error, text, mark.index)}"


def _words(error: yaml.MarkedYAMLError, text: str, index: int) -> str:
    context, problem = error.context or "", masked(error.problem or "")
    if _is_near_reference(text, index):
        return f"{problem}; {_IN_FLOW}"
    if problem.endswith("expected key") and text[index - 1 : index] in ("'", '"'):
        return f"{problem}; {_AFTER_QUOTE}"
    opened = error.context_mark or error.problem_mark
    for pattern, advice in _ADVICE:
        if re.search(pattern, f"{context}, {problem}"):
            return f"{problem}; {advice.format(line=opened.line + 1 if opened else 0)}"
    return f"{context}, {problem}" if context else problem


def _is_near_reference(text: str, index: int) -> bool:
    """Tell whether a bare reference in brackets is what the parser fell over: it stops behind the "{" of "${"."""
    start = text.rfind("\n", 0, text.rfind("\n", 0, index) + 1)
    end = text.find("\n", index)
    return re.search(r"[\[{,:]\s*\$\{", text[max(0, start) : end if end >= 0 else None]) is not None


def _code(character: object) -> object:
    return ord(character) if isinstance(character, str) and len(character) == 1 else character
