"""Who somebody is: identifiers and the visitor that carries them."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["customer_id", "email", "phone"]
# When identifiers name two persons, the earlier kind decides.
KINDS: tuple[Kind, ...] = ("customer_id", "email", "phone")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Known identifiers in normal form: e-mail lower-cased, phone E.164, customer id as the shop writes it."""

    email: str | None = None
    phone: str | None = None
    customer_id: str | None = None

    def items(self) -> list[tuple[Kind, str]]:
        """Give the present ones as (kind, value), the deciding kind first."""
        present: list[tuple[Kind, str]] = []
        for kind in KINDS:
            value: str | None = getattr(self, kind)
            if value is not None:
                present.append((kind, value))
        return present

    def traits(self) -> dict[str, str]:
        """Give them as `context.traits` for mapping."""
        return dict(self.items())

    def __bool__(self) -> bool:
        return bool(self.email or self.phone or self.customer_id)
