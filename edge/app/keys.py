"""The cookie's key when the configuration names none: made once, kept in the data directory."""

import os
import secrets
from pathlib import Path

import structlog

from edge.errors import StorageFailed
from edge.secret import Secret

log = structlog.get_logger(__name__)

NAME = "cookie.key"


def cookie_keys(configured: tuple[Secret, ...], data_dir: Path) -> tuple[Secret, ...]:
    """Give the configured keys, else the one in the data directory, made (0600) if need be and said so.

    Raises:
        StorageFailed: it is neither there nor can it be written.
    """
    if configured:
        return configured
    path = data_dir / NAME
    try:
        if not path.exists():
            _make(path)
            log.warning("no cookie key configured: made one", file=str(path))
        return (Secret(path.read_text("ascii").strip()),)
    except OSError as error:
        raise StorageFailed(f"{path} cannot be made or read: {error.strerror}") from error


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
