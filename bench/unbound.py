"""The product's command line with the vendors' rates lifted, so that it is we who are measured and not the vendor.

    python -m bench.unbound serve --only drainer --config FILE

Klaviyo lets one account through at 58 events a second; a drainer that keeps to it sleeps most of its time. Nothing but
the declared rates is another than in `python -m edge`.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any

from edge.cli import main
from edge.delivery import Rate
from edge.destinations import BUILTIN
from edge.destinations.base import Destination

TIMES = 1_000_000


def lift() -> None:
    """Let every destination of this process be asked as often as anybody can."""
    for word, destination in list(BUILTIN.items()):
        BUILTIN[word] = type(destination.__name__, (destination,), {"rate": lifted(destination.rate)})


class Unbound:
    """A destination whose account may be asked as often as anybody can; everything else is the destination's own."""

    def __init__(self, destination: Destination) -> None:
        self._destination, self.rate = destination, lifted(destination.rate)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._destination, name)


def lifted(rate: Rate) -> Rate:
    """Give a rate that nobody reaches, its named ones as well."""
    return replace(rate, **{field.name: _lifted(getattr(rate, field.name)) for field in fields(rate)})


def _lifted(value: Any) -> Any:
    if is_dataclass(value):
        return lifted(value)  # type: ignore[arg-type]  # a rate within a rate
    if isinstance(value, dict):
        return {name: _lifted(one) for name, one in value.items()}
    return value * TIMES if isinstance(value, int | float) else value


if __name__ == "__main__":
    lift()
    main(prog_name="edge")
