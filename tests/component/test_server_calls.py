"""The server API on a real socket: who may post, what is answered, and when."""

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from edge.collector.write_keys import KEY_CODES
from edge.errors import StorageBusy, StorageFailed, StorageFull
from edge.secret import Secret
from edge.server_wire import KINDS, MAX_MESSAGE_BYTES, MAX_MESSAGES
from tests.running_collector import ORIGIN, Answer, Running, running
from tests.server_messages import TRACK

SHOP_KEY, TILL_KEY = "key-of-the-shop-1", "key-of-the-till-1"
KEYS = (("shop", Secret(SHOP_KEY)), ("till", Secret(TILL_KEY)))
SUCCESS = {"success": True}


def basic(user: str, password: str = "") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


async def call(
    edge: Running, address: str, body: Any, headers: dict[str, str] | None = None, method: str = "POST"
) -> Answer:
    sent = body if isinstance(body, bytes) else orjson.dumps(body)
    return await edge.request(method, f"/t/v1/{address}", basic(SHOP_KEY) if headers is None else headers, sent)


def refusal(code: str, message: str, **more: Any) -> dict[str, Any]:
    """Give the one shape of a refusal: our own, and what a server's library reads."""
    told = {"code": code, "message": message}
    return {"error": told, "success": False, **told, **more}


@pytest.fixture
async def edge() -> AsyncIterator[Running]:
    async with running(write_keys=KEYS) as made:
        yield made


# Who may post


async def test_without_a_configured_key_there_is_no_such_address() -> None:
    async with running() as edge:
        for address in (*KINDS, "batch"):
            assert (await call(edge, address, TRACK)).status == 404


@pytest.mark.parametrize(("key", "source"), [(SHOP_KEY, "server:shop"), (TILL_KEY, "server:till")])
async def test_the_key_says_which_source_it_is(edge: Running, key: str, source: str) -> None:
    assert (await call(edge, "track", TRACK, basic(key))).status == 200
    assert (await call(edge, "batch", {"batch": [TRACK], "writeKey": key}, {})).status == 200
    assert [event.source for event in edge.log.events] == [source, source]
    assert edge.count("edge_events_accepted_total", source=source) == 2


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "no_write_key"),
        (basic("key-of-the-shop-2"), "unknown_write_key"),
        (basic(SHOP_KEY[:-1]), "unknown_write_key"),
        (basic("ä"), "unknown_write_key"),
        (basic(SHOP_KEY, "a password"), "bad_authorization"),
        (basic(""), "bad_authorization"),
        ({"Authorization": f"Bearer {SHOP_KEY}"}, "bad_authorization"),
        ({"Authorization": "Basic"}, "bad_authorization"),
        ({"Authorization": "Basic ****"}, "bad_authorization"),
        ({"Authorization": "Basic " + base64.b64encode(SHOP_KEY.encode()).decode()}, "bad_authorization"),
    ],
)
async def test_without_a_good_key_nothing_is_taken(edge: Running, headers: dict[str, str], code: str) -> None:
    with capture_logs() as lines:
        answer = await call(edge, "track", TRACK, headers)
    assert (answer.status, answer.json) == (401, refusal(code, answer.json["message"]))
    assert answer.headers["WWW-Authenticate"] == 'Basic realm="datafly-edge", charset="UTF-8"'
    assert edge.log.events == []
    assert code in KEY_CODES
    assert edge.count("edge_write_keys_refused_total", result=code) == 1
    assert "key-of" not in str(lines) + answer.body.decode()


@pytest.mark.parametrize(("shown", "code"), [("no such key", "unknown_write_key"), (7, "no_write_key")])
async def test_a_key_in_the_body_is_compared_as_well(edge: Running, shown: Any, code: str) -> None:
    answer = await call(edge, "track", {**TRACK, "writeKey": shown}, {})
    assert (answer.status, answer.code) == (401, code)


async def test_a_wrong_key_in_the_header_is_not_saved_by_one_in_the_body(edge: Running) -> None:
    answer = await call(edge, "track", {**TRACK, "writeKey": SHOP_KEY}, basic("wrong"))
    assert (answer.status, answer.code) == (401, "unknown_write_key")


