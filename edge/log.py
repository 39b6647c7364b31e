"""Logs: one event a line with fields, JSON unless a person watches; never a payload, an address or a secret."""

import logging
import sys

import structlog


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
            structlog.processors.dict_tracebacks,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
    # aiohttp writes a request's offending bytes to this logger; they are not for our logs.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
