"""The configuration file's keys, their defaults and what they may hold; docs/configuration.md says the same."""

from typing import get_args

from edge.config import ANSWERS, GPC_EFFECTS, OrderId
from edge.consent import PURPOSE_NAMES
from edge.consent_platforms import MEANINGS
from edge.places import SOURCE_PATTERN
from edge.shapes import (
    REFERENCE,
    Shape,
    boolean,
    choice,
    duration,
    integer,
    listing,
    nothing_yet,
    nullable,
    open_map,
    or_reference,
    reference,
    section,
    size,
    text,
    word,
)

_HOST = r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?"
_ORIGIN = rf"https?://(?:{_HOST}|\[[0-9A-Fa-f:.]+\])(?::[0-9]{{1,5}})?"
_TCP = r"(?:[^:\[\]]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}"
_NAME = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
_DOMAIN = r"[a-z0-9][a-z0-9-]*(?:\.[a-z0-9-]+)+"
_NETWORK = r"[0-9A-Fa-f:.]+(?:/[0-9.]+)?"


def _granted(description: str) -> Shape:
    answers = {name: choice(f"Whether {name} is granted.", ANSWERS, default="denied") for name in PURPOSE_NAMES}
    return section(description, answers)


SITE = section(
    "The shop.",
    {
        "name": text("What this shop is called in logs and lists.", default="shop"),
        "origins": listing(
            "Pages that may send events, exactly as browsers send it; at least one.",
            word("scheme://host or scheme://host:port.", _ORIGIN, examples=["https://shop.example"]),
            default=["https://shop.example"],
            minItems=1,
        ),
        "phone_region": word("The country of phone numbers that are written without one.", "[A-Z]{2}", default="GB"),
        "asset_hosts": listing(
            "Hosts besides the origins' that image and product URLs may name.",
            word("A host name.", _HOST, examples=["cdn.shop.example"]),
            default=[],
        ),
        "order_id": choice(
            "Which of the platform's order numbers the page calls transaction_id.", get_args(OrderId), default="id"
        ),
    },
)
SPOOL = section(
    "What is kept on disk.",
    {
        "keep_for": duration(
            "How long accepted events stay on disk after every pipeline is done with them; from 1min.", default="14d"
        ),
        "max_bytes": size("The most that accepted events may take; twice segment_bytes or more.", default="20GB"),
        "free_bytes": size(
            "What must stay free on the disk; below it events are refused with 503.",
            default="1GB",
        ),
        "segment_bytes": size("A segment file is closed when it has grown to this size, 1MB to 1GB.", default="64MB"),
        "segment_age": duration("Or when it is this old, 1s to 1d.", default="1h"),
    },
)
COLLECTOR = section(
    "Where browsers' requests arrive.",
    {
        "listen": word(
            "host:port or unix:/path, where nginx passes requests on to; port 0 takes a free one.",
            rf"{_TCP}|unix:.+",
            default="127.0.0.1:8080",
        ),
        "prefix": word("What every public URL begins with.", rf"(?:/{_NAME})+", default="/t"),
        "script": text("The script is served as {prefix}/{script}.", pattern=or_reference(_NAME), default="datafly.js"),
        "endpoint": text("Events are posted to {prefix}/{endpoint}.", pattern=or_reference(_NAME), default="e"),
        "trusted_proxies": listing(
            "Proxies that may name the client's address; the peer of a unix socket always may.",
            word("An address range.", _NETWORK, examples=["10.0.0.0/8"]),
            default=["127.0.0.1/32"],
        ),
    },
)
COOKIE = section(
    "The cookie that knows a browser again.",
    {
        "keys": listing(
            "Keys that sign the cookie: one, or during a rotation two, the new one first; "
            "with none the service makes its own and keeps it in data_dir.",
            reference("A key of 32 characters or more, as ${NAME}."),
            default=[],
            maxItems=2,
        ),
        "domain": nullable(word("Shares the cookie with the subdomains of this host.", f"{_DOMAIN}|", default=None)),
        "wait_for_consent": boolean("No cookie, and nothing stored by the script, before consent.", default=False),
        "meta": boolean("Sets Meta's _fbp and _fbc where the visitor has granted advertising.", default=False),
    },
)
_MEANING = {
    "description": "A purpose that this category means, or a list of them; [] for none.",
    "type": ["string", "array"],
    "anyOf": [{"enum": list(PURPOSE_NAMES)}, {"pattern": REFERENCE}],
    "items": choice("A purpose.", PURPOSE_NAMES),
}
MAP = {
    platform: open_map("OneTrust's groups, by their names: C0002.", _MEANING)
    if platform == "onetrust"
    else section(f"The categories of {platform}.", dict.fromkeys(meanings, _MEANING))
    for platform, meanings in MEANINGS.items()
}
CONSENT = section(
    "What is assumed of visitors who have not answered.",
    {
        "default": _granted("Browsers' events where nobody answered."),
        "server_default": _granted("Servers' events about people who never answered."),
        "map": section(
            "What consent platforms' categories mean, where that is not what we take them for.", MAP, default={}
        ),
        "wait_for": duration(
            "How long an event waits for its visitor's answer; at most spool.keep_for.", default="30min"
        ),
        "gpc": choice(
            "Whether the Global Privacy Control signal denies advertising.",
            GPC_EFFECTS,
            default="deny",
        ),
    },
)
DRAINER = section(
    "How pipelines deliver.",
    {
        "page": integer("Events one pipeline takes at a time.", 1, 10_000, default=100),
        "concurrency": integer("Requests that each pipeline may have under way at once.", 1, 1_000, default=32),
        "timeout": duration("The longest one request may take, 1s to 5min.", default="30s"),
        "account_percent": integer(
            "How much of a vendor account's rate is ours, in percent; the rest is for the shop's other integrations.",
            1,
            100,
            default=80,
        ),
    },
)
ALERTS = section(
    "Tells people of what goes wrong; null for a limit never judges it.",
    {
        "webhook": nullable(
            reference("The address that messages are posted to, as ${NAME}; without one nobody is told.", default=None)
        ),
        "secret": nullable(
            reference(
                "What signs messages as Standard Webhooks do, as ${NAME}; two in one variable while it changes.",
                default=None,
            )
        ),
        "allow_http": boolean("Whether the address may be http.", default=False),
        "repeat": nullable(duration("How often what stays is told again, from 1min.", default="12h")),
        "queue_age": nullable(
            duration("Age of a pipeline's oldest event that is behind or waiting, from 1s.", default="15min")
        ),
        "dead_letters": nullable(integer("Dead letters of one pipeline within an hour.", 1, 100_000, default=20)),
        "resolver_lag": nullable(duration("How far decisions lie behind arrivals, from 1s.", default="1min")),
        "spool_percent": nullable(integer("How much of spool.max_bytes is used.", 1, 100, default=80)),
        "free_bytes": nullable(size("What is left on the disk.", default="2GB")),
        "no_events": nullable(duration("No event was accepted for this long, from 1s.", default="6h")),
        "not_ready": nullable(duration("A process cannot do its work for this long, from 1s.", default="2min")),
        "restarts": nullable(integer("A process ended unasked so often within ten minutes.", 1, 100_000, default=3)),
    },
)
CONFIG = section(
    "The settings of the service; a key that is left out has its default.",
    {
        "site": SITE,
        "spool": SPOOL,
        "data_dir": text("Everything the service stores.", default="../var", minLength=1),
        "pipelines": text("The folder of the pipeline files.", default="../pipelines", minLength=1),
        "collector": COLLECTOR,
        "cookie": COOKIE,
        "ops": section(
            "Health and metrics.",
            {"listen": word("host:port; keep it private.", _TCP, default="127.0.0.1:8081")},
        ),
        "identity": section(
            "Who a visitor is.",
            {
                "retroactive_for": duration(
                    "How far back a visitor's events are given to the person found later.", default="14d"
                )
            },
        ),
        "consent": CONSENT,
        "drainer": DRAINER,
        "write_keys": listing(
            "The servers that may post events to {prefix}/v1; without one that address does not exist.",
            section(
                "A server.",
                {
                    "name": word(
                        "What its events say of their source; no two alike.", SOURCE_PATTERN, examples=["shop"]
                    ),
                    "key": reference("The key it shows, 16 characters or more, as ${NAME}; no two alike."),
                },
                required=("name", "key"),
            ),
            default=[],
        ),
        "hooks": nothing_yet("Must be empty in this version.", {}),
        "limits": nothing_yet("Must be empty in this version.", {}),
        "alerts": ALERTS,
    },
    type="object",
)
