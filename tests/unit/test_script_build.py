"""The built script: what is committed is what the source gives, and it is small enough."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import edge

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "static" / "datafly.js"
MAX_SCRIPT_BYTES = 5_200


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the build; a missing part fails with the line that installs it."""
    if shutil.which("node") is None:
        pytest.fail("Node is missing. Install with: sudo apt-get update && sudo apt-get install -y nodejs npm")
    if not (ROOT / "node_modules" / "esbuild").is_dir():
        pytest.fail("The build's packages are missing. Install with: npm ci")
    command = ["node", str(ROOT / "static" / "build.mjs"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_the_committed_script_is_at_most_5200_bytes_gzipped():
    assert len(gzip.compress(SCRIPT.read_bytes(), compresslevel=9, mtime=0)) <= MAX_SCRIPT_BYTES


def test_rebuilding_gives_the_committed_bytes(tmp_path):
    built = tmp_path / "datafly.js"
    done = build("--out", str(built))
    assert (done.returncode, done.stderr) == (0, "")
    assert built.read_bytes() == SCRIPT.read_bytes()


def test_the_check_passes_on_the_committed_script():
    assert build("--check", str(SCRIPT)).returncode == 0


def test_the_check_fails_on_one_changed_byte(tmp_path):
    """The gate itself."""
    changed = tmp_path / "datafly.js"
    changed.write_text(SCRIPT.read_text("utf-8").replace('"POST"', '"PUT"', 1), "utf-8")
    done = build("--check", str(changed))
    assert done.returncode == 1
    assert "is not what static/src gives" in done.stderr


def test_a_script_over_the_limit_fails_the_build_and_is_not_written(tmp_path):
    """The gate itself."""
    built = tmp_path / "datafly.js"
    done = build("--out", str(built), "--limit", "1000")
    assert done.returncode == 1
    assert "over the limit of 1000" in done.stderr
    assert not built.exists()


def test_the_script_names_the_version_of_the_service():
    """`context.library.version` of an event tells which release a cached script came from."""
    assert json.loads((ROOT / "package.json").read_text("utf-8"))["version"] == edge.__version__
    assert f'"{edge.__version__}"' in SCRIPT.read_text("utf-8")


def test_the_lock_names_no_registry():
    """Each machine fetches from the registry it is configured for; the hashes are what counts."""
    packages = json.loads((ROOT / "package-lock.json").read_text("utf-8"))["packages"]
    assert [name for name, package in packages.items() if "resolved" in package] == []
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_script_evaluates_no_text_and_writes_no_markup():
    """A strict Content-Security-Policy with Trusted Types must pass."""
    text = SCRIPT.read_text("utf-8")
    assert [
        word for word in ("eval(", "Function(", "innerHTML", "document.write", "createElement") if word in text
    ] == []


def test_what_is_served_compressed_is_the_script_and_small():
    packed = SCRIPT.with_name("datafly.js.gz").read_bytes()
    assert gzip.decompress(packed) == SCRIPT.read_bytes()
    assert max(len(packed), SCRIPT.with_name("datafly.js.br").stat().st_size) <= MAX_SCRIPT_BYTES


@pytest.mark.parametrize("coding", [".gz", ".br"])
def test_the_check_fails_where_a_compressed_file_holds_something_else(tmp_path, coding):
    """The gate itself."""
    for suffix in ("", ".gz", ".br"):
        shutil.copy(f"{SCRIPT}{suffix}", tmp_path)
    other = tmp_path / "other.js"
    assert build("--out", str(other), "--limit", "9999").returncode == 0
    shutil.copy(f"{other}{coding}", f"{tmp_path}/datafly.js{coding}")
    done = build("--check", str(tmp_path / "datafly.js"))
    assert (done.returncode, f"datafly.js{coding} is not what" in done.stderr) == (1, True)


def test_the_build_says_what_each_module_weighs_and_what_it_left_out(tmp_path):
    done = build("--out", str(tmp_path / "small.js"), "--limit", "5100")
    assert done.returncode == 0
    assert "left out to stay within the limit: engagement, outbound, search" in done.stdout
    assert [line.split()[1] for line in done.stdout.splitlines() if line.endswith(".js")][:1] == ["index.js"]
