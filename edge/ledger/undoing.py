"""Taking back by hand what linked somebody. What was sent stays sent; from the next event on it holds no more."""

import aiosqlite

from edge.ledger.database import Database, fetch

END_FACT = """
UPDATE identifier SET until_seq = (SELECT cursor + 1 FROM resolver) WHERE kind = ? AND value = ? AND until_seq IS NULL
"""
PART = """
UPDATE alias SET undone_seq = (SELECT cursor + 1 FROM resolver)
WHERE (person = ?1 OR canonical = ?1) AND undone_seq IS NULL
"""
# As a reset would; the new epoch takes the sessions along, so that a page that is open begins anew as well.
BEGIN_EPOCH = """
INSERT INTO visitor (id, browser, epoch, granted, denied, answer_source, answers, sessions)
SELECT (SELECT max(id) FROM visitor) + 1, browser, epoch + 1, granted, denied, answer_source, answers, sessions
FROM visitor WHERE browser = ? ORDER BY epoch DESC LIMIT 1
"""


class UndoLedger:
    """Each verb is one transaction and gives how much it changed; nobody else may write the ledger meanwhile."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def end_fact(self, kind: str, value: str) -> int:
        """Let an identifier name nobody: whoever claims it next has it."""
        async with self._database.transaction() as db:
            return await _changed(db, END_FACT, (kind, value))

    async def part(self, person: int) -> int:
        """Take back that somebody is one with others; no server's word joins these two again."""
        async with self._database.transaction() as db:
            return await _changed(db, PART, (person,))

    async def begin_epoch(self, browser: str) -> int:
        """Let a browser be a stranger from now on."""
        async with self._database.transaction() as db:
            return await _changed(db, BEGIN_EPOCH, (bytes.fromhex(browser),))


async def _changed(db: aiosqlite.Connection, sql: str, values: tuple[str | int | bytes, ...]) -> int:
    await db.execute(sql, values)
    changed: int = (await fetch(db, "SELECT changes()"))[0][0]
    return changed
