"""Golden cases: one file each with an event, a pipeline and what becomes of it, to the last byte of the body."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.golden_cases import ROOT, became, load_case

CASES = sorted((ROOT / "tests/golden/klaviyo").glob("*.yaml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.stem)
def test_event_becomes_what_its_golden_case_says(file: Path) -> None:
    case: Any = load_case(file)
    assert became(case) == case["becomes"], case["says"]


def test_golden_case_can_fail() -> None:
    case: Any = load_case(ROOT / "tests/golden/klaviyo/search.yaml")
    case["event"]["properties"]["search_term"] = "cup"
    assert became(case) != case["becomes"]


def test_all_six_shop_events_have_a_golden_case() -> None:
    pipeline = yaml.safe_load((ROOT / "pipelines/klaviyo-events.yaml").read_text())
    assert set(pipeline["events"]) <= {file.stem for file in CASES}
