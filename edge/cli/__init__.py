"""The command `edge`. Exit codes: 0 good, 1 the answer is no, 2 wrong use or invalid configuration."""

import click

from edge import __version__
from edge.cli.checking import check
from edge.cli.consenting import consent
from edge.cli.dead_letters import dead
from edge.cli.demo import demo
from edge.cli.explaining import why
from edge.cli.identity import identity
from edge.cli.planning import plan
from edge.cli.previewing import preview
from edge.cli.queueing import queue
from edge.cli.repeating import replay
from edge.cli.sandboxing import sandbox
from edge.cli.serving import serve
from edge.cli.tagging import snippet
from edge.cli.tailing import tail


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edge")
def main() -> None:
    """First-party event collection beside a shop's web server, with server-side delivery."""


for verb in (serve, demo, check, preview, plan, queue, tail, why, identity, dead, replay, consent, snippet, sandbox):
    main.add_command(verb)
