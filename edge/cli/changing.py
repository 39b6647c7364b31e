"""How verbs change something: by asking the service that runs, else in its place."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from edge.app.alone import Alone, standing_in
from edge.app.control import CONTROL_SOCKET, NobodyAnswers, Told, ask
from edge.app.folders import ledger_path
from edge.cli.stores import Unavailable
from edge.cli.surroundings import surroundings
from edge.config import Config
from edge.errors import EdgeError, StorageTaken
from edge.log import warnings_to_stderr
from edge.pipeline import Pipeline

ANSWER_S = 600.0


def change(
    config: Config, request: Told, do: Callable[[Alone], AsyncIterator[Told]], pipelines: Sequence[Pipeline] = ()
) -> Iterator[Told]:
    """Give what is told of a change, its last line included: by the service, or by `do` where none runs.

    Raises:
        Unavailable: there is nothing to change, or it could not be done.
    """
    if not ledger_path(config).exists():
        raise Unavailable(f"{ledger_path(config)}: no ledger here")
    try:
        for told in ask(config.data_dir / CONTROL_SOCKET, request, answer_s=ANSWER_S):
            yield _good(told)
        return
    except NobodyAnswers:
        pass
    except EdgeError as error:
        raise Unavailable(str(error)) from error
    try:
        with warnings_to_stderr(), asyncio.Runner() as runner:
            alone = _alone(config, do, pipelines)
            while (line := runner.run(_next(alone))) is not None:
                yield _good(line)
    except StorageTaken as error:
        raise Unavailable(f"{error} and does not answer yet; try again when it is ready") from error
    except (EdgeError, ValueError) as error:
        raise Unavailable(str(error)) from error


async def _alone(
    config: Config, do: Callable[[Alone], AsyncIterator[Told]], pipelines: Sequence[Pipeline]
) -> AsyncIterator[Told]:
    async with standing_in(config, surroundings().clock, pipelines) as alone:
        async for told in do(alone):
            yield told


async def _next(lines: AsyncIterator[Told]) -> Told | None:
    return await anext(lines, None)


def _good(told: Told) -> Told:
    if told.get("kind") == "error":
        raise Unavailable(str(told.get("message")))
    return told
