"""What a destination is: declared facts, a rendering and a conversation. It opens no socket and reads no clock."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from edge.delivery import Conversation, Payload, Rate, Rejected, Rendered, Request
from edge.person import Identifiers
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape

Anonymous: TypeAlias = Literal["hold", "send", "drop"]

_BASE_URL = re.compile(
    r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*|https?://\[[0-9a-fA-F:]+\](:[0-9]{1,5})?"
)


@dataclass(frozen=True, slots=True)
class Feature:
    """Something of the vendor's that works only with certain targets of a mapping.

    `needs` are targets, nested ones with dots ("Items.ImageURL"); "$email|email" is either of the two. They belong to
    the properties of `event`, or to `global.profile` where it is None. `what` completes "without it, …".
    """

    event: str | None
    needs: tuple[str, ...]
    what: str


class Destination(Protocol):
    """One vendor's account, ready to render events and to talk.

    Facts of the class: `integration` is the word a pipeline file uses, `purposes` the consent it needs, `max_batch`
    the payloads of one conversation, `max_event_age_s` how old an event may be by its own time (None: any), `rate`
    what the vendor allows one account, `anonymous` what becomes of events by visitors who are not known to be
    anybody, `discloses` the purposes whose answers a payload tells the vendor, `click_targets` the targets of a
    profile any of which tells the vendor who clicked its mail, `anonymous_targets` those that carry a stranger's own
    id (none where there is no such thing), `features` what the vendor can only do with certain properties, and
    `parameters` the keys that `from_reader` reads, for editors.
    """

    integration: ClassVar[str]
    purposes: ClassVar[frozenset[str]]
    max_batch: ClassVar[int]
    max_event_age_s: ClassVar[float | None]
    anonymous_targets: ClassVar[frozenset[str]]
    rate: ClassVar[Rate]
    anonymous: ClassVar[Anonymous]
    click_targets: ClassVar[frozenset[str]]
    discloses: ClassVar[frozenset[str]]
    features: ClassVar[tuple[Feature, ...]]
    parameters: ClassVar[Shape]

    @classmethod
    def from_reader(cls, reader: Reader) -> Self:
        """Read a pipeline's `parameters`; every problem is collected by the reader, unknown keys too."""
        ...

    @property
    def account(self) -> str:
        """Name the rate budget: equal for pipelines that use one account, and telling nobody the key."""
        ...

    def render(self, rendered: Rendered) -> Payload | Rejected:
        """Give the vendor's own form: for one event always the same bytes; or why the vendor would refuse it."""
        ...

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Yield requests, receive answers, return one outcome a payload in the same order.

        `now_ms` is the moment of sending, for what depends on it (an access token's end, a signature's time).
        Who drives it counts a transport failure as a retry of every payload and closes the conversation.
        """
        ...


@runtime_checkable
class CanErase(Protocol):
    """What a destination adds when its vendor has a call that erases a person; `erase_rate` is what it allows."""

    erase_rate: ClassVar[Rate]

    @property
    def account(self) -> str:
        """Name the account, as `Destination.account` does."""
        ...

    def erase(self, person: Identifiers) -> Conversation | None:
        """Yield the request that erases whom one identifier names, and return one outcome; None: no call for its kind.

        Delivered means that the vendor took the request; Refused and Rejected that somebody has to do it by hand.
        """
        ...


def first_request(destination: Destination, payload: Payload, now_ms: int) -> Request:
    """Give the request that delivering one payload begins with; nothing is sent. Its headers hold secrets."""
    conversation = destination.deliver([payload], now_ms)
    request = next(conversation)
    conversation.close()
    return request


def account_of(base_url: str, key: Secret) -> str:
    """Give the host and a digest of the key, e.g. "a.klaviyo.com:1f0c9d2b7a55"."""
    host = base_url.partition("//")[2].partition("/")[0]
    return f"{host}:{hashlib.sha256(key.reveal().encode()).hexdigest()[:12]}"


def read_base_url(reader: Reader, default: str) -> str:
    """Give `base_url` without a slash at its end; it points a destination at a proxy or a sandbox."""
    return reader.parsed("base_url", _base_url, default)


def _base_url(text: str) -> str:
    url = text.rstrip("/")
    if not _BASE_URL.fullmatch(url):
        raise ValueError("is not a base address; accepted is one such as https://host:8443/path, no login, no query")
    return url


def without_nulls(tree: Any) -> Any:
    """Give a copy of a JSON tree without nulls: to many vendors a null says "forget this"."""
    if isinstance(tree, dict):
        return {key: without_nulls(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list):
        return [without_nulls(value) for value in tree if value is not None]
    return tree
