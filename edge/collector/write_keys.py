"""Who posts: a server shows its write key, as HTTP's Basic authentication or in the body."""

import base64
import binascii
import hmac
from typing import Any, Final

from edge.errors import RequestRefused
from edge.event import server_source
from edge.secret import Secret

# Why nobody is let in.
NO_KEY: Final = "no_write_key"
BAD_AUTHORIZATION: Final = "bad_authorization"
UNKNOWN_KEY: Final = "unknown_write_key"
KEY_CODES: Final = frozenset({NO_KEY, BAD_AUTHORIZATION, UNKNOWN_KEY})


class WriteKeys:
    """Finds a server's source by the key it shows; every key is compared, each in constant time."""

    def __init__(self, keys: tuple[tuple[str, Secret], ...]) -> None:
        self._keys = tuple((server_source(name), key.reveal().encode()) for name, key in keys)

    def find(self, authorization: str | None) -> str | None:
        """Give the source of an Authorization header; None without one, then the body may hold the key.

        Raises:
            RequestRefused: 401 with `bad_authorization` or `unknown_write_key`.
        """
        if authorization is None:
            return None
        scheme, _, credentials = authorization.partition(" ")
        try:
            shown = base64.b64decode(credentials.strip(), validate=True) if scheme.lower() == "basic" else b""
        except (binascii.Error, ValueError):
            shown = b""
        user, colon, password = shown.partition(b":")
        if not user or not colon or password:
            raise RequestRefused(401, BAD_AUTHORIZATION, "Authorization is Basic, the write key as user, no password")
        return self._source_of(user)

    def find_in(self, body: Any) -> str:
        """Give the source of a body that names its key itself, as some libraries do.

        Raises:
            RequestRefused: 401 with `no_write_key` or `unknown_write_key`.
        """
        shown = body.get("writeKey") if isinstance(body, dict) else None
        if not isinstance(shown, str) or not shown:
            raise RequestRefused(401, NO_KEY, "a call shows a write key: as Basic authentication, or as writeKey")
        return self._source_of(shown.encode())

    def _source_of(self, shown: bytes) -> str:
        found = [source for source, key in self._keys if hmac.compare_digest(key, shown)]
        if not found:
            raise RequestRefused(401, UNKNOWN_KEY, "this write key is not among the configured ones")
        return found[0]
