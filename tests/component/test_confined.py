"""The service as its unit confines it: no right of root's, and no folder but two that can be written."""

import asyncio
import os
import sys

import aiohttp
import orjson
import pytest

from tests.faults.driver import GRANTED, ORIGIN, READY_S, Service, until

# In a mount namespace of its own, which nobody else sees, every disk becomes read-only but for the two folders; then
# every capability goes, and the service takes the shell's place.
CONFINE = """
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
mount --bind "$2" "$2"
while read -r _ place _; do
  case "$place" in
    "$1" | "$2" | /dev* | /proc* | /sys*) ;;
    *) mount -o remount,bind,ro "$place" ;;
  esac
done < /proc/self/mounts
if touch "$3/elsewhere" 2> /dev/null; then exit 3; fi
shift 3
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""
CONFIG = """
site:      {{origins: ["{origin}"]}}
data_dir:  {folder}/state
pipelines: {folder}/pipelines
collector: {{listen: "unix:{folder}/run/edge.sock"}}
ops:       {{listen: "{ops}"}}
"""
ARCHIVE = "{name: archive, integration: archive, parameters: {directory: archive}, events: {'*': {}}}"
EVENT = {"id": "1", "name": "view_item", "properties": {"value": 1}}
BATCH = {"context": {"consent": {**GRANTED, "source": "explicit"}}, "events": [EVENT]}
HEADERS = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


class ConfinedService(Service):
    """Started with no right, in a world that cannot be written."""

    async def spawn(self) -> asyncio.subprocess.Process:
        with self.log.open("ab") as log:
            folders = (self.folder / "state", self.folder / "run", self.folder)
            serve = (sys.executable, "-m", "edge", "serve", "--config", str(self.config))
            return await asyncio.create_subprocess_exec(
                *("unshare", "--mount", "sh", "-c", CONFINE, "sh", *map(str, folders), *serve),
                env=self._environ,
                stderr=log,
                stdin=asyncio.subprocess.DEVNULL,
            )


@pytest.fixture
async def service(tmp_path):
    for name in ("state", "run", "pipelines"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "pipelines/archive.yaml").write_text(ARCHIVE)
    service = ConfinedService(tmp_path, "http://unused.example", pipelines=tmp_path / "pipelines")
    ops = service._ops.removeprefix("http://")
    service.config.write_text(CONFIG.format(origin=ORIGIN, folder=tmp_path, ops=ops))
    async with service.open():
        yield service


async def test_confined_service_accepts_and_delivers_and_stops(service, tmp_path):
    assert os.geteuid() == 0, "this test makes every disk read-only for the service alone, which needs root"
    await service.until_ready()
    connector = aiohttp.UnixConnector(str(tmp_path / "run/edge.sock"))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.post("http://shop/t/e", data=orjson.dumps(BATCH), headers=HEADERS) as answer:
            assert answer.status == 204
        archive = tmp_path / "state/archive"
        await until(lambda: any(archive.glob("*.jsonl*")), READY_S, "the event is in the archive")
    assert await service.stop() == 0
    assert {path.name for path in tmp_path.iterdir()} == {"state", "run", "pipelines", "edge.yaml", "edge.log"}
