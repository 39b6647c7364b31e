"""The folder of the pipeline files while the service runs: what changed is compiled aside and swapped whole.

A file with an error keeps what ran before it, over restarts too: the ledger has the last good text of every file.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import structlog

from edge.app.decision import Decision, Reading, decide
from edge.app.lanes import Lanes
from edge.errors import ConfigErrors, Problem, StorageFull
from edge.ledger import Database, revisions
from edge.ledger.records import Revision
from edge.metrics import DrainerMetrics
from edge.pipeline import Pipeline, compile_pipeline, files_of
from edge.yamlfile import MAX_BYTES

log = structlog.get_logger(__name__)

# A file is taken as it is when two readings this far apart agree: an editor may still be writing it.
AGREE_AFTER_S = 0.1
MAX_READINGS = 20
MAX_SHOWN = 20
MAX_SHOWN_CHARS = 400

Contents: TypeAlias = dict[str, bytes | None]


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

    @property
    def problem_counts(self) -> dict[str, int]:
        """How many problems files have now, of those that have any; bounded."""
        return {_shown(file): len(found) for file, found in list(self._problems.items())[:MAX_SHOWN]}

    async def open(self) -> None:
        """Let go on what ran when the last process ended, then run what the folder says.

        So a file that is broken by now runs as it was last good, and on a full disk everything as it was.
        """
        for revision in await revisions.running(self._database):
            pipeline = recall(revision, self._directory, self._environ)
            if pipeline:
                await self._lanes.put(pipeline)
        self._contents = await asyncio.to_thread(contents_of, self._directory)
        await self._follow()

    async def run(self, changes: AsyncIterator[None]) -> None:
        """Look again whenever the folder may have changed."""
        async for _ in changes:
            await self.look()

    async def look(self) -> None:
        """Read the folder again, and run what it says now."""
        before, self._contents = self._contents, await self._agreed()
        if self._contents == before and self._is_followed:
            return
        for result in await self._follow():
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

    async def _follow(self) -> list[str]:
        """Make what runs what the folder says; give what was done, in the words of the metric."""
        self._is_followed = False  # where something fails, the next look does the rest
        try:
            decision = await self._decide()
            results = [*self._show(decision), *await self._end(decision), *await self._put(decision)]
            self._is_followed = True
            return results
        except StorageFull as error:
            log.warning("following the pipelines folder waits for room", error=str(error))
            return []
        finally:
            self._changed()

    async def _decide(self) -> Decision:
        running = {Path(pipeline.file).name: pipeline for pipeline in self._lanes.pipelines}
        if self._contents is None:
            what = "is not a directory that can be read; accepted is the one with the pipelines"
            return Decision(running, {self._directory.name: (Problem(str(self._directory), 0, "", what),)})
        for file in self._readings.keys() - self._contents.keys():
            del self._readings[file]
        for file, content in self._contents.items():
            known = self._readings.get(file)
            if known is None or known.content != content:
                path = self._directory / file
                self._readings[file] = await asyncio.to_thread(read, path, content, self._environ)
        return decide(self._readings, running, await revisions.integrations(self._database))

    async def _end(self, decision: Decision) -> list[str]:
        """End what no file names any more, and what ran before this process from a file that is gone."""
        if self._contents is None:
            return []
        ran = await revisions.running(self._database)
        gone = {revision.pipeline for revision in ran if revision.file not in self._contents}
        wanted = {pipeline.name for pipeline in decision.pipelines.values()}
        ended = sorted({*self._lanes.names, *gone} - wanted)
        for name in ended:
            await self._lanes.end(name)
            log.info("pipeline ended: no file names it any more", pipeline=name)
        return ["ended"] * len(ended)

    async def _put(self, decision: Decision) -> list[str]:
        results = []
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
            log.error(
                "pipeline file refused",
                file=_shown(file),
                problems=len(decision.problems[file]),
                first=_shown(str(first)),
                goes_on_as=runs.hash if runs else None,
            )
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


def read(file: Path, content: bytes | None, environ: Mapping[str, str]) -> Reading:
    """Compile what was read of a file, whatever stands there by now."""
    if content is None:
        what = "cannot be read; accepted is a file that this user may read"
        return Reading(None, None, (Problem(str(file), 0, "", what),))
    try:
        # A byte that is no UTF-8 survives this, and is refused with its place.
        text = content.decode(errors="surrogateescape")
        return Reading(content, compile_pipeline(text, str(file), environ))
    except ConfigErrors as errors:
        return Reading(content, None, errors.problems)
    except Exception as error:  # a mistake of ours costs this one file, not the others
        log.exception("a pipeline file failed unforeseen", file=_shown(str(file)))
        what = f"cannot be compiled ({type(error).__name__}): a mistake of the sidecar's; accepted is what ran before"
        return Reading(content, None, (Problem(str(file), 0, "", what),))


def _content(file: Path) -> bytes | None:
    """Read a file as far as any is compiled; a pipe or a device, which may never end, is not one."""
    try:
        if not file.is_file():
            return None
        with file.open("rb") as opened:
            return opened.read(MAX_BYTES + 1)
    except OSError:
        return None


def _shown(text: str) -> str:
    """Give a text as a report can carry it, whatever bytes a file's name has."""
    return text.encode("utf-8", "replace").decode()[:MAX_SHOWN_CHARS]
