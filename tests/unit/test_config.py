"""The configuration: what it may say, and that what is wrong is told in full."""

import os.path
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from edge.alerting import Limits
from edge.config import (
    AlertsConfig,
    CollectorConfig,
    Config,
    ConsentConfig,
    CookieConfig,
    DrainerConfig,
    IdentityConfig,
    OpsConfig,
    SiteConfig,
    SpoolConfig,
    Survey,
    WriteKeyConfig,
    find_config,
    load_config,
    parse_config,
    survey_config,
)
from edge.consent import Purpose
from edge.errors import ConfigErrors
from edge.secret import Secret

FILE = Path("/etc/shop/edge.yaml")
DEFAULTS = Config(FILE, Path("/etc/var"), Path("/etc/pipelines"))
OLD_KEY, NEW_KEY = "o" * 32, "n" * 32
HOOK, SIGN = "http://127.0.0.1:9/hook", "whsec_" + "c2ln" * 8
ENVIRON = {"OLD": OLD_KEY, "NEW": NEW_KEY, "SHORT": "n" * 31, "EMPTY": "", "HOOK": HOOK, "SIGN": SIGN}


def parse(text: str) -> Config:
    return parse_config(text, FILE, ENVIRON)


def refused(text: str) -> list[str]:
    """Give what is said about a configuration that is wrong, without the file's name."""
    with pytest.raises(ConfigErrors) as caught:
        parse(text)
    return str(caught.value).replace(f"{FILE}:", "").split("\n")


def test_everything_may_be_set() -> None:
    config = parse("""
        site: {name: tea, origins: ["https://tea.example", "http://localhost:3000", "http://[::1]:3000"],
               phone_region: 'NO', asset_hosts: [cdn.tea.example], order_id: order_number}
        spool: {keep_for: 30d, max_bytes: 1GiB, free_bytes: 0B, segment_bytes: 128MB, segment_age: 90s}
        data_dir: /var/lib/edge
        pipelines: flows
        collector: {listen: "unix:../run/edge.sock", prefix: /a/b-c, script: s.js, endpoint: in,
                    trusted_proxies: [10.0.0.0/8, "::1", 192.168.1.7]}
        cookie: {keys: ["${NEW}", "${OLD}"], domain: tea.example, wait_for_consent: true, meta: true}
        ops: {listen: "[::1]:0"}
        identity: {retroactive_for: 0s}
        consent: {default: {functional: granted, analytics: granted}, server_default: {marketing: granted}, gpc: ignore,
                  map: {onetrust: {C0002: analytics, ads: [advertising, marketing]}, tcf: {"1": [], "8": analytics}}}
        drainer: {page: 1, concurrency: 1000, timeout: 1500ms}
        write_keys: [{name: shop, key: "${NEW}"}, {name: till_2-b, key: "${OLD}"}]
        hooks: {}
        limits:
        alerts: {webhook: "${HOOK}", secret: "${SIGN}", allow_http: true, repeat: null, queue_age: 1h,
                 dead_letters: null, resolver_lag: 5s, spool_percent: 50, free_bytes: 3GB, no_events: null,
                 not_ready: 30s, restarts: 9}
    """)
    assert config == Config(
        file=FILE,
        data_dir=Path("/var/lib/edge"),
        pipelines=Path("/etc/shop/flows"),
        site=SiteConfig(
            "tea",
            ("https://tea.example", "http://localhost:3000", "http://[::1]:3000"),
            "NO",
            ("cdn.tea.example",),
            "order_number",
        ),
        spool=SpoolConfig(30 * 86_400.0, 2**30, 0, 128_000_000, 90.0),
        collector=CollectorConfig(
            ("unix", "/etc/run/edge.sock"),
            "/a/b-c",
            "s.js",
            "in",
            (IPv4Network("10.0.0.0/8"), IPv6Network("::1/128"), IPv4Network("192.168.1.7/32")),
        ),
        cookie=CookieConfig((Secret(NEW_KEY), Secret(OLD_KEY)), "tea.example", True, True),
        ops=OpsConfig(("tcp", "::1", 0)),
        identity=IdentityConfig(0.0),
        consent=ConsentConfig(
            Purpose.FUNCTIONAL | Purpose.ANALYTICS,
            Purpose.MARKETING,
            False,
            {
                "onetrust": {"C0002": Purpose.ANALYTICS, "ads": Purpose.ADVERTISING | Purpose.MARKETING},
                "tcf": {"1": Purpose.NONE, "8": Purpose.ANALYTICS},
            },
        ),
        drainer=DrainerConfig(1, 1_000, 1.5),
        write_keys=(WriteKeyConfig("shop", Secret(NEW_KEY)), WriteKeyConfig("till_2-b", Secret(OLD_KEY))),
        alerts=AlertsConfig(
            Secret(HOOK), (Secret(SIGN),), True, None, Limits(3_600.0, None, 5.0, 50, 3 * 10**9, None, 30.0, 9)
        ),
    )
    assert not any(secret in repr(config) for secret in (NEW_KEY, OLD_KEY, HOOK, SIGN))


