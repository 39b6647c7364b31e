"""Commands as texts tell of them, held to the command line that there is."""

import shlex

import click

from edge.cli import main


def parsed(command: str) -> dict[str, object]:
    """Give what a command's options and arguments are read as, e.g. of "edge serve --only drainer"; runs nothing.

    Raises:
        click.UsageError: there is no such verb or option, or a value does not fit.
    """
    program, *words = shlex.split(command)
    if program.rpartition("/")[2] != "edge":
        raise click.UsageError(f"{program} is not edge")
    found: click.Command = main
    context = click.Context(main)
    while isinstance(found, click.Group):
        name = words.pop(0) if words else ""
        sub = found.get_command(context, name)
        if sub is None:
            raise click.UsageError(f"no verb {name}")
        found = sub
    return dict(found.make_context(None, words).params)
