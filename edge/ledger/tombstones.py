"""Tombstones: who was erased, by keyed hashes alone, so that what arrives late brings nobody back."""

import hmac
from collections.abc import Iterable

import aiosqlite

from edge.ledger.database import fetch, fetch_in
from edge.person import Kind
from edge.secret import Secret

HASH_BYTES = 16
FIND = "SELECT hash, at_ms FROM tombstone WHERE hash IN ({})"
NEWEST = "SELECT coalesce(max(at_ms), 0) FROM tombstone"
PUT = """
INSERT INTO tombstone (hash, at_ms) VALUES (?, ?)
ON CONFLICT (hash) DO UPDATE SET at_ms = max(at_ms, excluded.at_ms)
"""
ERASED_SEQS = "SELECT seq FROM journal WHERE fate = 3 AND seq IN ({})"
ERASED_KEYS = "SELECT key FROM journal WHERE fate = 3 AND key IN ({})"
_WHAT = b"datafly-edge tombstone 1\x00"


def tombstone_of(kind: Kind, value: str, key: Secret) -> bytes:
    """Give the hash of an identifier in normal form."""
    return _hash(f"{kind}\x00{value}", key)


def tombstone_of_browser(browser: str, key: Secret) -> bytes:
    """Give the hash of a cookie id."""
    return _hash(f"browser\x00{browser}", key)


def tombstone_of_session(browser: str, session: bytes, key: Secret) -> bytes:
    """Give the hash of one of a browser's sessions."""
    return _hash(f"session\x00{browser}\x00{session.hex()}", key)


async def find_tombstones(db: aiosqlite.Connection, hashes: Iterable[bytes]) -> dict[bytes, int]:
    """Give the tombstones among some hashes, with the moments of their erasures."""
    return dict(await fetch_in(db, FIND, hashes))


async def find_erased_keys(db: aiosqlite.Connection, keys: Iterable[bytes]) -> set[bytes]:
    """Give which events, by their keys, were erased."""
    return {row[0] for row in await fetch_in(db, ERASED_KEYS, keys)}


async def erased_among(db: aiosqlite.Connection, seqs: Iterable[int]) -> set[int]:
    """Give which events were erased meanwhile; for whoever settles, inside its transaction."""
    return {row[0] for row in await fetch_in(db, ERASED_SEQS, seqs)}


async def newest_ms(db: aiosqlite.Connection) -> int:
    """Give when somebody was erased last; 0 where nobody ever was."""
    at_ms: int = (await fetch(db, NEWEST))[0][0]
    return at_ms


async def bury(db: aiosqlite.Connection, hashes: Iterable[bytes], at_ms: int) -> None:
    """Keep hashes of somebody who is erased; inside the transaction that does it."""
    await db.executemany(PUT, [(one, at_ms) for one in hashes])


def _hash(text: str, key: Secret) -> bytes:
    return hmac.digest(key.reveal().encode(), _WHAT + text.encode("utf-8", "replace"), "sha256")[:HASH_BYTES]
