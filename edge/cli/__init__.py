"""The command `edge`. Exit codes: 0 good, 1 the answer is no, 2 wrong use or invalid configuration."""

import click

from edge import __version__
from edge.cli.lazily import Lazy, LazyGroup

VERBS = {
    "serve": Lazy("edge.cli.serving:serve", "Collect and deliver until told to stop."),
    "demo": Lazy("edge.cli.demo:demo", "Run a small shop, the sidecar and fake vendors, and show what arrives."),
    "check": Lazy("edge.cli.checking:check", "Validate the configuration and every pipeline."),
    "preview": Lazy("edge.cli.previewing:preview", "Show exactly what would be sent for an event, or why nothing."),
    "plan": Lazy("edge.cli.planning:plan", "Show what an edited pipeline folder would change."),
    "queue": Lazy("edge.cli.queueing:queue", "Show how deep the queue is; watch it; prove that nothing vanished."),
    "tail": Lazy("edge.cli.tailing:tail", "Follow accepted events and their deliveries until Ctrl-C."),
    "why": Lazy("edge.cli.explaining:why", "Tell one event's whole story."),
    "identity": Lazy("edge.cli.identity:identity", "Show who is known, and how; take a link back; erase a person."),
    "dead": Lazy("edge.cli.dead_letters:dead", "List and show dead letters; send them again, or let them go."),
    "replay": Lazy("edge.cli.repeating:replay", "Send stored events again through today's pipeline."),
    "consent": Lazy("edge.cli.consenting:consent", "Prove what visitors agreed to, and check the log that proves it."),
    "snippet": Lazy("edge.cli.tagging:snippet", "Print the tag for the shop's pages and the lines for nginx."),
    "sandbox": Lazy("edge.cli.sandboxing:sandbox", "Run fake vendors that refuse what the real ones refuse."),
}


@click.group(
    cls=LazyGroup, verbs=VERBS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="edge")
def main() -> None:
    """First-party event collection beside a shop's web server, with server-side delivery."""