async def test_nothing_of_a_browser_is_taken_or_given(edge: Running) -> None:
    """No cookie, no origin, no address of the connection's other end."""
    headers = {**basic(SHOP_KEY), "Origin": "https://else.example", "Sec-Fetch-Site": "cross-site", "Sec-GPC": "1"}
    cookie = (await edge.post()).cookie
    answer = await call(
        edge, "track", TRACK, {**headers, "Cookie": cookie, "User-Agent": "SDK", "X-Forwarded-For": "::1"}
    )
    assert (answer.status, answer.json) == (200, SUCCESS)
    assert not {name for name in answer.headers if name.startswith(("Set-Cookie", "Access-Control", "Vary"))}
    browsers, servers = edge.log.events
    assert (servers.context, servers.browser == browsers.browser) == ({}, False)


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "PUT"])
async def test_only_posts_are_answered(edge: Running, method: str) -> None:
    answer = await call(edge, "track", TRACK, {"Origin": ORIGIN}, method)
    assert (answer.status, answer.headers["Allow"], answer.code) == (405, "POST", "wrong_method")


@pytest.mark.parametrize("address", ["", "tracks", "track/", "Track", "import"])
async def test_other_addresses_are_404(edge: Running, address: str) -> None:
    assert (await call(edge, address, TRACK)).status == 404


async def test_the_prefix_is_a_setting() -> None:
    async with running(write_keys=KEYS, prefix="/shop/in") as edge:
        answer = await edge.request("POST", "/shop/in/v1/track?x=1", basic(SHOP_KEY), orjson.dumps(TRACK))
        assert answer.json == SUCCESS


# What is answered


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "alias"])
async def test_every_call_is_stored_and_answered_with_success(edge: Running, kind: str) -> None:
    answer = await call(edge, kind, {"userId": "c-19", "event": "Signed Up", "groupId": "g"})
    assert (answer.status, answer.json, answer.headers["Content-Type"]) == (200, SUCCESS, "application/json")
    assert [event.name for event in edge.log.events] == [KINDS[kind] or "Signed Up"]
    assert edge.count("edge_requests_total", endpoint="calls", status="200") == 1


async def test_of_a_batch_the_good_messages_are_stored_and_the_others_told(edge: Running) -> None:
    """A library gives a whole batch up on 400, and would repeat all of it on 5xx."""
    alias = {"type": "alias", "userId": "a", "previousId": "b"}
    answer = await call(edge, "batch", {"batch": [TRACK, {**TRACK, "userId": None}, alias]})
    rejected = [
        {"index": 1, "code": "no_user", "message": "a message has a userId or an anonymousId that names somebody"},
        {
            "index": 2,
            "code": "unsupported",
            "message": "alias is taken and does nothing: persons are joined by their identifiers",
        },
    ]
    assert (answer.status, answer.json) == (200, {"success": True, "accepted": 1, "rejected": rejected})
    assert [event.id for event in edge.log.events] == ["m-1"]
    assert edge.count("edge_events_rejected_total", code="no_user") == 1
    assert edge.count("edge_events_rejected_total", code="unsupported") == 1


async def test_an_alias_alone_is_answered_well_and_counted(edge: Running) -> None:
    answer = await call(edge, "alias", {"userId": "a", "previousId": "b"})
    assert (answer.status, answer.json["success"], answer.json["accepted"]) == (200, True, 0)
    assert edge.count("edge_events_rejected_total", code="unsupported") == 1
    assert edge.log.events == []


async def test_a_single_message_that_cannot_be_taken_is_400_with_its_reason(edge: Running) -> None:
    answer = await call(edge, "track", {"userId": "c-19"})
    message = "name is 1 to 64 of: letters, digits, _ . - and space, a letter first"
    rejected = [{"index": 0, "code": "bad_name", "message": message}]
    assert (answer.status, answer.json) == (400, refusal("bad_name", message, accepted=0, rejected=rejected))


