"""`edge serve`."""

import os
import sys
from typing import NoReturn

import click

from edge.app.serving import ROLES, serve_all, serve_one
from edge.cli.options import with_config
from edge.cli.pipeline_files import pipelines_of
from edge.config import Config


def end(code: int) -> NoReturn:
    """End now: after a storage failure some connection is left open on purpose, and its thread would keep us."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


@click.command()
@click.option("--only", type=click.Choice(ROLES), help="Run one part, without a supervisor.")
@click.option("--report-fd", type=int, hidden=True)
@with_config
def serve(config: Config, only: str | None, report_fd: int | None) -> None:
    """Collect and deliver until told to stop (SIGTERM or SIGINT).

    Started by hand it refuses pipelines with errors; a drainer that the supervisor starts again delivers all the same.
    """
    if report_fd is None and only != "collector":
        pipelines_of(config)
    if only is not None:
        end(serve_one(only, config, report_fd))
    end(serve_all(config, ["--config", str(config.file), "--data-dir", str(config.data_dir)]))
