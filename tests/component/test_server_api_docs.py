"""docs/server-api.md: its examples do what they show, and its tables know what the code knows."""

import asyncio
import base64
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from edge.ecommerce import EVENT_NAMES, ITEM_NAMES, ORDER_NAMES
from edge.person import Identifiers
from edge.pipeline import Planned, SkippedBy, compile_pipeline, plan
from edge.secret import Secret
from edge.server_wire import MESSAGE_CODES
from tests.backroom import ENVIRON, PIPELINE
from tests.running_collector import running
from tests.server_messages import parse_one

PAGE = (Path(__file__).parents[2] / "docs/server-api.md").read_text("utf-8")
KEY = "key-of-the-shop-1"
KEYS = (("shop", Secret(KEY)),)
LIMIT_S = 60


def example(after: str) -> str:
    """Give the indented block that follows a sentence."""
    found = re.search(rf"{re.escape(after)}\n\n((?:    .*\n|\n)+)", PAGE)
    assert found is not None, f"no example after {after!r}"
    return dedent(found[1])


def rows(header: str) -> list[list[str]]:
    """Give a table's cells, without the backticks around them."""
    table = PAGE[PAGE.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in row.strip("|").split("|")] for row in table]


async def test_the_call_by_hand_is_taken() -> None:
    command = shlex.split(example("By hand:").replace("$SHOP_WRITE_KEY", KEY))
    program, _, url, _, user, _, body = command
    assert (program, url) == ("curl", "http://127.0.0.1:8080/t/v1/track")
    async with running(write_keys=KEYS) as edge:
        headers = {"Authorization": "Basic " + base64.b64encode(user.encode()).decode()}
        answer = await edge.request("POST", "/t/v1/track", headers, body.encode())
        assert (answer.status, answer.json) == (200, {"success": True})
        (event,) = edge.log.events
    assert (event.id, event.order_id, event.properties["value"]) == ("order-70311", "70311", 84.5)
    assert event.traits == {"email": "user@shop.example", "customer_id": "c-19"}


async def test_the_program_of_the_page_is_taken() -> None:
    async with running(write_keys=KEYS) as edge:
        host = f"http://127.0.0.1:{edge.collector.port}/t"
        code = example("In Python:").replace("https://shop.example/t", host)
        environ = {**os.environ, "SHOP_WRITE_KEY": KEY, "NO_PROXY": "127.0.0.1"}
        told = [sys.executable, "-c", code]
        ended = await asyncio.to_thread(subprocess.run, told, env=environ, capture_output=True, timeout=LIMIT_S)
        assert ended.returncode == 0, ended.stderr
        assert [(event.name, event.order_id) for event in edge.log.events] == [("Order Completed", "70311")]


def test_the_table_of_names_is_the_codes() -> None:
    told = [(of, theirs, ours) for of, theirs, ours in rows("| of | theirs | ours |")]
    assert told == [
        *(("a product", theirs, ours) for theirs, ours in ITEM_NAMES.items()),
        *(("any event", theirs, ours) for theirs, ours in EVENT_NAMES.items()),
        *(("an order", theirs, ours) for theirs, ours in ORDER_NAMES.items()),
    ]


def test_the_table_of_codes_is_the_codes() -> None:
    told = [code for cells in rows("| code of a message |") for code in re.findall(r"\w+", cells[0])]
    assert sorted(told) == sorted(MESSAGE_CODES)


def test_a_pipeline_may_ask_for_integrations_as_the_page_says() -> None:
    when = re.search(r"`when: \"(.*?)\"``", PAGE)
    assert when is not None
    text = PIPELINE.replace("{metric: Placed Order,", f'{{metric: Placed Order, when: "{when[1]}",')
    pipeline = compile_pipeline(text, "klaviyo.yaml", ENVIRON)
    known = Identifiers(email="user@shop.example")
    assert isinstance(plan(pipeline, parse_one(), known), Planned)
    assert isinstance(plan(pipeline, parse_one(integrations={"All": True}), known), Planned)
    assert isinstance(plan(pipeline, parse_one(integrations={"All": False}), known), SkippedBy)
