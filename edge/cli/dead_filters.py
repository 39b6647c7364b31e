"""The filters that all verbs of `edge dead` share."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

from edge.cli.spans import ACCEPTED, read_moment
from edge.cli.surroundings import surroundings
from edge.ledger.letters import FOR_EVER_MS, REASON_CLASSES, Letters

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option("--pipeline", metavar="NAME", help="Only this pipeline's."),
    click.option("--event", "event_name", metavar="NAME", help="Only events of this name."),
    click.option("--reason", type=click.Choice(list(REASON_CLASSES)), help="Only those of this class."),
    click.option("--error", metavar="TEXT", help="Only with this text in the reason or the answer."),
    click.option("--since", metavar="WHEN", help=f"Died since: {ACCEPTED}."),
    click.option("--until", metavar="WHEN", help="Died before; as --since."),
)


def letter_filters(verb: F) -> F:
    """Give a verb the filters, and call it with the letters that are `wanted`."""

    @functools.wraps(verb)
    def wrapped(
        *args: Any,
        pipeline: str | None,
        event_name: str | None,
        reason: str | None,
        error: str | None,
        since: str | None,
        until: str | None,
        **kwargs: Any,
    ) -> Any:
        now_ms = surroundings().clock.now_ms()
        since_ms = read_moment(since, now_ms) if since is not None else 0
        until_ms = read_moment(until, now_ms, "--until") if until is not None else FOR_EVER_MS
        wanted = Letters(pipeline, event_name, reason, since_ms, until_ms, error)
        return verb(*args, wanted=wanted, **kwargs)

    for option in reversed(OPTIONS):
        wrapped = option(wrapped)
    return wrapped  # type: ignore[return-value]  # click has added parameters of its own
