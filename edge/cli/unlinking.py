"""`edge identity unlink`."""

import sys

import click

from edge.app.changing import told_whom
from edge.app.control import Told
from edge.cli.changing import change
from edge.cli.options import with_config
from edge.cli.screen import plain
from edge.cli.whom import Who, read_who
from edge.config import Config
from edge.ledger.theirs import Whom


@click.command()
@click.argument("who")
@with_config
def unlink(config: Config, who: str) -> None:
    """Take a link back, beside a running service or without one. What was sent stays sent.

    WHO is an e-mail, a phone or a customer id, which then names nobody; a browser id, which then is a stranger;
    or person:N, which then is one with nobody.
    """
    meant = read_who(who, config)
    whom = Whom(meant.identifiers, meant.browser, meant.person)
    request = {"verb": "unlink", **told_whom(whom)}
    end = list(change(config, request, lambda alone: alone.changes.unlink(request)))[-1]
    told = _undone(meant, end)
    if not told:
        click.echo(f"Nothing links {plain(who, 80)!r}; `edge identity show` says what is known.", err=True)
        sys.exit(1)
    for line in told:
        click.echo(line)


def _undone(who: Who, end: Told) -> list[str]:
    if end["parted"]:
        return [f"person {who.person} is one with nobody any more ({end['parted']} merges undone)"]
    if end["stranger"]:
        return [f"browser {who.browser} is a stranger from its next event on"]
    return [f"{kind} {plain(value)} names nobody any more" for kind, value in end["ended"]]
