"""Who a visitor is: what an event claims, what a claim changes, and which persons are one."""

from edge.identity.claims import (
    BROWSER_LEVEL,
    CLICK_LEVEL,
    NOBODY,
    SERVER_LEVEL,
    claim_from,
    level_of,
    normal,
    session_of,
)
from edge.identity.graph import Graph
from edge.identity.linking import Change, Claim, link, says_nothing_new
from edge.identity.merging import merge
from edge.identity.traces import Named, Traces

__all__ = [
    "BROWSER_LEVEL",
    "CLICK_LEVEL",
    "NOBODY",
    "SERVER_LEVEL",
    "Change",
    "Claim",
    "Graph",
    "Named",
    "Traces",
    "claim_from",
    "level_of",
    "link",
    "merge",
    "normal",
    "says_nothing_new",
    "session_of",
]
