"""The visitor cookie: a random id that only this server can have made.

    value = base64url, no padding, of
            16 bytes  random id, the browser
             2 bytes  day of issue, days since the epoch
             1 byte   key id, the first byte of the key's SHA-256
            16 bytes  HMAC-SHA256 over a fixed prefix and the 19 bytes before, cut

Pure: the day and the randomness are handed in. A value that is not exactly what `header_value` wrote is no value.
"""

import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from edge.secret import Secret

HOST_NAME = "__Host-dfid"
DOMAIN_NAME = "_dfid"
MAX_AGE_DAYS = 400
ID_BYTES = 16

_MAX_AGE_S = MAX_AGE_DAYS * 86_400
_DAY_BYTES = 2
_SIGNATURE_BYTES = 16
_KEY_AT = ID_BYTES + _DAY_BYTES
_SIGNED_BYTES = _KEY_AT + 1
_VALUE_CHARS = 47
_REMEMBERED = 4_096
_PREFIX = b"datafly-edge visitor cookie 1\x00"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_DOMAIN = re.compile(r"\.?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True, slots=True)
class Found:
    """A cookie that proved to be ours; `is_stale` asks for a new Set-Cookie with the same id."""

    browser: str
    is_stale: bool


@dataclass(frozen=True, slots=True)
class _Key:
    id: int
    begun: hmac.HMAC  # over the prefix: a copy costs half of what beginning does

    def sign(self, signed: bytes) -> bytes:
        whole = self.begun.copy()
        whole.update(signed)
        return whole.digest()[:_SIGNATURE_BYTES]


class CookieSigner:
    """Makes and reads the cookie; the first key signs, every key verifies."""

    def __init__(self, keys: tuple[Secret, ...], domain: str | None = None) -> None:
        """Take the keys, newest first, and the Domain attribute, if any.

        Raises:
            ValueError: no key, an empty key, or a domain that could not stand in a header.
        """
        if not keys or not all(keys):
            raise ValueError("a cookie needs at least one key, and no key may be empty")
        if domain is not None and not _DOMAIN.fullmatch(domain):
            raise ValueError("the cookie's domain must be a host name")
        self._keys = tuple(_key(secret) for secret in keys)
        self._known = lru_cache(_REMEMBERED)(self._read)  # a browser shows one value all day
        self.name = DOMAIN_NAME if domain else HOST_NAME
        self._mark = self.name + "="
        place = f"; Domain={domain}" if domain else ""
        self._attributes = f"; Max-Age={_MAX_AGE_S}{place}; Path=/; Secure; HttpOnly; SameSite=Lax"

    def mint(self, random: bytes) -> str:
        """Give a new browser id from 16 random bytes, as 32 hex digits."""
        if len(random) != ID_BYTES:
            raise ValueError(f"a browser id is made of {ID_BYTES} bytes")
        return random.hex()

    def header_value(self, browser: str, today: int) -> str:
        """Give the whole Set-Cookie value for a browser, dated `today` (days since the epoch)."""
        key = self._keys[0]
        signed = bytes.fromhex(browser) + today.to_bytes(_DAY_BYTES, "big") + bytes((key.id,))
        return self._mark + _text(signed + key.sign(signed)) + self._attributes

    def find(self, cookie_header: str | None, today: int) -> Found | None:
        """Read the first cookie of ours in a Cookie header that proves genuine.

        Args:
            cookie_header: the header as it came, or None; anything may be in it.
            today: days since the epoch.
        Returns:
            The browser, stale when issued before today or signed with an old key; None when no value is ours,
            is older than 400 days, or is dated later than tomorrow. Never raises.
        """
        if cookie_header is None:
            return None
        for value in self._values(cookie_header):
            found = self._known(value, today)
            if found is not None:
                return found
        return None

    def _values(self, header: str) -> Iterator[str]:
        """Give every value of our name and length; str.find is a tenth of a cookie parser's price."""
        at = header.find(self._mark)
        while at >= 0:
            start = at + len(self._mark)
            end = start + _VALUE_CHARS
            if (at == 0 or header[at - 1] in "; ") and header[end : end + 1] in ("", ";"):
                yield header[start:end]
            at = header.find(self._mark, start)

    def _read(self, value: str, today: int) -> Found | None:
        raw = _bytes(value)
        if raw is None:
            return None
        signed, signature = raw[:_SIGNED_BYTES], raw[_SIGNED_BYTES:]
        key = self._signer(signed, signature)
        age_days = today - int.from_bytes(raw[ID_BYTES:_KEY_AT], "big")
        if key is None or not -1 <= age_days <= MAX_AGE_DAYS:
            return None
        return Found(raw[:ID_BYTES].hex(), is_stale=age_days >= 1 or key is not self._keys[0])

    def _signer(self, signed: bytes, signature: bytes) -> _Key | None:
        for key in self._keys:
            if key.id == signed[_KEY_AT] and hmac.compare_digest(key.sign(signed), signature):
                return key
        return None


def _key(secret: Secret) -> _Key:
    clear = secret.reveal().encode()
    return _Key(hashlib.sha256(clear).digest()[0], hmac.new(clear, _PREFIX, "sha256"))


def _text(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).translate(_TO_URL, b"=").decode("ascii")


def _bytes(value: str) -> bytes | None:
    """Undo `_text`; only its own spelling counts, for base64 readers forgive foreign letters and spare bits."""
    if len(value) != _VALUE_CHARS:
        return None
    try:
        raw = binascii.a2b_base64(value.replace("-", "+").replace("_", "/") + "=")
    except ValueError:
        return None
    return raw if _text(raw) == value else None
