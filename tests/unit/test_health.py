"""The circuit breaker, whatever the answers and whenever they come."""

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.drainer.health import FAILURES_TO_OPEN, MAX_PROBE_WAIT_S, REFUSED_PROBE_S, UNLIMITED, Health

ANSWERS = st.lists(st.tuples(st.sampled_from(["worked", "failed", "refused"]), st.floats(0, 20)), max_size=60)


def after(answers, draw=1.0):
    """Give a breaker that has heard these answers, each so long after the one before, and the time."""
    health, now_s = Health(lambda low, high: low + draw * (high - low)), 0.0
    for answer, wait_s in answers:
        now_s += wait_s
        match answer:
            case "worked":
                health.worked()
            case "failed":
                health.failed(now_s)
            case "refused":
                health.refused(now_s, "401")
    return health, now_s


@settings(max_examples=60)
@given(ANSWERS, st.floats(0, 1))
def test_it_is_open_exactly_after_five_failures_in_a_row_or_a_refusal_with_no_success_since(answers, draw):
    health, now_s = after(answers, draw)
    words = [answer for answer, _ in answers]
    since = words[len(words) - words[::-1].index("worked") :] if "worked" in words else words
    assert health.is_open == ("refused" in since or since.count("failed") >= FAILURES_TO_OPEN)
    assert (health.allowance(now_s) == UNLIMITED) == (not health.is_open)


@settings(max_examples=60)
@given(ANSWERS, st.floats(0, 1))
def test_whatever_was_answered_a_probe_goes_within_its_time_and_never_two_at_once(answers, draw):
    health, now_s = after(answers, draw)
    limit_s = REFUSED_PROBE_S if health.paused_reason else MAX_PROBE_WAIT_S
    assert health.allowance(now_s) in (0, 1, UNLIMITED)
    assert health.allowance(now_s + limit_s) == (1 if health.is_open else UNLIMITED)


@settings(max_examples=60)
@given(ANSWERS, st.floats(0, 1))
def test_one_good_answer_closes_it_and_a_failed_probe_waits_longer_but_not_for_ever(answers, draw):
    health, now_s = after(answers, draw)
    health.worked()
    assert (health.allowance(now_s), health.paused_reason) == (UNLIMITED, None)
    for number in range(20):
        health.failed(now_s)
        if number >= FAILURES_TO_OPEN - 1:
            assert health.allowance(now_s) == (0 if draw > 0 else health.allowance(now_s))
            now_s += MAX_PROBE_WAIT_S
            assert health.allowance(now_s) == 1
