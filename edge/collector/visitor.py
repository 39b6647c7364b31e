"""Whose request this is: the browser's id, and whether the answer sets its cookie."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from edge.clock import Clock
from edge.consent import Purpose
from edge.consent_platforms import Heard
from edge.consent_rules import ConsentSettings, judge
from edge.cookie import ID_BYTES, CookieSigner
from edge.wire import Batch

_DAY_MS = 86_400_000
_JOIN_S = 60.0
_REMEMBERED = 10_000
_MIN_SESSION_CHARS = 16  # a shorter id is not random enough to stand for one visitor


class Visitor(NamedTuple):
    """A browser id, and the Set-Cookie value that its answer carries, if any; `is_new`: it came without a cookie.

    A tuple, as one is made a request.
    """

    browser: str
    set_cookie: str | None
    is_new: bool = False


class Visitors:
    """Finds or makes the browser id of a request.

    Two requests that a new page sends at once both come without a cookie: what was made under one session id within
    a minute is one browser. That memory is small, bounded, and may be lost: then two ids are two visitors until
    something links them.
    """

    def __init__(
        self,
        cookies: CookieSigner,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        *,
        wait_for_consent: bool,
        gpc_denies: bool = True,
    ) -> None:
        self._cookies = cookies
        self._clock = clock
        self._random_bytes = random_bytes
        self._waits_for_consent = wait_for_consent
        self._consent = ConsentSettings(gpc_denies=gpc_denies)
        # Ordered, for the first key of a plain dict is searched for behind all that were removed in front of it.
        self._made: OrderedDict[str, tuple[str, float]] = OrderedDict()

    def identify(self, cookie_header: str | None, batch: Batch, heard: Callable[[], Heard]) -> Visitor:
        """Give the request's visitor; no body can name the browser id of an older cookie.

        Args:
            heard: the request's evidence about consent, read only where it matters.
        """
        today = self._clock.now_ms() // _DAY_MS
        found = self._cookies.find(cookie_header, today)
        if found is not None:
            renews = found.is_stale and not (self._waits_for_consent and self._has_refused(heard()))
            return Visitor(found.browser, self._cookies.header_value(found.browser, today) if renews else None)
        if self._waits_for_consent and not self._has_consented(heard()):
            return Visitor(self._passing(batch), None)
        browser = self._mint(batch)
        return Visitor(browser, self._cookies.header_value(browser, today), is_new=True)

    def _passing(self, batch: Batch) -> str:
        """Give the id of a visitor who may not be remembered: it lives as long as the page's session does."""
        session_id = batch.session_id
        if session_id is None or len(session_id) < _MIN_SESSION_CHARS:
            return self._cookies.mint(self._random_bytes(ID_BYTES))
        return blake2b(session_id.encode(), digest_size=ID_BYTES).hexdigest()

    def _mint(self, batch: Batch) -> str:
        session_id = batch.session_id
        if session_id is None or len(session_id) < _MIN_SESSION_CHARS:
            return self._cookies.mint(self._random_bytes(ID_BYTES))
        now_s = self._clock.monotonic_s()
        browser, until_s = self._made.get(session_id, ("", 0.0))
        if now_s < until_s:
            return browser
        browser = self._cookies.mint(self._random_bytes(ID_BYTES))
        self._made[session_id] = (browser, now_s + _JOIN_S)
        self._made.move_to_end(session_id)
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)
        return browser

    def _has_refused(self, heard: Heard) -> bool:
        standing = judge(heard.answers, None, has_gpc=False, received_ms=1, settings=self._consent).standing
        return standing is not None and not standing.granted

    def allows_advertising(self, heard: Heard) -> bool:
        """Tell whether the request's own evidence grants advertising."""
        return bool(self._answered(heard) & Purpose.ADVERTISING)

    def _has_consented(self, heard: Heard) -> bool:
        return bool(self._answered(heard))

    def _answered(self, heard: Heard) -> Purpose:
        """Give what the request's own evidence grants; what holds where nobody answered is no consent."""
        verdict = judge(heard.answers, None, has_gpc=heard.has_gpc, received_ms=1, settings=self._consent)
        return verdict.standing.granted if verdict.standing is not None else Purpose.NONE
