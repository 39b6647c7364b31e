"""The wheel, in an environment of its own that has never seen the checkout."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
DEADLINE_S = 600
METRICS = ("Viewed Product", "Added to Cart", "Subscribed to Newsletter", "Started Checkout", "Placed Order")
# Where a shipped folder or file of the checkout lies inside the package.
SHIPPED = {
    "static/datafly.js": "edge/assets/static/datafly.js",
    "static/datafly.js.br": "edge/assets/static/datafly.js.br",
    "static/datafly.js.gz": "edge/assets/static/datafly.js.gz",
    "pipelines": "edge/assets/pipelines",
    "config": "edge/assets/config",
    "nginx": "edge/assets/nginx",
    "edge": "edge",
}


def run(*command: object, cwd: Path, **environ: str) -> str:
    """Run a program without anything that leads back to the checkout; give what it printed."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "EDGE_CONFIG", "KLAVIYO_PRIVATE_API_KEY", "KLAVIYO_BASE_URL")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    ended = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**kept, **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def sources() -> list[str]:
    """Give the files of the checkout, whether committed yet or not, without those that git ignores."""
    listed = run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z", cwd=ROOT)
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build it from a clean copy, so that nothing of an earlier build or test can slip in."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("wheel")
    for name in sources():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, copy / name)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, copy, cwd=out)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the bin folder of a new environment: the locked packages, checked by their hashes, and the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    bin_folder = folder / "venv" / "bin"
    pip = (bin_folder / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=folder)
    run(*pip, "--no-deps", wheel, cwd=folder)
    run(bin_folder / "python", "-m", "pip", "check", cwd=folder)
    return bin_folder


def packed(names: Iterable[str]) -> dict[str, Path]:
    """Give, by its name in the wheel, each file that has to be there."""
    expected = {}
    for name in names:
        for source, target in SHIPPED.items():
            if name == source or name.startswith(f"{source}/"):
                expected[target + name.removeprefix(source)] = ROOT / name
    return expected


def test_the_wheel_holds_the_package_and_what_is_shipped_with_it_and_nothing_else(wheel):
    with ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {name: path.read_bytes() for name, path in packed(sources()).items()}


def test_the_list_of_what_must_be_held_has_what_users_rely_on():
    assert {
        "edge/assets/static/datafly.js",
        "edge/assets/pipelines/klaviyo-events.yaml",
        "edge/assets/config/edge.yaml",
        "edge/assets/nginx/datafly.conf",
        "edge/assets/nginx/datafly-upstream.conf",
        "edge/demo/pages/index.html",
        "edge/demo/pages/products/moon-teapot.html",
        "edge/demo/pages/images/hero.svg",
        "edge/sandbox/klaviyo.py",
    } <= packed(sources()).keys()
    assert [name for name in packed(sources()) if "test" in name.split("/")] == []


def test_the_installed_package_is_not_the_checkout(installed):
    said = run(installed / "python", "-I", "-c", "import edge; print(edge.__file__)", cwd=installed)
    assert Path(said.strip()).is_relative_to(installed.parent)


def test_the_demo_runs_from_the_installed_wheel(installed, tmp_path):
    said = run(installed / "edge", "demo", "--once", cwd=tmp_path, PYTHONSAFEPATH="1", COLUMNS="120")
    assert [metric for metric in METRICS if metric not in said] == []
