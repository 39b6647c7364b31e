"""Pipeline files for looking at: one with an error or a variable that is not set must not hide the others."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from edge.cli.options import config_errors_exit
from edge.config import Config
from edge.errors import ConfigErrors, Problem
from edge.pipeline import Pipeline, compile_pipeline, load_pipeline, load_pipelines

_ENABLED = re.compile(r"^[\"']?enabled[\"']? *:.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Loaded:
    """What could be compiled, which variables were stood in for by `unset-NAME`, and what could not be read."""

    pipelines: Mapping[str, Pipeline]
    unset: tuple[str, ...]
    problems: tuple[Problem, ...]


def pipelines_of(config: Config) -> list[Pipeline]:
    """Load the configured pipelines; print every problem and exit 2 when there is one."""
    with config_errors_exit():
        return load_pipelines(config.pipelines, os.environ)


def load_leniently(files: Iterable[Path], environ: Mapping[str, str]) -> Loaded:
    """Compile files one by one, with a placeholder where a variable that is wanted is not set or is empty."""
    pipelines: dict[str, Pipeline] = {}
    unset: dict[str, None] = {}
    problems: list[Problem] = []
    for file in files:
        try:
            pipeline, missing = _load(file, environ)
        except ConfigErrors as errors:
            problems += errors.problems
        else:
            pipelines.setdefault(pipeline.name, pipeline)
            unset |= dict.fromkeys(missing)
    return Loaded(pipelines, tuple(unset), tuple(problems))


def switched_on(pipeline: Pipeline, environ: Mapping[str, str]) -> tuple[Pipeline, tuple[str, ...], tuple[str, ...]]:
    """Give a disabled pipeline as if it were on, which variables were stood in for, and which are left empty.

    Empty is one for which a placeholder will not do, such as an address. Where the file says `enabled` in a way that
    is not understood here, the pipeline comes back as it is.
    """
    text = _ENABLED.sub("enabled: true", pipeline.text)
    if text == pipeline.text:
        return pipeline, (), ()
    stand_ins, empty = {}, []
    for name in _missing(text, pipeline.file, environ):
        if _is_fit(pipeline, {**environ, name: f"unset-{name}"}):
            stand_ins[name] = f"unset-{name}"
        else:
            empty.append(name)
    made = compile_pipeline(pipeline.text, pipeline.file, {**environ, **stand_ins})
    return replace(made, is_enabled=True), tuple(stand_ins), tuple(empty)


def _missing(text: str, file: str, environ: Mapping[str, str]) -> list[str]:
    try:
        compile_pipeline(text, file, environ)
    except ConfigErrors as errors:
        return list(dict.fromkeys(problem.variable for problem in errors.problems if problem.variable))
    return []


def _is_fit(pipeline: Pipeline, environ: Mapping[str, str]) -> bool:
    try:
        compile_pipeline(pipeline.text, pipeline.file, environ)
    except ConfigErrors:
        return False
    return True


def _load(file: Path, environ: Mapping[str, str]) -> tuple[Pipeline, list[str]]:
    """Give a pipeline and the variables it wants in vain."""
    try:
        return load_pipeline(file, environ), []
    except ConfigErrors as errors:
        missing = list(dict.fromkeys(problem.variable for problem in errors.problems if problem.variable))
        if not missing:
            raise
    return load_pipeline(file, {**environ, **{name: f"unset-{name}" for name in missing}}), missing
