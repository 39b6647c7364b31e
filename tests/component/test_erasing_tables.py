"""Every table of the ledger has a place in an erasure: a new one fails here until somebody has said which."""

from pathlib import Path

from edge.ledger.database import fetch
from tests.backroom import Backroom

# Rows go, or lose what is personal: by identifier, by person, by visitor, or by the event that they are about.
ERASED = {
    *("identifier", "person", "alias", "visitor", "vendor_id", "claim", "quarantine", "stranger", "releasing"),
    *("journal", "held", "waiting", "dead", "erasure_name", "vendor_erasure", "replay"),
}
# Numbers, moments, our own words, keyed hashes, and hashes of ids and order numbers.
IMPERSONAL = {
    *("resolver", "pipeline", "pause", "revision", "page", "tally", "settled", "purchase"),
    *("consent_log", "consent_head", "erasure", "erasing", "tombstone", "replaying", "receipt", "told_later"),
}


async def test_no_table_is_forgotten(tmp_path: Path) -> None:
    room = await Backroom.open(tmp_path)
    async with room.database.snapshot() as db:
        tables = {row[0] for row in await fetch(db, "SELECT name FROM sqlite_schema WHERE type = 'table'")}
    await room.close()
    assert tables == ERASED | IMPERSONAL
