"""What a verb takes from the world around it: the time, and how it waits. Tests hand in their own as click's `obj`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import click

from edge.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The machine's clock and a real sleep, unless somebody says otherwise."""

    clock: Clock = field(default_factory=SystemClock)
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep


def surroundings() -> Surroundings:
    """Give what the running command was called with."""
    found = click.get_current_context().find_object(Surroundings)
    return found if found is not None else Surroundings()
