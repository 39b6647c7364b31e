"""Steady time: it agrees with a clock that is right, and a clock that jumps moves it no faster than it may."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clock import FASTEST, MAX_GAP_MS, SLOWEST, SteadyClock
from tests.clock import FakeClock

HOUR_S, DAY_S = 3_600.0, 86_400.0
SOME_MS = 1_795_000_000_000
steps = st.lists(st.tuples(st.floats(0, 10_000), st.floats(-400 * DAY_S, 400 * DAY_S)), max_size=20)


@given(st.lists(st.floats(0, 10 * DAY_S), max_size=20))
def test_it_is_the_wall_clock_where_that_goes_right(waits):
    clock = FakeClock()
    steady = SteadyClock(clock)
    for seconds in waits:
        clock.advance(seconds)
        assert (steady.now_ms(), steady.monotonic_s()) == (clock.now_ms(), clock.monotonic_s())


@given(steps)
def test_whatever_the_wall_clock_does_it_runs_between_its_two_paces(jumps):
    clock = FakeClock()
    steady = SteadyClock(clock)
    for seconds, jump_s in jumps:
        before_ms, before_s = steady.now_ms(), clock.monotonic_s()
        clock.advance(seconds)
        clock.jump(jump_s)
        passed_ms = (clock.monotonic_s() - before_s) * 1_000
        assert SLOWEST * passed_ms - 1 <= steady.now_ms() - before_ms <= FASTEST * passed_ms + 1


@given(st.floats(1, 30 * DAY_S))
def test_however_often_it_is_looked_at_it_comes_to_agree_with_a_jump_ahead(jump_s):
    clock = FakeClock()
    steady = SteadyClock(clock)
    clock.jump(jump_s)
    for _ in range(50):
        clock.advance(jump_s / (FASTEST - 1) / 50 + 0.001)
        steady.now_ms()
    assert steady.now_ms() == clock.now_ms()


def test_looking_at_it_all_the_time_does_not_hold_it_up():
    """Less than a millisecond between two looks is not rounded away."""
    clock = FakeClock()
    steady = SteadyClock(clock)
    clock.jump(-HOUR_S)
    for _ in range(20_000):
        clock.advance(0.0001)
        steady.now_ms()
    assert steady.now_ms() - SOME_MS == pytest.approx(1_000, abs=2)


def test_a_minute_of_another_year_costs_ten_minutes_and_nothing_after():
    clock = FakeClock()
    steady = SteadyClock(clock)
    clock.jump(400 * DAY_S)
    clock.advance(60)
    assert (steady.now_ms() - SOME_MS, steady.off_ms) == (600_000, round(400 * DAY_S * 1_000) - 540_000)
    clock.jump(-400 * DAY_S)
    clock.advance(2 * 540)
    assert steady.now_ms() == clock.now_ms()


@pytest.mark.parametrize(
    ("off_ms", "begins_at_ms"),
    [
        (0, 0),
        (60_000, 60_000),
        (MAX_GAP_MS, MAX_GAP_MS),
        (MAX_GAP_MS + 1, 0),
        (round(400 * DAY_S * 1_000), 0),
        (-1, 0),
        (-round(400 * DAY_S * 1_000), 0),
    ],
)
def test_a_start_believes_a_clock_that_a_machine_may_have_been_off_for_and_no_other(off_ms, begins_at_ms):
    assert SteadyClock(FakeClock(SOME_MS + off_ms), SOME_MS).now_ms() == SOME_MS + begins_at_ms


def test_a_first_start_believes_its_clock():
    assert SteadyClock(FakeClock(7)).now_ms() == 7


@pytest.mark.parametrize(
    ("jump_s", "theirs_s", "is_wall"),
    [
        (299, None, True),
        (-299, 400 * DAY_S, True),
        (HOUR_S, None, False),
        (HOUR_S, 0, False),
        (HOUR_S, HOUR_S, True),
        (400 * DAY_S, 3 * HOUR_S, False),
        (-400 * DAY_S, -3 * HOUR_S, False),
        (-HOUR_S, -HOUR_S, True),
    ],
)
def test_where_the_two_disagree_the_senders_clock_says_which_is_right(jump_s, theirs_s, is_wall):
    """Within five minutes the wall clock is right, whatever the sender says."""
    clock = FakeClock(SOME_MS)
    steady = SteadyClock(clock)
    clock.jump(jump_s)
    theirs_ms = None if theirs_s is None else SOME_MS + round(theirs_s * 1_000)
    assert steady.moment_ms(theirs_ms) == (clock.now_ms() if is_wall else SOME_MS)
