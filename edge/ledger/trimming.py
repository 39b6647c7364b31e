"""Giving space back: what the spool must keep, and what the journal need not."""

from collections.abc import Sequence

from edge.ledger.database import Database, fetch, fetch_in
from edge.ledger.delivering import DeliveryLedger

PASSED = "SELECT min(cursor) FROM pipeline WHERE name IN ({})"
NEEDED = """
SELECT (SELECT cursor + 1 FROM resolver),
       (SELECT min((SELECT min(seq) FROM held INDEXED BY held_seq WHERE pipeline = p.id)) FROM pipeline p),
       (SELECT min(seq) FROM waiting WHERE payload IS NULL)
"""
OTHERS = "SELECT p.id, p.name, max(r.id) FROM pipeline p JOIN revision r ON r.pipeline = p.id GROUP BY p.id"
OLDEST_WAITING = """
SELECT min((SELECT min(seq) FROM waiting INDEXED BY waiting_seq WHERE pipeline = p.id)) FROM pipeline p
"""
TRIM_STEP = 10_000
OLD_JOURNAL = """
SELECT max(seq) FROM (SELECT seq, received_at_ms FROM journal WHERE seq < ? ORDER BY seq LIMIT ?)
WHERE received_at_ms < ?
"""
TRIM = (
    "DELETE FROM journal WHERE seq <= ?",
    "DELETE FROM page WHERE pipeline IN (SELECT id FROM pipeline) AND last <= ?",
    "DELETE FROM settled WHERE pipeline IN (SELECT id FROM pipeline) AND seq <= ?",
)


class TrimLedger:
    """What housekeeping asks; `pipelines` are the configured ones: a removed file pins nothing but what it holds."""

    def __init__(self, database: Database, pipelines: Sequence[str]) -> None:
        self._database, self._pipelines = database, pipelines

    async def others(self) -> list[DeliveryLedger]:
        """Give the ledgers of pipelines whose file is gone: what they hold expires, and pins nothing for ever."""
        async with self._database.snapshot() as db:
            rows = await fetch(db, OTHERS)
        return [
            DeliveryLedger(self._database, number, revision)
            for number, name, revision in rows
            if name not in self._pipelines
        ]

    async def needed_from(self) -> int:
        """Give the lowest sequence number that somebody still has to read from the spool."""
        async with self._database.snapshot() as db:
            bounds = list((await fetch(db, NEEDED))[0])
            passed = (await fetch_in(db, PASSED, self._pipelines)) if self._pipelines else [(None,)]
        bounds.append(passed[0][0] + 1 if passed[0][0] is not None else None)
        lowest: int = min(bound for bound in bounds if bound is not None)
        return lowest

    async def trim(self, before_seq: int, older_than_ms: int) -> bool:
        """Forget journal rows whose events are gone and old; one bounded step. False when there were none."""
        async with self._database.transaction() as db:
            waiting = (await fetch(db, OLDEST_WAITING))[0][0]
            bound = min(before_seq, waiting if waiting is not None else before_seq)
            last = (await fetch(db, OLD_JOURNAL, (bound, TRIM_STEP, older_than_ms)))[0][0]
            if last is not None:
                for statement in TRIM:
                    await db.execute(statement, (last,))
        return last is not None
