"""`edge demo --once`, as anybody runs it first: in a terminal of 80 columns, from wherever they are."""

import os
import subprocess
import sys
from pathlib import Path

DEADLINE_S = 120
METRICS = ("Viewed Product", "Added to Cart", "Subscribed to Newsletter", "Started Checkout", "Placed Order")


def demo(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it; a real key in this process's own environment is not taken along."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KLAVIYO_")}
    return subprocess.run(
        [sys.executable, "-m", "edge", "demo", "--once"],
        cwd=folder,
        env={**kept, "COLUMNS": "80", **environ},
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )


def test_the_demo_shows_the_five_metrics_and_ends_well(tmp_path):
    ended = demo(tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    lines = ended.stdout.splitlines()
    assert [metric for metric in METRICS if not any(metric in line for line in lines)] == []


def test_the_demo_with_a_wrong_key_fails_and_names_the_variable_and_the_pipeline(tmp_path):
    ended = demo(tmp_path, KLAVIYO_PRIVATE_API_KEY="broken")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    assert "KLAVIYO_PRIVATE_API_KEY" in said
    assert "klaviyo_events is paused" in said
    assert "broken" not in said


def test_the_demo_leaves_nothing_behind(tmp_path):
    ended = demo(tmp_path, TMPDIR=str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(tmp_path.iterdir()) == []
