"""What is configured, as plain values; a key that is left out has the default that stands here."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, TypeAlias

from edge.alerting import Limits
from edge.consent import Purpose
from edge.consent_platforms import Meanings
from edge.places import Listen, Network, Tcp
from edge.secret import Secret

OrderId: TypeAlias = Literal["id", "name", "order_number"]

DAY_S, HOUR_S, GB, MB = 86_400.0, 3_600.0, 10**9, 10**6


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """The shop: origins exactly as browsers send them, and other hosts that image and product URLs may name."""

    name: str = "shop"
    origins: tuple[str, ...] = ("https://shop.example",)
    phone_region: str = "GB"
    asset_hosts: tuple[str, ...] = ()
    order_id: OrderId = "id"


@dataclass(frozen=True, slots=True)
class SpoolConfig:
    """How much is kept on disk, for how long, and how large a segment file grows."""

    keep_for_s: float = 14 * DAY_S
    max_bytes: int = 20 * GB
    free_bytes: int = 1 * GB
    segment_bytes: int = 64 * MB
    segment_age_s: float = HOUR_S


@dataclass(frozen=True, slots=True)
class CollectorConfig:
    """Where browsers' requests arrive; `trusted_proxies` may name the client's address."""

    listen: Listen = ("tcp", "127.0.0.1", 8080)
    prefix: str = "/t"
    script: str = "datafly.js"
    endpoint: str = "e"
    trusted_proxies: tuple[Network, ...] = (IPv4Network("127.0.0.1/32"),)


@dataclass(frozen=True, slots=True)
class CookieConfig:
    """The keys that sign the cookie, newest first; without one the service makes its own. `meta`: also Meta's two."""

    keys: tuple[Secret, ...] = ()
    domain: str | None = None
    wait_for_consent: bool = False
    meta: bool = False


@dataclass(frozen=True, slots=True)
class WriteKeyConfig:
    """One server that may post events: the name its events carry as their source, and the key it shows."""

    name: str
    key: Secret


@dataclass(frozen=True, slots=True)
class OpsConfig:
    """Where health and metrics are served; never a public address."""

    listen: Tcp = ("tcp", "127.0.0.1", 8081)


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """How far back a visitor's events become those of the person found later."""

    retroactive_for_s: float = 14 * DAY_S


@dataclass(frozen=True, slots=True)
class ConsentConfig:
    """The purposes granted where nobody answered: `default` for browsers' events, `server_default` for servers'.

    `waits` and `server_waits` are the purposes that wait for an answer instead, for at most `wait_for_s`.
    `map` has what a platform's categories mean where that is not what we take them for.
    """

    default: Purpose = Purpose.NONE
    server_default: Purpose = Purpose.NONE
    gpc_denies: bool = True
    map: Meanings = field(default_factory=dict)
    waits: Purpose = Purpose.NONE
    server_waits: Purpose = Purpose.NONE
    wait_for_s: float = 1_800.0


@dataclass(frozen=True, slots=True)
class DrainerConfig:
    """How many events one pipeline takes at a time, how many requests run at once, how long one may last.

    `account_percent` of what a vendor lets one account ask is ours.
    """

    page: int = 100
    concurrency: int = 32
    timeout_s: float = 30.0
    account_percent: int = 80


@dataclass(frozen=True, slots=True)
class AlertsConfig:
    """Where a person is told of what goes wrong, and from where on it does; without a webhook nobody is told.

    The address is a secret as well: chat services put one into it.
    """

    webhook: Secret | None = None
    secrets: tuple[Secret, ...] = ()
    allow_http: bool = False
    repeat_s: float | None = 12 * HOUR_S
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True)
class Config:
    """Everything the file says; paths are absolute."""

    file: Path
    data_dir: Path
    pipelines: Path
    site: SiteConfig = field(default_factory=SiteConfig)
    spool: SpoolConfig = field(default_factory=SpoolConfig)
    collector: CollectorConfig = field(default_factory=CollectorConfig)
    cookie: CookieConfig = field(default_factory=CookieConfig)
    ops: OpsConfig = field(default_factory=OpsConfig)
    identity: IdentityConfig = field(default_factory=IdentityConfig)
    consent: ConsentConfig = field(default_factory=ConsentConfig)
    drainer: DrainerConfig = field(default_factory=DrainerConfig)
    write_keys: tuple[WriteKeyConfig, ...] = ()
    alerts: AlertsConfig = field(default_factory=AlertsConfig)
