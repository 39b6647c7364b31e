"""Whom and what a rehearsal is about: an event, who did it, what was granted, and from where that is known."""

from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from edge.cli.screen import plain
from edge.cli.stores import Stores, Unavailable
from edge.cli.story import Story, find_story
from edge.consent import ALL_PURPOSES, PURPOSE_NAMES, Purpose, names_of
from edge.consent_platforms import MEANINGS, Meanings, hear
from edge.consent_rules import ConsentSettings, judge
from edge.event import Event
from edge.identity import claim_from
from edge.ledger.decisions import DecisionView
from edge.ledger.records import JournalFate
from edge.person import Identifiers
from edge.vendor_ids import brought, kept_as, known_at

UNRESOLVED = "the event is not resolved yet; this is decided without what is known of its visitor"

Origin: TypeAlias = Literal["options", "traits", "ledger"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a visitor is known by, and from where. Only a stored event's visitor has a number."""

    identifiers: Identifiers
    origin: Origin
    visitor: int | None = None
    person: int | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """What counts as granted, and on which ground, as the resolver names it, or `assumed`.

    `withdrawn` was granted and is denied since; `note` says what a reader would not expect,
    `waits` is what nobody has answered yet.
    """

    granted: Purpose
    basis: str
    withdrawn: Purpose = Purpose.NONE
    note: str = ""
    waits: Purpose = Purpose.NONE


@dataclass(frozen=True, slots=True)
class Subject:
    """An event with what was decided of it; `seq` None: it is not stored."""

    event: Event
    identity: Identity
    consent: Consent
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Judge:
    """The site's rules, and who the visitor is where the command line says so."""

    region: str
    consent: ConsentSettings
    given: Identifiers
    meanings: Meanings = field(default_factory=lambda: MEANINGS)

    def of_new(self, event: Event) -> Subject:
        """Judge an event that is not stored; where it says nothing of consent, that is taken as granted."""
        return Subject(event, self._claimed(event), self._assumed(event))

    async def of_stored(self, stores: Stores, asked: str) -> Subject:
        """Judge a stored event as a delivery would now, by its id or #number.

        Raises:
            Unavailable: there is none, or no pipeline would get it.
        """
        story = await find_story(stores, asked, {})
        if story is None or story.event is None:
            raise Unavailable(_missing(story, asked))
        if story.entry is None:
            consent = replace(self._decided(story.event), note=UNRESOLVED)
            return Subject(story.event, self._claimed(story.event), consent, story.seq)
        decision = next(iter(await stores.ledger.decisions([story.seq])), None)
        if decision is None or decision.fate is not JournalFate.OPEN:
            raise Unavailable(_stopped(story, decision))
        people = await stores.ledger.people([decision.person] if decision.person is not None else [])
        known = people.get(decision.person, Identifiers()) if decision.person is not None else Identifiers()
        visitor = decision.visitor
        kept = (await stores.ledger.vendor_ids([visitor])).get(visitor, ()) if visitor is not None else ()
        known = known_at(self.given or known, kept, decision.received_at_ms)
        known = replace(known, anonymous_id=decision.anonymous_id)
        identity = Identity(known, self._origin("ledger"), decision.visitor, decision.person)
        granted = decision.granted & ~decision.withdrawn
        return Subject(
            story.event, identity, Consent(granted, decision.basis, decision.withdrawn, waits=decision.waits), story.seq
        )

    def _claimed(self, event: Event) -> Identity:
        claimed = claim_from(event.traits, self.region)[0]
        brings = [kept_as(found, None, 0, event.received_at_ms) for found in brought(event.context, event.time_ms)]
        return Identity(known_at(self.given or claimed, brings, event.received_at_ms), self._origin("traits"))

    def _origin(self, otherwise: Origin) -> Origin:
        return "options" if self.given else otherwise

    def _assumed(self, event: Event) -> Consent:
        decided = self._decided(event)
        heard = hear(event.context, self.meanings)
        if heard.answers:
            return decided
        is_denying = self.consent.gpc_denies and heard.has_gpc
        granted = ALL_PURPOSES & ~Purpose.ADVERTISING if is_denying else ALL_PURPOSES
        missing = names_of(granted & ~decided.granted & ~decided.waits)
        denied = "everything" if len(missing) == len(PURPOSE_NAMES) else ", ".join(missing)
        would = [f"deny {denied}"] if missing else []
        would += (
            [f"wait for an answer about {', '.join(asked)}"] if (asked := names_of(granted & decided.waits)) else []
        )
        default = f"the site's default would {' and '.join(would)}" if would else "so says the site's default"
        signal = "; the privacy signal (GPC) denies advertising" if is_denying else ""
        return Consent(granted, "assumed", note=f"taken as granted: the event says nothing; {default}{signal}")

    def _decided(self, event: Event) -> Consent:
        heard = hear(event.context, self.meanings)
        received_ms = event.received_at_ms
        settings = self.consent.of_source(event.source)
        verdict = judge(heard.answers, None, has_gpc=heard.has_gpc, received_ms=received_ms, settings=settings)
        decision, spoken = verdict.decision, Purpose.NONE
        for answer in heard.answers:
            spoken |= answer.granted | answer.denied
        silent = names_of(ALL_PURPOSES & ~spoken) if heard.answers else []
        note = f"not answered: {', '.join(silent)}; there the site's default holds" if silent else ""
        return Consent(decision.granted, decision.basis, note=note, waits=decision.waits)


def _missing(story: Story | None, asked: str) -> str:
    if story is None:
        text = "was refused at the door, was never sent, or is older than the journal"
        return f"no event with the id or number {plain(asked, 80)!r} is known here: it {text}"
    is_damaged = story.entry is None or story.entry.fate is JournalFate.DAMAGED
    why = "its stored bytes do not match their checksum" if is_damaged else "the spool has unlinked it since"
    if story.entry is not None and story.entry.fate is JournalFate.ERASED:
        why = "the person was erased"
    return f"the envelope of #{story.seq} is gone ({why}), so there is nothing to preview; see: edge why {story.seq}"


def _stopped(story: Story, decision: DecisionView | None) -> str:
    if decision is None or decision.fate is JournalFate.DAMAGED:
        return f"the journal's row of #{story.seq} does not match its checksum, so no pipeline gets the event"
    if story.original is None:
        return f"#{story.seq} repeats an event that the journal no longer has, so no pipeline gets it"
    first = story.original.seq
    return f"#{story.seq} repeats #{first}, so no pipeline gets it; see: edge preview --event '#{first}'"
