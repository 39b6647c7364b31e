"""Vendors' cookies of a request: what is kept of them, and which of Meta's its answer sets."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from edge.collector.settings import CollectorSettings
from edge.jsontree import JSON
from edge.metrics import CollectorMetrics
from edge.vendor_ids import MetaCookies, find_ids, ids_in, index_of, page_url
from edge.wire import Batch


@dataclass(frozen=True, slots=True)
class Seen:
    """What an envelope keeps, {"fbp": "fb.1.…"}, and the Set-Cookie values of an answer to what was stored."""

    kept: dict[str, JSON]
    set_cookies: tuple[str, ...] = ()


class VendorCookies:
    """Reads them, and where the shop has said so sets what its own consent allows and the browser lacks."""

    def __init__(
        self, settings: CollectorSettings, random_bytes: Callable[[int], bytes], metrics: CollectorMetrics
    ) -> None:
        hosts = {origin: urlsplit(origin).hostname or "" for origin in settings.origins}
        domain = settings.cookie_domain
        self._setting = {origin: MetaCookies(index_of(domain or host), domain) for origin, host in hosts.items()}
        self._default = next(iter(self._setting.values()), MetaCookies(1, domain))
        self._random_bytes, self._metrics = random_bytes, metrics

    def read(self, header: str | None) -> tuple[dict[str, JSON], Collection[str]]:
        """Give the ids that a request's cookies hold, and the cookies that cannot be read; those are counted."""
        if header is None:
            return {}, ()
        found, unreadable = find_ids(header)
        for cookie in unreadable:
            self._metrics.cookie_unreadable(cookie)
        return found, unreadable

    def with_metas(
        self,
        found: dict[str, JSON],
        unreadable: Collection[str],
        batch: Batch,
        origin: str | None,
        now_ms: int,
        *,
        is_new: bool,
        renews: bool,
    ) -> Seen:
        """Set what Meta's pixel would, were it allowed to run first.

        `_fbp` lives for 90 days and is renewed with the visitor cookie; `_fbc` is its click's and never is. What is new
        is kept with a new browser's event at once; whoever has been here before shows by its next request that it
        takes such cookies.

        Args:
            origin: the page's, of which the cookie's depth is told where it has no Domain.
            is_new: the browser came without a cookie of ours.
            renews: the answer renews that one.
        """
        setting = self._setting.get(origin or "", self._default)
        fbclid = ids_in(page_url(batch.context)).get("fbclid")
        held = found if "_fbp" not in unreadable else {"fbp": None, **found}  # Meta's own, in a form we do not know
        made = setting.wanted(held, fbclid, now_ms, self._random_bytes)
        fbp = found.get("fbp")
        again = {"fbp": fbp} if renews and isinstance(fbp, str) else {}
        values = tuple(setting.header_value(kind, value) for kind, value in {**again, **made}.items())
        return Seen({**found, **made} if is_new else found, values)
