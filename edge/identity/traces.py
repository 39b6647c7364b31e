"""Where somebody's identifiers stand in what was stored: pure; for erasing."""

import re
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import quote, unquote

import orjson

from edge.identity.claims import normal
from edge.jsontree import JSON
from edge.person import Kind

Named = tuple[Kind, str]

# Under these keys a text that equals a customer id is one; anywhere else it may be anything.
CUSTOMER_KEYS = frozenset({"customer_id", "customerid", "user_id", "userid", "external_id"})
MAX_PHONE_CHARS = 40
# A phone number's end is written in one piece more often than not; numbers are compared whole afterwards.
PHONE_TAIL = 4
_LOOKS_LIKE_PHONE = re.compile(r"[+(]?[0-9][0-9 ().\-/]{5,}")
_OF_ADDRESS = r"[\w.+-]"


class Traces:
    """Finds identifiers in envelopes, payloads and texts; `region` reads phone numbers without a country."""

    def __init__(self, named: Iterable[Named], region: str) -> None:
        self._named, self._region = tuple(named), region
        self._emails = [_address(value) for kind, value in self._named if kind == "email"]
        self._phones = {value for kind, value in self._named if kind == "phone"}
        self._customers = {value for kind, value in self._named if kind == "customer_id"}

    @property
    def needles(self) -> Sequence[str]:
        """Texts in lower case, one of which stands in everything that `in_body` would say yes to."""
        found: list[str] = []
        for kind, value in self._named:
            if kind == "phone":
                found.append(value[-PHONE_TAIL:])
            else:
                lowered = orjson.dumps(value).decode()[1:-1].lower()
                found += dict.fromkeys((lowered, quote(value, safe="").lower()))
        return list(dict.fromkeys(found))

    def in_body(self, body: bytes) -> bool:
        """Tell whether stored JSON names one of them; bytes that are no JSON are read as text."""
        try:
            tree: JSON = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self.in_text(body.decode("utf-8", "replace"))
        return self.in_tree(tree)

    def in_tree(self, tree: JSON) -> bool:
        """Tell whether a JSON tree names one of them, in a key or a value."""
        return any(self._is_named(key, text) for key, text in _texts(tree, ""))

    def in_text(self, text: str) -> bool:
        """Tell whether a text, of whatever form, holds an address or a phone number of theirs as it is written here."""
        lowered = text.lower()
        return any(email.search(lowered) for email in self._emails) or any(phone in text for phone in self._phones)

    def _is_named(self, key: str, text: str) -> bool:
        lowered = text.lower()
        for said in {lowered, unquote(lowered)}:
            if any(email.search(said) for email in self._emails):
                return True
        if self._customers and key.lower().replace("-", "_") in CUSTOMER_KEYS and text.strip() in self._customers:
            return True
        return bool(self._phones) and self._is_phone(text)

    def _is_phone(self, text: str) -> bool:
        if any(phone in text for phone in self._phones):
            return True
        if len(text) > MAX_PHONE_CHARS or not _LOOKS_LIKE_PHONE.fullmatch(text.strip()):
            return False
        return normal("phone", text, self._region) in self._phones


def _address(value: str) -> re.Pattern[str]:
    """Match an address that is not a part of a longer one; in a URL "=" or "/" may stand before it."""
    return re.compile(rf"(?<!{_OF_ADDRESS}){re.escape(value)}(?![\w-])(?!\.\w)")


def _texts(tree: JSON, key: str) -> Iterator[tuple[str, str]]:
    """Give every text of a tree with the key that it stands under; keys are texts too, and numbers may be numbers."""
    if isinstance(tree, str):
        yield key, tree
    elif isinstance(tree, int) and not isinstance(tree, bool):
        yield key, str(tree)
    elif isinstance(tree, dict):
        for name, value in tree.items():
            yield "", name
            yield from _texts(value, name)
    elif isinstance(tree, list):
        for value in tree:
            yield from _texts(value, key)
