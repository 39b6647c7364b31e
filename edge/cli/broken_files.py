"""Pipeline files with mistakes: which one is a pipeline's, though it cannot be compiled."""

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from edge.cli.screen import counted
from edge.errors import Problem

_NAME_LINE = re.compile(r"""^name:[ \t]*["']?([\w-]+)""", re.MULTILINE)


def broken_file_of(name: str, problems: Iterable[Problem]) -> str:
    """Say which file with mistakes a pipeline has, and how many; where none names it, of all of them; "" for none."""
    counts = Counter(problem.file for problem in problems)
    named = [file for file in counts if _seems_of(name, Path(file))]
    told = [f"{Path(file).name} has {counted(counts[file], 'problem')}" for file in named or counts]
    return f"{'' if named else 'no file that can be read has this name; '}{', '.join(told)}" if told else ""


def _seems_of(name: str, file: Path) -> bool:
    """Tell whether a file that cannot be compiled is a pipeline's: by its line of the name, else by its own name."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        text = ""
    told = _NAME_LINE.search(text)
    return (told[1] if told else file.stem.replace("-", "_")) == name
