"""The folder of the pipeline files."""

from collections.abc import Mapping as Tree
from dataclasses import dataclass
from pathlib import Path

from edge.errors import ConfigErrors, Problem
from edge.pipeline.compiled import Pipeline
from edge.pipeline.compiling import compile_pipeline


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
            what = f"'{first.name}' is also the name of {first.file}; accepted is a name that no other pipeline has"
            problems.append(Problem(str(file), 0, "name", what))
    return Folder(tuple(pipelines.values()), tuple(problems))


def files_of(directory: Path) -> list[Path]:
    """Give every .yaml (and .yml) file in the order of their names; those that begin with a dot are not read."""
    found = directory.iterdir() if directory.is_dir() else ()
    return sorted(file for file in found if file.suffix in (".yaml", ".yml") and not file.name.startswith("."))


def load_pipeline(file: Path, environ: Tree[str, str]) -> Pipeline:
    """Compile one file.

    Raises:
        ConfigErrors: with every problem of the file.
    """
    return compile_pipeline(_read(file), str(file), environ)


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        what = "is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else f"cannot be read: {error.strerror}"
        raise ConfigErrors([Problem(str(file), 0, "", what)]) from error
