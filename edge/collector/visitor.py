"""Whose request this is: the browser's id, and whether the answer sets its cookie."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

from edge.clock import Clock
from edge.consent import Purpose
from edge.cookie import ID_BYTES, CookieSigner
from edge.wire import Batch

_DAY_MS = 86_400_000
_JOIN_S = 60.0
_REMEMBERED = 10_000
_MIN_SESSION_CHARS = 16  # a shorter id is not random enough to stand for one visitor


@dataclass(frozen=True, slots=True)
class Visitor:
    """A browser id, and the Set-Cookie value that its answer carries, if any."""

    browser: str
    set_cookie: str | None


class Visitors:
    """Finds or makes the browser id of a request.

    Two requests that a new page sends at once both come without a cookie: what was made under one session id within
    a minute is one browser. That memory is small, bounded, and may be lost: then two ids are two visitors until
    something links them.
    """

    def __init__(
        self, cookies: CookieSigner, clock: Clock, random_bytes: Callable[[int], bytes], *, wait_for_consent: bool
    ) -> None:
        self._cookies = cookies
        self._clock = clock
        self._random_bytes = random_bytes
        self._waits_for_consent = wait_for_consent
        self._made: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def identify(self, cookie_header: str | None, batch: Batch, *, has_gpc: bool) -> Visitor:
        """Give the request's visitor; no body can name the browser id of an older cookie."""
        today = self._clock.now_ms() // _DAY_MS
        found = self._cookies.find(cookie_header, today)
        if found is not None:
            renews = found.is_stale and not (self._waits_for_consent and _has_refused(batch))
            return Visitor(found.browser, self._cookies.header_value(found.browser, today) if renews else None)
        if self._waits_for_consent and not _has_consented(batch, has_gpc=has_gpc):
            return Visitor(self._passing(batch), None)
        browser = self._mint(batch)
        return Visitor(browser, self._cookies.header_value(browser, today))

    def _passing(self, batch: Batch) -> str:
        """Give the id of a visitor who may not be remembered: it lives as long as the page's session does."""
        session_id = batch.session_id
        if session_id is None or len(session_id) < _MIN_SESSION_CHARS:
            return self._cookies.mint(self._random_bytes(ID_BYTES))
        return blake2b(session_id.encode(), digest_size=ID_BYTES).hexdigest()

    def _mint(self, batch: Batch) -> str:
        session_id = batch.session_id
        now_s = self._clock.monotonic_s()
        if session_id is None or len(session_id) < _MIN_SESSION_CHARS:
            return self._cookies.mint(self._random_bytes(ID_BYTES))
        browser, until_s = self._made.get(session_id, ("", 0.0))
        if now_s < until_s:
            return browser
        browser = self._cookies.mint(self._random_bytes(ID_BYTES))
        self._made[session_id] = (browser, now_s + _JOIN_S)
        self._made.move_to_end(session_id)
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return browser


def _has_refused(batch: Batch) -> bool:
    answer = batch.consent
    return answer is not None and not answer.granted


def _has_consented(batch: Batch, *, has_gpc: bool) -> bool:
    answer = batch.consent
    granted = answer.granted if answer else Purpose.NONE
    return bool(granted & ~Purpose.ADVERTISING if has_gpc else granted)
