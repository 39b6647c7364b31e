"""Consent decided: once an event, from evidence alone."""

from dataclasses import dataclass, replace

from edge.consent import Answer, Decision, Purpose
from edge.event import is_server


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    """What holds where nobody answered, and whether Global Privacy Control denies advertising.

    `server_default` stands in for `default` where a server tells of somebody.
    """

    default: Purpose = Purpose.NONE
    gpc_denies: bool = True
    server_default: Purpose = Purpose.NONE

    def of_source(self, source: str) -> "ConsentSettings":
        """Give what holds for events of a source."""
        return replace(self, default=self.server_default) if is_server(source) else self


def decide(*, answer: Answer | None, remembered: Answer | None, has_gpc: bool, settings: ConsentSettings) -> Decision:
    """Decide one event's purposes.

    Args:
        answer: what the event itself brought; a purpose it leaves open is looked up in `remembered`.
        remembered: the visitor's latest earlier answer.
        has_gpc: the GPC header or signal; it denies advertising whatever else was said.
    Returns:
        The granted purposes and the ground: the answer's source, `remembered` or `default`, with `+gpc`
        where the signal took something away.
    """
    granted, decided, basis = Purpose.NONE, Purpose.NONE, "default"
    for evidence, name in ((answer, answer.source if answer else ""), (remembered, "remembered")):
        if evidence is None:
            continue
        fresh = (evidence.granted | evidence.denied) & ~decided
        if fresh and basis == "default":
            basis = name
        granted |= evidence.granted & fresh & ~evidence.denied
        decided |= fresh
    granted |= settings.default & ~decided
    if has_gpc and settings.gpc_denies and granted & Purpose.ADVERTISING:
        return Decision(granted & ~Purpose.ADVERTISING, f"{basis}+gpc")
    return Decision(granted, basis)


def merge(newer: Answer, older: Answer | None) -> Answer:
    """Give what to remember: the newer answer, with the older one's where it is silent."""
    if older is None:
        return newer
    silent = ~(newer.granted | newer.denied)
    return Answer(newer.granted | (older.granted & silent), newer.denied | (older.denied & silent), newer.source)
