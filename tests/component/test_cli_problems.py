"""How problems and warnings are told: colours, sums, and the offending line on a terminal."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from edge.cli.checking import check
from edge.cli.problems import excerpt, near, tell
from edge.errors import Problem


def told(capsys: pytest.CaptureFixture[str], problems: list[Problem], warnings: list[Problem]) -> list[str]:
    tell(problems, warnings)
    return capsys.readouterr().err.splitlines()


def test_warnings_stand_among_the_problems_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    problems = [Problem("b.yaml", 3, "events", "is wrong", 1), Problem("b.yaml", 1, "", "is broken")]
    warnings = [Problem("a.yaml", 9, "", "leaves out a"), Problem("b.yaml", 2, "events.search", "leaves out b", 5)]
    assert told(capsys, problems, warnings) == [
        "a.yaml:9: warning: leaves out a",
        "b.yaml:1: is broken",
        "b.yaml:2:5: warning: events.search: leaves out b",
        "b.yaml:3:1: events: is wrong",
        "2 problems and 2 warnings in 2 files",
    ]


def test_nothing_wrong_is_told_by_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(capsys, [], []) == []
    assert told(capsys, [], [Problem("a.yaml", 1, "", "leaves out c", 2)]) == [
        "a.yaml:1:2: warning: leaves out c",
        "1 warning in 1 file",
    ]


def test_a_terminal_sees_the_line_with_a_caret_under_the_place(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("site: {name: shop}\nspool: {max_bytes: 20}\ndata_dir: ${SHOP_KEY}\n")
    (tmp_path / "pipelines").mkdir()
    runner = CliRunner(env={"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"})
    lines = runner.invoke(check, ["--config", str(tmp_path / "edge.yaml")]).stderr.splitlines()
    assert [line for line in lines if line.startswith("    ")] == [
        "    spool: {max_bytes: 20}",
        "                       ^",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "private_api_key: short",
        "endpoint: pk_12345678",
        "x: aB3dE5fG7hI9jK1lM2nOp",
        "password: x",
        "data_dir: ${NAME:-a}",
        "a: " + "x" * 130,
        "\x07",
    ],
)
def test_a_line_that_may_hold_a_credential_or_is_too_long_is_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / "f.yaml").write_text(line)
    assert excerpt(Problem(str(tmp_path / "f.yaml"), 1, "", "is wrong", 1)) is None


def test_only_places_that_are_in_the_file_have_a_line(tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("a: b\n\tc: d\n")
    file = str(tmp_path / "f.yaml")
    shown = [excerpt(Problem(file, line, "", "", column)) for line, column in ((0, 0), (1, 0), (1, 6), (2, 1), (9, 1))]
    assert shown == [None, None, None, " c: d", None]
    assert excerpt(Problem(str(tmp_path / "none.yaml"), 1, "", "", 1)) is None


def test_files_below_the_working_folder_are_named_from_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert near(str(tmp_path / "pipelines" / "shop.yaml")) == "pipelines/shop.yaml"
    assert near("/etc/edge.yaml") == "/etc/edge.yaml"
    assert near("config/edge.yaml") == "config/edge.yaml"
    monkeypatch.chdir("/")
    assert near("/etc/edge.yaml") == "/etc/edge.yaml"
