"""What a claim changes: a pure rule over what is known.

Customer id ranks before e-mail before phone. What the browser says (level 0) attaches this browser's events to a
person and nothing more; only a server (level 2) replaces what is known, or says that two persons are one.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from edge.identity.claims import SERVER_LEVEL
from edge.identity.graph import Graph
from edge.person import KINDS, Fact, Identifiers, Kind


@dataclass(frozen=True, slots=True)
class Claim:
    """What one event says of who it was, from which browser and session, on what evidence."""

    identifiers: Identifiers
    level: int
    browser: str
    session: bytes | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What a claim does.

    `person` is whom it leads to (None: a new one). `opens_epoch`: somebody else begins in this browser. That person
    gains and loses identifiers; `lost` come before `gained`. `firm` facts may no longer be corrected by their
    session. `joined` are persons that are one with this one from now on; `refused` kinds named somebody who is not.
    """

    person: int | None
    opens_epoch: bool = False
    gained: tuple[tuple[Kind, str], ...] = ()
    lost: tuple[Fact, ...] = ()
    firm: tuple[Fact, ...] = ()
    joined: tuple[int, ...] = ()
    refused: tuple[Kind, ...] = ()


def link(person: int | None, claim: Claim, graph: Graph) -> Change | None:
    """Say what a claim changes for a visitor; None when nothing.

    Args:
        person: the visitor's person so far.
        claim: what the event says, in normal form.
        graph: what is known of all whom the visitor and the claim name; not modified.
    Source:
        docs/identity.md, "What a claim changes".
    """
    if not claim.identifiers:
        return None
    if claim.level >= SERVER_LEVEL:
        return _said_by_server(person, claim, graph)
    return _said_by_browser(person, claim, graph)


def says_nothing_new(said: Identifiers, spoken: Identifiers | None) -> bool:
    """Tell whether a browser's claim changes nothing because its visitor's person is known by all of it already.

    Then `link` gives None whatever else the graph holds: what is said agrees with the person kind by kind, so nothing
    is corrected, nobody else is meant and there is nothing to gain.

    Args:
        spoken: what the visitor's person is known by, None where nobody or too little is known.
    """
    return spoken is not None and all(value == getattr(spoken, kind) for kind, value in said.items())


def _said_by_browser(person: int | None, claim: Claim, graph: Graph) -> Change | None:
    own = graph.facts(person)
    said = dict(claim.identifiers.items())
    if person is not None:
        typo = _correctable(own, said, claim, graph)
        if typo is not None:
            return Change(person, lost=(typo,), gained=_free(person, said, claim, graph, replacing=typo.kind))
        if not _is_somebody_else(person, own, said, graph):
            gained = _free(person, said, claim, graph)
            return Change(person, gained=gained) if gained else None
    found = _found(said, graph)
    gained = _free(found, said, claim, graph)
    known = tuple(fact for fact in graph.facts(found).values() if fact.session not in (None, claim.session))
    return Change(found, person is not None, gained, firm=known)


def _correctable(own: Mapping[Kind, Fact], said: Mapping[Kind, str], claim: Claim, graph: Graph) -> Fact | None:
    """Give the e-mail that a claim corrects: typed in this very session, nobody else's claim, no server's word."""
    typo, email = own.get("email"), said.get("email")
    if typo is None or email is None or typo.value == email or graph.owner("email", email) is not None:
        return None
    if claim.session is None or typo.session != claim.session or not graph.is_founder(claim.browser, typo.person):
        return None
    if any(fact.level > 0 for fact in own.values()) or _differs(own, said, "customer_id"):
        return None
    return typo


def _is_somebody_else(person: int, own: Mapping[Kind, Fact], said: Mapping[Kind, str], graph: Graph) -> bool:
    """Tell whether the deciding identifier of a visitor and its claim leads away from the visitor's person."""
    is_anchored = False
    for kind in KINDS:
        if kind in own and kind in said:
            return own[kind].value != said[kind] and not _is_own(person, kind, said, graph)
        is_anchored = is_anchored or kind in own
        if kind in said and not is_anchored:
            owner = graph.owner(kind, said[kind])
            if owner is not None:
                return not graph.are_one(owner.person, person)
    return False


def _is_own(person: int, kind: Kind, said: Mapping[Kind, str], graph: Graph) -> bool:
    """Tell whether a value that does not speak for a person is one of its own all the same, as joined ones have."""
    owner = graph.owner(kind, said[kind])
    return owner is not None and graph.are_one(owner.person, person)


