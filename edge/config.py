"""The configuration file, read once into plain values; nothing else reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Literal, TypeAlias

from edge import places
from edge.consent import PURPOSE_NAMES, Purpose, purposes
from edge.consent_platforms import MEANINGS, Meanings
from edge.errors import ConfigErrors, Problem
from edge.places import Listen, Network, Tcp
from edge.secret import Secret
from edge.settings import REFERENCE, Problems, Reader
from edge.units import SIZE_UNITS_BYTES, shown
from edge.yamlfile import load_yaml, read_text

OrderId: TypeAlias = Literal["id", "name", "order_number"]

CONFIG_FILE = Path("config/edge.yaml")
DAY_S, HOUR_S, GB, MB = 86_400.0, 3_600.0, 10**9, 10**6
MIN_COOKIE_KEY = 32
MIN_WRITE_KEY = 16
ANSWERS = ("granted", "denied")
GPC_EFFECTS = ("deny", "ignore")

_WRITE_KEY_SHAPE = 'one mapping a server: {name: shop, key: "${SHOP_WRITE_KEY}"}'
_ORDER_IDS: tuple[OrderId, ...] = ("id", "name", "order_number")
_NOT_YET = {"hooks": "webhooks", "limits": "limits", "alerts": "alerts"}


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
    """The keys that sign the cookie, newest first; without one the service makes its own."""

    keys: tuple[Secret, ...] = ()
    domain: str | None = None
    wait_for_consent: bool = False


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

    `map` has what a platform's categories mean where that is not what we take them for.
    """

    default: Purpose = Purpose.NONE
    server_default: Purpose = Purpose.NONE
    gpc_denies: bool = True
    map: Meanings = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DrainerConfig:
    """How many events one pipeline takes at a time, how many requests run at once, how long one may last."""

    page: int = 100
    concurrency: int = 32
    timeout_s: float = 30.0


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


def find_config(given: str | None, environ: Mapping[str, str], folder: Path = Path()) -> Path:
    """Give the file to read: the one given, else $EDGE_CONFIG, else config/edge.yaml in the working folder.

    Raises:
        ConfigErrors: there is no such file; the message says what was looked for and how to name another.
    """
    named, source = (given, "--config") if given else (environ.get("EDGE_CONFIG"), "EDGE_CONFIG")
    path = folder / (named or CONFIG_FILE)
    if path.is_file():
        return path
    where = f"{source} names it" if named else "looked for because neither --config nor EDGE_CONFIG names another"
    raise ConfigErrors([Problem(str(path), 0, "", f"there is no such file; {where}")])


@dataclass(frozen=True, slots=True)
class Survey:
    """What a file says as far as it can be read, with its problems; `pipelines` is None where it cannot be known."""

    problems: tuple[Problem, ...]
    config: Config | None = None
    pipelines: Path | None = None


