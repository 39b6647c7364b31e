"""Verbs whose modules are read when somebody asks for them: no verb waits for the libraries of another."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class Lazy:
    """Where a verb lies, e.g. "edge.cli.tailing:tail", and its line in the list of verbs."""

    place: str
    summary: str

    def load(self) -> click.Command:
        """Read the module and give the verb."""
        module, _, name = self.place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command


class LazyGroup(click.Group):
    """A group that knows its verbs by name and line alone, until one is called."""

    def __init__(self, *arguments: Any, verbs: Mapping[str, Lazy], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.verbs = verbs

    def list_commands(self, _: click.Context) -> list[str]:
        """Give the verbs' names."""
        return sorted(self.verbs)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        """Give a verb; None where there is none of this name."""
        verb = self.verbs.get(cmd_name)
        return verb.load() if verb is not None else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without reading their modules."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.verbs[name].summary) for name in self.list_commands(ctx)])
