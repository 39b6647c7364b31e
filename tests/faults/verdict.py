"""The verdict: what visitors were promised against what destinations received; then whether our own books agree."""

import asyncio
import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge.sandbox.received import Exchange
from tests.faults.driver import SETTLED_S, World, until

DUPLICATE = 1  # of the journal's fates


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to. `told` and `received` are ids of events that a pipeline maps."""

    promised: int
    received: int
    requests: int
    lost: tuple[str, ...]
    changed: tuple[str, ...]
    disordered: tuple[str, ...]

    @property
    def repeats(self) -> int:
        """Deliveries beyond the first of one event."""
        return self.requests - self.received


def judge(promises: list[dict[str, Any]], exchanges: list[Exchange]) -> Verdict:
    """Compare the two records that the service has no hand in.

    A repeat may differ in Klaviyo's `backfill` mark and in nothing else. A visitor's first deliveries must come in
    the order of its numbers: it tells one batch after the other, so that is the order they were accepted in.
    """
    contents: dict[str, set[bytes]] = {}
    latest: dict[str, int] = {}
    disordered: list[str] = []
    taken = [event for exchange in exchanges if exchange.vendor_status == 202 for event in events_of(exchange)]
    for attributes in taken:
        attributes.pop("backfill", None)
        event = attributes["unique_id"]
        if event not in contents:
            visitor, number = event.rsplit("-", 2)[1:]
            is_own = attributes["properties"]["ProductName"] == f"Cup {visitor}.{number}"
            if int(number) <= latest.get(visitor, 0) or not is_own:
                disordered.append(event)
            latest[visitor] = int(number)
        contents.setdefault(event, set()).add(json.dumps(attributes, sort_keys=True).encode())
    promised = {promise["id"] for promise in promises if promise["number"] > 0}
    return Verdict(
        promised=len(promised),
        received=len(contents),
        requests=len(taken),
        lost=tuple(sorted(promised - contents.keys())),
        changed=tuple(sorted(event for event, bodies in contents.items() if len(bodies) > 1)),
        disordered=tuple(disordered),
    )


def events_of(exchange: Exchange) -> list[dict[str, Any]]:
    """Give the events that a request told, as if each had come by itself; none of a job that the vendor dropped."""
    data = json.loads(exchange.request.body)["data"]
    if data["type"] != "event-bulk-create-job":
        return [data["attributes"]]
    if any("the job failed" in note.text for note in exchange.notes):
        return []
    groups = [group["attributes"] for group in data["attributes"]["events-bulk-create"]["data"]]
    return [{**one["attributes"], "profile": group["profile"]} for group in groups for one in group["events"]["data"]]


async def settled(world: World, within_s: float = SETTLED_S) -> Verdict:
    """Wait until everything promised has arrived and our own books are closed; then judge, and check the books."""

    async def has_arrived() -> bool:
        return not judge(world.promises.read(), world.exchanges).lost

    try:
        await until(has_arrived, within_s, "everything promised has arrived")
        await until(lambda: _is_at_rest(world.service.data_dir), within_s, "nothing waits")
    except AssertionError as late:
        verdict = judge(world.promises.read(), world.exchanges)
        books = read_books(world.service.data_dir)
        raise AssertionError(f"{late}: {verdict}, {books}, kept in {world.folder}") from None
    await asyncio.sleep(0)
    verdict = judge(world.promises.read(), world.exchanges)
    assert (verdict.lost, verdict.changed, verdict.disordered) == ((), (), ()), f"{verdict}, kept in {world.folder}"
    assert verdict.promised == verdict.received, f"somebody's event was delivered without a yes: {verdict}"
    check_books(world, verdict)
    return verdict


@dataclass(frozen=True, slots=True)
class Books:
    """What the service's own ledger says."""

    last_seq: int
    journalled: int
    duplicates: int
    fates: dict[str, int]
    open: int
    dead: int
    resolved_to: int
    cursor: int


def read_books(data_dir: Path) -> Books:
    """Read the ledger as it is now, without writing."""
    with closing(sqlite3.connect(f"file:{data_dir}/ledger.db?mode=ro", uri=True)) as db:
        one = lambda sql: db.execute(sql).fetchone()[0]  # noqa: E731 - a word for one value
        return Books(
            last_seq=one("SELECT coalesce(max(seq), 0) FROM journal"),
            journalled=one("SELECT count(*) FROM journal"),
            duplicates=one(f"SELECT count(*) FROM journal WHERE fate = {DUPLICATE}"),
            fates=dict(db.execute("SELECT fate, events FROM tally WHERE events != 0")),
            open=one("SELECT (SELECT count(*) FROM waiting) + (SELECT count(*) FROM held)"),
            dead=one("SELECT count(*) FROM dead"),
            resolved_to=one("SELECT cursor FROM resolver"),
            cursor=one("SELECT min(cursor) FROM pipeline"),
        )


def check_books(world: World, verdict: Verdict) -> None:
    """Our counters say the same as the two records: accepted = duplicates + the sum of fates, and all are delivered."""
    books, where = read_books(world.service.data_dir), f"kept in {world.folder}"
    identified = len(world.promises.read()) - verdict.promised
    assert books.fates == {"delivered": verdict.received, "unmapped": identified}, f"{books}, {where}"
    assert books.journalled == books.duplicates + sum(books.fates.values()), f"{books}, {where}"
    assert books.journalled == books.last_seq == books.resolved_to == books.cursor, f"a number is missing: {books}"
    assert (books.open, books.dead) == (0, 0), f"{books}, {where}"


def spool_numbers(data_dir: Path) -> list[int]:
    """Give every stored event's number, segment by segment in the order they were begun."""
    numbers: list[int] = []
    for path in sorted((data_dir / "spool").glob("*.segment")):
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            numbers += [row[0] for row in db.execute("SELECT seq FROM event ORDER BY seq")]
    return numbers


def _is_at_rest(data_dir: Path) -> bool:
    books = read_books(data_dir)
    if books.open or books.cursor != books.resolved_to:
        return False
    return books.resolved_to >= max(spool_numbers(data_dir), default=0)
