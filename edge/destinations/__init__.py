"""The destinations that pipelines can name."""

from edge.destinations.base import Destination
from edge.destinations.klaviyo import Klaviyo
from edge.settings import Reader

BUILTIN: dict[str, type[Destination]] = {destination.integration: destination for destination in (Klaviyo,)}


def read_integration(reader: Reader) -> type[Destination] | None:
    """Give the destination that `integration` names, or None with the problem noted."""
    word, written = reader.choice("integration", tuple(BUILTIN)), reader.node("integration")
    return BUILTIN[word] if written is not None and written.value == word else None
