"""The resolver: reads the spool once, in order, and decides each event's visitor, person and consent."""

from edge.resolver.rules import Limits
from edge.resolver.stepping import PAGE_EVENTS, Resolver, ResolverSettings

__all__ = ["PAGE_EVENTS", "Limits", "Resolver", "ResolverSettings"]
