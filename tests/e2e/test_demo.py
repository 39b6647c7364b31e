"""`edge demo --once`, as anybody runs it first: in a terminal of 80 columns, from wherever they are."""

import os
import re
import subprocess
import sys
from pathlib import Path

from edge.demo.vendors import PREFIXES

DEADLINE_S = 120
METRICS = ("Viewed Product", "Added to Cart", "Subscribed to Newsletter", "Started Checkout", "Placed Order")
# Of who accepts everything, who denies advertising and who declines: how many events each destination has.
FAN_OUT = {
    "klaviyo_events": ("Placed Order", "5", "5", "0"),
    "meta_conversions": ("Purchase", "5", "0", "0"),
    "ga4_events": ("purchase", "10", "10", "0"),
    "google_ads": ("conversion", "1", "0", "0"),
    "tiktok_events": ("Purchase", "5", "0", "0"),
    "webhook": ("purchase", "5", "5", "0"),
    "segment": ("Order Completed", "12", "12", "0"),
    "archive": ("purchase", "11", "11", "0"),
}


def demo(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it; a real key in this process's own environment is not taken along."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(PREFIXES)}
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
    columns = [tuple(re.split(r" {2,}", line.strip())) for line in lines]
    assert [name for name, told in FAN_OUT.items() if (name, *told) not in columns] == []
    assert max(map(len, lines)) <= 80


def test_the_demo_with_a_wrong_key_fails_and_names_the_variable_and_the_pipeline(tmp_path):
    ended = demo(tmp_path, KLAVIYO_PRIVATE_API_KEY="broken")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    said = " ".join(ended.stdout.split())
    assert "KLAVIYO_PRIVATE_API_KEY" in said
    assert "klaviyo_events is paused" in said
    assert "broken" not in said


def test_the_demo_fails_where_one_destination_of_many_has_nothing_and_names_it(tmp_path):
    """GA4 answers a wrong secret as well as a right one: that nothing is there is all there is to see."""
    ended = demo(tmp_path, GA4_API_SECRET="broken")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    complaints = [line for line in ended.stdout.splitlines() if line.startswith("failed:")]
    assert len(complaints) == 2
    assert all(line.startswith("failed: ga4_events, of the visitor who ") for line in complaints)


def test_the_demo_leaves_nothing_behind(tmp_path):
    ended = demo(tmp_path, TMPDIR=str(tmp_path))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert list(tmp_path.iterdir()) == []
