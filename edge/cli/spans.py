"""Reading `--since` and `--until`, a span back from now or a moment; and `--every`, a span."""

from datetime import UTC, datetime

import click

from edge.units import DURATION_UNITS_S, parse_duration_s, span_of, within

MIN_EVERY_S, MAX_EVERY_S = 0.2, 60.0
ACCEPTED = "a duration such as 12h or 7d, or a moment such as 2026-11-21 or 2026-11-21T18:00 (UTC)"


def read_moment(text: str, now_ms: int, option: str = "--since") -> int:
    """Give milliseconds since 1970, not before them.

    Raises:
        UsageError: it is neither; `option` is named in what is said.
    """
    try:
        return max(0, now_ms - round(parse_duration_s(text) * 1_000))
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        told = f"{option}: {text!r} is neither a duration nor a moment; accepted is {ACCEPTED}"
        raise click.UsageError(told) from error
    return max(0, round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000))


def read_every_s(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """Give the seconds between two looks; raises BadParameter where it is no duration, or one out of range."""
    try:
        every_s = parse_duration_s(text)
        return within(
            every_s, MIN_EVERY_S, MAX_EVERY_S, span_of("a duration", MIN_EVERY_S, MAX_EVERY_S, DURATION_UNITS_S)
        )
    except ValueError as error:
        raise click.BadParameter(f"{text!r} {error}") from error
