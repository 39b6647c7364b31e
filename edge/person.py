"""Who somebody is: identifiers, and on what evidence."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

Kind = Literal["customer_id", "email", "phone"]
# When identifiers name two persons, the earlier kind decides.
KINDS: tuple[Kind, ...] = ("customer_id", "email", "phone")

VendorKind = Literal[
    "fbp", "fbc", "ga_client_id", "ga_session_id", "ttp", "ttclid", "gclid", "gbraid", "wbraid", "msclkid", "kx"
]
# Beside those, what a known visitor's browser was last seen with: "<address> <user agent>".
KeptKind = VendorKind | Literal["device"]

FIRST_EPOCH: Final = 1
MAX_REMEMBERED: Final = 20_000  # 3 MB


@lru_cache(MAX_REMEMBERED)
def anonymous_id(browser: bytes, epoch: int) -> str:
    """Give what stands for a visitor before vendors: always the same 32 hex digits, which tell nobody the cookie."""
    return blake2b(browser + epoch.to_bytes(8), digest_size=16, person=b"edge stranger").hexdigest()


class VendorId(NamedTuple):
    """What a vendor knows a visitor by, and names nobody here.

    `seq` is the event that brought it; `at_ms` since when it is as old as it is, for those that do not hold for ever.
    A tuple, as some are made an event and pipeline.
    """

    kind: KeptKind
    value: str
    seq: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a visitor is known by, in normal form: e-mail lower-cased, phone E.164, customer id as the shop writes it.

    `kx` is the click token of a mail. It names nobody here: only the vendor that made it knows whose it is. So it is
    with `vendor_ids`, the others that hold, as (kind, value). `anonymous_id` stands for the visitor before vendors;
    `introduces`: an event is to tell them who the stranger was that they know by it.
    """

    email: str | None = None
    phone: str | None = None
    customer_id: str | None = None
    kx: str | None = None
    vendor_ids: tuple[tuple[KeptKind, str], ...] = ()
    anonymous_id: str | None = None
    introduces: bool = False

    @classmethod
    def of(cls, values: Mapping[Kind, str]) -> "Identifiers":
        """Give the identifiers in a mapping by kind."""
        return cls(values.get("email"), values.get("phone"), values.get("customer_id"))

    def items(self) -> list[tuple[Kind, str]]:
        """Give the present identifiers as (kind, value), the deciding kind first."""
        present: list[tuple[Kind, str]] = []
        if self.customer_id is not None:
            present.append(("customer_id", self.customer_id))
        if self.email is not None:
            present.append(("email", self.email))
        if self.phone is not None:
            present.append(("phone", self.phone))
        return present

    def traits(self) -> dict[str, str]:
        """Give them as `context.traits` for mapping."""
        return dict(self.items())

    def ids(self) -> dict[str, str]:
        """Give what belongs to the visitor and names nobody here, as `context.ids` for mapping."""
        ids: dict[str, str] = {kind: value for kind, value in self.vendor_ids if kind != "device"}
        return ids if self.kx is None else {**ids, "kx": self.kx}

    def device(self) -> dict[str, str]:
        """Give the browser's `ip` and `user_agent`, as the visitor was last seen; {} where that is not known."""
        for kind, value in self.vendor_ids:
            if kind == "device":
                ip, _, user_agent = value.partition(" ")
                return {"ip": ip, "user_agent": user_agent}
        return {}

    def __bool__(self) -> bool:
        """Tell whether anybody is named."""
        return bool(self.email or self.phone or self.customer_id)


@dataclass(frozen=True, slots=True)
class Fact:
    """An identifier, the person it names, and since which event on what evidence.

    `session` is the hash of the browser session that claimed it, while that session alone has and may still correct it.
    """

    kind: Kind
    value: str
    person: int
    level: int
    seq: int
    session: bytes | None = None


@dataclass(frozen=True, slots=True)
class Alias:
    """Two persons that are one human by the word of a server; lookups lead to the lower number.

    `seq` is the event that said so, `level` its evidence. `is_undone`: taken back by hand, and never made again.
    """

    person: int
    canonical: int
    level: int
    seq: int
    is_undone: bool = False
