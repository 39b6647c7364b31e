"""`edge sandbox`."""

import asyncio
import sys
from ipaddress import ip_address

import click

from edge.cli.screen import as_json
from edge.cli.surroundings import surroundings
from edge.sandbox.app import Running, serve
from edge.sandbox.parameters import parameters_of
from edge.sandbox.vendor import Vendor
from edge.yamlfile import variables_of


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="A loopback address.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8090, show_default=True, help="0 takes a free one.")
@click.option("--json", "is_json", is_flag=True, help="Say the addresses as one JSON object.")
def sandbox(host: str, port: int, is_json: bool) -> None:
    """Run fake vendors that refuse what the real ones refuse, until Ctrl-C."""
    if not _is_loopback(host):
        raise click.UsageError(f"--host {host}: the sandbox asks nobody who they are; accepted is a loopback address")
    announce = _say_json if is_json else tell
    try:
        asyncio.run(serve(host, port, clock=surroundings().clock, announce=announce))
    except OSError as error:
        click.echo(f"{host}:{port} cannot be listened on: {error.strerror}; --port 0 takes a free one", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        return


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def tell(running: Running) -> None:
    """Print where each vendor is, as parameters that a pipeline's file can have."""
    click.echo(f"sandbox on {running.url}, Ctrl-C ends it\n\nIn a pipeline's file, instead of its parameters:\n")
    for vendor in running.sandbox.vendors:
        parameters = parameters_of(vendor, _base_url(running, vendor))
        variables = [name for value in parameters.values() for name in variables_of(value)]
        exported = "".join(f"; first: export {name}={vendor.key}" for name in variables)
        click.echo(f"    # {vendor.name}{exported}\n    parameters:")
        for name, value in parameters.items():
            click.echo(f"      {name}: {value}")
        click.echo()
    click.echo(f'What arrived:  curl {running.url}/received\nWhat may fail: docs/sandbox.md, "Faults"')


def _say_json(running: Running) -> None:
    vendors = [{"name": v.name, "base_url": _base_url(running, v), "key": v.key} for v in running.sandbox.vendors]
    click.echo(as_json({"url": running.url, "vendors": vendors}))


def _base_url(running: Running, vendor: Vendor) -> str:
    return running.base_url(vendor.name) + vendor.base_path
