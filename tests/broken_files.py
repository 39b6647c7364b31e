"""The files of tests/broken: each says at its top what `edge check` says of it, which is asked here.

A single file is a configuration or a pipeline, as its name begins; a folder holds both. Lines of a single file are
told without the file's name.
"""

import re
import shutil
import tempfile
from pathlib import Path

from click.testing import CliRunner, Result

from edge.cli import main

ROOT = Path(__file__).parent / "broken"
CASES = sorted(path for path in ROOT.iterdir() if path.suffix == ".yaml" or path.is_dir()) if ROOT.is_dir() else []
# What stands in the files and in the environment, and may stand in no message.
SECRETS = ("pk_2f1e0d9c8b7a69584736251403f2e1d0c9", "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "k" * 40, "hunter2", "c" * 20)
ENVIRON = {
    "KLAVIYO_PRIVATE_API_KEY": "k" * 40,
    "COOKIE_KEY": "k" * 40,
    "SHORT_KEY": "hunter2",
    "COLON_KEY": "c" * 20 + ":" + "d" * 20,
    "EMPTY_KEY": "",
    "HTTP_ADDRESS": "http://hooks.example/alerts?token=hunter2",
    "NO_ADDRESS": "https://hunter2@hooks.example/",
    "EDGE_CONFIG": "",
    "COLUMNS": "100",
    "NO_COLOR": "1",
}
SAYS = "# edge check says:"


def checked(case: Path) -> tuple[Result, str]:
    """Run `edge check` over a case in a folder of its own; give what it said, and the prefix of the case's places."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        (folder / "pipelines").mkdir()
        (folder / "edge.yaml").write_text("pipelines: pipelines\n")
        if case.is_dir():
            shutil.copytree(case, folder, dirs_exist_ok=True)
            prefix = f"{folder}/"
        elif case.name.startswith("config-"):
            shutil.copy(case, folder / "edge.yaml")
            prefix = f"{folder / 'edge.yaml'}:"
        else:
            shutil.copy(case, folder / "pipelines" / case.name)
            prefix = f"{folder / 'pipelines' / case.name}:"
        return CliRunner(env=ENVIRON).invoke(main, ["check", "--config", str(folder / "edge.yaml")]), prefix


def told(case: Path) -> list[str]:
    """Give what `edge check` says of a case, places without the folder, the sum left out."""
    result, prefix = checked(case)
    return [line.replace(prefix, "") for line in result.stderr.splitlines()][:-1]


def expected(case: Path) -> list[str]:
    """Give what a case says that it is told."""
    text = (case / "edge.yaml" if case.is_dir() else case).read_text("utf-8")
    says, *lines = text.split("\n")
    assert says == SAYS, f"{case}: begins with {says!r}, not with {SAYS!r}"
    told_lines = []
    for line in lines:
        if not line.startswith("#   "):
            break
        told_lines.append(line.removeprefix("#   "))
    return told_lines


def is_placed(line: str) -> bool:
    """Tell whether a message has a line and a column; the list of variables has lines alone."""
    is_of_variables = line == "variables to set:" or line.startswith("  ")
    return is_of_variables or re.match(r"([a-z./-]+\.yaml:)?[1-9][0-9]*:[1-9][0-9]*: ", line) is not None
