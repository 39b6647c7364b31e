"""What the sandbox asks of a vendor: one class in one file, mounted under its name.

A vendor reads no clock and opens no socket: every request brings its own time, so the rules of a vendor are tested by
calling it, and the wire (faults, records, connections) is the application's affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from multidict import CIMultiDictProxy

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
Scopes: TypeAlias = "frozenset[str] | None"
"""What a key may do; None is everything."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests that one account may send to one endpoint, in two fixed windows."""

    burst_per_s: int
    steady_per_min: int


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request, read in full.

    `path` is below the vendor's prefix ("/api/events"); `body` is already decompressed.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: CIMultiDictProxy[str]
    body: bytes
    at_ms: int
    monotonic_s: float


@dataclass(frozen=True, slots=True)
class Note:
    """Something a vendor takes without a word and that its sender should still know about."""

    pointer: str
    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What the vendor says, and what it noticed (`notes` never reach the wire)."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()


class Vendor(Protocol):
    """One fake vendor, with everything it has taken."""

    @property
    def name(self) -> str:
        """The path prefix, and the word the control API uses."""
        ...

    @property
    def key(self) -> str:
        """The credential it accepts from the start."""
        ...

    @property
    def base_path(self) -> str:
        """What a destination's address has behind the vendor's own ("/v1"), or ""."""
        ...

    def answer(self, request: Incoming) -> Answer:
        """Check the request as the vendor would, process it when it is good, and answer."""
        ...

    def refusal(self, status: int, *, retry_after_s: int | None = None) -> Answer:
        """This vendor's answer with an error status; nothing is processed."""
        ...

    def masked(self, request: Incoming) -> Incoming:
        """The same request fit for the record: each credential is replaced by `valid` or `invalid`."""
        ...

    def accept_keys(self, keys: Mapping[str, Scopes]) -> None:
        """Replace the accepted keys."""
        ...

    def set_rates(self, rates: Mapping[str, Rate] | None) -> None:
        """Enforce the real limits, with these in place of some; None enforces none. Raises KeyError."""
        ...

    def taken(self, identifier: str | None = None) -> dict[str, JSON]:
        """What has been processed, as JSON ("events", "profiles", …), for all or for one identifier."""
        ...

    def reset(self) -> None:
        """Forget everything taken; keys and rates stay."""
        ...
