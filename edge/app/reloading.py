"""The folder of the pipeline files while the service runs: what changed is compiled aside and swapped whole.

A file with an error keeps what ran before it, over restarts too: the ledger has the last good text of every file.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import structlog

from edge.app.lanes import Lanes
from edge.errors import ConfigErrors, Problem
from edge.ledger import Database, DeliveryLedger
from edge.ledger.records import Revision
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline, compile_pipeline, files_of, load_pipeline

log = structlog.get_logger(__name__)

# A file is taken as it is when two readings this far apart agree: an editor may still be writing it.
AGREE_AFTER_S = 0.1
MAX_READINGS = 20
MAX_SHOWN = 20
MAX_SHOWN_CHARS = 400


Contents: TypeAlias = dict[str, bytes | None]


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
    problems = {file: reading.problems for file, reading in readings.items() if reading.problems}
    wanted: dict[str, Pipeline] = {}
    for file, reading in readings.items():
        problem = reading.pipeline and _other_vendor(reading.pipeline, integrations)
        if problem:
            problems[file] = (problem,)
        found = reading.pipeline if not problem else None
        if found or file in running:
            wanted[file] = found or running[file]
    while twice := _named_twice(wanted, running):
        file, first = twice
        what = f"'{wanted[file].name}' is also the name of {first}; accepted is a name that no other pipeline has"
        problems[file] = (*problems.get(file, ()), Problem(wanted[file].file, 0, "name", what))
        if file in running and wanted[file] is not running[file]:
            wanted[file] = running[file]
        else:
            del wanted[file]
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


class Reloader:
    """Keeps what runs in step with the folder. `changed` is called when something else may run than before."""

    def __init__(
        self,
        directory: Path,
        environ: Mapping[str, str],
        *,
        lanes: Lanes,
        database: Database,
        metrics: DrainerMetrics,
        pause: Callable[[float], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self._directory, self._environ = directory, environ
        self._lanes, self._database, self._metrics = lanes, database, metrics
        self._pause, self._changed = pause, changed
        self._contents: Contents | None = {}
        self._is_followed = False
        self._readings: dict[str, Reading] = {}
        self._problems: Mapping[str, tuple[Problem, ...]] = {}

    @property
    def problems(self) -> list[str]:
        """What is wrong now, for a report: bounded, without secrets."""
        texts = [str(problem) for problems in self._problems.values() for problem in problems]
        more = [f"and {len(texts) - MAX_SHOWN} more: edge check shows all"] if len(texts) > MAX_SHOWN else []
        return [_shown(text) for text in texts[:MAX_SHOWN]] + more

    async def open(self) -> None:
        """Run what the folder says; a broken file runs with the last good text that the ledger has of it."""
        ran = await DeliveryLedger.running(self._database)
        recalled = {revision.file: recall(revision, self._directory, self._environ) for revision in ran}
        self._contents = await asyncio.to_thread(contents_of, self._directory)
        await self._follow({file: pipeline for file, pipeline in recalled.items() if pipeline})
        for revision in ran:
            is_gone = self._contents is not None and revision.file not in self._contents
            if is_gone and revision.pipeline not in self._lanes:
                await self._lanes.end(revision.pipeline)

    async def run(self, changes: AsyncIterator[None]) -> None:
        """Look again whenever the folder may have changed."""
        async for _ in changes:
            await self.look()

    async def look(self) -> None:
        """Read the folder again, and run what it says now."""
        before, self._contents = self._contents, await self._agreed()
        if self._contents == before and self._is_followed:
            return
        for result in await self._follow({Path(one.file).name: one for one in self._lanes.pipelines}):
            self._metrics.reloads.labels(result).inc()

    async def _agreed(self) -> Contents | None:
        """Read every file; while readings differ somebody is still writing."""
        contents = await asyncio.to_thread(contents_of, self._directory)
        for _ in range(MAX_READINGS):
            if contents == self._contents:
                break
            await self._pause(AGREE_AFTER_S)
            before, contents = contents, await asyncio.to_thread(contents_of, self._directory)
            if contents == before:
                break
        return contents

    async def _follow(self, running: Mapping[str, Pipeline]) -> list[str]:
        """Make what runs what the folder says; give what was done, in the words of the metric."""
        self._is_followed = False  # where something raises, the next look does the rest
        try:
            decision = await self._decide(running)
            results = await self._apply(decision) + self._show(decision)
            self._is_followed = True
            return results
        finally:
            self._changed()

    async def _decide(self, running: Mapping[str, Pipeline]) -> Decision:
        if self._contents is None:
            what = "is not a directory that can be read; accepted is the one with the pipelines"
            return Decision(running, {self._directory.name: (Problem(str(self._directory), 0, "", what),)})
        for file in self._readings.keys() - self._contents.keys():
            del self._readings[file]
        for file, content in self._contents.items():
            known = self._readings.get(file)
            if known is None or content is None or known.content != content:
                path = self._directory / file
                self._readings[file] = await asyncio.to_thread(_read, path, content, self._environ)
        return decide(self._readings, running, await DeliveryLedger.integrations(self._database))

    async def _apply(self, decision: Decision) -> list[str]:
        results = []
        names = {pipeline.name for pipeline in decision.pipelines.values()}
        for name in self._lanes.names:
            if name not in names:
                await self._lanes.end(name)
                log.info("pipeline ended: no file names it any more", pipeline=name)
                results.append("ended")
        for pipeline in decision.pipelines.values():
            if not self._lanes.runs(pipeline):
                results.append("swapped" if pipeline.name in self._lanes else "started")
                await self._lanes.put(pipeline)
                log.info("pipeline runs", pipeline=pipeline.name, file=pipeline.file, hash=pipeline.hash)
        return results

    def _show(self, decision: Decision) -> list[str]:
        """Show problems that are new, and take back those that are over; give a word for each file with new ones."""
        before, self._problems = self._problems, decision.problems
        new = [file for file, problems in decision.problems.items() if before.get(file) != problems]
        for file in new:
            first, runs = decision.problems[file][0], decision.pipelines.get(file)
            shown = {"problems": len(decision.problems[file]), "first": _shown(str(first))}
            log.error("pipeline file refused", file=_shown(file), **shown, goes_on_as=runs.hash if runs else None)
        for file in before.keys() - decision.problems.keys():
            log.info("pipeline file has no problem any more", file=_shown(file))
        self._metrics.file_problems.clear()
        for file, problems in list(decision.problems.items())[:MAX_SHOWN]:
            self._metrics.file_problems.labels(_shown(file)).set(len(problems))
        return ["refused"] * len(new)


def contents_of(directory: Path) -> Contents | None:
    """Give the bytes of every pipeline file, None for one that cannot be read; None where the folder cannot."""
    try:
        return {file.name: _content(file) for file in files_of(directory)} if directory.is_dir() else None
    except OSError:
        return None


def recall(revision: Revision, directory: Path, environ: Mapping[str, str]) -> Pipeline | None:
    """Compile what a file said before; None where that is of no use any more, as when a variable is not set now."""
    try:
        return compile_pipeline(revision.text, str(directory / revision.file), environ)
    except Exception as error:  # whatever it is, the other pipelines run
        log.error("a stored pipeline cannot be used", pipeline=revision.pipeline, error=type(error).__name__)
        return None


def _read(file: Path, content: bytes | None, environ: Mapping[str, str]) -> Reading:
    try:
        return Reading(content, load_pipeline(file, environ))
    except ConfigErrors as errors:
        return Reading(content, None, errors.problems)
    except Exception as error:  # a mistake of ours costs this one file, not the others
        log.exception("a pipeline file failed unforeseen", file=_shown(str(file)))
        what = f"cannot be compiled ({type(error).__name__}): a mistake of the sidecar's; accepted is what ran before"
        return Reading(content, None, (Problem(str(file), 0, "", what),))


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _shown(text: str) -> str:
    """Give a text as a report can carry it, whatever bytes a file's name has."""
    return text.encode("utf-8", "replace").decode()[:MAX_SHOWN_CHARS]
