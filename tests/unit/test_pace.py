"""Whether at all, and when again: back-off, circuit breaker, fates in a page."""

from hypothesis import given
from hypothesis import strategies as st

from edge.delivery import CAP_S, Fate, backoff_s
from edge.drainer.health import FAILURES_TO_OPEN, MAX_PROBE_WAIT_S, REFUSED_PROBE_S, UNLIMITED, Health
from edge.ledger.fates import encode_fates, fate_at


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


def test_what_was_under_way_when_the_circuit_opened_does_not_put_off_the_first_probe():
    health = Health(lambda low, high: high)
    for number in range(40):
        health.failed(number / 100)
    assert (health.allowance(0.5), health.allowance(0.6)) == (0, 1)


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
