"""The destinations that pipelines can name."""

from edge.destinations.archive import Archive
from edge.destinations.base import Destination
from edge.destinations.ga4 import GA4
from edge.destinations.google_ads import GoogleAds
from edge.destinations.klaviyo import Klaviyo
from edge.destinations.meta import Meta
from edge.destinations.segment import Segment
from edge.destinations.tiktok import TikTok
from edge.destinations.webhook import Webhook
from edge.settings import Reader

_ALL: tuple[type[Destination], ...] = (
    Klaviyo,
    Meta,
    GA4,
    GoogleAds,
    TikTok,
    Webhook,
    Segment,
    Archive,
)
BUILTIN: dict[str, type[Destination]] = {destination.integration: destination for destination in _ALL}


def read_integration(reader: Reader) -> type[Destination] | None:
    """Give the destination that `integration` names, or None with the problem noted."""
    word, written = reader.choice("integration", tuple(BUILTIN)), reader.node("integration")
    return BUILTIN[word] if written is not None and written.value == word else None