def _found(said: Mapping[Kind, str], graph: Graph) -> int | None:
    """Give the first owner, by rank, who is not known to be somebody else: a family may share a phone."""
    for kind, value in said.items():
        owner = graph.owner(kind, value)
        if owner is not None and not _contradicts(owner.person, said, graph):
            return owner.person
    return None


def _contradicts(person: int, said: Mapping[Kind, str], graph: Graph) -> bool:
    """Tell whether the deciding kind that both know has different values; what ranks below it has no say."""
    own = graph.facts(person)
    shared = next((kind for kind in KINDS if kind in own and kind in said), None)
    return shared is not None and own[shared].value != said[shared] and not _is_own(person, shared, said, graph)


def _free(
    person: int | None, said: Mapping[Kind, str], claim: Claim, graph: Graph, *, replacing: Kind | None = None
) -> tuple[tuple[Kind, str], ...]:
    """Give what a person gains by a browser's word: kinds it lacks, values that are nobody's, its own browser's word.

    Otherwise whoever knows an address could hang a phone number of his own on it.
    """
    if person is not None and not graph.is_founder(claim.browser, person):
        return ()
    own = graph.facts(person)
    return tuple(
        (kind, value)
        for kind, value in said.items()
        if (kind not in own or kind == replacing) and graph.owner(kind, value) is None
    )


def _said_by_server(person: int | None, claim: Claim, graph: Graph) -> Change | None:
    """A server's word is about the identifiers that it names, never about whoever the cookie was taken for."""
    said = dict(claim.identifiers.items())
    owners = {kind: fact for kind, value in said.items() if (fact := graph.owner(kind, value)) is not None}
    yielding = {kind: fact for kind, fact in owners.items() if _yields(fact, said, graph)}
    named = {
        kind: fact.person
        for kind, fact in owners.items()
        if kind not in yielding and not _outranks(said, fact.person, kind, graph)
    }
    target = next(iter(named.values()), None)
    joined, refused = _joined(target, named, said, graph)
    refused += tuple(kind for kind in owners if kind not in named and kind not in yielding)
    lost, gained = list(yielding.values()), []
    own = {kind: fact for kind, fact in graph.facts(target).items() if kind not in yielding}
    for kind, value in said.items():
        if kind in refused:
            continue
        held, owner = own.get(kind), owners.get(kind)
        is_kept = owner is not None and kind not in yielding and owner.level >= SERVER_LEVEL
        if is_kept and (held is None or held.value == value):
            continue
        if held is not None and held.value != value and (owner is None or kind in yielding):
            lost.append(held)
        gained.append((kind, value))
    opens_epoch = person is not None and not graph.are_one(target, person)
    if not (gained or lost or joined or refused) and person is not None and not opens_epoch:
        return None
    return Change(target, opens_epoch, tuple(gained), tuple(lost), (), joined, refused)


def _yields(fact: Fact, said: Mapping[Kind, str], graph: Graph) -> bool:
    """Tell whether an identifier that a browser claimed belongs to somebody whom the server's word contradicts."""
    if fact.level >= SERVER_LEVEL:
        return False
    own = graph.facts(fact.person)
    return any(_differs(own, said, kind) for kind in KINDS)


def _joined(
    target: int | None, named: Mapping[Kind, int], said: Mapping[Kind, str], graph: Graph
) -> tuple[tuple[int, ...], tuple[Kind, ...]]:
    """Tell who else is named, and is one with the target or certainly not: by what ranks above the naming kind."""
    joined: list[int] = []
    refused: list[Kind] = []
    for kind, other in named.items():
        if target is None or graph.are_one(other, target) or any(graph.are_one(other, one) for one in joined):
            continue
        known = {held: fact.value for held, fact in graph.facts(target).items()}
        if _outranks({**known, **said}, other, kind, graph) or graph.are_parted(target, other):
            refused.append(kind)
        else:
            joined.append(other)
    return tuple(joined), tuple(refused)


def _outranks(said: Mapping[Kind, str], other: int, kind: Kind, graph: Graph) -> bool:
    """Tell whether what ranks above the kind that names somebody says that it is somebody else."""
    return any(_differs(graph.facts(other), said, above) for above in KINDS[: KINDS.index(kind)])


def _differs(own: Mapping[Kind, Fact], said: Mapping[Kind, str], kind: Kind) -> bool:
    return kind in own and kind in said and own[kind].value != said[kind]
