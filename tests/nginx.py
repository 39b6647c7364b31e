"""The distribution's nginx, started with a configuration of its own and ended by its own process."""

import asyncio
import grp
import os
import pwd
import shutil
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest

INSTALL = "nginx is missing. Install with: sudo apt-get update && sudo apt-get install -y nginx"
PLACES = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin"
LOOPBACK = "127.0.0.1"
DEADLINE_S = 100.0  # longer than a request of the script that gets no answer, and the pause after it
POLL_S = 0.02
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
TYPES = "text/html html; text/css css; text/javascript js; application/json json; image/svg+xml svg;"
LOGGED = '{"method":"$request_method","target":"$request_uri","status":$status,"bytes":$body_bytes_sent,'
LOGGED += '"encoding":"$sent_http_content_encoding","body":"$request_body"}'


@dataclass(frozen=True, slots=True)
class Nginx:
    """A running one, and what it has noted."""

    port: int
    folder: Path

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def requests(self) -> list[dict[str, Any]]:
        """Give every finished request: method, target as it stood on the wire, body, status, bytes and encoding."""
        whole, _, _ = (self.folder / "access.log").read_bytes().rpartition(b"\n")
        return [orjson.loads(line) for line in whole.splitlines()]


def program() -> str:
    """Give the program; without it the test fails and says what to install."""
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:{PLACES}")
    if found is None:
        pytest.fail(INSTALL, pytrace=False)
    return found


def free_port() -> int:
    """Give a port on loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def serving_pages(
    folder: Path, pages: Path, *, port: int, upstream: Path, locations: Path, headers: Mapping[str, str]
) -> AsyncIterator[Nginx]:
    """Serve a shop's static pages, with the two files for the sidecar included where they say they belong.

    Args:
        folder: a new directory, for everything nginx writes.
        upstream, locations: what is included in http { } and in server { }.
        headers: what the shop sets on its own pages.
    """
    folder.mkdir()
    file = folder / "nginx.conf"
    added = "\n".join(f'      add_header {name} "{value}";' for name, value in headers.items())
    file.write_text(f"""daemon off;
user {pwd.getpwuid(os.getuid()).pw_name} {grp.getgrgid(os.getgid()).gr_name};
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 128; }}
http {{
  log_format all escape=json '{LOGGED}';
  access_log {folder}/access.log all;
  types {{ {TYPES} }}
{chr(10).join(f"  {name}_temp_path {folder}/{name};" for name in TEMPORARY)}
  include {upstream};
  server {{
    listen {LOOPBACK}:{port};
    root {pages};
    include {locations};
    location / {{
      index index.html;
{added}
    }}
  }}
}}
""")
    process = await asyncio.create_subprocess_exec(
        *(program(), "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")),
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        await _until_open(process, port, folder)
        yield Nginx(port, folder)
    finally:
        await end(process)


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process by its own pid: asked first, made to when it does not listen."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), DEADLINE_S)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until_open(process: asyncio.subprocess.Process, port: int, folder: Path) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if process.returncode is not None:
                pytest.fail(f"nginx ended: {(folder / 'error.log').read_text()}", pytrace=False)
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
            except OSError:
                await asyncio.sleep(POLL_S)
            else:
                writer.close()
                return