def test_everything_wrong_is_told_at_once_in_the_order_of_the_lines() -> None:
    assert refused("""
site: {phone_region: de, order_id: nmae, origin: x}
spool:
  keep_for: 14
  keepfor: 3d
collector: {prefix: t, trusted_proxies: [10.0.0.1/8]}
cookie: {wait_for_consent: no, domain: [a]}
ops: x
consent: {default: {marketing: maybe, sales: granted}, gpc: "off"}
drainer: {page: 0, timeout: 1h}
siet: {}
data_dir: ${UNSET_ONE}
""") == [
        "2:22: site.phone_region: 'de' is not a region; accepted are two capital letters (ISO 3166), such as GB or DE",
        "2:36: site.order_id: 'nmae' is not one of id, name, order_number (did you mean name?)",
        "2:42: site.origin: unknown key (did you mean origins?); accepted here: name, origins, phone_region, "
        "asset_hosts, order_id",
        "4:13: spool.keep_for: '14' is not a duration; accepted is a number with its unit (ms, s, min, h or d), such "
        "as 500ms, 90s, 15min, 4h or 14d",
        "5:3: spool.keepfor: unknown key (did you mean keep_for?); accepted here: keep_for, max_bytes, free_bytes, "
        "segment_bytes, segment_age",
        "6:21: collector.prefix: 't' is not a prefix; accepted is a path such as /t: a slash, then letters, digits, "
        "'.', '_', '~' or '-', no slash at the end",
        "6:42: collector.trusted_proxies[0]: '10.0.0.1/8' begins in the middle of its range; accepted is 10.0.0.0/8",
        "7:28: cookie.wait_for_consent: no without quotes is a boolean to some readers of YAML and a text to others; "
        "accepted is false for the boolean, 'no' in quotes for the text",
        "7:40: cookie.domain: a list is not accepted; accepted is a text",
        "8:6: ops: 'x' is not a mapping; accepted is 'key: value', one a line",
        "9:32: consent.default.marketing: 'maybe' is not one of granted, denied, wait",
        "9:39: consent.default.sales: unknown key; accepted here: functional, analytics, marketing, advertising",
        "9:61: consent.gpc: 'off' is not one of deny, ignore",
        "10:17: drainer.page: '0' is out of range; accepted is a whole number of at least 1 and at most 10000",
        "10:29: drainer.timeout: '1h' is out of range; accepted is a duration of at least 1s and at most 5min",
        "11:1: siet: unknown key (did you mean site?); accepted here: data_dir, pipelines, site, spool, collector, "
        "cookie, ops, identity, consent, drainer, write_keys, alerts, hooks, limits",
        "12:11: data_dir: the variable UNSET_ONE is not set; accepted is a variable that is set or, where it is no "
        "secret, ${UNSET_ONE:-default}",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hooks: {shop: {platform: shopify}}", "webhooks"),
        ("limits: {per_address: 50/s}", "limits"),
        ("limits: 0", "limits"),
    ],
)
def test_key_that_would_do_nothing_is_refused(text: str, said: str) -> None:
    key = text.partition(":")[0]
    what = f"this version has no {said} to configure, so what stands here would do nothing"
    assert refused(text) == [f"1:{len(key) + 3}: {key}: {what}; accepted is an empty {key} or none"]


