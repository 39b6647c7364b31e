"""`edge snippet`."""

import re
from html import escape
from urllib.parse import urlsplit

import click

from edge.cli.options import with_config
from edge.collector import pinned_name
from edge.config import CollectorConfig, Config
from edge.shipped import shipped

STUB = "window.datafly=window.datafly||function(){(datafly.q=datafly.q||[]).push(arguments)};"
# What the shipped nginx files say, and a configuration may say otherwise.
_SERVERS = re.compile(r"^    server 127\.0\.0\.1:8080;\n    # server unix:.*\n", re.MULTILINE)
_HOST = "t.shop.example"
_LOCATIONS = "/etc/nginx/datafly.conf"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*(\.[a-z0-9-]*[a-z][a-z0-9-]*)+")
_PARTS = ("all", "tag", "upstream", "server", "subdomain")
_BARE = re.compile(r"[A-Za-z0-9_./:@+-]+")
_DEFAULT = CollectorConfig()


class HostName(click.ParamType[str]):
    """The name of a host, as nginx and a URL take it."""

    name = "host"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not _NAME.fullmatch(value):
            self.fail(f"{value!r} is not a host name; accepted is a name in small letters, as {_HOST}", param, ctx)
        return value


@click.command()
@click.option(
    "--pinned", is_flag=True, help="Name the script by its content: caches keep it, each release has its own."
)
@click.option("--part", type=click.Choice(_PARTS), default=_PARTS[0], show_default=True)
@click.option(
    "--host", type=HostName(), help="The collector's own host, where it is not the shop's, as t.shop.example."
)
@with_config
def snippet(config: Config, part: str, host: str | None, pinned: bool) -> None:
    """Print the tag for the shop's pages and the nginx lines, for this configuration."""
    told = config.collector
    name = pinned_name(told.script, shipped("static/datafly.js").read_bytes()) if pinned else told.script
    parts = {
        "tag": ("In every page's <head>:", tag(told, name, waits=config.cookie.wait_for_consent, host=host)),
        "upstream": ("In nginx, inside http { }:", upstream(told)),
        "server": (_place(host), locations(told)),
        "subdomain": (
            "In nginx, inside http { } as well:",
            subdomain(told, host or _host_beside(config.site.origins[0])),
        ),
    }
    if part != "all":
        click.echo(parts[part][1], nl=False)
        return
    if host is None:
        del parts["subdomain"]
    click.echo("\n".join(f"{title}\n\n{text}" for title, text in parts.values()), nl=False)


def tag(told: CollectorConfig, name: str, *, waits: bool, host: str | None = None) -> str:
    """Give the two script elements; calls made before the script has loaded wait in the first."""
    endpoint = f' data-endpoint="{escape(told.endpoint)}"' if told.endpoint != _DEFAULT.endpoint else ""
    consent = ' data-consent="wait"' if waits else ""
    source = escape(f"{f'https://{host}' if host else ''}{told.prefix}/{name}")
    return f'<script>{STUB}</script>\n<script async src="{source}"{endpoint}{consent}></script>\n'


def upstream(told: CollectorConfig) -> str:
    """Give the shipped upstream with the configured address."""
    text = shipped("nginx/datafly-upstream.conf").read_text("utf-8")
    return text if told.listen == _DEFAULT.listen else _SERVERS.sub(lambda _: f"    server {_address(told)};\n", text)


def locations(told: CollectorConfig) -> str:
    """Give the shipped locations with the configured paths."""
    text = shipped("nginx/datafly.conf").read_text("utf-8")
    text = text.replace(f"{_DEFAULT.prefix}/{_DEFAULT.script}", f"{told.prefix}/{told.script}")
    text = text.replace(_pattern(_DEFAULT), _pattern(told))
    text = text.replace(f"= {_DEFAULT.prefix}/{_DEFAULT.endpoint} ", f"= {told.prefix}/{told.endpoint} ")
    text = text.replace(f" {_DEFAULT.prefix}/v1/ ", f" {told.prefix}/v1/ ")
    return text.replace(f" {_DEFAULT.prefix}/ ", f" {told.prefix}/ ")


def subdomain(told: CollectorConfig, host: str) -> str:
    """Give the shipped server of the collector's own, with its host and the configured script."""
    text = shipped("nginx/datafly-subdomain.conf").read_text("utf-8")
    text = text.replace(f"{_DEFAULT.prefix}/{_DEFAULT.script}", f"{told.prefix}/{told.script}")
    return text.replace(_HOST, host)


def _place(host: str | None) -> str:
    return f"In nginx, as {_LOCATIONS}:" if host else "In nginx, inside the shop's server { }:"


def _host_beside(origin: str) -> str:
    """Give the name that a collector beside this shop would have; a shop that is known by its address has none."""
    shop = (urlsplit(origin).hostname or "").removeprefix("www.")
    return _HOST if not _NAME.fullmatch(shop) else f"t.{shop}"


def _pattern(told: CollectorConfig) -> str:
    """Give nginx's pattern of the names that pin the script."""
    stem, dot, suffix = told.script.rpartition(".")
    named = rf"{re.escape(stem)}\.[0-9a-f]+\.{re.escape(suffix)}" if dot else rf"{re.escape(told.script)}\.[0-9a-f]+"
    return f"^{re.escape(told.prefix)}/{named}$"


def _address(told: CollectorConfig) -> str:
    if told.listen[0] == "unix":
        path = f"unix:{told.listen[1]}"
        return path if _BARE.fullmatch(path) else '"{}"'.format(path.replace("\\", "\\\\").replace('"', '\\"'))
    host = f"[{told.listen[1]}]" if ":" in told.listen[1] else told.listen[1]
    return f"{host}:{told.listen[2]}"
