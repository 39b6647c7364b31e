"""What was answered about consent since an event was decided: by its visitor, its browser, its person elsewhere."""

from collections.abc import Iterable
from dataclasses import dataclass
from operator import itemgetter

import aiosqlite

from edge.consent import Answer, Purpose, Standing
from edge.consent_rules import agreed
from edge.ledger.database import fetch_in
from edge.ledger.persons import groups_of

# A journal row as its checksum covers it, and the checksum.
JOURNAL_COLUMNS = (
    "j.seq, j.key, j.visitor, j.granted, j.waits, j.basis, j.fate, j.is_server, j.received_at_ms, j.checksum"
)
JOURNAL_WIDTH, JOURNAL_FATE = 9, 6
# The visitor's browser and answers, and what the browser's newest epoch has denied.
SINCE_COLUMNS = """v.browser, coalesce(v.granted, 0), coalesce(v.denied, 0),
    coalesce((SELECT n.denied FROM visitor n WHERE n.browser = v.browser ORDER BY n.epoch DESC LIMIT 1), 0)"""
# The condition is that of the index.
ANSWERED = """
SELECT person, browser, epoch, granted, denied FROM visitor
WHERE person IS NOT NULL AND answer_source IS NOT NULL AND person IN ({})
"""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What one human answered last in each browser; `persons` are all numbers that the human has."""

    persons: tuple[int, ...]
    answers: dict[bytes, Standing]

    def but(self, browser: bytes) -> Answer | None:
        """Give what was answered in other browsers than this one."""
        return agreed(said for other, said in self.answers.items() if other != browser)


async def find_elsewhere(db: aiosqlite.Connection, persons: Iterable[int]) -> dict[int, Elsewhere]:
    """Give what persons, with all who are one with them, have answered: of each browser in its latest epoch."""
    groups = await groups_of(db, persons)
    members = {member for group in groups.values() for member in group}
    rows = sorted(await fetch_in(db, ANSWERED, members), key=itemgetter(2))
    found = {person: Elsewhere(tuple(sorted(group)), {}) for person, group in groups.items()}
    for member, browser, _, granted, denied in rows:
        for person, group in groups.items():
            if member in group:
                found[person].answers[browser] = Standing(Purpose(granted), Purpose(denied), "")
    return found
