"""`edge demo`."""

import asyncio
import sys

import click
from rich.console import Console

from edge.demo.run import run_demo


@click.command()
@click.option("--once", is_flag=True, help="End by itself: 0 when every expected delivery arrived, else 1.")
def demo(once: bool) -> None:
    """Run a small shop, the sidecar and a sandbox of all vendors, and show what arrives."""
    try:
        sys.exit(asyncio.run(run_demo(Console(), once=once)))
    except KeyboardInterrupt:
        sys.exit(0)
