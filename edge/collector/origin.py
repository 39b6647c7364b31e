"""Who may post: pages of the shop's own origins, as the browser itself says."""

from collections.abc import Mapping

from aiohttp import hdrs
from multidict import istr

from edge.collector.answers import Headers
from edge.errors import RequestRefused

_PREFLIGHT_S = 7_200  # the longest that any browser keeps


class Origins:
    """Judges requests by Sec-Fetch-Site and Origin; gives the CORS headers of a listed origin."""

    def __init__(self, origins: tuple[str, ...]) -> None:
        # The values sent are these, built from configuration; a request only picks one.
        self._headers: dict[str, Headers] = {origin: _cors(origin) for origin in origins}

    def judge(self, headers: Mapping[str, str]) -> Headers:
        """Give the headers that every answer to this request carries.

        A browser's own word "same-origin" suffices, as no page can forge it. Without it, or with "same-site" or
        "none", the Origin must be on the list, letter by letter; "cross-site" never passes.

        Raises:
            RequestRefused: 403.
        """
        site = headers.get(_SITE)
        if site == "same-origin":
            return _VARY
        cors = self._headers.get(headers.get(hdrs.ORIGIN, ""))
        if cors is None or site not in _SITES_WITH_ORIGIN:
            raise RequestRefused(403, "foreign_origin", "this page's origin is not among the configured ones")
        return cors

    def preflight(self, headers: Mapping[str, str]) -> Headers:
        """Give the headers of an answer to OPTIONS.

        Raises:
            RequestRefused: 403.
        """
        return self.judge(headers) + _PREFLIGHT


_SITE = istr("Sec-Fetch-Site")
_VARY: Headers = (("Vary", "Origin"),)
_SITES_WITH_ORIGIN = (None, "same-site", "none")
_PREFLIGHT: Headers = (
    ("Access-Control-Allow-Methods", "POST"),
    ("Access-Control-Allow-Headers", "content-type"),
    ("Access-Control-Max-Age", str(_PREFLIGHT_S)),
)


def _cors(origin: str) -> Headers:
    if origin in ("", "null", "*"):
        raise ValueError("an origin is written out: scheme, host and port")
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Access-Control-Expose-Headers", "Retry-After"),
        *_VARY,
    )
