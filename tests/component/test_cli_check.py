"""What a bad configuration gets: every mistake with its place, and exit code 2."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge.shipped import shipped

ENVIRON = {**os.environ, "KLAVIYO_PRIVATE_API_KEY": "a-key"}


def edge(*arguments: object, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ or ENVIRON)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "edge.yaml").write_text("site: {name: shop}\npipelines: pipelines\ndata_dir: var\n")
    shop = shipped("pipelines/klaviyo-events.yaml").read_text()
    (tmp_path / "pipelines" / "klaviyo-events.yaml").write_text(shop)
    return tmp_path


def test_what_is_shipped_is_good():
    told = edge("check", "--config", shipped("config/edge.yaml"))
    assert (told.returncode, told.stderr) == (0, "")
    assert "klaviyo_events → klaviyo-events-api, 6 events" in told.stdout


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_every_mistake_in_a_configuration_is_said_with_its_place(folder, verb):
    file = folder / "edge.yaml"
    file.write_text("site: {name: shop, orgins: []}\nspool: {max_bytes: 20}\n")
    told = edge(verb, "--config", file)
    assert told.returncode == 2
    first, second = told.stderr.splitlines()
    assert first.startswith(f"{file}:1: site.orgins: unknown key (did you mean origins?); accepted here: ")
    assert second.startswith(f"{file}:2: spool.max_bytes: '20' is not a size; accepted is ")


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_every_mistake_in_a_pipeline_is_said_with_its_place(folder, verb):
    file = folder / "pipelines" / "klaviyo-events.yaml"
    file.write_text(file.read_text().replace("mode: array_map", "mode: arraymap", 1))
    told = edge(verb, "--config", folder / "edge.yaml")
    assert told.returncode == 2
    assert "'arraymap'" in told.stderr
    assert "direct, static, array_map" in told.stderr
    assert told.stderr.startswith(f"{file}:")


def test_a_missing_secret_names_the_variable(folder):
    environ = {name: value for name, value in ENVIRON.items() if name != "KLAVIYO_PRIVATE_API_KEY"}
    told = edge("check", "--config", folder / "edge.yaml", environ=environ)
    assert told.returncode == 2
    assert "KLAVIYO_PRIVATE_API_KEY is not set" in told.stderr


def test_a_configuration_that_is_not_there_says_what_was_looked_for(folder):
    told = edge("check", "--config", folder / "other.yaml")
    assert told.returncode == 2
    assert "there is no such file; --config names it" in told.stderr


def test_wrong_use_exits_with_two_and_an_unknown_event_with_one(folder):
    assert edge("serve", "--unknown").returncode == 2
    assert edge("why", "no-such-event", "--config", folder / "edge.yaml").returncode == 1
