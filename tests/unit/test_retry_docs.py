"""The schedule in docs/reliability.md is the one that runs."""

import re
from pathlib import Path

import pytest

from edge.budget import SHARE
from edge.budget.account import MAX_PAUSE_S
from edge.budget.learning import HEADER_FLOOR, LESS, MARGIN, MORE_PER_MIN
from edge.budget.turns import FLOOR_EVERY
from edge.config import DrainerConfig
from edge.delivery import BASE_S, Delivered, Outcome, Payload, Refused, Rejected, Retry, Throttled, Unclear, backoff_s
from edge.drainer.health import FAILURES_TO_OPEN, MAX_PROBE_WAIT_S, REFUSED_PROBE_S
from edge.drainer.jobs import Job
from edge.drainer.sending import UNCLEAR_WAIT_MS
from edge.drainer.talking import Answered
from edge.ledger.records import Settlement
from tests.backroom import Backroom

PAGE = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text("utf-8")
JOB = Job(1, 1, Payload(b"{}", 0), 0, attempts=3)
OUTCOMES: dict[str, Outcome] = {
    "taken": Delivered(),
    "`Retry`": Retry("500"),
    "`Throttled`": Throttled(7.0),
    "`Refused`": Refused("401"),
    "`Unclear`": Unclear("what"),
    "`Rejected`": Rejected("never"),
}


def rows(first: str) -> list[list[str]]:
    """Give the cells of a table's rows below the header that begins so."""
    table = PAGE[PAGE.index(f"| {first} |") :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


async def settled(folder: Path, outcome: Outcome) -> tuple[Settlement, int]:
    room = await Backroom.open(folder)
    try:
        return room.sender._settlements([JOB], Answered([outcome]))[0], room.clock.now_ms()
    finally:
        await room.close()


def test_the_page_has_a_row_for_every_outcome_and_no_other():
    assert [re.split(r"[:,]", row[0])[0] for row in rows("answer")] == list(OUTCOMES)
    assert {type(outcome) for outcome in OUTCOMES.values()} == set(Outcome.__args__)


@pytest.mark.parametrize("row", rows("answer"), ids=lambda row: row[0])
async def test_each_answer_does_what_its_row_says(row, tmp_path):
    outcome = OUTCOMES[re.split(r"[:,]", row[0])[0]]
    settlement, now_ms = await settled(tmp_path, outcome)
    word = {"delivered": "delivered", "dead": "dead"}.get(re.split(r"[, ]", row[1])[0], "waiting")
    assert settlement.fate == word
    assert settlement.attempts - JOB.attempts == int(row[2].removeprefix("+ "))
    waits_ms = {Retry: round(backoff_s(4, lambda low, high: high) * 1_000), Throttled: 7_000, Unclear: UNCLEAR_WAIT_MS}
    if word == "waiting":
        assert settlement.due_at_ms == now_ms + waits_ms.get(type(outcome), 0)


def test_the_longest_waits_are_those_of_the_table():
    header = PAGE[PAGE.index("| attempt that failed |") :].partition("\n")[0]
    attempts = [int(number) for number in re.findall(r"\d+", header)]
    told = [float(cell) for cell in rows("attempt that failed")[0][1:]]
    assert attempts == [*range(1, 12)]
    assert told == [backoff_s(attempt, lambda low, high: high) for attempt in attempts]
    assert told[-1] == backoff_s(1_000, lambda low, high: high)
    assert backoff_s(1, lambda low, high: low) == 0.0


def test_the_figures_of_the_prose_are_those_that_run():
    for said in (
        f"after 0 to {BASE_S:.0f} s",
        f"at most {MAX_PAUSE_S / 3_600:.0f} h",
        f"every {REFUSED_PROBE_S / 60:.0f} min",
        f"after {UNCLEAR_WAIT_MS / 1_000:.0f} s",
        f"After {FAILURES_TO_OPEN} failures in a row",
        f"at most {MAX_PROBE_WAIT_S:.0f} s apart",
        f"`drainer.account_percent` ({SHARE * 100:.0f})",
        f"less {MARGIN * 100:.0f} %",
        f"A 429 leaves {LESS * 100:.0f} %",
        f"never take it below {HEADER_FLOOR * 100:.0f} %",
    ):
        assert said in PAGE, said
    assert ("a tenth of the whole a minute" in PAGE, MORE_PER_MIN) == (True, 0.1)
    assert ("at least every tenth turn" in PAGE, FLOOR_EVERY) == (True, 10)
    assert DrainerConfig().account_percent == SHARE * 100
