"""Which persons are one: a pure function of the aliases, whatever their order, however often they are told."""

from collections.abc import Iterable

from edge.person import Alias


def merge(aliases: Iterable[Alias]) -> dict[int, int]:
    """Give, for every person that an alias names, the lowest number among those it is one with.

    Args:
        aliases: in any order, each any number of times; those undone by hand join nobody.
    Returns:
        E.g. {1: 1, 4: 1, 9: 1} of 4 → 1 and 9 → 4.
    """
    above: dict[int, int] = {}
    for alias in aliases:
        pair = (alias.person, alias.canonical)
        for person in pair:
            above.setdefault(person, person)
        if not alias.is_undone:
            low, high = sorted(_root(above, person) for person in pair)
            above[high] = low
    return {person: _root(above, person) for person in above}


def _root(above: dict[int, int], person: int) -> int:
    """Give the lowest of a group, and shorten the way there for the next one who asks."""
    way = []
    while above[person] != person:
        way.append(person)
        person = above[person]
    for passed in way:
        above[passed] = person
    return person
