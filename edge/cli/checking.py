"""`edge check`."""

import os
import sqlite3
import sys

import click
import orjson

from edge.cli.options import WRONG_USE, config_errors_exit, config_options
from edge.cli.probing import probe_and_show
from edge.cli.problems import near, tell
from edge.cli.surroundings import surroundings
from edge.config import Config, Survey, find_config, survey_config
from edge.pipeline import Folder, Pipeline, load_folder
from edge.schema import WHICH, Which, schema


def _print_schema(context: click.Context, _: click.Parameter, which: Which | None) -> None:
    """Print it and end, before any file is looked for."""
    if which is not None and not context.resilient_parsing:
        click.echo(orjson.dumps(schema(which), option=orjson.OPT_INDENT_2).decode())
        context.exit()


@click.command()
@click.option(
    "--schema",
    type=click.Choice(WHICH),
    is_flag=False,
    flag_value="both",
    is_eager=True,
    expose_value=False,
    callback=_print_schema,
    help="Print the JSON Schema of the files, or of one kind, for editors; nothing is checked.",
)
@click.option("--strict", "is_strict", is_flag=True, help="Exit 1 when there are warnings.")
@click.option(
    "--live", "is_live", is_flag=True, help="Then ask each enabled pipeline's vendor; exit 1 when one says no."
)
@config_options
def check(config_file: str | None, data_dir: str | None, is_strict: bool, is_live: bool) -> None:
    """Validate the configuration and every pipeline; exit 2 with every problem when there is one.

    Warnings say which of a vendor's features would not work with what a pipeline maps. With --live, and files that are
    good, the vendors are asked whether they take the credentials, in a way that costs and changes nothing.
    """
    with config_errors_exit():
        path = find_config(config_file, os.environ)
    survey = survey_config(path, os.environ)
    folder = _folder(survey)
    warnings = [warning for pipeline in folder.pipelines for warning in pipeline.warnings]
    problems = [*survey.problems, *folder.problems]
    tell(problems, warnings)
    if problems or survey.config is None:
        sys.exit(WRONG_USE)
    _show(survey.config, folder.pipelines)
    is_good = not is_live or _ask(survey.config, folder.pipelines)
    sys.exit(1 if not is_good or (is_strict and warnings) else 0)


def _ask(config: Config, pipelines: tuple[Pipeline, ...]) -> bool:
    now_ms = surroundings().clock.now_ms()
    return probe_and_show(pipelines, now_ms=now_ms, timeout_s=config.drainer.timeout_s)


def _folder(survey: Survey) -> Folder:
    """Load the pipelines, also beside a wrong configuration, if only it says where they are."""
    if survey.pipelines is None or (survey.problems and not survey.pipelines.is_dir()):
        return Folder((), ())
    return load_folder(survey.pipelines, os.environ)


def _show(config: Config, pipelines: tuple[Pipeline, ...]) -> None:
    click.echo(f"{near(str(config.file))}: good")
    for pipeline in pipelines:
        state = "" if pipeline.is_enabled else ", disabled"
        click.echo(
            f"{near(pipeline.file)}: {pipeline.name} → {pipeline.integration}, {len(pipeline.events)} events{state}"
        )
    if not pipelines:
        click.echo(f"{near(str(config.pipelines))}: no pipelines, so nothing is delivered")
    click.echo(f"SQLite {sqlite3.sqlite_version}")
