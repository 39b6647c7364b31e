"""The shop's script, ready to send: three codings, each with its own ETag, made once.

It has two names: its own, which caches ask for again after an hour, and one with the digest of its content
(`datafly.1f0c9d2b.js`), which they keep. A page that names the digest of another release gets today's script, and
asks again.
"""

import gzip
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

from edge.collector.answers import HEADERS, Answer

MAX_AGE_S = 3_600
PINNED_MAX_AGE_S = 31_536_000
PIN_BYTES = 4
_OF_A_BODY = frozenset({"Content-Type", "Content-Encoding"})
_REMEMBERED = 256  # browsers send very few different wishes
PLAIN, PINNED = f"public, max-age={MAX_AGE_S}", f"public, max-age={PINNED_MAX_AGE_S}, immutable"


@dataclass(frozen=True, slots=True)
class Assets:
    """The script as it was built; what is not given precompressed is made (gzip) or done without (brotli)."""

    script: bytes
    script_br: bytes | None = None
    script_gzip: bytes | None = None


def pinned_name(name: str, script: bytes) -> str:
    """Give the name with the script's digest, e.g. "datafly.1f0c9d2b.js"."""
    stem, dot, suffix = name.rpartition(".")
    digest = blake2b(script, digest_size=PIN_BYTES).hexdigest()
    return f"{stem}.{digest}.{suffix}" if dot else f"{name}.{digest}"


def pinned_pattern(prefix: str, name: str) -> str:
    """Give what matches the path of any release's pinned script."""
    stem, dot, suffix = name.rpartition(".")
    return re.escape(f"{prefix}/{stem if dot else name}") + r"\.[0-9a-f]{8}" + re.escape(dot + suffix if dot else "")


class _Variant(NamedTuple):
    coding: str
    etag: str
    plain: Answer
    pinned: Answer


class Script:
    """Answers requests for the script; never with a cookie, as shared caches keep it."""

    def __init__(self, assets: Assets) -> None:
        zipped = assets.script_gzip or gzip.compress(assets.script, 9, mtime=0)
        self._plain = _variant("", assets.script)
        self._coded = [_variant("gzip", zipped)]  # in the order of preference
        if assets.script_br:
            self._coded.insert(0, _variant("br", assets.script_br))
        self._remembered = lru_cache(_REMEMBERED)(self._chosen)

    def answer(self, accept_encoding: str | None, if_none_match: str | None, *, is_pinned: bool = False) -> Answer:
        """Give the best coding the client takes, or 304 when it has exactly that one; `is_pinned`: to be kept."""
        variant = self._remembered(accept_encoding)
        whole = variant.pinned if is_pinned else variant.plain
        if if_none_match and _is_known(variant.etag, if_none_match):
            return Answer(304, tuple(header for header in whole.headers if header[0] not in _OF_A_BODY))
        return whole

    def _chosen(self, accept_encoding: str | None) -> _Variant:
        if accept_encoding:
            taken = _codings(accept_encoding)
            for variant in self._coded:
                if variant.coding in taken:
                    return variant
        return self._plain


def _variant(coding: str, body: bytes) -> _Variant:
    # A digest of the coded bytes: every coding has an ETag of its own, as caches demand.
    etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    headers = (
        *HEADERS,
        ("ETag", etag),
        ("Vary", "Accept-Encoding"),
        ("Content-Type", "text/javascript; charset=utf-8"),
        *((("Content-Encoding", coding),) if coding else ()),
    )
    plain, pinned = (Answer(200, (*headers, ("Cache-Control", told)), body) for told in (PLAIN, PINNED))
    return _Variant(coding, etag, plain, pinned)


def _codings(accept_encoding: str) -> set[str]:
    """Give the codings a client takes; q=0 means it does not."""
    taken = set()
    for part in accept_encoding.lower().split(","):
        coding, _, quality = part.partition(";")
        if quality.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000"):
            taken.add(coding.strip())
    return taken


def _is_known(etag: str, if_none_match: str) -> bool:
    """Compare weakly: a proxy that compresses marks our ETag with W/."""
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in known or "*" in known
