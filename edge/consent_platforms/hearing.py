"""Hearing the same words again costs nothing: browsers repeat their evidence with every event."""

from collections.abc import Mapping
from functools import lru_cache

import orjson

from edge.consent_platforms.evidence import CONSENT_KEY, COOKIES_KEY, MEANINGS, Heard, Meanings, hear
from edge.jsontree import JSON

MAX_TEXTS = 4_096
MAX_TEXT_BYTES = 2_048


class Hearing:
    """Reads evidence as `hear` does; one and the same text gives one and the same `Heard`, while it is remembered.

    At most MAX_TEXTS of MAX_TEXT_BYTES are, the latest; with what they say about 1 kB each, at worst 20 MB.
    """

    def __init__(self, meanings: Meanings = MEANINGS) -> None:
        self._meanings = meanings
        self._remembered = lru_cache(MAX_TEXTS)(self._read)

    def hear(self, context: Mapping[str, JSON]) -> Heard:
        """Read all the evidence in an event's context; never raises."""
        said, cookies = context.get(CONSENT_KEY), context.get(COOKIES_KEY)
        if said is None and cookies is None:
            return hear(context, self._meanings)
        text = orjson.dumps((said, cookies, context.get("gpc") is True))
        return self._remembered(text) if len(text) <= MAX_TEXT_BYTES else hear(context, self._meanings)

    def forget(self) -> None:
        """Remember nothing."""
        self._remembered.cache_clear()

    def _read(self, text: bytes) -> Heard:
        said, cookies, has_gpc = orjson.loads(text)
        return hear({CONSENT_KEY: said, COOKIES_KEY: cookies, "gpc": has_gpc}, self._meanings)
