"""Logs: one event a line with fields, JSON unless a person watches; never a payload, an address or a secret."""

import logging
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import structlog


def _where(exc_info: tuple[type[BaseException], BaseException, TracebackType | None]) -> str:
    """Say what kind of error it was and the way to it, e.g. "ValueError at draining.py:131 < lane.py:60"."""
    kind, _, trace = exc_info
    frames = traceback.extract_tb(trace)
    way = " < ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-6:]))
    return f"{kind.__name__} at {way}"


@contextmanager
def warnings_to_stderr() -> Iterator[None]:
    """Let what the service's parts log inside a verb go to stderr, and only its warnings: stdout is the verb's."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=lambda *args: structlog.PrintLogger(file=sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


def configure_logs(role: str) -> None:
    """Send structlog and the standard library's warnings to stderr, each line with time, level and role."""
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    if sys.stderr.isatty():
        renderer = structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # Where, never with which values: frames hold payloads and credentials, messages may quote them.
            structlog.processors.ExceptionRenderer(_where),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # aiohttp writes a request's offending bytes to this logger; they are not for our logs.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
