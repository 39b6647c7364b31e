"""What the resolver remembers of the ledger, so that a known browser without news costs no look-up.

Only what was committed is kept, and only as the ledger itself would give it: with a memory of any size, or with none,
the ledger's contents are the same.
"""

from collections import OrderedDict
from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from edge.event import BROWSER_SOURCE
from edge.identity import NOBODY, says_nothing_new
from edge.ledger.records import Decided, Ended, Known, Resolution, VisitorState
from edge.ledger.resolving import KEPT_EPOCHS
from edge.person import Identifiers
from edge.resolver.arriving import Arrived

# About 1 kB each, person and latest decision included, so 21 MB when full (measured).
MAX_BROWSERS = 20_000


@dataclass(slots=True)
class Recalled:
    """What of one page's question is known already, and what is left to ask.

    `naming` are the events that need their persons looked up; `unknown` and `persons` the browsers and the persons to
    look up; `spoken` what the other events' persons are known by.
    """

    visitors: dict[str, VisitorState] = field(default_factory=dict)
    earlier: dict[str, list[VisitorState]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    naming: list[Arrived] = field(default_factory=list)
    persons: set[int] = field(default_factory=set)
    spoken: dict[int, Identifiers] = field(default_factory=dict)


class Memory:
    """The browsers and persons seen last; `size` is how many of each, 0 for none."""

    def __init__(self, size: int = MAX_BROWSERS) -> None:
        self._size = size
        self._visitors: OrderedDict[str, VisitorState] = OrderedDict()
        self._earlier: dict[str, tuple[VisitorState, ...]] = {}
        self._spoken: OrderedDict[int, Identifiers] = OrderedDict()
        self.decided: dict[int, Decided] = {}

    def __len__(self) -> int:
        return len(self._visitors)

    def forget(self) -> None:
        """Drop everything."""
        self._visitors.clear()
        self._earlier.clear()
        self._spoken.clear()
        self.decided = {}

    def recall(self, arrived: Iterable[Arrived]) -> Recalled:
        """Give what is known of a page's browsers, and what must be asked."""
        recalled, claiming, resets = Recalled(), list[Arrived](), set[str]()
        visitors = recalled.visitors
        for one in arrived:
            event = one.event
            if event is None:
                continue
            if event.browser not in visitors:
                self._find(event.browser, recalled)
            if one.claimed is not NOBODY or event.source != BROWSER_SOURCE:
                claiming.append(one)
            if event.name == "reset":
                resets.add(event.browser)
        for one in claiming:
            self._sort(one, recalled, resets)
        return recalled

    def _find(self, browser: str, recalled: Recalled) -> None:
        visitor = self._visitors.get(browser)
        if visitor is None:
            recalled.unknown.add(browser)
            return
        recalled.visitors[browser] = visitor
        if visitor.epoch > 1:
            recalled.earlier[browser] = list(self._earlier[browser])

    def _sort(self, one: Arrived, recalled: Recalled, resets: Container[str]) -> None:
        """Tell a claim that says what is known of its visitor's person anyway from one whose persons must be asked.

        Which visitor it is must be certain beforehand, so there is one epoch and nothing in the page begins another;
        a claim of the same browser that might is itself one to ask for, and then its person is asked for as well.
        """
        assert one.event is not None, "a claim is an event's"
        browser = one.event.browser
        visitor = recalled.visitors.get(browser)
        person = visitor.person if visitor is not None and visitor.epoch == 1 and browser not in resets else None
        spoken = self._spoken.get(person) if person is not None else None
        is_plain = one.event.source == BROWSER_SOURCE and says_nothing_new(one.claimed, spoken)
        if is_plain and person is not None and spoken is not None:
            recalled.spoken[person] = spoken
            return
        recalled.naming.append(one)
        for epoch in (visitor, *recalled.earlier.get(browser, ())):
            if epoch is not None and epoch.person is not None:
                recalled.persons.add(epoch.person)

    def keep(self, known: Known, resolution: Resolution) -> None:
        """Remember a page that was committed."""
        for browser, visitor in known.visitors.items():
            self._visitors[browser] = visitor
            self._visitors.move_to_end(browser)
            if visitor.epoch > 1:
                self._earlier[browser] = tuple(known.earlier[browser][:KEPT_EPOCHS])
        self._keep_persons(known, resolution)
        while len(self._visitors) > self._size:
            browser, _ = self._visitors.popitem(last=False)
            self._earlier.pop(browser, None)
        while len(self._spoken) > self._size:
            self._spoken.popitem(last=False)
        if len(self.decided) > 2 * self._size:
            self.decided.clear()

    def _keep_persons(self, known: Known, resolution: Resolution) -> None:
        graph = known.graph
        changed = {(one.fact if isinstance(one, Ended) else one).person for one in resolution.facts}
        changed.update(person for alias in resolution.aliases for person in (alias.person, alias.canonical))
        for person in changed:
            for member in graph.members(person):
                self._spoken.pop(member, None)
        for person in graph.persons():
            self._spoken[person] = graph.identifiers(person)
            self._spoken.move_to_end(person)
        for person in known.spoken:
            self._spoken.move_to_end(person)
