"""Reading each section of the configuration; what is wrong is collected in the reader's problems."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

from edge import places
from edge.alerting import Limits
from edge.config.values import (
    DAY_S,
    GB,
    MB,
    AlertsConfig,
    CollectorConfig,
    ConsentConfig,
    CookieConfig,
    DrainerConfig,
    IdentityConfig,
    OpsConfig,
    OrderId,
    SiteConfig,
    SpoolConfig,
    WriteKeyConfig,
)
from edge.consent import PURPOSE_NAMES, Purpose, purposes
from edge.consent_platforms import MEANINGS, Meanings
from edge.secret import Secret
from edge.settings import REFERENCE, Reader
from edge.units import SIZE_UNITS_BYTES, shown
from edge.webhook_signature import secrets_of

Amount = TypeVar("Amount", int, float)

MIN_COOKIE_KEY = 32
MIN_WRITE_KEY = 16
MAX_ALERT_COUNT = 100_000
ANSWERS = ("granted", "denied", "wait")
GPC_EFFECTS = ("deny", "ignore")

_WRITE_KEY_SHAPE = 'one mapping a server: {name: shop, key: "${SHOP_WRITE_KEY}"}'
_ORDER_IDS: tuple[OrderId, ...] = ("id", "name", "order_number")


def site(reader: Reader) -> SiteConfig:
    default = SiteConfig()
    site = SiteConfig(
        name=reader.text("name", default.name),
        origins=reader.parsed_list("origins", places.parse_origin, default.origins),
        phone_region=reader.parsed("phone_region", places.parse_region, default.phone_region),
        asset_hosts=reader.parsed_list("asset_hosts", places.parse_host, default.asset_hosts),
        order_id=reader.choice("order_id", _ORDER_IDS, default.order_id),
    )
    node = reader.node("origins")
    if node is not None and node.value == []:
        reader.refuse("origins", "is empty, so every browser would be refused; accepted is at least one origin")
    reader.done()
    return site


def spool(reader: Reader) -> SpoolConfig:
    default = SpoolConfig()
    spool = SpoolConfig(
        keep_for_s=reader.duration_s("keep_for", default.keep_for_s, minimum=60),
        max_bytes=reader.size_bytes("max_bytes", default.max_bytes, minimum=2 * MB),
        free_bytes=reader.size_bytes("free_bytes", default.free_bytes),
        segment_bytes=reader.size_bytes("segment_bytes", default.segment_bytes, minimum=MB, maximum=GB),
        segment_age_s=reader.duration_s("segment_age", default.segment_age_s, minimum=1, maximum=DAY_S),
    )
    least = 2 * spool.segment_bytes
    if spool.max_bytes < least and not reader.is_unread("max_bytes"):
        accepted = f"accepted is twice segment_bytes, {shown(least, SIZE_UNITS_BYTES)}, or more"
        reader.refuse("max_bytes", f"has no room for the segment being written and one being read; {accepted}")
    reader.done()
    return spool


def collector(reader: Reader, folder: Path) -> CollectorConfig:
    default = CollectorConfig()
    collector = CollectorConfig(
        listen=reader.parsed("listen", partial(places.parse_listen, folder=folder), default.listen),
        prefix=reader.parsed("prefix", places.parse_prefix, default.prefix),
        script=reader.parsed("script", places.parse_name, default.script),
        endpoint=reader.parsed("endpoint", places.parse_name, default.endpoint),
        trusted_proxies=reader.parsed_list("trusted_proxies", places.parse_network, default.trusted_proxies),
    )
    if collector.script == collector.endpoint:
        reader.refuse("endpoint", "is the script's name as well; accepted is a name of its own")
    reader.done()
    return collector


def cookie(reader: Reader) -> CookieConfig:
    keys = reader.secrets("keys")
    cookie = CookieConfig(
        keys=keys,
        domain=reader.parsed("domain", places.parse_domain, None) if reader.optional_text("domain") else None,
        wait_for_consent=reader.boolean("wait_for_consent", False),
        meta=reader.boolean("meta", False),
    )
    if len(keys) > 2:
        reader.refuse("keys", f"holds {len(keys)} keys; accepted are at most two, the new one first")
    if any(len(key.reveal()) < MIN_COOKIE_KEY for key in keys):
        reader.refuse("keys", f"holds a key that is too short; accepted are {MIN_COOKIE_KEY} characters or more")
    reader.done()
    return cookie


def ops(reader: Reader) -> OpsConfig:
    ops = OpsConfig(listen=reader.parsed("listen", places.parse_tcp, OpsConfig().listen))
    reader.done()
    return ops


def identity(reader: Reader) -> IdentityConfig:
    identity = IdentityConfig(reader.duration_s("retroactive_for", IdentityConfig().retroactive_for_s))
    reader.done()
    return identity


def consent(reader: Reader) -> ConsentConfig:
    default, waits = _defaults(reader.section("default"))
    server_default, server_waits = _defaults(reader.section("server_default"))
    wait_for_s = reader.duration_s("wait_for", ConsentConfig().wait_for_s, minimum=1)
    gpc_denies = reader.choice("gpc", GPC_EFFECTS, "deny") == "deny"
    changes = _map(reader.section("map"))
    reader.done()
    return ConsentConfig(default, server_default, gpc_denies, changes, waits, server_waits, wait_for_s)


def _map(reader: Reader) -> Meanings:
    """Give, by platform, what categories mean; only OneTrust's are a site's own words."""
    sections = {platform: reader.section(platform) for platform in MEANINGS}
    reader.done()
    found = {}
    for platform, section in sections.items():
        written = dict(section.nodes()) if platform == "onetrust" else {}
        known = dict.fromkeys((*MEANINGS[platform], *written))
        names = [name for name in known if section.node(name) is not None]
        found[platform] = {name: _purposes(section, name) for name in names}
        section.done()
    return {platform: meanings for platform, meanings in found.items() if meanings}


def _purposes(reader: Reader, key: str) -> Purpose:
    """Read one purpose or a list of them, [] for none."""
    node = reader.node(key)
    if node is not None and isinstance(node.value, list):
        return purposes(reader.parsed_list(key, _purpose, ()))
    return purposes([reader.choice(key, tuple(PURPOSE_NAMES))])


def _purpose(text: str) -> str:
    if text not in PURPOSE_NAMES:
        raise ValueError(f"is not one of {', '.join(PURPOSE_NAMES)}")
    return text


def _defaults(reader: Reader) -> tuple[Purpose, Purpose]:
    """Give the purposes that are granted, and those that wait for an answer; one that is left out is denied."""
    said = {purpose: reader.choice(name, ANSWERS, "denied") for name, purpose in PURPOSE_NAMES.items()}
    reader.done()
    granted, waits = Purpose.NONE, Purpose.NONE
    for purpose, answer in said.items():
        granted |= purpose if answer == "granted" else Purpose.NONE
        waits |= purpose if answer == "wait" else Purpose.NONE
    return granted, waits


def drainer(reader: Reader) -> DrainerConfig:
    default = DrainerConfig()
    drainer = DrainerConfig(
        page=reader.integer("page", default.page, minimum=1, maximum=10_000),
        concurrency=reader.integer("concurrency", default.concurrency, minimum=1, maximum=1_000),
        timeout_s=reader.duration_s("timeout", default.timeout_s, minimum=1, maximum=300),
        account_percent=reader.integer("account_percent", default.account_percent, minimum=1, maximum=100),
    )
    reader.done()
    return drainer


def write_keys(reader: Reader) -> tuple[WriteKeyConfig, ...]:
    """Give the servers' keys; neither a name nor a key may stand for two of them."""
    found: list[WriteKeyConfig] = []
    for entry in reader.sections("write_keys", _WRITE_KEY_SHAPE):
        name, key = entry.parsed("name", places.parse_source, ""), entry.secret("key")
        if entry.node("name") is None:
            entry.refuse("name", f"is missing; accepted is {places.SOURCE}")
        elif name and any(one.name == name for one in found):
            entry.refuse("name", "is the name of an earlier key as well; accepted is a name of its own")
        if key and (problem := _unfit(key, entry, found)):
            entry.refuse("key", problem)
        entry.done()
        found.append(WriteKeyConfig(name, key))
    return tuple(found)


