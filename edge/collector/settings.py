"""What the collector is told once, at its start."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal, TypeAlias

from edge.consent_platforms import MEANINGS, Meanings
from edge.secret import Secret

Listen: TypeAlias = tuple[Literal["tcp"], str, int] | tuple[Literal["unix"], str]
Network: TypeAlias = IPv4Network | IPv6Network

BODY_BYTES = 262_144
CALL_BYTES = 524_288
BODY_DEADLINE_S = 10.0
KEEP_ALIVE_S = 15.0
MAX_CONNECTIONS = 8_000
LINGER_S = 2.0  # how long the rest of a refused body is read, so that the answer arrives
MAX_HEADERS = 100
MAX_HEADER_BYTES = 8_190


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """Where the collector listens, which paths are its own, and whom it trusts.

    `origins` are exact, as a browser writes them ("https://shop.example", no slash at the end).
    `trusted_proxies` may name the client's address; a unix socket's peer always may. `write_keys` are the servers
    that may post calls, each with its name; without one there is no address for calls. `meta_cookies`: answers set
    `_fbp` and `_fbc`, with `cookie_domain` as their Domain. Of `connections` no more are open at a time.
    """

    listen: Listen
    origins: tuple[str, ...]
    prefix: str = "/t"
    script: str = "datafly.js"
    endpoint: str = "e"
    trusted_proxies: tuple[Network, ...] = ()
    wait_for_consent: bool = False
    write_keys: tuple[tuple[str, Secret], ...] = ()
    gpc_denies: bool = True
    consent_meanings: Meanings = field(default_factory=lambda: MEANINGS)
    meta_cookies: bool = False
    cookie_domain: str | None = None
    body_bytes: int = BODY_BYTES
    call_bytes: int = CALL_BYTES
    body_deadline_s: float = BODY_DEADLINE_S
    keep_alive_s: float = KEEP_ALIVE_S
    linger_s: float = LINGER_S
    connections: int = MAX_CONNECTIONS

    @property
    def script_path(self) -> str:
        return f"{self.prefix}/{self.script}"

    @property
    def events_path(self) -> str:
        return f"{self.prefix}/{self.endpoint}"

    def call_path(self, address: str) -> str:
        """Give the path of a server's call, e.g. of "track" or "batch"."""
        return f"{self.prefix}/v1/{address}"
