"""Which jobs share a conversation."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from edge.drainer.batching import batch_size, chains_of, is_backlog
from tests.parcels import Parcels


@dataclass(frozen=True)
class One:
    seq: int
    visitor: int
    is_alone: bool = False


def is_alone(job: One) -> bool:
    return job.is_alone


def jobs_of(text: str) -> list[One]:
    """Read "1 2! 1" as visitors, the alone ones with a mark."""
    return [One(seq, int(word.rstrip("!")), "!" in word) for seq, word in enumerate(text.split())]


def seqs(text: str, size: int) -> list[list[list[int]]]:
    return [[[job.seq for job in batch] for batch in chain] for chain in chains_of(jobs_of(text), size, is_alone)]


def test_visitors_that_fit_share_a_batch_and_keep_their_events_together():
    assert seqs("1 2 1 3 4", 4) == [[[0, 2, 1, 3]], [[4]]]


def test_one_a_batch_is_a_chain_a_visitor():
    assert seqs("1 2 1", 1) == [[[0], [2]], [[1]]]


def test_a_visitor_with_more_than_fit_has_batches_one_after_the_other():
    assert seqs("1 1 1 2 1 1", 2) == [[[0, 1], [2, 4], [5]], [[3]]]


def test_what_goes_alone_stands_between_its_visitors_batches():
    assert seqs("1 1 1! 1 1 2", 10) == [[[0, 1], [2], [3, 4]], [[5]]]


def test_nothing_makes_no_chain():
    assert chains_of([], 10, is_alone) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60), st.integers(1, 7))
def test_every_job_goes_once_in_its_visitors_order_and_no_batch_is_too_large(drawn, size):
    jobs = [One(seq, visitor, alone) for seq, (visitor, alone) in enumerate(drawn)]
    chains = chains_of(jobs, size, is_alone)
    batches = [batch for one in chains for batch in one]
    assert sorted(job.seq for batch in batches for job in batch) == [job.seq for job in jobs]
    assert all(0 < len(batch) <= size for batch in batches)
    assert all(len(batch) == 1 for batch in batches if any(job.is_alone for job in batch))
    for visitor in range(6):
        homes = {at for at, one in enumerate(chains) for batch in one for job in batch if job.visitor == visitor}
        mine = [job.seq for batch in batches for job in batch if job.visitor == visitor]
        assert (len(homes) <= 1, mine) == (True, sorted(mine))


def test_a_minute_of_the_accounts_rate_is_no_backlog_yet():
    parcels = Parcels()
    assert (is_backlog(parcels, 60_000), is_backlog(parcels, 60_001)) == (False, True)
    assert batch_size(parcels, is_backlog=False) == 4
