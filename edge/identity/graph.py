"""What is known of persons, as far as one page of events needs it: facts, who began them, who is one with whom."""

from collections.abc import Iterable, Sequence

from edge.identity.merging import merge
from edge.person import Alias, Fact, Identifiers, Kind


class Graph:
    """Facts by value and by person. Grows while a page is resolved; holds no rule of its own.

    Where a kind has several values, which only joined persons have, the one said last speaks for them.
    """

    def __init__(
        self, facts: Iterable[Fact] = (), founders: dict[int, str] | None = None, aliases: Iterable[Alias] = ()
    ) -> None:
        self._owners: dict[tuple[Kind, str], Fact] = {}
        self._of: dict[int, list[Fact]] = {}
        self._founders = founders or {}
        self._aliases = list(aliases)
        self._group()
        for fact in facts:
            self.put(fact)

    def owner(self, kind: Kind, value: str) -> Fact | None:
        """Give the fact that says whose an identifier is."""
        return self._owners.get((kind, value))

    def facts(self, person: int | None) -> dict[Kind, Fact]:
        """Give what somebody is known by now, by kind."""
        if person is None:
            return {}
        said: dict[Kind, Fact] = {}
        for member in self.members(person):
            for fact in self._of.get(member, ()):
                held = said.get(fact.kind)
                if held is None or fact.seq >= held.seq:
                    said[fact.kind] = fact
        return said

    def identifiers(self, person: int | None) -> Identifiers:
        """Give the same as plain values."""
        return Identifiers.of({kind: fact.value for kind, fact in self.facts(person).items()})

    def canonical(self, person: int) -> int:
        """Give the person that somebody is one with."""
        return self._canonical.get(person, person)

    def members(self, person: int) -> Sequence[int]:
        """Give all who are one with somebody, who is among them."""
        return self._members.get(self.canonical(person), (person,))

    def persons(self) -> Iterable[int]:
        """Give everybody of whom anything is known here."""
        return self._founders.keys()

    def knows(self, person: int) -> bool:
        """Tell whether all that is known of somebody is here."""
        return person in self._founders or person in self._of or person in self._canonical

    def are_one(self, one: int | None, other: int | None) -> bool:
        """Tell whether two numbers mean one human."""
        if one is None or other is None:
            return one is other
        return self.canonical(one) == self.canonical(other)

    def are_parted(self, one: int, other: int) -> bool:
        """Tell whether somebody has taken back by hand that these two are one."""
        pair = {self.canonical(one), self.canonical(other)}
        return any(
            alias.is_undone and {self.canonical(alias.person), self.canonical(alias.canonical)} == pair
            for alias in self._aliases
        )

    def is_founder(self, browser: str, person: int) -> bool:
        """Tell whether a person began with this browser."""
        return self._founders.get(person) == browser

    def found(self, person: int, browser: str) -> None:
        """Note whom a new person began with."""
        self._founders[person] = browser

    def put(self, fact: Fact) -> None:
        """Note a fact, in the place of an older one about the same value."""
        self.drop(fact)
        self._owners[fact.kind, fact.value] = fact
        self._of.setdefault(fact.person, []).append(fact)

    def drop(self, fact: Fact) -> None:
        """Forget whose a value is."""
        held = self._owners.pop((fact.kind, fact.value), None)
        if held is not None:
            self._of[held.person].remove(held)

    def join(self, alias: Alias) -> None:
        """Note that two are one."""
        self._aliases.append(alias)
        self._group()

    def _group(self) -> None:
        self._canonical = merge(self._aliases)
        self._members: dict[int, list[int]] = {}
        for person, canonical in self._canonical.items():
            self._members.setdefault(canonical, []).append(person)
