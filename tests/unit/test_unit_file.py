"""The unit for systemd: it starts what there is, writes where the service writes, and gives up what is not needed."""

import re
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path

import click
import pytest

from edge.app.draining import STOP_LIMIT_S
from edge.app.supervisor import KILL_AFTER_S
from edge.cli.options import WRONG_USE
from edge.config import Config, parse_config
from edge.pipeline import load_folder
from tests.verbs import parsed

ROOT = Path(__file__).parents[2]
UNIT_FILE = ROOT / "config/datafly-edge.service"
INSTALLED = Path("/etc/datafly-edge/config/edge.yaml")
# In tenths, as systemd-analyze counts it: about 10 is the least for a service that talks to the internet, 100 the most.
MOST_EXPOSED = 20


class Unit:
    """A unit file; a key that stands there twice has the values one after the other, as systemd reads it."""

    def __init__(self, text: str) -> None:
        parser = ConfigParser(strict=False, interpolation=None, comment_prefixes=("#", ";"), delimiters=("=",))
        parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
        parser.read_string(text)
        self.sections = {name: dict(parser[name]) for name in parser.sections()}
        self._text = text

    def __getitem__(self, key: str) -> str:
        return " ".join(self.all(key))

    def all(self, key: str) -> list[str]:
        return re.findall(rf"^{key}=(.*)$", self._text, re.MULTILINE)


UNIT = Unit(UNIT_FILE.read_text("utf-8"))


def configured(text: str | None = None) -> Config:
    """Give the shipped configuration as it is when it is installed, or another text in its place."""
    return parse_config(text or (ROOT / "config/edge.yaml").read_text("utf-8"), INSTALLED, {})


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def test_file_has_the_sections_and_starts_what_there_is() -> None:
    assert UNIT.sections.keys() == {"Unit", "Service", "Install"}
    told = parsed(UNIT["ExecStart"])
    assert {key: value for key, value in told.items() if value is not None} == {
        "config_file": str(INSTALLED),
        "data_dir": "/var/lib/datafly-edge",
    }


@pytest.mark.parametrize("command", ["edge srve", "edge serve --confg x", "edge serve --only nobody", "serve", "edge"])
def test_command_that_there_is_not_is_found(command: str) -> None:
    with pytest.raises(click.UsageError):
        parsed(command)


def test_everything_that_is_written_lies_in_the_folders_that_may_be() -> None:
    assert (UNIT["ProtectSystem"], UNIT.all("ReadWritePaths")) == ("strict", [])
    data = Path("/var/lib") / UNIT["StateDirectory"]
    assert parsed(UNIT["ExecStart"])["data_dir"] == str(data)
    config = configured("collector: {listen: 'unix:/run/datafly-edge/edge.sock'}")
    assert Path(config.collector.listen[1]).parent == Path("/run") / UNIT["RuntimeDirectory"]
    nginx = (ROOT / "nginx/datafly-upstream.conf").read_text("utf-8")
    assert re.findall(r"unix:([^;]+);", nginx) == [config.collector.listen[1]]
    environ = {"ARCHIVE_ENABLED": "true", "KLAVIYO_PRIVATE_API_KEY": "pk_x"}
    (archive,) = [one for one in load_folder(ROOT / "pipelines", environ).pipelines if one.name == "archive"]
    assert not Path(archive.destination.directory).is_absolute()  # type: ignore[attr-defined]  # the archive's own


def test_what_it_reads_is_where_the_page_says() -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    config = configured()
    for path in (config.file, config.pipelines, UNIT["EnvironmentFile"], UNIT["ExecStart"].split()[0]):
        assert str(path) in page, path
    assert config.pipelines == Path("/etc/datafly-edge/pipelines")


def test_nginx_reaches_the_socket_and_nothing_else() -> None:
    """The socket is 0660 and its group's; the folder lets that group in, the data lets in nobody."""
    assert (UNIT["RuntimeDirectoryMode"], UNIT["StateDirectoryMode"], UNIT["UMask"]) == ("0750", "0700", "0077")
    assert {"AF_UNIX", "AF_INET", "AF_INET6"} <= set(UNIT["RestrictAddressFamilies"].split())


def test_a_polite_stop_has_the_time_it_needs_and_a_wrong_configuration_is_not_repeated() -> None:
    assert seconds(UNIT["TimeoutStopSec"]) > KILL_AFTER_S + STOP_LIMIT_S
    assert (UNIT["Restart"], UNIT["KillMode"], UNIT["OOMPolicy"]) == ("on-failure", "mixed", "continue")
    assert UNIT["RestartPreventExitStatus"] == str(WRONG_USE)
    assert UNIT["StartLimitIntervalSec"] == "0"


def test_it_has_no_right_and_leaves_no_dump() -> None:
    assert UNIT["User"] == UNIT["Group"] == "datafly-edge"
    assert UNIT["CapabilityBoundingSet"] == UNIT["AmbientCapabilities"] == ""
    assert (UNIT["NoNewPrivileges"], UNIT["LimitCORE"]) == ("yes", "0")
    assert UNIT.all("SystemCallFilter") == ["@system-service", "~@privileged @resources"]
    assert int(UNIT["LimitNOFILE"]) >= 65_536 and UNIT["MemoryMax"]


def complaints(unit: str, folder: Path) -> list[str]:
    """Say what systemd itself finds wrong with a unit, and whether it leaves more open than we mean to.

    Where systemd's own tool is not installed it finds nothing: then the tests above are what counts.
    """
    tool = shutil.which("systemd-analyze")
    if tool is None:
        return []
    file = folder / "datafly-edge.service"
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", unit))
    commands = [["verify", str(file)], ["security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(file)]]
    told = [subprocess.run([tool, *one], capture_output=True, text=True, timeout=60, check=False) for one in commands]
    return [one.stdout + one.stderr for one in told if one.returncode != 0 or re.search("Unknown|ailed", one.stderr)]


def test_systemd_takes_it_and_finds_little_exposed(tmp_path: Path) -> None:
    """Asked only where systemd-analyze is installed; the tests above hold everywhere."""
    assert complaints(UNIT_FILE.read_text("utf-8"), tmp_path) == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("ProtectHome=yes", "ProtectHoome=yes"), ("CapabilityBoundingSet=\n", ""), ("ExecStart=", "#"), ("30s", "soon")],
)
def test_what_systemd_would_not_take_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    """Where its tool is installed, as above."""
    text = UNIT_FILE.read_text("utf-8").replace(right, wrong)
    assert complaints(text, tmp_path) != [] or shutil.which("systemd-analyze") is None
