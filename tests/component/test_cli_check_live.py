"""What `edge check --live` says of credentials: asked of the fake vendors over the wire, never with an event."""

import asyncio
import json
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edge.cli import main
from edge.cli.probing import NO_CHECK, Probe, probe
from edge.clock import SystemClock
from edge.delivery import Request, Response
from edge.errors import TransportFailed
from edge.pipeline import compile_pipeline
from edge.sandbox import GoogleAds, Klaviyo, Running, start
from edge.shipped import shipped
from tests.golden_cases import ENVIRON

SHIPPED = ("klaviyo-events.yaml", "ga4-events.yaml", "google-ads.yaml")
MEND = "mend parameters in {}, or the variables that it names"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Running]:
    """Run it beside the test, whose verbs have event loops of their own."""
    loop, is_up = asyncio.new_event_loop(), threading.Event()
    vendors = (Klaviyo(), GoogleAds(actions=[ENVIRON["GOOGLE_ADS_PURCHASE_ACTION"]]))
    running: list[Running] = []

    async def open_it() -> None:
        running.append(await start(clock=SystemClock(), vendors=vendors))
        is_up.set()

    def work() -> None:
        loop.run_until_complete(open_it())
        loop.run_forever()

    thread = threading.Thread(target=work)
    thread.start()
    assert is_up.wait(10)
    yield running[0]
    asyncio.run_coroutine_threadsafe(running[0].close(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "edge.yaml").write_text("site: {name: shop}\npipelines: pipelines\ndata_dir: var\n")
    for name in SHIPPED:
        (tmp_path / "pipelines" / name).write_text(shipped(f"pipelines/{name}").read_text())
    return tmp_path


def check(folder: Path, sandbox: Running, *arguments: str, **environ: str) -> Result:
    base = sandbox.base_url("google-ads")
    urls = {"GOOGLE_ADS_BASE_URL": base, "GOOGLE_ADS_TOKEN_URL": f"{base}/token"}
    urls |= {"KLAVIYO_BASE_URL": "http://127.0.0.1:9", "GA4_BASE_URL": "http://127.0.0.1:9"}
    runner = CliRunner(env={**ENVIRON, **urls, "NO_COLOR": "1", "EDGE_CONFIG": "", **environ})
    return runner.invoke(main, ["check", *arguments, "--config", str(folder / "edge.yaml")], catch_exceptions=False)


def live(told: Result) -> list[str]:
    return [line for line in told.stdout.splitlines() if line.startswith("live: ")]


def taken(sandbox: Running) -> Any:
    with urllib.request.urlopen(f"{sandbox.url}/received/google-ads", timeout=10) as answer:
        return json.load(answer)


def test_each_enabled_pipeline_says_what_its_vendor_said(folder: Path, sandbox: Running) -> None:
    told = check(folder, sandbox, "--live")
    assert told.exit_code == 0
    assert live(told) == [
        f"live: ga4_events      {NO_CHECK}",
        "live: google_ads      ok",
        f"live: klaviyo_events  {NO_CHECK}",
    ]
    assert taken(sandbox)["events"] == []
    assert taken(sandbox)["requests"][-1]["json"]["validateOnly"] is True


@pytest.mark.parametrize(
    ("environ", "what"),
    [
        ({"GOOGLE_ADS_CREDENTIALS": "wrong-token"}, "refused: 401 UNAUTHENTICATED ACCESS_TOKEN_INVALID; {}"),
        (
            {
                "GOOGLE_ADS_CREDENTIALS": json.dumps(
                    {"type": "authorized_user"} | dict.fromkeys(("client_id", "client_secret", "refresh_token"), "x")
                )
            },
            "refused: token: 401 invalid_client; {}",
        ),
        ({"GOOGLE_ADS_PURCHASE_ACTION": "5"}, "refused: 400 INVALID_ARGUMENT INVALID_CONVERSION_ACTION_ID; {}"),
        (
            {"GOOGLE_ADS_BASE_URL": "http://127.0.0.1:9"},
            "unreachable: the connection was refused; look at network, proxy and base_url, then ask again",
        ),
    ],
)
def test_one_that_is_refused_or_not_reached_says_what_to_do_and_exits_with_one(
    folder: Path, sandbox: Running, environ: dict[str, str], what: str
) -> None:
    told = check(folder, sandbox, "--live", **environ)
    assert told.exit_code == 1
    assert live(told)[1] == "live: google_ads      " + what.format(MEND.format(folder / "pipelines/google-ads.yaml"))
    assert environ.get("GOOGLE_ADS_CREDENTIALS", "none") not in told.output


def test_disabled_pipelines_are_not_asked(folder: Path, sandbox: Running) -> None:
    told = check(folder, sandbox, "--live", GOOGLE_ADS_ENABLED="false", GA4_ENABLED="false")
    assert (told.exit_code, live(told)) == (0, [f"live: klaviyo_events  {NO_CHECK}"])
    (folder / "pipelines/klaviyo-events.yaml").unlink()
    none = check(folder, sandbox, "--live", GOOGLE_ADS_ENABLED="false", GA4_ENABLED="false")
    assert (none.exit_code, live(none)) == (0, ["live: no pipeline is enabled, so nobody was asked"])


def test_the_archive_is_no_vendor(folder: Path, sandbox: Running) -> None:
    (folder / "pipelines/archive.yaml").write_text(shipped("pipelines/archive.yaml").read_text())
    told = check(folder, sandbox, "--live", ARCHIVE_ENABLED="true")
    assert (told.exit_code, live(told)[0]) == (0, "live: archive         a folder of this machine, nothing to ask")


def test_nobody_is_asked_of_wrong_files_or_without_the_option(folder: Path, sandbox: Running) -> None:
    before = len(taken(sandbox)["requests"])
    assert live(check(folder, sandbox)) == []
    (folder / "pipelines/ga4-events.yaml").write_text("nonsense: 1\n")
    told = check(folder, sandbox, "--live")
    assert (told.exit_code, told.stdout) == (2, "")
    assert len(taken(sandbox)["requests"]) == before


class Saying:
    """A transport that gives one answer."""

    def __init__(self, answer: Response | TransportFailed) -> None:
        self._answer = answer

    async def send(self, request: Request) -> Response:
        if isinstance(self._answer, TransportFailed):
            raise self._answer
        return self._answer


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (Response(200, {}, b"{}"), "ok"),
        (Response(200, {}, b"<html>"), "unclear"),
        (Response(302, {}, b""), "unclear"),
        (Response(429, {}, b""), "busy"),
        (Response(400, {}, b""), "refused"),
        (Response(503, {}, b""), "unreachable"),
        (TransportFailed("no answer in time"), "unreachable"),
    ],
)
async def test_every_outcome_has_a_word_and_only_a_good_one_is_good(
    answer: Response | TransportFailed, word: str
) -> None:
    pipeline = compile_pipeline(shipped("pipelines/google-ads.yaml").read_text(), "p.yaml", ENVIRON)
    made = await probe(pipeline, Saying(answer), 0)
    assert isinstance(made, Probe)
    assert (made.word, made.is_good) == (word, word == "ok")