def _unfit(key: Secret, entry: Reader, earlier: list[WriteKeyConfig]) -> str:
    """Say what is wrong with a write key, "" when nothing is."""
    node = entry.node("key")
    if node is not None and not node.is_from_environ:
        return f"stands in the file itself; accepted is {REFERENCE}"
    if len(key.reveal()) < MIN_WRITE_KEY:
        return f"holds a key that is too short; accepted are {MIN_WRITE_KEY} characters or more"
    if not key.reveal().isascii() or ":" in key.reveal():
        return "holds a key that HTTP's Basic authentication cannot carry; accepted are ASCII characters but the colon"
    if any(one.key == key for one in earlier):
        return "holds the key of an earlier name as well; accepted is a key of its own"
    return ""


def alerts(reader: Reader) -> AlertsConfig:
    default = AlertsConfig()
    alerts = AlertsConfig(
        webhook=reader.optional_secret("webhook"),
        secrets=_signing(reader),
        allow_http=reader.boolean("allow_http", default.allow_http),
        repeat_s=_unless_null(reader, "repeat", partial(reader.duration_s, minimum=60), default.repeat_s),
        limits=_limits(reader, default.limits),
    )
    if alerts.webhook and (problem := _no_address(alerts.webhook, is_http_allowed=alerts.allow_http)):
        reader.refuse("webhook", problem)
    reader.done()
    return alerts


