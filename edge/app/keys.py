"""The keys that the service makes itself: each once, kept in the data directory."""

import os
import secrets
from pathlib import Path

import structlog

from edge.errors import StorageFailed
from edge.secret import Secret

log = structlog.get_logger(__name__)

NAME, CONSENT_NAME = "cookie.key", "consent.key"
MIN_KEY_CHARS = 32


def cookie_keys(configured: tuple[Secret, ...], data_dir: Path) -> tuple[Secret, ...]:
    """Give the configured keys, else the one in the data directory, made (0600) if need be and said so.

    Raises:
        StorageFailed: it is neither there nor can it be written, or there is no key in it.
    """
    if configured:
        return configured
    return (_own(data_dir / NAME, "the cookie: none is configured"),)


def consent_key(data_dir: Path) -> Secret:
    """Give the key that hides whom a row of the consent log is about, made (0600) if need be; it never changes.

    Raises:
        StorageFailed: it is neither there nor can it be written, or there is no key in it.
    """
    return _own(data_dir / CONSENT_NAME, "the consent log: without it nothing can be proved of anybody")


def find_consent_key(data_dir: Path) -> Secret | None:
    """Give the consent log's key where there is one; never makes it."""
    path = data_dir / CONSENT_NAME
    return _own(path, "") if path.exists() else None


def _own(path: Path, made_for: str) -> Secret:
    try:
        if not path.exists():
            _make(path)
            log.warning("key made", key=made_for, file=str(path))
        key = path.read_bytes().strip()
    except OSError as error:
        raise StorageFailed(f"{path} cannot be made or read: {error.strerror}") from error
    if len(key) < MIN_KEY_CHARS or not key.isascii():
        raise StorageFailed(f"{path} holds no key; accepted is the file as it was made, from a backup")
    return Secret(key.decode())


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, secrets.token_hex(32).encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(path)
