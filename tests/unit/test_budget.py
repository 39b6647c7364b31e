"""How fast an account is asked: windows, lanes, rests, what answers teach."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.budget import SHARE, Budget, Lane, Turn
from edge.budget.turns import Queue
from edge.delivery import Rate
from edge.sandbox import vendor
from edge.sandbox.rates import RateLimit
from tests.asking import Asking, AskingVendor, a_tenth, most_in_a_window

OURS = SHARE * 350


def takes(budget: Budget, now_s: float, name: str = "", lane: Lane = Lane.LIVE) -> bool:
    """Tell whether somebody who comes now may go at once."""
    turn = budget.join(name, lane)
    try:
        return budget.wait_s(turn, now_s) == 0
    finally:
        budget.leave(turn)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 400),
    st.integers(1, 600),
    st.sampled_from([0.1, 0.5, 0.8, 1.0]),
    st.floats(0, 60),
    st.lists(st.tuples(st.sampled_from(Lane), st.integers(1, 3)), min_size=1, max_size=4),
    st.floats(0, 100),
)
def test_no_fixed_window_of_the_vendors_ever_holds_more_than_its_limit(burst, steady, share, offset_s, lanes, idle_s):
    asking = Asking(Budget(Rate(burst, steady), share=share), now_s=idle_s)
    everybody = [lane for lane, count in lanes for _ in range(count)]
    asking.until(idle_s + 40, everybody)
    asking.now_s += idle_s
    asking.until(asking.now_s + 40, everybody)
    moments = [moment for moment, _ in asking.went]
    assert most_in_a_window(moments, 1.0, offset_s) <= burst
    assert most_in_a_window(moments, 60.0, offset_s) <= steady


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 100),
    st.integers(60, 600),
    st.dictionaries(st.sampled_from(Lane), st.integers(1, 6), min_size=1),
)
def test_every_lane_that_waits_gets_a_tenth_of_the_turns(burst, steady, lanes):
    asking = Asking(Budget(Rate(burst, steady)))
    went = asking.until(90.0, [lane for lane, count in lanes.items() for _ in range(count)])
    turns = [lane for _, lane in went]
    for lane in lanes:
        places = [-1, *(place for place, one in enumerate(turns) if one is lane), len(turns)]
        assert max(after - before for before, after in pairwise(places)) <= 12


@settings(max_examples=30, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit", "x-ratelimit-limit", "other"]
        ),
        st.one_of(st.text(max_size=30), st.integers(-1, 10**12).map(str), st.just("3500, 3500;w=60")),
    ),
    st.sampled_from([200, 429, 500]),
)
def test_no_header_stops_delivery_or_lifts_a_limit(headers, status):
    asking = Asking(Budget(Rate(10, 600)))
    for _ in range(20):
        asking.budget.answered(asking.now_s, "", status, headers)
    assert 1.0 <= asking.budget.per_min(0.0) <= SHARE * 600
    assert len(asking.until(61.0, [Lane.LIVE])) >= 2


def test_a_burst_goes_at_once_and_the_rest_steadily_up_to_our_share():
    asking = Asking(Budget(a_tenth()))
    assert len(asking.until(0.001, [Lane.LIVE])) >= 10
    per_min = len(asking.until(600.0, [Lane.LIVE])) / 10
    assert 0.9 * OURS <= per_min <= OURS


def test_who_has_all_of_an_account_may_use_all_of_it():
    asking = Asking(Budget(a_tenth(), share=1.0))
    assert len(asking.until(600.0, [Lane.LIVE])) / 10 >= 0.9 * 350


def test_a_live_event_goes_at_once_while_a_backlog_takes_all_it_can():
    asking = Asking(Budget(a_tenth()))
    asking.until(120.0, [Lane.BACKLOG] * 8)
    for _ in range(5):
        assert takes(asking.budget, 120.0)


def test_a_retry_goes_before_a_backlog_and_behind_what_is_live():
    asking = Asking(Budget(a_tenth()))
    counts = Counter(lane for _, lane in asking.until(120.0, [*Lane] * 4))
    assert counts[Lane.LIVE] > 5 * counts[Lane.RETRY] > 0
    alone = Counter(lane for _, lane in asking.until(240.0, [Lane.RETRY, Lane.BACKLOG] * 4))
    assert alone[Lane.RETRY] > 5 * alone[Lane.BACKLOG] > 0


@settings(max_examples=50, deadline=None)
@given(
    st.integers(1, 20),
    st.integers(6, 300),
    st.lists(st.tuples(st.sampled_from(Lane), st.sampled_from([0.0, 0.01, 0.3, 2.0, 20.0])), max_size=60),
)
def test_who_takes_a_turn_at_once_has_it_exactly_when_standing_in_line_would_give_it(burst, steady, comings):
    rate = Rate(burst, steady)
    at_once, in_line, now_s = Budget(rate), Budget(rate), 0.0
    for lane, wait_s in comings:
        now_s += wait_s
        assert at_once.take("", lane, now_s) == takes(in_line, now_s, lane=lane)


def test_nobody_takes_a_turn_past_who_stands_in_line_or_while_the_vendor_asks_for_a_rest():
    budget = Budget(Rate(10, 600))
    turn = budget.join(lane=Lane.BACKLOG)
    assert not budget.take("", Lane.LIVE, 0.0)
    budget.leave(turn)
    assert budget.take("", Lane.LIVE, 0.0)
    budget.throttle(0.0, 5.0)
    assert (budget.take("", Lane.LIVE, 4.9), budget.take("", Lane.LIVE, 10.0)) == (False, True)


def test_who_leaves_the_line_holds_nobody_up():
    budget = Budget(Rate(1, 60))
    assert takes(budget, 0.0)
    gone, next_one = budget.join(), budget.join()
    assert budget.wait_s(next_one, 5.0) > 0
    budget.leave(gone)
    assert budget.wait_s(next_one, 5.0) == 0.0


def test_who_gives_up_and_comes_again_does_not_wait_anew_for_the_tenth_turn():
    queue = Queue()

    def went(number: int) -> None:
        for _ in range(number):
            live = Turn("", Lane.LIVE)
            queue.join(live)
            queue.went(live)

    for _ in range(3):
        waiting = Turn("", Lane.BACKLOG)
        queue.join(waiting)
        went(3)
        queue.leave(waiting)
        went(1)
    again = Turn("", Lane.BACKLOG)
    for turn in (Turn("", Lane.LIVE), again):
        queue.join(turn)
    assert queue.next() is again


def test_a_throttled_account_waits_as_told_but_never_longer_than_an_hour():
    budget = Budget(a_tenth())
    budget.throttle(100.0, 30.0)
    assert budget.pause_s(110.0) == 20.0
    budget.throttle(110.0, 10**9)
    assert budget.pause_s(110.0) == 3_600.0


def test_a_shorter_answer_does_not_cut_a_longer_pause():
    budget = Budget(a_tenth())
    budget.throttle(0.0, 60.0)
    budget.throttle(1.0, 1.0)
    assert budget.pause_s(1.0) == 59.0


def test_a_named_rate_has_its_own_windows_and_everybodys_pause():
    budget = Budget(a_tenth())
    while takes(budget, 0.0, "bulk"):
        pass
    assert takes(budget, 0.0)
    budget.throttle(0.0, 30.0)
    assert not takes(budget, 29.0)
    assert takes(budget, 60.0, "bulk")


def test_a_429_makes_an_account_slower_and_quiet_minutes_bring_its_pace_back():
    budget = Budget(a_tenth())
    for now_s in (0.0, 0.5, 1.0):  # three that were on their way together
        budget.answered(now_s, "", 429, {})
    assert 0.69 * OURS < budget.per_min(1.0) < 0.72 * OURS
    assert 0.78 * OURS < budget.per_min(60.0) < 0.82 * OURS
    assert budget.per_min(300.0) == OURS
    assert budget.per_min(1.0, "bulk") == SHARE * 150


def test_a_throttling_without_the_status_429_makes_an_account_slower_too():
    """Meta and TikTok say it with a code in the body, under other statuses."""
    budget = Budget(a_tenth())
    budget.answered(0.0, "", 400, {})
    budget.throttle(0.0, 1.0)
    assert 0.69 * OURS < budget.per_min(0.0) < 0.72 * OURS


def test_a_throttling_that_its_status_told_already_slows_that_rate_alone_and_once():
    budget = Budget(a_tenth())
    budget.answered(0.0, "bulk", 429, {})
    budget.throttle(0.0, 1.0)
    assert (budget.per_min(0.0), round(budget.per_min(0.0, "bulk"))) == (OURS, 84)


def test_429s_alone_teach_the_pace_that_others_leave():
    """A vendor whose answers say nothing of its limits, and another integration that eats half of them."""
    asking = AskingVendor(Budget(a_tenth()), others_per_min=175, says_its_limits=False)
    asking.until(1_200.0, [Lane.BACKLOG] * 4)
    before = Counter(asking.statuses)
    asking.until(2_400.0, [Lane.BACKLOG] * 4)
    learned = asking.statuses - before
    assert learned[429] <= 0.01 * learned.total()
    assert learned[202] / 20 >= 0.6 * 175


def test_headers_make_room_for_others_before_anybody_meets_a_429_and_give_it_back_after():
    asking = AskingVendor(Budget(a_tenth()), others_per_min=175)
    asking.until(600.0, [Lane.BACKLOG] * 4)
    assert asking.statuses[429] + asking.others[429] <= 0.01 * asking.statuses.total()
    assert 0.8 * 175 <= asking.budget.per_min(600.0) <= 175
    asking.others_per_min = 0
    asking.until(1_200.0, [Lane.BACKLOG] * 4)
    assert asking.budget.per_min(1_200.0) >= 0.99 * OURS


def test_nobody_else_on_the_account_means_all_of_our_share_whatever_the_headers_round():
    asking = AskingVendor(Budget(a_tenth()))
    asking.until(900.0, [Lane.BACKLOG] * 4)
    assert asking.statuses[429] == 0
    assert asking.statuses[202] / 15 >= 0.9 * OURS


def test_a_vendor_that_lowers_its_limit_is_followed_down_and_up_again():
    asking = AskingVendor(Budget(a_tenth()))
    asking.until(120.0, [Lane.BACKLOG] * 4)
    asking.limit = RateLimit(vendor.Rate(10, 100))
    asking.until(180.0, [Lane.BACKLOG] * 4)
    before = Counter(asking.statuses)
    asking.until(780.0, [Lane.BACKLOG] * 4)
    lowered = asking.statuses - before
    assert lowered[429] == 0
    assert 0.85 * SHARE * 100 <= lowered[202] / 10 <= SHARE * 100
    asking.limit = RateLimit(vendor.Rate(35, 350))
    asking.until(1_500.0, [Lane.BACKLOG] * 4)
    assert asking.budget.per_min(1_500.0) >= 0.99 * OURS