def test_what_a_category_cannot_mean_is_told() -> None:
    assert refused("""
consent:
  map:
    cookiebot: {statistic: analytics, marketing: ads}
    onetrust: {C0004: [advertising, mail]}
    didomi: {}
""") == [
        "4:17: consent.map.cookiebot.statistic: unknown key (did you mean statistics?); "
        "accepted here: necessary, preferences, statistics, marketing",
        "4:50: consent.map.cookiebot.marketing: 'ads' is not one of functional, analytics, marketing, advertising",
        "5:37: consent.map.onetrust.C0004[1]: 'mail' is not one of functional, analytics, marketing, advertising",
        "6:5: consent.map.didomi: unknown key; accepted here: consent_mode, tcf, onetrust, cookiebot, shopify",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "site: {origins: []}",
            "17: site.origins: is empty, so every browser would be refused; accepted is at least one origin",
        ),
        (
            "spool: {max_bytes: 100MB}",
            "20: spool.max_bytes: has no room for the segment being written and one being read; "
            "accepted is twice segment_bytes, 128MB, or more",
        ),
        (
            "collector: {script: e}",
            "12: collector.endpoint: is the script's name as well; accepted is a name of its own",
        ),
        (
            'collector: {listen: "127.0.0.1:8081"}',
            "21: collector.listen: is the address of ops.listen as well; accepted is one of its own",
        ),
        (
            'ops: {listen: "127.0.0.1:8080"}',
            "15: ops.listen: is the collector's address as well; accepted is one of its own",
        ),
        (
            '{site: {origins: ["https://www.tea.example"]}, cookie: {domain: shop.example}}',
            "65: cookie.domain: is no domain of site.origins, so that no browser keeps the cookie; accepted is one of "
            "theirs, such as shop.example for https://www.shop.example",
        ),
        (
            'cookie: {keys: ["${OLD}", "${NEW}", "${NEW}"]}',
            "16: cookie.keys: holds 3 keys; accepted are at most two, the new one first",
        ),
        (
            'cookie: {keys: ["${SHORT}"]}',
            "16: cookie.keys: holds a key that is too short; accepted are 32 characters or more",
        ),
        (
            f"cookie: {{keys: [{NEW_KEY}]}}",
            "17: cookie.keys[0]: this value stands in the file itself; accepted is a reference to an environment "
            "variable, ${NAME}",
        ),
        (
            'cookie: {keys: ["${EMPTY}"]}',
            "17: cookie.keys[0]: this value is empty; accepted is a reference to an environment variable, "
            "${NAME}, that is set",
        ),
        (
            "data_dir: ''",
            "11: data_dir: an empty text is not a path; accepted is an absolute path or one relative to this "
            "file's folder",
        ),
    ],
)
def test_values_that_cannot_work_together_are_refused(text: str, said: str) -> None:
    assert refused(text) == [f"1:{said}"]


@pytest.mark.parametrize("listen", ["8080", "${NONE}"])
def test_of_a_listener_that_cannot_be_read_only_that_is_said(listen: str) -> None:
    """What stands in for it has the default's address, which nobody wrote."""
    assert len(refused(f"collector: {{listen: '{listen}'}}\nops: {{listen: '127.0.0.1:8080'}}")) == 1


@pytest.mark.parametrize(
    ("text", "pipelines"),
    [
        ("pipelines: flows\nsiet: {}", "flows"),
        ("siet: {}", "../pipelines"),
        ("pipelines: ${NONE}", None),
        ("pipelines: [flows]", None),
        ("pipelines: flows\nsite: [", None),
    ],
)
def test_survey_of_a_wrong_file_says_where_the_pipelines_are_if_that_can_be_known(
    tmp_path: Path, text: str, pipelines: str | None
) -> None:
    (tmp_path / "edge.yaml").write_text(text)
    survey = survey_config(tmp_path / "edge.yaml", {})
    assert (len(survey.problems), survey.config) == (1, None)
    assert survey.pipelines == (pipelines and Path(os.path.normpath(tmp_path / pipelines)))


