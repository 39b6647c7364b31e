"""How problems of files are told: one greppable line each, what to export, and a sum at the end; on a terminal the
offending line too, with a caret under it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from edge.cli.screen import console, counted, plain
from edge.errors import Problem
from edge.secret import masked

MAX_EXCERPT_CHARS = 120
# A line is shown only where neither its words nor its values hint at a credential.
_SECRETIVE = re.compile(r"key|secret|token|passw|credential|authorization|:-", re.IGNORECASE)


def tell(problems: Collection[Problem], warnings: Collection[Problem] = ()) -> None:
    """Print problems and warnings to stderr in the order of their places, then variables to set, then the sum."""
    out, problems, warnings = console(is_error=True), [*map(_near, problems)], [*map(_near, warnings)]
    told = [(problem, "") for problem in problems] + [(warning, "warning: ") for warning in warnings]
    for problem, mark in sorted(told, key=lambda one: one[0].order):
        _tell_one(problem, mark, out)
    _tell_variables(problems, out)
    if told:
        out.print(Text(_sum(problems, warnings), "bold"), soft_wrap=True)


def near(file: str) -> str:
    """Name a file as it is seen from the working folder, where it lies below it."""
    path, here = Path(file), Path.cwd()
    is_below = here != here.parent and path.is_relative_to(here)
    return str(path.relative_to(here)) if is_below else file


def _near(problem: Problem) -> Problem:
    return replace(problem, file=near(problem.file))


def _tell_one(problem: Problem, mark: str, out: Console) -> None:
    path = f"{problem.path}: " if problem.path else ""
    place, said = plain(problem.place), plain(f"{path}{problem.what}")
    style = "yellow" if mark else "red"
    out.print(Text.assemble((f"{place}: ", "bold"), (mark, style), said), soft_wrap=True)
    if out.is_terminal and (line := excerpt(problem)) is not None:
        out.print(Text.assemble(f"    {line}\n    {' ' * (problem.column - 1)}", ("^", style)), soft_wrap=True)


def excerpt(problem: Problem) -> str | None:
    """Give the line a problem is in, where the file has it, it is short and nothing in it seems to be a credential."""
    try:
        lines = Path(problem.file).read_text("utf-8").split("\n")
    except (OSError, ValueError):
        return None
    line = lines[problem.line - 1].rstrip("\r") if 0 < problem.line <= len(lines) else ""
    is_there = 0 < problem.column <= len(line) + 1 <= MAX_EXCERPT_CHARS and line.replace("\t", "").isprintable()
    is_harmless = not _SECRETIVE.search(line) and all(masked(word) == word for word in line.split())
    return plain(line) if line and is_there and is_harmless else None


def _tell_variables(problems: Iterable[Problem], out: Console) -> None:
    """List each variable once, with the places that want it."""
    wanted: dict[str, dict[str, None]] = {}
    for problem in problems:
        if problem.variable:
            wanted.setdefault(problem.variable, {})[f"{problem.file}:{problem.line}"] = None
    if wanted:
        out.print(Text("variables to set:", "bold"))
    width = max(map(len, wanted), default=0)
    for name in sorted(wanted):
        out.print(Text(f"  {plain(name):{width}}  {plain(', '.join(wanted[name]))}"), soft_wrap=True)


def _sum(problems: Collection[Problem], warnings: Collection[Problem]) -> str:
    counts = [counted(len(found), word) for found, word in ((problems, "problem"), (warnings, "warning")) if found]
    files = {problem.file for problem in (*problems, *warnings)}
    return f"{' and '.join(counts)} in {counted(len(files), 'file')}"
