"""The verdict: what visitors were promised against what destinations received; then whether our own books agree."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge.sandbox.received import Exchange
from tests.faults.books import is_at_rest, read_books, spool_numbers, stored_ids
from tests.faults.driver import SETTLED_S, World, until

VERDICTS = "verdicts.jsonl"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a run came to; events are those that a pipeline maps, named by their ids.

    Attributes:
        promised: how many were answered with a yes and may be delivered.
        lost: promised, and never received.
        unstored: answered with a yes, and neither in the spool nor, where their segment is gone, received.
        changed: received more than once, with different bytes.
        disordered: received first after a later one of their visitor, or with another event's content.
        strange: received under an id that no visitor was told a yes for.
        forbidden: received although their visitor denies.
        books: what of the ledger contradicts that.
    """

    promised: int
    received: int
    requests: int
    denied: int
    lost: tuple[str, ...]
    changed: tuple[str, ...]
    disordered: tuple[str, ...]
    strange: tuple[str, ...]
    forbidden: tuple[str, ...]
    unstored: tuple[str, ...] = ()
    books: tuple[str, ...] = ()

    @property
    def repeats(self) -> int:
        """Deliveries beyond the first of one event."""
        return self.requests - self.received

    @property
    def complaints(self) -> dict[str, tuple[str, ...]]:
        """What must be empty and is not."""
        every = {key: value for key, value in asdict(self).items() if isinstance(value, tuple)}
        return {key: value for key, value in every.items() if value}


def judge(promises: list[dict[str, Any]], exchanges: list[Exchange]) -> Verdict:
    """Compare the two records that the service has no hand in.

    A repeat may differ in Klaviyo's `backfill` mark and in nothing else. A visitor's first deliveries must come in
    the order of its numbers: it tells one batch after the other, so that is the order they were accepted in.
    """
    mapped = [promise for promise in promises if promise["number"] > 0]
    promised = {promise["id"] for promise in mapped if promise["is_allowed"]}
    denied = {promise["id"] for promise in mapped} - promised
    contents: dict[str, set[bytes]] = {}
    latest: dict[str, int] = {}
    disordered: list[str] = []
    taken = [event for exchange in exchanges if exchange.vendor_status == 202 for event in events_of(exchange)]
    for attributes in taken:
        attributes.pop("backfill", None)
        event = attributes["unique_id"]
        if event not in contents and event in promised:
            visitor, number = event.rsplit("-", 2)[1:]
            is_own = attributes["properties"]["ProductName"] == f"Cup {visitor}.{number}"
            if int(number) <= latest.get(visitor, 0) or not is_own:
                disordered.append(event)
            latest[visitor] = int(number)
        contents.setdefault(event, set()).add(json.dumps(attributes, sort_keys=True).encode())
    return Verdict(
        promised=len(promised),
        received=len(contents),
        requests=len(taken),
        denied=len(denied),
        lost=tuple(sorted(promised - contents.keys())),
        changed=tuple(sorted(event for event, bodies in contents.items() if len(bodies) > 1)),
        disordered=tuple(disordered),
        strange=tuple(sorted(contents.keys() - promised - denied)),
        forbidden=tuple(sorted(contents.keys() & denied)),
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


async def judged(world: World, within_s: float = SETTLED_S) -> Verdict:
    """Wait until our own books are closed, and judge.

    Whatever is still missing then is lost: nobody knows of it any more.
    """
    data_dir = world.service.data_dir
    try:
        await until(lambda: is_at_rest(data_dir), within_s, "nothing waits")
    except AssertionError as late:
        verdict = judge(world.promises.read(), world.exchanges)
        raise AssertionError(f"{late}: {verdict}, {read_books(data_dir)}, kept in {world.folder}") from None
    promises = world.promises.read()
    told = judge(promises, world.exchanges)
    found = {"unstored": _unstored(promises, told, data_dir), "books": _complaints_of_books(world, told)}
    return Verdict(**{**_values(told), **found})


async def settled(world: World, within_s: float = SETTLED_S) -> Verdict:
    """Judge as above, write that beside the run's data, and accept nothing but a run without any complaint."""
    verdict = await judged(world, within_s)
    _write(world, verdict)
    assert not verdict.complaints, f"{verdict}, kept in {world.folder}"
    return verdict


def _unstored(promises: list[dict[str, Any]], told: Verdict, data_dir: Path) -> tuple[str, ...]:
    """Give what was acknowledged and is not there; where the first segments are gone, what was lost says the same."""
    missing = {promise["id"] for promise in promises} - stored_ids(data_dir)
    is_whole = min(spool_numbers(data_dir), default=1) == 1
    return tuple(sorted(missing if is_whole else missing & set(told.lost)))


def _complaints_of_books(world: World, verdict: Verdict) -> tuple[str, ...]:
    """Our counters must say the same as the two records: accepted = duplicates + the sum of fates, each event once."""
    books = read_books(world.service.data_dir)
    introduced = len(world.promises.read()) - verdict.promised - verdict.denied
    wanted = {"delivered": verdict.received, "unmapped": introduced, "withheld": verdict.denied}
    sums = {
        "the fates are not what was received": books.fates
        == {fate: number for fate, number in wanted.items() if number},
        "the tally is not the sum of single outcomes": books.fates == books.outcomes,
        "an event has no page, or two": not books.uncovered,
        "the balance does not add up": books.journalled == books.duplicates + sum(books.fates.values()),
        "a number is missing": books.journalled == books.last_seq == books.resolved_to == books.cursor,
        "something is open or dead": (books.open, books.dead) == (0, 0),
    }
    return tuple(f"{what}: {books}" for what, is_so in sums.items() if not is_so)


def _values(verdict: Verdict) -> dict[str, Any]:
    return {name: getattr(verdict, name) for name in Verdict.__slots__}


def _write(world: World, verdict: Verdict) -> None:
    """Add the run to the verdicts."""
    injected = world.injected + (world.proxy.injected if world.proxy else Counter())
    complaints = {what: len(which) for what, which in verdict.complaints.items()}
    told = {"delivered": verdict.received, "repeats": verdict.repeats}
    write_run(world.folder, injected, len(world.promises.read()), complaints, **told)


def write_run(
    folder: Path,
    injected: Mapping[str, int],
    acknowledged: int,
    complaints: Mapping[str, int],
    *,
    delivered: int = 0,
    repeats: int = 0,
) -> None:
    """Add a line to a run's verdicts, from which the report is made; see `conftest.py`."""
    line = {
        "injected": injected,
        "acknowledged": acknowledged,
        "delivered": delivered,
        "repeats": repeats,
        "complaints": complaints,
    }
    with (folder / VERDICTS).open("a") as file:
        file.write(json.dumps(line) + "\n")
