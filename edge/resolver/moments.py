"""When an event was accepted, where the clock that said so may have been wrong."""

SLACK_MS = 300_000


def plausible_ms(received_ms: int, before_ms: int, now_ms: int) -> int:
    """Give the moment an event was accepted, as far as it can be true; ages are counted from it.

    Args:
        received_ms: what the collector's wall clock said.
        before_ms: the moment of the event accepted before it.
        now_ms: steady time.
    Returns:
        What was said, within five minutes of what is possible: not before the event before it, and not later than
        now. Else the nearer of these two.
    """
    if received_ms > now_ms + SLACK_MS:
        return max(before_ms, now_ms)
    return received_ms if received_ms >= before_ms - SLACK_MS else before_ms
