"""How fast, and whether at all: budget, back-off, circuit breaker, fates in a page."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from edge.budget import Budget
from edge.delivery import CAP_S, Fate, Rate, backoff_s
from edge.drainer.health import FAILURES_TO_OPEN, MAX_PROBE_WAIT_S, REFUSED_PROBE_S, UNLIMITED, Health
from edge.ledger.fates import encode_fates, fate_at

RATE = Rate(burst_per_s=10, steady_per_min=60)


def sent_within(budget: Budget, seconds: float) -> int:
    """Ask as fast as the budget lets us; give how many went out."""
    now_s, sent = 0.0, 0
    while True:
        now_s += budget.take(now_s)
        if now_s > seconds:
            return sent
        sent += 1


def test_a_burst_goes_at_once_and_then_the_steady_rate_holds():
    assert sent_within(Budget(RATE), 0.0) == RATE.burst_per_s
    assert sent_within(Budget(RATE), 60.0) <= RATE.burst_per_s + RATE.steady_per_min + 1


def test_a_throttled_account_waits_as_told_but_never_longer_than_an_hour():
    budget = Budget(RATE)
    budget.throttle(100.0, 30.0)
    assert budget.pause_s(110.0) == 20.0
    budget.throttle(110.0, 10**9)
    assert budget.pause_s(110.0) == 3_600.0


def test_a_named_rate_has_its_own_window_and_everybodys_pause():
    budget = Budget(replace(RATE, named={"bulk": Rate(1, 6)}))
    assert [budget.take(0.0, "bulk") for _ in range(3)] == [0.0, 10.0, 20.0]
    assert budget.take(0.0) == 0.0
    budget.throttle(0.0, 30.0)
    assert (budget.take(10.0), budget.pause_s(10.0)) == (20.0, 20.0)


def test_a_shorter_answer_does_not_cut_a_longer_pause():
    budget = Budget(RATE)
    budget.throttle(0.0, 60.0)
    budget.throttle(1.0, 1.0)
    assert budget.pause_s(1.0) == 59.0


@given(st.integers(1, 10_000))
def test_backoff_is_bounded_and_starts_small(attempt):
    assert 0.0 < backoff_s(attempt, lambda low, high: high) <= CAP_S
    assert backoff_s(1, lambda low, high: high) == 1.0
    assert backoff_s(attempt, lambda low, high: low) == 0.0


def test_five_failures_in_a_row_leave_one_probe_at_a_time():
    health = Health(lambda low, high: high)
    for _ in range(FAILURES_TO_OPEN - 1):
        health.failed(0.0)
    assert health.allowance(0.0) == UNLIMITED
    health.failed(0.0)
    assert health.allowance(0.0) == 0
    assert health.allowance(MAX_PROBE_WAIT_S) == 1
    health.worked()
    assert health.allowance(0.0) == UNLIMITED


def test_probes_never_lie_further_apart_than_five_seconds():
    health = Health(lambda low, high: high)
    for _ in range(1_000):
        health.failed(50.0)
    assert health.allowance(50.0 + MAX_PROBE_WAIT_S) == 1


def test_refused_credentials_are_probed_every_quarter_of_an_hour():
    health = Health(lambda low, high: high)
    health.refused(0.0, "401")
    assert (health.allowance(REFUSED_PROBE_S - 1), health.allowance(REFUSED_PROBE_S)) == (0, 1)


@given(st.lists(st.sampled_from([*Fate, None]), min_size=1, max_size=300), st.integers(1, 10**12))
def test_fates_of_a_page_read_back_as_written(fates, first):
    pairs = [(first + offset, fate) for offset, fate in enumerate(fates) if fate is not None]
    encoded = encode_fates(first, first + len(fates) - 1, pairs)
    assert [fate_at(encoded, offset) for offset in range(len(fates))] == fates
    assert fate_at(encoded, len(fates)) is None
