"""Persons that are one: the same whatever the order, however often it is said."""

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from edge.consent_platforms import NOTHING
from edge.consent_rules import ConsentSettings
from edge.event import Event, event_key
from edge.identity import claim_from, level_of, link, merge
from edge.identity.linking import Claim
from edge.ledger.records import Known, Resolution
from edge.person import Alias
from edge.resolver.arriving import Arrived
from edge.resolver.page import Page
from edge.resolver.rules import Limits
from edge.secret import Secret
from edge.spool import Row

PERSONS = st.integers(1, 12)
ALIASES = st.lists(
    st.builds(Alias, PERSONS, PERSONS, st.just(2), st.integers(1, 99), is_undone=st.booleans()), max_size=20
)
WHO = st.integers(1, 4)
# Who it is in truth, and which of its identifiers a server names.
CLAIMS = st.lists(
    st.tuples(WHO, st.sets(st.sampled_from(["email", "phone", "customer_id"]), min_size=1)), min_size=1, max_size=15
)


class Numbers:
    """The rules of a resolver that counts from one."""

    consent, limits, consent_key = ConsentSettings(), Limits(), Secret("key-of-the-log")

    def __init__(self):
        self._visitors = self._persons = 0

    def hear(self, event):
        return NOTHING

    def new_visitor_id(self):
        self._visitors += 1
        return self._visitors

    def new_person_id(self):
        self._persons += 1
        return self._persons


def traits_of(who, kinds):
    whole = {"email": f"user{who}@shop.example", "phone": f"+4420794600{10 + who}", "customer_id": f"c-{who}"}
    return {kind: whole[kind] for kind in kinds}


def resolved(claims):
    """Let servers say all of it, each claim with a key of its own."""
    page = Page(Numbers(), Known(set(), set(), {}), Resolution(0, 0))
    for seq, (who, kinds) in enumerate(claims, 1):
        event = Event(f"e{seq}", "identify", 0, 0, "server:shop", f"{seq:032x}", {}, traits_of(who, kinds), {})
        claimed = claim_from(event.traits, "GB")[0]
        page.resolve(Arrived(Row(seq, b""), event, event_key(event.source, event.id), claimed, level_of(event.source)))
    return page


def partition(claims, graph):
    """Give the sets of identifiers that name one person."""
    groups = defaultdict(set)
    for who, kinds in claims:
        for kind, value in traits_of(who, kinds).items():
            groups[graph.canonical(graph.owner(kind, value).person)].add((kind, value))
    return {frozenset(group) for group in groups.values()}


def components(claims):
    """Give what belongs together because some claim names it together: the truth, worked out another way."""
    groups = []
    for who, kinds in claims:
        group = set(traits_of(who, kinds).items())
        for other in [one for one in groups if one & group]:
            groups.remove(other)
            group |= other
        groups.append(group)
    return {frozenset(group) for group in groups}


@given(ALIASES, st.randoms(use_true_random=False))
def test_merging_gives_the_same_in_any_order_and_on_repetition(aliases, random):
    shuffled = [*aliases, *aliases]
    random.shuffle(shuffled)
    assert merge(shuffled) == merge(aliases)


@given(ALIASES)
def test_merging_what_was_merged_changes_nothing(aliases):
    merged = merge(aliases)
    assert merge(Alias(person, canonical, 2, 1) for person, canonical in merged.items()) == merged


@given(ALIASES)
def test_everybody_is_one_with_the_lowest_number_of_those_it_is_joined_with(aliases):
    merged = merge(aliases)
    for alias in aliases:
        assert alias.is_undone or merged[alias.person] == merged[alias.canonical]
    for person, canonical in merged.items():
        assert canonical <= person
        assert merged[canonical] == canonical


@given(ALIASES, st.data())
def test_an_alias_undone_is_as_if_it_had_never_been(aliases, data):
    if not aliases:
        return
    undone = data.draw(st.sampled_from(aliases))
    rest = [alias for alias in aliases if alias != undone]
    without = merge(rest)
    again = merge([*rest, Alias(undone.person, undone.canonical, 2, undone.seq, is_undone=True)])
    assert {person: again[person] for person in without} == without


@given(CLAIMS, st.randoms(use_true_random=False))
def test_servers_words_give_the_same_persons_in_any_order_and_on_repetition(claims, random):
    shuffled = [*claims, *claims]
    random.shuffle(shuffled)
    assert partition(claims, resolved(claims)._known.graph) == components(claims)
    assert partition(claims, resolved(shuffled)._known.graph) == components(claims)


@given(CLAIMS, WHO, st.sets(st.sampled_from(["email", "phone", "customer_id"]), min_size=1))
def test_a_servers_word_said_twice_changes_nothing_more(claims, who, kinds):
    page = resolved([*claims, (who, kinds)])
    claim = Claim(claim_from(traits_of(who, kinds), "GB")[0], 2, "f" * 32)
    person = next(visitor.person for visitor in page.resolution.visitors.values() if visitor.id == len(claims) + 1)
    assert link(person, claim, page._known.graph) is None
