"""What deciding asks of whoever steps through the spool: the site's rules, and new numbers."""

from dataclasses import dataclass
from typing import Protocol

from edge.consent_platforms import Heard
from edge.consent_rules import ConsentSettings
from edge.event import Event
from edge.secret import Secret


@dataclass(frozen=True, slots=True)
class Limits:
    """How many links a day browsers may make by their own word: values of a kind a browser, browsers a value."""

    values_per_browser: int = 3
    browsers_per_value: int = 20


class Rules(Protocol):
    """What a page asks of whoever steps through the spool."""

    @property
    def consent(self) -> ConsentSettings:
        """The site's rules of consent."""
        ...

    @property
    def consent_key(self) -> Secret:
        """What hides whom a row of the consent log is about."""
        ...

    @property
    def limits(self) -> Limits:
        """The limits against poisoning."""
        ...

    def hear(self, event: Event) -> Heard:
        """Read an event's evidence about consent."""
        ...

    def new_visitor_id(self) -> int:
        """Give the next visitor id."""
        ...

    def new_person_id(self) -> int:
        """Give the next person id."""
        ...
