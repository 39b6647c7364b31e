"""What every verb shares: which configuration, which data directory, and how bad ones are said."""

import functools
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click

from edge.cli.problems import tell
from edge.config import find_config, load_config
from edge.errors import ConfigErrors

F = TypeVar("F", bound=Callable[..., Any])

WRONG_USE = 2


def config_options(verb: F) -> F:
    """Give a verb `--config` and `--data-dir`, as `config_file` and `data_dir`."""
    verb = click.option("--data-dir", metavar="DIR", help="Instead of the configuration's data_dir.")(verb)
    return click.option(
        "--config", "config_file", metavar="FILE", help="Default: $EDGE_CONFIG, else config/edge.yaml."
    )(verb)


def with_config(verb: F) -> F:
    """Give a verb `--config` and `--data-dir`, and call it with the `config` they lead to."""

    @config_options
    @functools.wraps(verb)
    def wrapped(*args: Any, config_file: str | None, data_dir: str | None, **kwargs: Any) -> Any:
        with config_errors_exit():
            config = load_config(find_config(config_file, os.environ), os.environ)
        if data_dir is not None:
            config = replace(config, data_dir=Path(data_dir).absolute())
        return verb(*args, config=config, **kwargs)

    return wrapped  # type: ignore[return-value]  # click has added parameters of its own


class config_errors_exit:
    """Print every problem of the files and exit 2."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, ConfigErrors):
            tell(error.problems)
            sys.exit(WRONG_USE)
