"""Which content of a pipeline's file runs, and which ones ran before."""

from edge.ledger.database import Database, fetch
from edge.ledger.records import Revision

# Registering what is registered already writes nothing: a start on a full disk succeeds.
ADD_PIPELINE = """
INSERT INTO pipeline (name, integration, cursor, began)
SELECT ?, ?, cursor, cursor FROM resolver WHERE true ON CONFLICT DO NOTHING
"""
ADD_REVISION = """
INSERT INTO revision (pipeline, hash, file, text, seen_at_ms) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (pipeline, hash) DO UPDATE SET file = excluded.file WHERE file <> excluded.file
"""
# A file runs as one pipeline only.
LEAVE_FILE = (
    "UPDATE pipeline SET revision = NULL WHERE id <> ? AND revision IN (SELECT id FROM revision WHERE file = ?)"
)
RUN = "UPDATE pipeline SET revision = ?1 WHERE id = ?2 AND revision IS NOT ?1"
RETIRE = "UPDATE pipeline SET revision = NULL WHERE name = ? AND revision IS NOT NULL"
RUNNING = """
SELECT p.name, p.integration, r.file, r.hash, r.text
FROM pipeline p JOIN revision r ON r.id = p.revision ORDER BY p.name
"""
REVISION = """
SELECT p.name, p.integration, r.file, r.hash, r.text FROM revision r JOIN pipeline p ON p.id = r.pipeline WHERE r.id = ?
"""
# What is held is looked at once more when whose events go out has changed.
SET_TERMS = """
UPDATE pipeline SET by_click = ?1, anonymous = ?2, purposes = ?3, is_enabled = ?4, fresh_ms = ?5,
    swept_to = iif((by_click, anonymous, purposes, is_enabled) IS (?1, ?2, ?3, ?4), swept_to, 0)
WHERE id = ?6 AND (by_click, anonymous, purposes, is_enabled, fresh_ms) IS NOT (?1, ?2, ?3, ?4, ?5)
"""


async def run(database: Database, revision: Revision, now_ms: int) -> tuple[int, int]:
    """Let a content run as the pipeline of its name, a new one at the resolver's place; give the ids of both."""
    name, file = revision.pipeline, revision.file
    async with database.transaction() as db:
        await db.execute(ADD_PIPELINE, (name, revision.integration))
        pipeline = (await fetch(db, "SELECT id FROM pipeline WHERE name = ?", (name,)))[0][0]
        await db.execute(ADD_REVISION, (pipeline, revision.hash, file, revision.text, now_ms))
        of_hash = "SELECT id FROM revision WHERE pipeline = ? AND hash = ?"
        number = (await fetch(db, of_hash, (pipeline, revision.hash)))[0][0]
        await db.execute(LEAVE_FILE, (pipeline, file))
        await db.execute(RUN, (number, pipeline))
        terms = revision.terms
        clicks, enabled = int(terms.is_known_by_click), int(terms.is_enabled)
        said = (clicks, terms.anonymous, int(terms.purposes), enabled, round(terms.fresh_for_s * 1_000))
        await db.execute(SET_TERMS, (*said, pipeline))
    return pipeline, number


async def running(database: Database) -> list[Revision]:
    """Give the contents that run, or ran when the last process ended: each the last good one of its file."""
    async with database.snapshot() as db:
        return [Revision(*row) for row in await fetch(db, RUNNING)]


async def integrations(database: Database) -> dict[str, str]:
    """Give the destination's word of every pipeline there ever was, by name."""
    async with database.snapshot() as db:
        return dict(await fetch(db, "SELECT name, integration FROM pipeline"))


async def retire(database: Database, name: str) -> None:
    """Note that a pipeline's file is gone; its place, and what is open, stay."""
    async with database.transaction() as db:
        await db.execute(RETIRE, (name,))


async def revision_at(database: Database, number: int) -> Revision:
    """Give a content that delivered before."""
    async with database.snapshot() as db:
        return Revision(*(await fetch(db, REVISION, (number,)))[0])
