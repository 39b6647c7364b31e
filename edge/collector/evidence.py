"""What a request says about consent: read only where something depends on it, and then once."""

from edge.consent_platforms import CONSENT_KEY, COOKIES_KEY, Heard, Meanings, find_cookies, hear
from edge.jsontree import JSON
from edge.wire import Batch


class Evidence:
    """A request's evidence, as the resolver will read its events'."""

    __slots__ = ("_batch", "_cookies", "_has_gpc", "_heard", "_meanings")

    def __init__(self, batch: Batch, cookie_header: str | None, meanings: Meanings, *, has_gpc: bool) -> None:
        self._batch, self._meanings, self._has_gpc = batch, meanings, has_gpc
        self._cookies = find_cookies(cookie_header) if cookie_header is not None else {}
        self._heard: Heard | None = None

    def heard(self) -> Heard:
        """Give what was said."""
        if self._heard is None:
            said = {**self._batch.context, "gpc": self._has_gpc, COOKIES_KEY: self._cookies or None}
            self._heard = hear(said, self._meanings)
        return self._heard

    def kept_cookies(self) -> dict[str, JSON]:
        """Give the platforms' cookies to keep: none where the page itself reported what the visitor answered."""
        if self._cookies and hear({CONSENT_KEY: self._batch.context.get(CONSENT_KEY)}, self._meanings).answers:
            return {}
        return self._cookies
