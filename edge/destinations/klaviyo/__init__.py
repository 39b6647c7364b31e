"""Klaviyo: events singly or by bulk, profiles of who identified, subscriptions that were asked for.

One subject a file: `destination` (facts and conversation), `calls` (which calls tell of an event), `rendering` (an
event in Klaviyo's words), `bulk` (jobs), `answers` (what is answered), `features` (what Klaviyo's own parts read).
"""

from edge.destinations.klaviyo.answers import read
from edge.destinations.klaviyo.destination import Klaviyo

__all__ = ["Klaviyo", "read"]
