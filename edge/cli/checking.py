"""`edge check`."""

import sqlite3

import click

from edge.cli.options import pipelines_of, with_config
from edge.config import Config


@click.command()
@with_config
def check(config: Config) -> None:
    """Validate the configuration and every pipeline; exit 2 with every problem when there is one."""
    pipelines = pipelines_of(config)
    click.echo(f"{config.file}: good")
    for pipeline in pipelines:
        state = "" if pipeline.is_enabled else ", disabled"
        click.echo(f"{pipeline.file}: {pipeline.name} → {pipeline.integration}, {len(pipeline.events)} events{state}")
    if not pipelines:
        click.echo(f"{config.pipelines}: no pipelines, so nothing is delivered")
    click.echo(f"SQLite {sqlite3.sqlite_version}")
