"""Who somebody is: identifiers, and on what evidence."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["customer_id", "email", "phone"]
# When identifiers name two persons, the earlier kind decides.
KINDS: tuple[Kind, ...] = ("customer_id", "email", "phone")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """What a visitor is known by, in normal form: e-mail lower-cased, phone E.164, customer id as the shop writes it.

    `kx` is the click token of a mail. It names nobody here: only the vendor that made it knows whose it is.
    """

    email: str | None = None
    phone: str | None = None
    customer_id: str | None = None
    kx: str | None = None

    def items(self) -> list[tuple[Kind, str]]:
        """Give the present identifiers as (kind, value), the deciding kind first."""
        present: list[tuple[Kind, str]] = []
        for kind in KINDS:
            value: str | None = getattr(self, kind)
            if value is not None:
                present.append((kind, value))
        return present

    def traits(self) -> dict[str, str]:
        """Give them as `context.traits` for mapping."""
        return dict(self.items())

    def ids(self) -> dict[str, str]:
        """Give what belongs to the visitor and names nobody here, as `context.ids` for mapping."""
        return {"kx": self.kx} if self.kx is not None else {}

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