def test_survey_of_a_good_file_is_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("pipelines: flows")
    config = load_config(tmp_path / "edge.yaml", {})
    assert survey_config(tmp_path / "edge.yaml", {}) == Survey((), config, tmp_path / "flows")


def test_two_listeners_may_both_take_any_free_port() -> None:
    config = parse('collector: {listen: "127.0.0.1:0"}\nops: {listen: "127.0.0.1:0"}')
    assert config.collector.listen == config.ops.listen == ("tcp", "127.0.0.1", 0)


def test_paths_are_relative_to_the_file_and_not_to_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_text("data_dir: data")
    config = load_config(tmp_path / "edge.yaml", {})
    assert (config.data_dir, config.pipelines) == (tmp_path / "data", tmp_path.parent / "pipelines")


def test_relative_file_gives_absolute_paths() -> None:
    config = parse_config("site: {}", Path("config/edge.yaml"), {})
    assert (config.data_dir, config.pipelines) == (Path.cwd() / "var", Path.cwd() / "pipelines")


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.yaml", "No such file or directory"), (tmp_path, "Is a directory")):
        with pytest.raises(ConfigErrors) as caught:
            load_config(path, {})
        assert str(caught.value) == f"{path}: cannot be read ({said}); accepted is a file that this user may read"


def test_file_in_another_encoding_is_told(tmp_path: Path) -> None:
    (tmp_path / "edge.yaml").write_bytes("site: {name: Käse}".encode("latin-1"))
    with pytest.raises(ConfigErrors) as caught:
        load_config(tmp_path / "edge.yaml", {})
    assert str(caught.value) == f"{tmp_path / 'edge.yaml'}:1:15: is not valid UTF-8: save it as UTF-8"


def test_the_file_given_comes_before_the_variable_and_the_variable_before_the_folder(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    for name in ("given.yaml", "variable.yaml", "config/edge.yaml"):
        (tmp_path / name).touch()
    environ = {"EDGE_CONFIG": "variable.yaml"}
    assert find_config("given.yaml", environ, tmp_path) == tmp_path / "given.yaml"
    assert find_config(None, environ, tmp_path) == tmp_path / "variable.yaml"
    assert find_config(None, {"EDGE_CONFIG": ""}, tmp_path) == tmp_path / "config/edge.yaml"
    assert find_config(str(tmp_path / "given.yaml"), {}, Path("/nowhere")) == tmp_path / "given.yaml"


@pytest.mark.parametrize(
    ("given", "environ", "said"),
    [
        ("a.yaml", {"EDGE_CONFIG": "b.yaml"}, "/x/a.yaml: there is no such file; --config names it"),
        (None, {"EDGE_CONFIG": "b.yaml"}, "/x/b.yaml: there is no such file; EDGE_CONFIG names it"),
        (
            None,
            {},
            "/x/config/edge.yaml: there is no such file; "
            "looked for because neither --config nor EDGE_CONFIG names another",
        ),
    ],
)
def test_missing_file_is_told_with_who_named_it(given: str | None, environ: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        find_config(given, environ, Path("/x"))
    assert str(caught.value) == said


def test_config_is_a_value() -> None:
    assert replace(DEFAULTS, site=SiteConfig(name="tea")) == parse("site: {name: tea}")


def test_a_cookie_may_belong_to_any_domain_that_a_page_of_the_shop_has() -> None:
    """A collector's own host, too; and where no origins are told, nobody knows better."""
    origins = 'site: {origins: ["http://localhost:3000", "https://www.tea.example"]}'
    domains = [
        parse(f"{origins}\ncookie: {{domain: {name}}}").cookie.domain for name in ("tea.example", "t.tea.example")
    ]
    assert [*domains, parse("cookie: {domain: tea.example}").cookie.domain] == [
        "tea.example",
        "t.tea.example",
        "tea.example",
    ]
