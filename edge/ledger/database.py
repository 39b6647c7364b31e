"""The ledger's file: one writing connection, shared by resolver and drainer of one process."""

import asyncio
import sqlite3
import zlib
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite
import structlog

from edge.errors import StorageFailed, StorageFull
from edge.ledger.migrations import MIGRATIONS

log = structlog.get_logger(__name__)

# sqlite3 raises MemoryError, no error of its own, where SQLite had no memory for a call.
FAILURES = (sqlite3.Error, MemoryError)
Value: TypeAlias = int | str | bytes | None
MAX_VARIABLES = 500
PAGE_BYTES = 8192

PRAGMAS = (
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 1000",
    "PRAGMA cache_size = -32000",
    "PRAGMA temp_store = MEMORY",
)


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """Where the ledger lives and how large it may grow."""

    path: Path
    max_bytes: int = 20_000_000_000


class Database:
    """The connection, its transactions and its version."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._turn, self._look = asyncio.Lock(), asyncio.Lock()
        self._db: aiosqlite.Connection
        self._reader: aiosqlite.Connection

    async def open(self) -> None:
        """Open or create the file and take every migration it has not seen.

        Raises:
            StorageFailed: it cannot be opened, or a newer version of this package wrote it.
        """
        path = self._settings.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._db = await aiosqlite.connect(path, isolation_level=None)
            path.chmod(0o600)
            for pragma in PRAGMAS:
                await self._db.execute_fetchall(pragma)
            await self._db.execute_fetchall(f"PRAGMA max_page_count = {self._settings.max_bytes // PAGE_BYTES}")
            await self._migrate()
            self._reader = await open_read_only(path)
        except (*FAILURES, OSError) as error:
            raise StorageFailed(f"the ledger {path} cannot be opened: {error or 'no memory'}") from error

    async def close(self) -> None:
        """Checkpoint and close; a death instead of this loses nothing, nor does a disk that fails meanwhile."""
        try:
            await self._reader.close()
            await self._db.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
            await self._db.close()
        except FAILURES as error:
            log.warning("ledger not closed well", error=str(error))

    async def _migrate(self) -> None:
        version = (await fetch(self._db, "PRAGMA user_version"))[0][0]
        if version > len(MIGRATIONS):
            known = f"this program knows up to {len(MIGRATIONS)}"
            raise StorageFailed(f"{self._settings.path} has version {version}, {known}: use a newer one")
        for number in range(version, len(MIGRATIONS)):
            script = f"BEGIN IMMEDIATE;{MIGRATIONS[number]}PRAGMA user_version = {number + 1};COMMIT;"
            await self._db.executescript(script)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[aiosqlite.Connection]:
        """One turn at writing: committed at the end, rolled back on any error.

        Raises:
            StorageFull: there is no room; nothing of it was written.
            StorageFailed: the disk or SQLite failed.
        """
        async with self._turn:
            try:
                await self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                await self._db.execute("COMMIT")
            except FAILURES as error:
                await self._leave_transaction()
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    raise StorageFull("no room for the ledger") from error
                raise StorageFailed(f"the ledger cannot be written: {error or 'no memory'}") from error
            except BaseException:
                await self._leave_transaction()
                raise

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[aiosqlite.Connection]:
        """One consistent look at what is committed, through a connection that cannot write.

        Raises:
            StorageFailed: the disk or SQLite failed.
        """
        async with self._look:
            try:
                try:
                    await self._reader.execute("BEGIN")
                    yield self._reader
                finally:
                    await self._reader.rollback()
            except FAILURES as error:
                raise StorageFailed(f"the ledger cannot be read: {error or 'no memory'}") from error

    async def ask(self, sql: str, values: Sequence[Value] = ()) -> list[Any]:
        """Give all rows of one statement, which is a consistent look by itself.

        Raises:
            StorageFailed: the disk or SQLite failed.
        """
        async with self._look:
            try:
                return await fetch(self._reader, sql, values)
            except FAILURES as error:
                raise StorageFailed(f"the ledger cannot be read: {error or 'no memory'}") from error

    async def compact(self) -> bool:
        """Write the file anew, without freed pages and what lay beside rows, and empty the log behind it.

        Readers go on meanwhile; False while one of them keeps the log from being emptied. Takes as long as copying the
        file, and as much room for as long.

        Raises:
            StorageFull: there is no room for the copy; nothing has changed.
            StorageFailed: the disk or SQLite failed.
        """
        async with self._turn:
            try:
                await self._db.execute_fetchall("PRAGMA temp_store = FILE")  # a large ledger must not fill the memory
                await self._db.execute("VACUUM")
            except FAILURES as error:
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
                    raise StorageFull("no room for a copy of the ledger") from error
                raise StorageFailed(f"the ledger cannot be written anew: {error}") from error
            finally:
                await self._db.execute_fetchall("PRAGMA temp_store = MEMORY")
            async with self._look:
                is_busy: int = (await fetch(self._db, "PRAGMA wal_checkpoint(TRUNCATE)"))[0][0]
        return not is_busy

    async def _leave_transaction(self) -> None:
        """Roll back what may be open: whoever was cancelled does not know whether its last statement ran yet."""
        await self._db.rollback()


async def open_read_only(path: Path) -> aiosqlite.Connection:
    """Open the ledger from anywhere; never checkpoints, never writes."""
    return await aiosqlite.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)


async def fetch(db: aiosqlite.Connection, sql: str, values: Sequence[Value] = ()) -> list[Any]:
    """Give all rows of a statement."""
    return list(await db.execute_fetchall(sql, values))


async def put(db: aiosqlite.Connection, sql: str, rows: Sequence[Sequence[Value]]) -> None:
    """Write rows with one statement; for none not even the writing thread is asked."""
    if rows:
        await db.executemany(sql, rows)


async def fetch_in(db: aiosqlite.Connection, sql: str, members: Iterable[Value], *before: Value) -> list[Any]:
    """Give all rows of a statement that ends in `IN (…)`, asked in parts that SQLite's variables allow.

    Args:
        sql: with `{}` where the question marks of the list go; `before` are the values in front of it.
    """
    rows: list[Any] = []
    unique = list(set(members))
    for start in range(0, len(unique), MAX_VARIABLES):
        part = unique[start : start + MAX_VARIABLES]
        rows += await fetch(db, sql.format(", ".join("?" * len(part))), (*before, *part))
    return rows


def checksum(*values: Value) -> int:
    """Give the CRC-32 of a row's values."""
    return zlib.crc32(repr(values).encode())
