"""What a destination is: declared facts, a rendering and a conversation. It opens no socket and reads no clock."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, runtime_checkable

from edge.delivery import Conversation, Inquiry, Payload, Rate, Rejected, Rendered, Request, Skipped
from edge.person import Identifiers
from edge.secret import Secret
from edge.settings import Reader
from edge.shapes import Shape, section

Anonymous: TypeAlias = Literal["hold", "send", "drop"]

CONTAINERS = (dict, list)

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


@dataclass(frozen=True, slots=True)
class EventKey:
    """A key of a pipeline's `events.<name>` that only one destination knows, beside those of every pipeline.

    `targets` None: it is true or false, by default false. Else it is a mapping with these targets and no others.
    """

    shape: Shape
    targets: tuple[str, ...] | None = None

    @classmethod
    def mapping(cls, description: str, targets: Mapping[str, str]) -> Self:
        """Give a key that is a mapping; each target comes with its description."""
        rules = {target: {"description": told, "$ref": "#/$defs/rule"} for target, told in targets.items()}
        return cls(section(description, rules), tuple(targets))


class Destination(Protocol):
    """One vendor's account, ready to render events and to talk.

    Facts of the class: `integration` is the word a pipeline file uses, `purposes` the consent it needs, `max_batch`
    the payloads of one conversation, `max_event_age_s` how old an event may be by its own time (None: any), `rate`
    what the vendor allows one account, `anonymous` what becomes of events by visitors who are not known to be
    anybody, `discloses` the purposes whose answers a payload tells the vendor, `click_targets` the targets of a
    profile any of which tells the vendor who clicked its mail, `anonymous_targets` those that carry a stranger's own
    id (none where there is no such thing), `features` what the vendor can only do with certain properties, and
    `parameters` the keys that `from_reader` reads, for editors. Where there are keys of events that only it knows, they
    are declared as `event_keys`, see `EventKey`; what the file says under them is in `Rendered.own`.
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

    def render(self, rendered: Rendered) -> Payload | Rejected | Skipped:
        """Give the vendor's own form, for one event always the same bytes; or why the vendor would refuse it.

        Skipped says that this pipeline's parameters leave such events to somebody else.
        """
        ...

    def deliver(self, payloads: Sequence[Payload], now_ms: int) -> Conversation:
        """Yield requests, receive answers, return one outcome a payload in the same order.

        `now_ms` is the moment of sending, for what depends on it (an access token's end, a signature's time).
        Requests for one visitor's payloads are yielded in the order of the payloads. Where a request gets no complete
        answer, TransportFailed is raised at its `yield`: a conversation that does not catch it ends there, and every
        payload is retried. Payloads that were together and are retried come back each in a conversation of its own.
        """
        ...

    def probe(self, now_ms: int) -> Conversation | None:
        """Check the credentials with requests that cost nothing and change nothing; None: the vendor has none such.

        The conversation returns exactly one outcome: Delivered says that the credentials work.
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


@runtime_checkable
class KnowsWhyUnasked(Protocol):
    """What a destination adds whose `probe` gives nothing for another reason than that its vendor has no free check."""

    why_unasked: ClassVar[str]


@runtime_checkable
class WarnsOfRepeats(Protocol):
    """What a destination adds where one should know what comes of stored events before they go again."""

    of_repeats: ClassVar[str]


@runtime_checkable
class TellsLater(Protocol):
    """What a destination adds when its vendor takes a request first and says later which of its events it counts.

    Its outcomes carry the request's name as `Delivered.receipt`. `inquiry_rate` is what the vendor allows one account
    for asking; `inquire_after_s` and `inquire_for_s` say how long after the delivery to ask first, and when to give up.
    In between whoever is undecided is asked again after as long as it has taken so far. `late_reasons` are all that
    `Told` names but for `OTHER_REASON`: a closed set.
    """

    inquiry_rate: ClassVar[Rate]
    inquire_after_s: ClassVar[float]
    inquire_for_s: ClassVar[float]
    late_reasons: ClassVar[frozenset[str]]

    @property
    def account(self) -> str:
        """Name the account, as `Destination.account` does."""
        ...

    def inquire(self, receipt: str, now_ms: int) -> Inquiry:
        """Yield the request that asks what became of a receipt's events, and return what the vendor says.

        Rejected means that the vendor knows no such receipt, Refused that the credentials may not ask. Neither changes
        an event: it stays delivered.
        """
        ...


@runtime_checkable
class KeepsFiles(Protocol):
    """A destination without a vendor: files of this machine, each day's for `keep_for_s` seconds."""

    @property
    def directory(self) -> str:
        """Name where they are, relative to the data directory."""
        ...

    @property
    def keep_for_s(self) -> float:
        """Give how long a day is kept."""
        ...


@runtime_checkable
class Choosy(Protocol):
    """A destination that does not always take as many payloads a conversation as `max_batch` says."""

    def batch_size(self, *, is_backlog: bool) -> int:
        """Give how many payloads may share a conversation now, 1 to `max_batch`.

        `is_backlog`: more wait than the account's rate lets through in a minute, one request each.
        """
        ...

    def goes_alone(self, payload: Payload) -> bool:
        """Tell whether a payload may never share a conversation."""
        ...


@runtime_checkable
class Talkative(Protocol):
    """A destination that may tell of one event in several requests."""

    def further_requests(self, payload: Payload) -> Sequence[Request]:
        """Give what follows the first request of a lone payload's conversation where each is taken."""
        ...


def event_keys_of(destination: type[Destination]) -> Mapping[str, EventKey]:
    """Give the event keys that a destination declares in `event_keys`; most have none."""
    keys: Mapping[str, EventKey] = getattr(destination, "event_keys", {})
    return keys


class Unfit(Exception):
    """Raised inside a destination when an event breaks a rule of the vendor; becomes a Rejected, and holds no value."""


def first_request(destination: Destination, payload: Payload, now_ms: int) -> Request:
    """Give the request that delivering one payload begins with, after any token; nothing is sent. It holds secrets."""
    conversation = destination.deliver([payload], now_ms)
    request = next(conversation)
    while request.stand_in is not None:
        request = conversation.send(request.stand_in)
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
        return {
            key: without_nulls(value) if isinstance(value, CONTAINERS) else value
            for key, value in tree.items()
            if value is not None
        }
    if isinstance(tree, list):
        return [without_nulls(value) if isinstance(value, CONTAINERS) else value for value in tree if value is not None]
    return tree
