"""Verdicts: what is met, missed, noisy, and not measured."""

import json

import pytest

from bench.measure import Pair, Slice
from bench.table import Finding, as_json, at_least, at_most, exit_code, table, unmeasured


def slice_of(per_s: float, cpu_us: float, foreign_cores: float = 0.0) -> Slice:
    return Slice(units=1_000_000, seconds=1_000_000 / per_s, cpu_s=cpu_us, foreign_cores=foreign_cores)


@pytest.mark.parametrize(
    ("values", "bar", "verdict"),
    [
        ((0.95, 1.0, 1.05), at_least(0.9), "met"),
        ((0.5, 0.6, 0.7), at_least(0.9), "missed"),
        ((0.8, 0.95, 1.0), at_least(0.9), "noisy"),
        ((10.0, 11.0, 12.0), at_most(25), "met"),
        ((30.0, 40.0, 50.0), at_most(25), "missed"),
        ((20.0, 24.0, 30.0), at_most(25), "noisy"),
        ((0.0,), at_most(0), "met"),
        ((1.0,), at_most(0), "missed"),
        ((), at_most(25), "not measured"),
        ((3.0,), None, "told"),
    ],
)
def test_a_bar_within_the_range_of_the_rounds_is_noise(values, bar, verdict):
    assert Finding("1", "what", bar, values).verdict == verdict


def test_only_a_missed_bar_fails_the_run():
    noisy = Finding("1", "what", at_least(0.9), (0.8, 1.0))
    assert exit_code([noisy, unmeasured("2", "what", "no compiler")]) == 0
    assert exit_code([noisy, Finding("3", "what", at_least(0.9), (0.1, 0.2))]) == 1


def test_requests_a_second_judge_only_while_nobody_else_is_busy():
    quiet = Pair((slice_of(9_000, 80),), (slice_of(10_000, 40),))
    busy = Pair((slice_of(9_000, 80, 0.5),), (slice_of(10_000, 40),))
    assert quiet.better() == (0.9, (0.9,), "units/s")
    assert busy.better() == (0.5, (0.5,), "CPU")


def test_the_table_says_why_something_was_not_measured():
    text = table([unmeasured("7", "slow fsync", "there is no C compiler")])
    assert "not measured" in text
    assert "7: there is no C compiler" in text


def test_the_json_holds_each_round_with_its_verdict():
    finding = Finding("1", "what", at_least(0.9), (1.0,), rounds=[{"ours": 1}])
    (goal,) = json.loads(as_json([finding], machine={}))["goals"]
    assert (goal["verdict"], goal["value"], goal["rounds"]) == ("met", 1.0, [{"ours": 1}])
