"""`edge snippet`."""

import re
from html import escape

import click

from edge.cli.options import with_config
from edge.config import CollectorConfig, Config
from edge.shipped import shipped

STUB = "window.datafly=window.datafly||function(){(datafly.q=datafly.q||[]).push(arguments)};"
# What the shipped nginx files say, and a configuration may say otherwise.
_SERVERS = re.compile(r"^    server 127\.0\.0\.1:8080;\n    # server unix:.*\n", re.MULTILINE)
_BARE = re.compile(r"[A-Za-z0-9_./:@+-]+")
_DEFAULT = CollectorConfig()


@click.command()
@click.option("--part", type=click.Choice(("all", "tag", "upstream", "server")), default="all", show_default=True)
@with_config
def snippet(config: Config, part: str) -> None:
    """Print the tag for the shop's pages and the nginx lines, for this configuration."""
    told = config.collector
    parts = {
        "tag": ("In every page's <head>:", tag(told, waits=config.cookie.wait_for_consent)),
        "upstream": ("In nginx, inside http { }:", upstream(told)),
        "server": ("In nginx, inside the shop's server { }:", locations(told)),
    }
    if part != "all":
        click.echo(parts[part][1], nl=False)
        return
    click.echo("\n".join(f"{title}\n\n{text}" for title, text in parts.values()), nl=False)


def tag(told: CollectorConfig, *, waits: bool) -> str:
    """Give the two script elements; calls made before the script has loaded wait in the first."""
    endpoint = f' data-endpoint="{escape(told.endpoint)}"' if told.endpoint != _DEFAULT.endpoint else ""
    consent = ' data-consent="wait"' if waits else ""
    source = escape(f"{told.prefix}/{told.script}")
    return f'<script>{STUB}</script>\n<script async src="{source}"{endpoint}{consent}></script>\n'


def upstream(told: CollectorConfig) -> str:
    """Give the shipped upstream with the configured address."""
    text = shipped("nginx/datafly-upstream.conf").read_text("utf-8")
    return text if told.listen == _DEFAULT.listen else _SERVERS.sub(lambda _: f"    server {_address(told)};\n", text)


def locations(told: CollectorConfig) -> str:
    """Give the shipped locations with the configured paths."""
    text = shipped("nginx/datafly.conf").read_text("utf-8")
    text = text.replace(f"{_DEFAULT.prefix}/{_DEFAULT.script}", f"{told.prefix}/{told.script}")
    text = text.replace(f"= {_DEFAULT.prefix}/{_DEFAULT.endpoint} ", f"= {told.prefix}/{told.endpoint} ")
    text = text.replace(f" {_DEFAULT.prefix}/v1/ ", f" {told.prefix}/v1/ ")
    return text.replace(f" {_DEFAULT.prefix}/ ", f" {told.prefix}/ ")


def _address(told: CollectorConfig) -> str:
    if told.listen[0] == "unix":
        path = f"unix:{told.listen[1]}"
        return path if _BARE.fullmatch(path) else '"{}"'.format(path.replace("\\", "\\\\").replace('"', '\\"'))
    host = f"[{told.listen[1]}]" if ":" in told.listen[1] else told.listen[1]
    return f"{host}:{told.listen[2]}"
