"""Which answers decided what an event had left open when it was accepted, as `edge why` and `edge consent` tell it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from edge.cli.stores import Stores
from edge.cli.story import Stage, Story
from edge.consent import Purpose, names_of
from edge.delivery import Fate
from edge.event import is_server
from edge.ledger.consent_log import LoggedConsent, who_of
from edge.ledger.standing import JournalEntry
from edge.secret import Secret

SENT_FATES = frozenset({Fate.WAITING, Fate.DELIVERED, Fate.DEAD})


@dataclass(frozen=True, slots=True)
class Answered:
    """A row of the consent log that answered what an event had left open, and what it said of that."""

    row: int
    seq: int
    granted: Purpose
    denied: Purpose

    def told(self) -> str:
        """Say it, e.g. "the answer in #23 (row 4): granted marketing"."""
        said = [
            f"{word} {', '.join(names_of(what))}"
            for word, what in (("granted", self.granted), ("denied", self.denied))
            if what
        ]
        return f"the answer in #{self.seq} (row {self.row}): {'; '.join(said)}"


async def find_answers(stores: Stores, story: Story, key: Secret | None) -> tuple[Answered, ...]:
    """Give which rows of the consent log answered what an event had left open, the oldest first; none without a key.

    Of its own visitor the first answer after it counts; of a server's event, where its visitor said nothing, what its
    person answered in another browser: the first after it, else the last before.
    """
    entry, visitor = story.entry, story.visitor
    if key is None or entry is None or not entry.waits or visitor is None:
        return ()
    logged = await stores.ledger.consents([who_of(visitor.browser, key)])
    after = [one for one in logged if one.seq > entry.seq]
    own = await _of_visitor(stores, after, entry)
    others = await stores.ledger.consents([who_of(one, key) for one in await browsers_elsewhere(stores, story)])
    told = [
        *(one for one in others if one.seq > entry.seq),
        *(one for one in reversed(others) if one.seq <= entry.seq),
    ]
    return answers_among([*own, *told], Purpose(entry.waits))


async def browsers_elsewhere(stores: Stores, story: Story) -> list[str]:
    """Give the other browsers of a person of whom a server told; nobody else's event goes by their answers."""
    event, visitor = story.event, story.visitor
    if event is None or not is_server(event.source) or visitor is None or visitor.person is None:
        return []
    people = await stores.ledger.known_of(values=[], browser=None, visitor=visitor.id)
    return sorted({one.browser.lower() for person in people for one in person.visitors} - {visitor.browser})


def answers_among(rows: Iterable[LoggedConsent], asked: Purpose) -> tuple[Answered, ...]:
    """Give of each purpose the first row that says something of it, as one value a row, in the log's order."""
    found: dict[int, Answered] = {}
    for row in rows:
        granted, denied = row.granted & asked & ~row.denied, row.denied & asked
        if granted | denied:
            found[row.id] = Answered(row.id, row.seq, granted, denied)
            asked &= ~(granted | denied)
    return tuple(found[row] for row in sorted(found))


def releasing(stage: Stage, entry: JournalEntry, answers: Iterable[Answered]) -> list[Answered]:
    """Give the answers by which a pipeline was let send an event; none where it needed none, or still waits."""
    if stage.file is None or stage.fate.fate not in SENT_FATES:
        return []
    needed = stage.file.purposes & Purpose(entry.waits)
    return [one for one in answers if one.granted & needed]


def told_answers(answers: Sequence[Answered], stages: Iterable[Stage], entry: JournalEntry) -> list[str]:
    """Say what each answer was, and whether a pipeline sends the event because of it."""
    released = {one.row for stage in stages for one in releasing(stage, entry, answers)}
    return [f"{'released by' if one.row in released else 'decided by'} {one.told()}" for one in answers]


def answers_json(answers: Iterable[Answered]) -> list[dict[str, object]]:
    """Give answers as --json shows them."""
    return [
        {"row": one.row, "seq": one.seq, "granted": names_of(one.granted), "denied": names_of(one.denied)}
        for one in answers
    ]


async def _of_visitor(stores: Stores, rows: Sequence[LoggedConsent], entry: JournalEntry) -> list[LoggedConsent]:
    """Leave out what a browser granted after it was somebody else's: there only a no counts."""
    whose = {one.seq: one.visitor for one in await stores.ledger.by_seqs([row.seq for row in rows])}
    return [row if whose.get(row.seq) == entry.visitor else replace(row, granted=Purpose.NONE) for row in rows]