async def test_a_batch_without_a_good_message_is_400(edge: Running) -> None:
    answer = await call(edge, "batch", {"batch": [1, 2]})
    assert (answer.status, answer.code, len(answer.json["rejected"])) == (400, "no_valid_event", 2)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"[]", 400, "bad_batch"),
        (b'{"batch":[]}', 400, "no_events"),
        (b"x" * 524_289, 413, "too_big"),
    ],
)
async def test_a_body_that_is_no_batch_is_refused_whole(edge: Running, body: bytes, status: int, code: str) -> None:
    answer = await call(edge, "batch", body)
    assert (answer.status, answer.json) == (status, refusal(code, answer.json["message"]))


async def test_the_largest_batch_is_taken_whole_in_its_order() -> None:
    async with running(write_keys=KEYS) as edge:
        messages = [{"type": "track", "userId": "a", "event": "x", "messageId": str(n)} for n in range(MAX_MESSAGES)]
        assert (await call(edge, "batch", {"batch": messages})).json == SUCCESS
        assert [event.id for event in edge.log.events] == [str(n) for n in range(MAX_MESSAGES)]


async def test_a_body_just_under_the_limit_is_taken(edge: Running) -> None:
    text = "x" * (MAX_MESSAGE_BYTES - 200)
    messages = [{"type": "track", "userId": "a", "event": "x", "properties": {"text": text}} for _ in range(15)]
    body = orjson.dumps({"batch": messages, "sentAt": ""})
    padded = body + b" " * (524_288 - len(body))
    assert (await call(edge, "batch", padded)).json == SUCCESS
    assert len(edge.log.events) == 15


async def test_a_body_may_be_compressed_and_no_bomb(edge: Running) -> None:
    packed = {**basic(SHOP_KEY), "Content-Encoding": "gzip"}
    assert (await call(edge, "batch", gzip.compress(orjson.dumps({"batch": [TRACK]})), packed)).json == SUCCESS
    bomb = await call(edge, "batch", gzip.compress(b" " * 10_000_000), packed)
    assert (bomb.status, bomb.code) == (413, "too_big")
    cut = await call(edge, "batch", gzip.compress(orjson.dumps({"batch": [TRACK]}))[:-9], packed)
    assert (cut.status, cut.code) == (400, "corrupt_body")
    other = await call(edge, "batch", b"x", {**basic(SHOP_KEY), "Content-Encoding": "br"})
    assert (other.status, other.code) == (415, "unknown_coding")


# When


async def test_the_answer_waits_for_the_commit(edge: Running) -> None:
    edge.log.gate.clear()
    asking = asyncio.create_task(call(edge, "track", TRACK))
    await edge.log.entered.wait()
    assert not asking.done()
    edge.log.gate.set()
    assert (await asking).status == 200


@pytest.mark.parametrize(
    ("error", "code", "after"),
    [(StorageFull("x"), "storage_full", "30"), (StorageBusy("x"), "storage_busy", "1")],
)
async def test_what_could_not_be_stored_is_503_and_later(
    edge: Running, error: Exception, code: str, after: str
) -> None:
    edge.log.error = error
    answer = await call(edge, "batch", {"batch": [TRACK]})
    assert (answer.status, answer.json) == (503, refusal(code, answer.json["message"]))
    assert answer.headers["Retry-After"] == after
    assert edge.count("edge_events_accepted_total", source="server:shop") == 0


async def test_failed_storage_ends_the_process(edge: Running) -> None:
    edge.log.error = StorageFailed("x")
    assert (await call(edge, "track", TRACK)).status == 503
    assert edge.collector.failed.is_set()


async def test_an_unforeseen_error_is_503_and_no_client_byte_is_in_the_log(edge: Running) -> None:
    edge.log.error = KeyError("canary")
    with capture_logs() as lines:
        answer = await call(edge, "track", {**TRACK, "event": "canary"})
    assert (answer.status, answer.json["success"]) == (503, False)
    assert "canary" not in str(lines) + answer.body.decode()
