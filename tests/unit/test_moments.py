"""When an event was accepted, where the clock that said so was wrong."""

import pytest

from edge.resolver.moments import SLACK_MS, plausible_ms

YEAR_MS = 365 * 86_400_000


@pytest.mark.parametrize(
    ("received_ms", "plausible"),
    [
        (1_000_000_000, 1_000_000_000),
        (1_000_000_000 - SLACK_MS, 1_000_000_000 - SLACK_MS),
        (1_000_000_000 - SLACK_MS - 1, 1_000_000_000),
        (1_000_000_000 - YEAR_MS, 1_000_000_000),
        (2_000_000_000 + SLACK_MS, 2_000_000_000 + SLACK_MS),
        (2_000_000_000 + SLACK_MS + 1, 2_000_000_000),
        (2_000_000_000 + YEAR_MS, 2_000_000_000),
    ],
)
def test_an_event_was_accepted_after_the_one_before_it_and_not_later_than_now(received_ms, plausible):
    """Five minutes to either side are nobody's business: requests overtake each other, and clocks are set."""
    assert plausible_ms(received_ms, before_ms=1_000_000_000, now_ms=2_000_000_000) == plausible


def test_where_steady_time_is_late_the_event_before_still_counts():
    assert plausible_ms(9 * YEAR_MS, before_ms=5_000, now_ms=1_000) == 5_000
