"""What `edge check` says: every mistake with its place, what to export, a sum, and an exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edge.cli import main
from edge.shipped import shipped

ENVIRON = {"KLAVIYO_PRIVATE_API_KEY": "a-key", "NO_COLOR": "1", "COLUMNS": "100", "EDGE_CONFIG": ""}
UNSET = "accepted is a variable that is set or, where it is no secret"
NOT_A_SIZE = (
    "'20' is not a size; accepted is a number with its unit (B, KB, MB, GB, TB, or KiB, MiB, GiB, TiB), "
    "such as 512KB, 64MB or 20GB"
)
UNKNOWN_ORIGINS = (
    "unknown key (did you mean origins?); accepted here: name, origins, phone_region, asset_hosts, order_id"
)


def edge(*arguments: object, **environ: str | None) -> Result:
    """Call a verb in this process."""
    return CliRunner(env={**ENVIRON, **environ}).invoke(main, [*map(str, arguments)], catch_exceptions=False)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as a person does."""
    command = [sys.executable, "-m", "edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, **ENVIRON})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "edge.yaml").write_text("site: {name: shop}\npipelines: pipelines\ndata_dir: var\n")
    shop = shipped("pipelines/klaviyo-events.yaml").read_text()
    (tmp_path / "pipelines" / "klaviyo-events.yaml").write_text(shop)
    return tmp_path


def pipeline_of(name: str, *, key: str = "KLAVIYO_PRIVATE_API_KEY", more: str = "") -> str:
    return (
        f"name: {name}\nintegration: klaviyo-events-api\nparameters: {{private_api_key: '${{{key}}}'}}\n"
        f"global: {{profile: {{$email: {{source: context.traits.email}}}}}}\n"
        f"events: {{search: {{properties: {{SearchTerm: {{source: properties.search_term}}}}}}}}\n{more}"
    )


def test_what_is_shipped_is_good() -> None:
    told = edge("check", "--config", shipped("config/edge.yaml"))
    assert (told.exit_code, told.stderr) == (0, "")
    assert "klaviyo_events → klaviyo-events-api, 6 events" in told.stdout


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_every_mistake_in_a_configuration_is_said_with_its_place(folder: Path, verb: str) -> None:
    file = folder / "edge.yaml"
    file.write_text("site: {name: shop, orgins: []}\nspool: {max_bytes: 20}\npipelines: pipelines\n")
    told = run(verb, "--config", file)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.splitlines() == [
        f"{file}:1:20: site.orgins: {UNKNOWN_ORIGINS}",
        f"{file}:2:20: spool.max_bytes: {NOT_A_SIZE}",
        "2 problems in 1 file",
    ]


@pytest.mark.parametrize("verb", ["check", "serve"])
def test_every_mistake_in_a_pipeline_is_said_with_its_place(folder: Path, verb: str) -> None:
    file = folder / "pipelines" / "klaviyo-events.yaml"
    file.write_text(pipeline_of("k", more="consent: [mails]\n"))
    told = run(verb, "--config", folder / "edge.yaml")
    what = "'mails' is not a purpose; accepted are functional, analytics, marketing, advertising"
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.splitlines() == [f"{file}:6:11: consent[0]: {what}", "1 problem in 1 file"]


def test_configuration_and_pipelines_are_told_together(folder: Path) -> None:
    file, pipeline = folder / "edge.yaml", folder / "pipelines" / "klaviyo-events.yaml"
    file.write_text("spool: {max_bytes: 20}\npipelines: pipelines\n")
    pipeline.write_text(pipeline_of("k", more="enabled: maybe\nenabled: true\n"))
    told = edge("check", "--config", file)
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        f"{file}:1:20: spool.max_bytes: {NOT_A_SIZE}",
        f"{pipeline}:6:10: enabled: 'maybe' is not a boolean; accepted are true and false",
        f"{pipeline}:7:1: enabled: this key stands here and in line 6; accepted is one of them",
        "3 problems in 2 files",
    ]


@pytest.mark.parametrize("pipelines", ["${NONE}", "[]", "nowhere", "pipelines\nsite: ["])
def test_pipelines_are_not_looked_for_where_a_wrong_configuration_may_not_mean_them(
    folder: Path, pipelines: str
) -> None:
    (folder / "edge.yaml").write_text(f"siet: {{}}\npipelines: {pipelines}\n")
    (folder / "pipelines" / "klaviyo-events.yaml").write_text("nonsense")
    told = edge("check", "--config", folder / "edge.yaml")
    assert told.exit_code == 2
    assert "nonsense" not in told.stderr and "klaviyo-events.yaml" not in told.stderr
    assert "is not a directory" not in told.stderr


