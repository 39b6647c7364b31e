"""`edge snippet` and `edge sandbox`."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from edge.config import CollectorConfig
from edge.shipped import shipped
from tests.component.world import World, write_files

STUB = "<script>window.datafly=window.datafly||function(){(datafly.q=datafly.q||[]).push(arguments)};</script>"
WAIT_S = 20.0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return write_files(tmp_path)


def configure(world: World, text: str) -> None:
    (world.folder / "edge.yaml").write_text(f"pipelines: pipelines\n{text}")


def test_the_tag_and_the_shipped_nginx_files_for_the_default_configuration(world: World) -> None:
    assert world.edge("snippet", "--part", "tag").stdout == f'{STUB}\n<script async src="/t/datafly.js"></script>\n'
    assert world.edge("snippet", "--part", "server").stdout == shipped("nginx/datafly.conf").read_text()
    assert world.edge("snippet", "--part", "upstream").stdout == shipped("nginx/datafly-upstream.conf").read_text()
    whole = world.edge("snippet").stdout
    assert [line for line in whole.splitlines() if line.startswith("In ")] == [
        "In every page's <head>:",
        "In nginx, inside http { }:",
        "In nginx, inside the shop's server { }:",
    ]


def test_prefix_names_address_and_consent_of_the_configuration_are_used(world: World) -> None:
    configure(
        world,
        "collector: {listen: 'unix:/run/e.sock', prefix: /x, script: s.js, endpoint: in}\n"
        "cookie: {wait_for_consent: true}\n",
    )
    tag = f'{STUB}\n<script async src="/x/s.js" data-endpoint="in" data-consent="wait"></script>\n'
    assert world.edge("snippet", "--part", "tag").stdout == tag
    server = world.edge("snippet", "--part", "server").stdout
    for line in ("location ^~ /x/ {", "    location = /x/s.js {", "    location = /x/in {"):
        assert line in server.splitlines()
    assert CollectorConfig().prefix + "/" not in server
    upstream = world.edge("snippet", "--part", "upstream").stdout
    assert [line for line in upstream.splitlines() if "server " in line] == ["    server unix:/run/e.sock;"]


def test_a_host_of_the_collectors_own_stands_in_the_tag_and_has_a_server(world: World) -> None:
    configure(world, "site: {origins: ['https://www.cups.example']}\ncollector: {prefix: /x}\n")
    tag = f'{STUB}\n<script async src="https://a.cups.example/x/datafly.js"></script>\n'
    assert world.edge("snippet", "--part", "tag", "--host", "a.cups.example").stdout == tag
    whole = world.edge("snippet", "--host", "a.cups.example").stdout
    assert [line for line in whole.splitlines() if line.startswith("In nginx")] == [
        "In nginx, inside http { }:",
        "In nginx, as /etc/nginx/datafly.conf:",
        "In nginx, inside http { } as well:",
    ]
    assert "    server_name a.cups.example;" in whole.splitlines()
    server = world.edge("snippet", "--part", "subdomain").stdout
    assert "    server_name t.cups.example;" in server.splitlines()
    assert 'src="https://t.cups.example/x/datafly.js"' in server
    assert "shop.example" not in server


def test_what_is_no_host_name_is_refused(world: World) -> None:
    result = world.edge("snippet", "--host", "https://t.shop.example/")
    assert result.exit_code == 2
    assert "accepted is a name in small letters, as t.shop.example" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "shop.example"])
def test_the_sandbox_refuses_an_address_that_others_can_reach(world: World, host: str) -> None:
    result = world.edge_without_config("sandbox", "--host", host)
    assert result.exit_code == 2
    assert "accepted is a loopback address" in result.stderr


@contextmanager
def running_sandbox() -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run it as a terminal does, where Ctrl-C is heard whoever started the tests; gives it and what it told."""
    command = [sys.executable, "-m", "edge", "sandbox", "--port", "0", "--json"]
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=hears) as process:
        try:
            assert process.stdout is not None
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def test_the_sandbox_says_where_it_is_and_ends_well_with_ctrl_c() -> None:
    with running_sandbox() as (process, told):
        vendors = {vendor.pop("name"): vendor for vendor in told["vendors"]}
        assert vendors["klaviyo"] == {"base_url": f"{told['url']}/klaviyo", "key": "sandbox-private-key"}
        assert vendors["segment"] == {"base_url": f"{told['url']}/segment/v1", "key": "sandbox-write-key"}
        with urllib.request.urlopen(f"{told['url']}/received", timeout=WAIT_S) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 0


def test_a_taken_port_is_a_sentence(world: World) -> None:
    with running_sandbox() as (_, told):
        port = told["url"].rpartition(":")[2]
        result = world.edge_without_config("sandbox", "--port", port)
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} cannot be listened on" in result.stderr
