"""Pipeline files for looking at: one with an error or a variable that is not set must not hide the others."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigErrors, Problem
from edge.pipeline import Pipeline, load_pipeline

_REQUIRED_VARIABLE = re.compile(r"(?<!\$)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be compiled, which variables were stood in for by `unset-NAME`, and what could not be read."""

    pipelines: Mapping[str, Pipeline]
    unset: tuple[str, ...]
    problems: tuple[Problem, ...]


def load_leniently(files: Iterable[Path], environ: Mapping[str, str]) -> Loaded:
    """Compile files one by one, with a placeholder where a variable is not set or is empty."""
    pipelines: dict[str, Pipeline] = {}
    unset: dict[str, None] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            missing = _missing(file, environ)
            pipeline = load_pipeline(file, {**environ, **{name: f"unset-{name}" for name in missing}})
        except ConfigErrors as errors:
            problems += errors.problems
        else:
            pipelines.setdefault(pipeline.name, pipeline)
            unset |= dict.fromkeys(missing)
    return Loaded(pipelines, tuple(unset), tuple(problems))


def _missing(file: Path, environ: Mapping[str, str]) -> list[str]:
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        return []  # reading it as a pipeline says why
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    named = (name for line in lines for name in _REQUIRED_VARIABLE.findall(line))
    return [name for name in dict.fromkeys(named) if not environ.get(name)]
