"""What is to run, from what the pipeline files say, what runs and what ever ran. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import Problem
from edge.pipeline import Pipeline


@dataclass(frozen=True, slots=True)
class Reading:
    """One file as it was read last: a pipeline, or what is wrong with it. `content` is None where it has none."""

    content: bytes | None
    pipeline: Pipeline | None = None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to run and what is wrong, both by the file's name."""

    pipelines: Mapping[str, Pipeline]
    problems: Mapping[str, tuple[Problem, ...]]


def decide(
    readings: Mapping[str, Reading], running: Mapping[str, Pipeline], integrations: Mapping[str, str]
) -> Decision:
    """Give each file its pipeline: the one it says, or the one that ran where that cannot be.

    Args:
        readings: every file of the folder, by its name.
        running: what runs now, by the name of its file.
        integrations: the destination of every pipeline that there ever was, by the pipeline's name.
    """
    wanted = {file: running[file] for file in readings if file in running}
    problems = {file: reading.problems for file, reading in readings.items() if reading.problems}
    for file, reading in readings.items():
        if reading.pipeline is None:
            continue
        problem = _other_vendor(reading.pipeline, integrations)
        if problem:
            problems[file] = (problem,)
        else:
            wanted[file] = reading.pipeline
    while twice := _named_twice(wanted, running):
        file, first = twice
        refused = wanted.pop(file)
        problems[file] = (*problems.get(file, ()), _name_taken(refused, first))
        if file in running and refused is not running[file]:
            wanted[file] = running[file]
    return Decision(wanted, problems)


def _other_vendor(pipeline: Pipeline, integrations: Mapping[str, str]) -> Problem | None:
    before = integrations.get(pipeline.name, pipeline.integration)
    if before == pipeline.integration:
        return None
    what = f"'{pipeline.integration}' is not what '{pipeline.name}' delivers to, which is {before}"
    return Problem(pipeline.file, 0, "integration", f"{what}; accepted is a new name for another destination")


def _named_twice(wanted: Mapping[str, Pipeline], running: Mapping[str, Pipeline]) -> tuple[str, str] | None:
    """Find a file whose name another one keeps: who runs under it already, else the first in the order of files."""
    owners: dict[str, str] = {}
    runs_so = {file for file, pipeline in wanted.items() if file in running and running[file].name == pipeline.name}
    for file in sorted(wanted, key=lambda file: (file not in runs_so, file)):
        owner = owners.setdefault(wanted[file].name, file)
        if owner != file:
            return file, wanted[owner].file
    return None


def _name_taken(pipeline: Pipeline, first: str) -> Problem:
    what = f"'{pipeline.name}' is also the name of {first}; accepted is a name that no other pipeline has"
    return Problem(pipeline.file, 0, "name", what)
