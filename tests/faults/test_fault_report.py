"""The suite's own report: a loss cannot hide in it."""

from tests.faults.report import Ended, Session, page


def _run(lost: int = 0) -> dict[str, object]:
    return {
        "injected": {"kill -9 of the drainer": 20, "network: cut": 10},
        "acknowledged": 1_500,
        "delivered": 1_400 - lost,
        "repeats": 7,
        "complaints": {"lost": lost} if lost else {},
    }


def _page(*ended: Ended, is_whole: bool = True) -> str:
    return page([Session("2026-11-22", "42", "datafly-edge 0.1.0", 90, is_whole, ended)])


def test_a_round_without_a_loss_is_told_with_what_it_bounds():
    """0 in 20 bounds the rate below 3/20, 0 in 10 below 3/10."""
    told = _page(Ended("test_nothing_is_lost", True, (_run(),)))
    assert "0 losses in 20 deaths of a process: with 95 % confidence fewer than 15% lose one" in told
    assert "0 losses in 10 faults of the network: with 95 % confidence fewer than 30% lose one" in told
    assert "| nothing is lost | 1 | 1,500 | 1,400 | 7 | 0 | none |" in told
    assert "Every test of these rounds passed." in told


def test_a_loss_bounds_nothing_and_is_named():
    """Neither in the bounds, nor in the rows, nor among the tests that failed can it be missed."""
    told = _page(Ended("test_nothing_is_lost", False, (_run(lost=3),)))
    assert "0 losses" not in told
    assert "20 deaths of a process: **1 of 1 runs have a complaint**" in told
    assert "| nothing is lost | 1 | 1,500 | 1,397 | 7 | 3 | none |" in told
    assert "## Failed\n\n- nothing is lost" in told


def test_a_round_that_was_cut_short_is_not_told_as_a_whole_one():
    told = _page(Ended("test_nothing_is_lost", True, (_run(),)), is_whole=False)
    assert "2 minutes; 1 of the rounds cut short by the limit of time" in told
    assert "Every test of these rounds that came to its end passed." in told


def test_a_planted_bug_is_no_loss_of_the_product():
    """What was lost on purpose stands in a table of its own."""
    told = _page(Ended("test_found[a]", True, (_run(lost=3),), {"bug": "answer_before_commit", "found": {"lost": 3}}))
    assert "| answer before commit | 1 | 3 lost |" in told
    assert "| **all** | 0 | 0 | 0 | 0 | 0 | none |" in told
