"""The stores of a running or stopped service, opened read-only."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import click

from edge.app.folders import ledger_path, spool_settings
from edge.config import Config
from edge.event import BROWSER_SOURCE, Event, decode, server_source
from edge.ledger import LedgerView
from edge.spool import Row, SpoolReader


class Unavailable(click.ClickException):
    """Raised when there is nothing to look at, or it cannot be read; exit code 1."""


@dataclass(frozen=True, slots=True)
class Stores:
    """What a verb looks at; `sources` are those whose events are found by their ids."""

    ledger: LedgerView
    spool: SpoolReader
    sources: tuple[str, ...] = (BROWSER_SOURCE,)


@asynccontextmanager
async def open_stores(config: Config) -> AsyncIterator[Stores]:
    """Open ledger and spool, and close them afterwards.

    Raises:
        Unavailable: there is no ledger, or SQLite cannot read it, now or later in the block.
    """
    path = ledger_path(config)
    if not path.exists():
        raise Unavailable(f"{path}: no ledger here; `edge serve` makes it, and --data-dir names another place")
    try:
        ledger = await LedgerView.open(path)
        spool = SpoolReader(spool_settings(config).directory)
        try:
            yield Stores(ledger, spool, sources_of(config))
        finally:
            await spool.close()
            await ledger.close()
    except sqlite3.Error as error:
        raise Unavailable(f"{path}: cannot be read ({error}); run this as the user the service runs as") from error


def sources_of(config: Config) -> tuple[str, ...]:
    """Give every source that the configuration knows."""
    return (BROWSER_SOURCE, *(server_source(one.name) for one in config.write_keys))


def event_of(row: Row | None) -> Event | None:
    """Give a stored envelope's event; None where there is none, or its bytes are damaged or erased."""
    if row is None or row.is_damaged or row.is_erased:
        return None
    try:
        return decode(row.body)
    except ValueError:
        return None


async def check_pipeline(stores: Stores, name: str | None) -> None:
    """Refuse the name of a pipeline that never was: to whoever mistypes one, nothing found would be good news.

    Raises:
        UsageError: it names those that there are.
    """
    known = [depth.name for depth in await stores.ledger.depths()]
    if name is not None and name not in known:
        raise click.UsageError(f"no pipeline is called {name!r}; there are: {', '.join(known) or 'none'}")
