"""The signature of what we post to an address of the shop's: made in one way, checked with an existing library.

Source: Standard Webhooks specification 1.0.0 (headers webhook-id, webhook-timestamp, webhook-signature; signature v1;
secrets of 24 to 64 bytes; several signatures while a secret is changed).
"""

import base64
import hashlib
import hmac
from collections.abc import Sequence

from edge.secret import Secret

MIN_KEY_BYTES, MAX_KEY_BYTES, MAX_SECRETS = 16, 64, 2  # the specification says 24; older receivers gave out 18
MIN_PLAIN_CHARS = 16


def headers_of(message_id: str, at_s: int, body: bytes, secrets: Sequence[Secret]) -> dict[str, str]:
    """Give the headers that name a message and sign it for a moment in seconds, with one signature a secret.

    Source: Standard Webhooks 1.0.0: HMAC-SHA256 of "id.timestamp.body", as base64 after "v1,".
    """
    named = {"webhook-id": message_id, "webhook-timestamp": str(at_s)}
    if not secrets:
        return named
    signed = f"{message_id}.{at_s}.".encode() + body
    digests = (hmac.digest(key_of(secret.reveal()), signed, hashlib.sha256) for secret in secrets)
    return named | {"webhook-signature": " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)}


def secrets_of(given: Secret) -> tuple[Secret, ...]:
    """Give the secrets that one variable holds, with a space between; raises ValueError saying what is accepted."""
    secrets = tuple(map(Secret, given.reveal().split()))
    if not 1 <= len(secrets) <= MAX_SECRETS:
        raise ValueError(f"accepted are at most {MAX_SECRETS}, with a space between")
    for one in secrets:
        key_of(one.reveal())
    return secrets


def key_of(text: str) -> bytes:
    """Give the bytes of a secret: base64 behind whsec_, else the text itself; raises ValueError for a poor one."""
    if not text.startswith("whsec_"):
        if len(text) < MIN_PLAIN_CHARS:
            raise ValueError(f"accepted is whsec_ with base64, or a text of at least {MIN_PLAIN_CHARS} characters")
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError("accepted behind whsec_ is base64") from error
    if not MIN_KEY_BYTES <= len(key) <= MAX_KEY_BYTES:
        raise ValueError(f"accepted behind whsec_ are {MIN_KEY_BYTES} to {MAX_KEY_BYTES} bytes as base64")
    return key
