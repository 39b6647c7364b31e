"""Who a visitor is: what an event claims, what a claim changes, and which persons are one."""

from edge.identity.claims import (
    BROWSER_LEVEL,
    CLICK_LEVEL,
    NOBODY,
    SERVER_LEVEL,
    claim_from,
    click_token,
    level_of,
    normal,
    session_of,
)
from edge.identity.graph import Graph
from edge.identity.linking import Change, Claim, link
from edge.identity.merging import merge

__all__ = [
    "BROWSER_LEVEL",
    "CLICK_LEVEL",
    "NOBODY",
    "SERVER_LEVEL",
    "Change",
    "Claim",
    "Graph",
    "claim_from",
    "click_token",
    "level_of",
    "link",
    "merge",
    "normal",
    "session_of",
]