def test_variables_that_are_not_set_are_listed_once_with_the_files_that_want_them(folder: Path) -> None:
    (folder / "edge.yaml").write_text(
        "site: {name: '${SHOP_NAME}'}\npipelines: pipelines\ncookie: {keys: ['${EMPTY}']}\n"
    )
    (folder / "pipelines" / "a.yaml").write_text(pipeline_of("a", key="SHOP_KEY"))
    (folder / "pipelines" / "b.yaml").write_text(pipeline_of("${SHOP_NAME}", key="SHOP_KEY", more="max_age: 1\n"))
    told = edge("check", "--config", folder / "edge.yaml", EMPTY="")
    a, b, config = folder / "pipelines/a.yaml", folder / "pipelines/b.yaml", folder / "edge.yaml"
    assert told.exit_code == 2
    assert [line.split(" ")[0] for line in told.stderr.splitlines()[:6]] == [
        f"{config}:1:14:",
        f"{config}:3:17:",
        f"{a}:3:31:",
        f"{b}:1:7:",
        f"{b}:3:31:",
        f"{b}:6:10:",
    ]
    assert told.stderr.splitlines()[6:] == [
        "variables to set:",
        f"  EMPTY      {config}:3",
        f"  SHOP_KEY   {a}:3, {b}:3",
        f"  SHOP_NAME  {config}:1, {b}:1",
        "6 problems in 3 files",
    ]


def test_missing_secret_names_the_variable(folder: Path) -> None:
    told = edge("check", "--config", folder / "edge.yaml", KLAVIYO_PRIVATE_API_KEY=None)
    file = folder / "pipelines/klaviyo-events.yaml"
    assert told.exit_code == 2
    assert told.stderr.splitlines() == [
        f"{file}:8:20: parameters.private_api_key: the variable KLAVIYO_PRIVATE_API_KEY is not set; "
        f"{UNSET}, ${{KLAVIYO_PRIVATE_API_KEY:-default}}",
        "variables to set:",
        f"  KLAVIYO_PRIVATE_API_KEY  {file}:8",
        "1 problem in 1 file",
    ]


def test_two_pipelines_of_one_name_are_told_with_both_places(folder: Path) -> None:
    for name in ("a", "b"):
        (folder / "pipelines" / f"{name}.yaml").write_text(pipeline_of("twin"))
    told = edge("check", "--config", folder / "edge.yaml")
    a, b = folder / "pipelines/a.yaml", folder / "pipelines/b.yaml"
    assert told.stderr.splitlines() == [
        f"{b}:1:7: name: 'twin' is also the name in {a}:1; accepted is a name that no other pipeline has",
        "1 problem in 1 file",
    ]


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["--strict"], 1)])
def test_what_a_vendor_needs_and_a_pipeline_leaves_out_is_a_warning(
    folder: Path, arguments: list[str], code: int
) -> None:
    file = folder / "pipelines" / "klaviyo-events.yaml"
    file.write_text(pipeline_of("k").replace("SearchTerm", "Words"))
    told = edge("check", "--config", folder / "edge.yaml", *arguments)
    assert told.exit_code == code
    warning, total = told.stderr.splitlines()
    assert warning.startswith(f"{file}:5:") and ": warning: events.search: leaves out SearchTerm, so " in warning
    assert total == "1 warning in 1 file"
    assert f"{file}: k → klaviyo-events-api, 1 events" in told.stdout


def test_warnings_beside_problems_do_not_change_the_exit_code(folder: Path) -> None:
    (folder / "edge.yaml").write_text("siet: {}\npipelines: pipelines\n")
    (folder / "pipelines" / "klaviyo-events.yaml").write_text(pipeline_of("k").replace("SearchTerm", "Words"))
    told = edge("check", "--strict", "--config", folder / "edge.yaml")
    assert (told.exit_code, told.stdout) == (2, "")
    assert told.stderr.splitlines()[-1] == "1 problem and 1 warning in 2 files"


def test_configuration_that_is_not_there_says_what_was_looked_for(folder: Path) -> None:
    told = edge("check", "--config", folder / "other.yaml")
    assert told.exit_code == 2
    assert "there is no such file; --config names it" in told.stderr


def test_wrong_use_exits_with_two_and_an_unknown_event_with_one(folder: Path) -> None:
    assert edge("serve", "--unknown").exit_code == 2
    assert edge("why", "no-such-event", "--config", folder / "edge.yaml").exit_code == 1


def test_control_characters_of_a_file_do_not_reach_the_terminal(folder: Path) -> None:
    (folder / "edge.yaml").write_text('"a\\e[2Jb\\nc": 1\nconsent: {gpc: "x\\e[2Jy"}\npipelines: pipelines\n')
    told = edge("check", "--config", folder / "edge.yaml")
    assert told.exit_code == 2
    assert "\x1b" not in told.stderr
    assert len(told.stderr.splitlines()) == 3
