"""What the sandbox can be told to do wrong, and how often.

A fault waits on an event that clearing sets, so that a test releases what is slow or hanging at once.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal, TypeAlias, get_args

import orjson

from edge.errors import RequestRefused
from edge.sandbox.vendor import JSON

Kind: TypeAlias = Literal["status", "slow", "rate_limit", "drop", "truncate", "garbage", "hang"]

MAX_WAIT_S = 600.0
_COMMON = frozenset({"vendor", "fault", "times", "match"})
_KEYS: Mapping[str, frozenset[str]] = {
    "status": frozenset({"status", "retry_after", "body", "after_processing"}),
    "slow": frozenset({"seconds", "after_processing"}),
    "rate_limit": frozenset({"retry_after"}),
    "drop": frozenset({"after_processing"}),
    "truncate": frozenset({"after_processing"}),
    "garbage": frozenset({"body", "after_processing"}),
    "hang": frozenset({"seconds", "after_processing"}),
}
_PROCESSES = frozenset({"slow", "truncate"})
_WAITS_S: Mapping[str, float] = {"slow": 1.0, "hang": 60.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to do wrong.

    Attributes:
        times: for how many requests; None until cleared.
        match: only for bodies that contain this text.
        after_processing: the vendor takes the request before the answer goes wrong.
        wait_s: how long `slow` delays, and when `hang` gives up and closes the connection.
    """

    vendor: str
    kind: Kind
    times: int | None = 1
    match: str | None = None
    after_processing: bool = False
    status: int = 503
    retry_after_s: int | None = None
    body: bytes | None = None
    wait_s: float = 1.0


@dataclass(slots=True)
class _Armed:
    fault: Fault
    remaining: int | None

    def to_json(self) -> JSON:
        fault = self.fault
        return {"vendor": fault.vendor, "fault": fault.kind, "match": fault.match, "remaining": self.remaining}


class Faults:
    """The faults that are set; the oldest that fits a request is applied to it."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._cleared = asyncio.Event()

    def add(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault, fault.times))

    def take(self, vendor: str, body: bytes) -> Fault | None:
        """The fault for this request, counted as used."""
        for armed in self._armed:
            fault = armed.fault
            if fault.vendor == vendor and (fault.match is None or fault.match.encode() in body):
                if armed.remaining is not None:
                    armed.remaining -= 1
                    if not armed.remaining:
                        self._armed.remove(armed)
                return fault
        return None

    def clear(self) -> None:
        """Remove every fault and release every request that waits in one."""
        self._armed.clear()
        cleared, self._cleared = self._cleared, asyncio.Event()
        cleared.set()

    async def wait(self, seconds: float) -> bool:
        """Wait so long; True when faults were cleared before."""
        try:
            async with asyncio.timeout(min(seconds, MAX_WAIT_S)):
                return await self._cleared.wait()
        except TimeoutError:
            return False

    def to_json(self) -> list[JSON]:
        return [armed.to_json() for armed in self._armed]


def parse_fault(raw: dict[str, JSON], *, vendors: Collection[str]) -> Fault:
    """Read what was posted to the control API.

    Args:
        raw: e.g. {"vendor": "klaviyo", "fault": "status", "status": 503, "times": 3}.
        vendors: the names that are mounted.
    Raises:
        RequestRefused: says the key, its value and what would be accepted.
    """
    vendor = _one_of(raw, "vendor", vendors)
    kind = _kind(raw)
    if strange := set(raw) - _COMMON - _KEYS[kind]:
        raise refused(
            f"{min(strange)!r} is not a key of {kind!r}; accepted: {', '.join(sorted(_COMMON | _KEYS[kind]))}"
        )
    return Fault(
        vendor=vendor,
        kind=kind,
        times=_whole(raw, "times", at_least=1) if "times" in raw else 1,
        match=_text(raw, "match"),
        after_processing=_flag(raw, "after_processing", default=kind in _PROCESSES),
        status=_status(raw),
        retry_after_s=_whole(raw, "retry_after", at_least=0),
        body=_body(raw.get("body")),
        wait_s=_seconds(raw, default=_WAITS_S.get(kind, 0.0)),
    )


def refused(message: str) -> RequestRefused:
    return RequestRefused(HTTPStatus.BAD_REQUEST, "invalid_control", message)


def _one_of(raw: dict[str, JSON], key: str, choices: Collection[str]) -> str:
    value = raw.get(key)
    if not isinstance(value, str) or value not in choices:
        raise refused(f"{key}: {value!r} is not one of {', '.join(choices)}")
    return value


def _kind(raw: dict[str, JSON]) -> Kind:
    value = _one_of(raw, "fault", get_args(Kind))
    return next(kind for kind in get_args(Kind) if kind == value)


def _whole(raw: dict[str, JSON], key: str, *, at_least: int) -> int | None:
    value = raw.get(key)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < at_least):
        raise refused(f"{key}: {value!r} is not a whole number from {at_least}, nor null")
    return value


def _text(raw: dict[str, JSON], key: str) -> str | None:
    value = raw.get(key)
    if value is not None and not isinstance(value, str):
        raise refused(f"{key}: {value!r} is not a string")
    return value


def _flag(raw: dict[str, JSON], key: str, *, default: bool) -> bool:
    value = raw.get(key, default)
    if not isinstance(value, bool):
        raise refused(f"{key}: {value!r} is not true or false")
    return value


def _status(raw: dict[str, JSON]) -> int:
    value = raw.get("status", 503)
    if isinstance(value, bool) or not isinstance(value, int) or not 200 <= value <= 599:
        raise refused(f"status: {value!r} is not from 200 to 599")
    return value


def _seconds(raw: dict[str, JSON], *, default: float) -> float:
    value = raw.get("seconds", default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MAX_WAIT_S:
        raise refused(f"seconds: {value!r} is not from 0 to {MAX_WAIT_S:g}")
    return float(value)


def _body(value: JSON) -> bytes | None:
    match value:
        case None:
            return None
        case str():
            return value.encode()
    return orjson.dumps(value)
