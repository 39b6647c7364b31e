"""Verbs are read when they are asked for: the list of all is whole, and who only looks reads no one else's library."""

import json
import subprocess
import sys

import click
import pytest

from edge.cli import main
from edge.cli.dead_letters import dead
from edge.cli.identity import identity
from edge.cli.lazily import LazyGroup
from tests.component.world import RUNNER

DEAR = (
    "aiohttp",
    "google.auth",
    "jmespath",
    "phonenumbers",
    "prometheus_client",
    "rich",
    "uvloop",
    "watchfiles",
    "yaml",
)
READ = """
import importlib, json, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
print(json.dumps([one for one in json.loads(sys.argv[1]) if one in sys.modules]))
"""


def read_by(*modules: str) -> list[str]:
    """Give the dear libraries that a fresh process has read after importing some modules."""
    told = [sys.executable, "-c", READ, json.dumps(DEAR), *modules]
    done = subprocess.run(told, capture_output=True, check=True, timeout=60)
    found: list[str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("group", "told"), [(main, []), (dead, ["dead"]), (identity, ["identity"])], ids=["edge", "dead", "identity"]
)
def test_help_lists_every_verb_with_its_whole_line(group: LazyGroup, told: list[str]) -> None:
    printed = RUNNER.invoke(main, [*told, "--help"]).stdout
    words = " ".join(printed.split())
    assert group.list_commands(click.Context(group)) == sorted(group.verbs)
    for name, verb in group.verbs.items():
        assert f" {name} {verb.summary}" in words


@pytest.mark.parametrize("group", [main, dead, identity], ids=["edge", "dead", "identity"])
def test_every_verb_is_found_under_its_name(group: LazyGroup) -> None:
    for name in group.verbs:
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert (command.name, bool(command.help)) == (name, True)


def test_another_word_is_wrong_use_and_names_none() -> None:
    result = RUNNER.invoke(main, ["tial"])
    assert (result.exit_code, "No such command 'tial'" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("modules", "read"),
    [
        (["edge.cli"], []),
        (["edge.cli.dead_letters", "edge.cli.balancing"], ["rich", "yaml"]),
        (
            ["edge.cli.queueing", "edge.cli.tailing", "edge.cli.explaining", "edge.cli.identity"],
            ["jmespath", "rich", "yaml"],
        ),
        (["edge.cli.serving"], ["aiohttp", "jmespath", "prometheus_client", "rich", "uvloop", "watchfiles", "yaml"]),
    ],
    ids=["none", "ledger alone", "pipelines too", "the service"],
)
def test_a_verb_reads_the_libraries_that_it_needs_and_no_others(modules: list[str], read: list[str]) -> None:
    assert read_by(*modules) == read
