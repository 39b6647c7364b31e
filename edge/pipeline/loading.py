"""The folder of the pipeline files."""

from collections.abc import Mapping as Tree
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigErrors, Problem
from edge.pipeline.compiled import Pipeline
from edge.pipeline.compiling import compile_pipeline
from edge.yamlfile import Node, Problems, load_yaml, read_text


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder holds: the pipelines that could be compiled, and the problems of the other files."""

    pipelines: tuple[Pipeline, ...]
    problems: tuple[Problem, ...]


def load_pipelines(directory: Path, environ: Tree[str, str]) -> list[Pipeline]:
    """Compile every pipeline file of a directory.

    Raises:
        ConfigErrors: with the problems of all files together.
    """
    folder = load_folder(directory, environ)
    if folder.problems:
        raise ConfigErrors(folder.problems)
    return list(folder.pipelines)


def load_folder(directory: Path, environ: Tree[str, str]) -> Folder:
    """Compile what can be compiled; a name may be used once, and the first file that has it keeps it."""
    if not directory.is_dir():
        what = "is not a directory; accepted is the one with the pipelines"
        return Folder((), (Problem(str(directory), 0, "", what),))
    pipelines: dict[str, Pipeline] = {}
    problems: list[Problem] = []
    for file in files_of(directory):
        try:
            pipeline = load_pipeline(file, environ)
        except ConfigErrors as errors:
            problems += errors.problems
            continue
        first = pipelines.setdefault(pipeline.name, pipeline)
        if first is not pipeline:
            problems.append(_taken(pipeline, first, environ))
    return Folder(tuple(pipelines.values()), tuple(problems))


def _taken(pipeline: Pipeline, first: Pipeline, environ: Tree[str, str]) -> Problem:
    """Say that another file has the name already."""
    place, other = _place_of_name(pipeline, environ), _place_of_name(first, environ)
    what = (
        f"'{first.name}' is also the name in {first.file}:{other.line}; accepted is a name that no other pipeline has"
    )
    return Problem(pipeline.file, place.line, "name", what, place.column)


def _place_of_name(pipeline: Pipeline, environ: Tree[str, str]) -> Node:
    """Give the value of `name`; the file has been compiled, so it can be read once more."""
    root = load_yaml(pipeline.text, pipeline.file, environ, Problems())
    return root.value["name"] if isinstance(root.value, dict) else root


def files_of(directory: Path) -> list[Path]:
    """Give every .yaml (and .yml) file in the order of their names; those that begin with a dot are not read."""
    found = directory.iterdir() if directory.is_dir() else ()
    return sorted(file for file in found if file.suffix in (".yaml", ".yml") and not file.name.startswith("."))


def load_pipeline(file: Path, environ: Tree[str, str]) -> Pipeline:
    """Compile one file.

    Raises:
        ConfigErrors: with every problem of the file.
    """
    return compile_pipeline(read_text(file), str(file), environ)