def _signing(reader: Reader) -> tuple[Secret, ...]:
    """Give the secrets that sign messages: none, one, or two while it is changed."""
    given = reader.optional_secret("secret")
    if given is None or reader.is_unread("secret"):
        return ()
    try:
        return secrets_of(given)
    except ValueError as error:
        reader.refuse("secret", f"this value is not a secret to sign with; {error}")
        return ()


def _limits(reader: Reader, default: Limits) -> Limits:
    """Give from where on something is wrong; null takes a judgement away."""
    duration = partial(reader.duration_s, minimum=1)
    count = partial(reader.integer, minimum=1, maximum=MAX_ALERT_COUNT)
    percent = partial(reader.integer, minimum=1, maximum=100)
    return Limits(
        queue_age_s=_unless_null(reader, "queue_age", duration, default.queue_age_s),
        dead_letters=_unless_null(reader, "dead_letters", count, default.dead_letters),
        resolver_lag_s=_unless_null(reader, "resolver_lag", duration, default.resolver_lag_s),
        spool_percent=_unless_null(reader, "spool_percent", percent, default.spool_percent),
        free_bytes=_unless_null(reader, "free_bytes", reader.size_bytes, default.free_bytes),
        no_events_s=_unless_null(reader, "no_events", duration, default.no_events_s),
        not_ready_s=_unless_null(reader, "not_ready", duration, default.not_ready_s),
        restarts=_unless_null(reader, "restarts", count, default.restarts),
    )


def _unless_null(
    reader: Reader, key: str, read: Callable[[str, Amount], Amount], default: Amount | None
) -> Amount | None:
    node = reader.node(key)
    if node is None:
        return default
    return None if node.value is None or default is None else read(key, default)


def _no_address(webhook: Secret, *, is_http_allowed: bool) -> str:
    """Say what is wrong with the address that alerts go to, "" when nothing is; it is never shown."""
    if not places.is_address(webhook.reveal()):
        return (
            "this value is not an address; accepted is one such as https://hooks.example/alerts, no login, no fragment"
        )
    if not is_http_allowed and not webhook.reveal().startswith("https://"):
        return "this value is not an https address; accepted is https://…, or allow_http: true beside it"
    return ""