def load_config(path: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration file; raises ConfigErrors with every problem in it."""
    return parse_config(read_text(path), path, environ)


def survey_config(path: Path, environ: Mapping[str, str]) -> Survey:
    """Read a configuration file as far as that goes, so that what it leads to can be looked at too."""
    problems = Problems(str(path))
    try:
        config, is_known = _read(read_text(path), path, environ, problems)
    except ConfigErrors as errors:
        return Survey(errors.problems)
    found = tuple(problems.in_order())
    return Survey(found, None if found else config, config.pipelines if is_known else None)


def parse_config(text: str, file: Path, environ: Mapping[str, str]) -> Config:
    """Read a configuration from its text.

    Args:
        text: what the file holds; keys left out have the defaults of the dataclasses above.
        file: where it stands; relative paths in it are relative to its folder.
        environ: where `${NAME}` is looked up.
    Raises:
        ConfigErrors: with every problem found.
    Source:
        docs/configuration.md.
    """
    problems = Problems(str(file))
    config, _ = _read(text, file, environ, problems)
    problems.raise_if_any()
    return config


def _read(text: str, file: Path, environ: Mapping[str, str], problems: Problems) -> tuple[Config, bool]:
    """Give what could be read, harmless values for the rest, and whether the pipelines' folder is the one meant."""
    folder = file.absolute().parent
    reader = Reader(load_yaml(text, str(file), environ, problems), "", problems)
    path = partial(places.parse_path, folder=folder)
    config = Config(
        file=file,
        data_dir=reader.parsed("data_dir", path, path("../var")),
        pipelines=reader.parsed("pipelines", path, path("../pipelines")),
        site=_site(reader.section("site")),
        spool=_spool(reader.section("spool")),
        collector=_collector(collector := reader.section("collector"), folder),
        cookie=_cookie(reader.section("cookie")),
        ops=_ops(ops := reader.section("ops")),
        identity=_identity(reader.section("identity")),
        consent=_consent(reader.section("consent")),
        drainer=_drainer(reader.section("drainer")),
        write_keys=_write_keys(reader),
    )
    for key, subject in _NOT_YET.items():
        _not_yet(reader, key, subject)
    if config.ops.listen == config.collector.listen and config.ops.listen[2] != 0:
        _refuse_one_listener(collector, ops)
    reader.done()
    return config, not reader.is_unread("pipelines")


def _refuse_one_listener(collector: Reader, ops: Reader) -> None:
    """Say that both sections name one address, at the one that is written; of what could not be read, nothing."""
    if collector.is_unread("listen") or ops.is_unread("listen"):
        return
    if ops.node("listen") is not None:
        ops.refuse("listen", "is the collector's address as well; accepted is one of its own")
    else:
        collector.refuse("listen", "is the address of ops.listen as well; accepted is one of its own")


def _not_yet(reader: Reader, key: str, subject: str) -> None:
    """Accept a key that has a place in the file but no effect in this version, as long as nothing relies on it."""
    node = reader.node(key)
    if node is not None and node.value not in (None, [], {}):
        what = f"this version has no {subject} to configure, so what stands here would do nothing"
        reader.refuse(key, f"{what}; accepted is an empty {key} or none")


def _site(reader: Reader) -> SiteConfig:
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


def _spool(reader: Reader) -> SpoolConfig:
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


def _collector(reader: Reader, folder: Path) -> CollectorConfig:
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


def _cookie(reader: Reader) -> CookieConfig:
    keys = reader.secrets("keys")
    cookie = CookieConfig(
        keys=keys,
        domain=reader.parsed("domain", places.parse_domain, None) if reader.optional_text("domain") else None,
        wait_for_consent=reader.boolean("wait_for_consent", False),
    )
    if len(keys) > 2:
        reader.refuse("keys", f"holds {len(keys)} keys; accepted are at most two, the new one first")
    if any(len(key.reveal()) < MIN_COOKIE_KEY for key in keys):
        reader.refuse("keys", f"holds a key that is too short; accepted are {MIN_COOKIE_KEY} characters or more")
    reader.done()
    return cookie


def _ops(reader: Reader) -> OpsConfig:
    ops = OpsConfig(listen=reader.parsed("listen", places.parse_tcp, OpsConfig().listen))
    reader.done()
    return ops


def _identity(reader: Reader) -> IdentityConfig:
    identity = IdentityConfig(reader.duration_s("retroactive_for", IdentityConfig().retroactive_for_s))
    reader.done()
    return identity


def _consent(reader: Reader) -> ConsentConfig:
    default, server_default = _granted(reader.section("default")), _granted(reader.section("server_default"))
    gpc_denies = reader.choice("gpc", GPC_EFFECTS, "deny") == "deny"
    changes = _map(reader.section("map"))
    reader.done()
    return ConsentConfig(default, server_default, gpc_denies, changes)


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


def _granted(reader: Reader) -> Purpose:
    """Give the purposes answered with granted; one that is left out is denied."""
    granted = Purpose.NONE
    for name, purpose in PURPOSE_NAMES.items():
        if reader.choice(name, ANSWERS, "denied") == "granted":
            granted |= purpose
    reader.done()
    return granted


def _drainer(reader: Reader) -> DrainerConfig:
    default = DrainerConfig()
    drainer = DrainerConfig(
        page=reader.integer("page", default.page, minimum=1, maximum=10_000),
        concurrency=reader.integer("concurrency", default.concurrency, minimum=1, maximum=1_000),
        timeout_s=reader.duration_s("timeout", default.timeout_s, minimum=1, maximum=300),
    )
    reader.done()
    return drainer


def _write_keys(reader: Reader) -> tuple[WriteKeyConfig, ...]:
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
