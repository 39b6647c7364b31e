"""`edge demo`."""

import asyncio
import signal
import sys

import click
from rich.console import Console

from edge.demo.run import SHOP_PORT, run_demo


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=SHOP_PORT, show_default=True, help="The shop's; 0: any."
)
@click.option("--once", is_flag=True, help="End by itself: 0 when every expected delivery arrived, else 1.")
def demo(once: bool, port: int) -> None:
    """Run a small shop, the sidecar and a sandbox of all vendors, and show what arrives."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended by its pid it cleans up as with Ctrl-C
    try:
        sys.exit(asyncio.run(run_demo(Console(), once=once, port=0 if once else port)))
    except KeyboardInterrupt:
        sys.exit(0)
