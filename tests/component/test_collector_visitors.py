"""Who may post, from which address, and as which browser."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from edge.collector.address import Addresses
from edge.secret import Secret
from tests.running_collector import KEY, ORIGIN, SAME, batch, running

DAY_S = 86_400.0
MINTED = "00" * 15
SESSION = {"session": {"id": "0123456789abcdef0123456789abcdef"}}
LOOPBACK = (ip_network("127.0.0.0/8"),)
YES = {"consent": {"analytics": "granted"}}
NO = {"consent": {"analytics": "denied"}}

# Origins

ORIGINS = [
    None,
    ORIGIN,
    "https://second.example:8443",
    "null",
    "",
    "https://evil.example",
    "http://shop.example",
    "https://shop.example/",
    "https://shop.example:443",
    "https://SHOP.example",
    "https://shop.example.evil.example",
    "https://evil.example, https://shop.example",
    "*",
]
LISTED = {ORIGIN, "https://second.example:8443"}


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("site", [None, "same-origin", "same-site", "none", "cross-site", "Same-Origin", ""])
async def test_only_pages_of_the_shop_may_post(origin: str | None, site: str | None) -> None:
    said = {"Origin": origin, "Sec-Fetch-Site": site}
    headers = {name: value for name, value in said.items() if value is not None}
    async with running(origins=tuple(LISTED)) as edge:
        answer = await edge.post(headers=headers)
    is_listed = origin in LISTED and site in (None, "same-site", "none")
    assert answer.status == (204 if site == "same-origin" or is_listed else 403)
    assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_listed else None)
    assert answer.headers.get("Access-Control-Allow-Credentials") == ("true" if is_listed else None)
    assert len(edge.log.events) == (1 if answer.status == 204 else 0)
    assert bool(answer.cookie) == (answer.status == 204)


async def test_a_page_on_another_host_of_the_shop_can_read_every_answer() -> None:
    async with running() as edge:
        answers = [await edge.post(body, {"Origin": ORIGIN, "Sec-Fetch-Site": "same-site"}) for body in (None, b"{")]
    assert [answer.status for answer in answers] == [204, 400]
    for answer in answers:
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Expose-Headers"] == "Retry-After"
        assert answer.headers["Vary"] == "Origin"


async def test_a_preflight_is_answered_for_listed_origins_only() -> None:
    async with running() as edge:
        answer = await edge.request("OPTIONS", "/t/e", {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
        foreign = await edge.request("OPTIONS", "/t/e", {"Origin": "https://evil.example"})
        bare = await edge.request("OPTIONS", "/t/e", {})
    assert (answer.status, foreign.status, bare.status) == (204, 403, 403)
    assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
    assert answer.headers["Access-Control-Allow-Methods"] == "POST"
    assert answer.headers["Access-Control-Allow-Headers"] == "content-type"
    assert answer.headers["Access-Control-Max-Age"] == "7200"
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("origin", ["*", "null", ""])
async def test_a_wildcard_is_no_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="origin"):
        async with running(origins=(origin,)):
            pass


# Addresses

ADDRESSES = [
    ([], "127.0.0.1"),
    (["203.0.113.9"], "203.0.113.9"),
    (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
    (["6.6.6.6", "203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9, 127.0.0.3"], "203.0.113.9"),
    (["127.0.0.9"], "127.0.0.9"),
    (["203.0.113.9, unknown"], "127.0.0.1"),
    (["unknown, 203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9,"], "127.0.0.1"),
    (["203.0.113.9:4711"], "127.0.0.1"),
    (["<script>"], "127.0.0.1"),
    (["fe80::1%canary"], "127.0.0.1"),
    (["1" * 5_000], "127.0.0.1"),
    (["2001:DB8:0::1"], "2001:db8::1"),
    (["::ffff:203.0.113.9"], "203.0.113.9"),
    (["203.0.113.9, ::ffff:127.0.0.1"], "203.0.113.9"),
    (["6.6.6.6" + ", 127.0.0.1" * 40], "127.0.0.1"),
]


@pytest.mark.parametrize(("forwarded", "address"), ADDRESSES)
def test_the_rightmost_untrusted_hop_is_the_client(forwarded: list[str], address: str) -> None:
    assert Addresses(LOOPBACK).find("127.0.0.1", forwarded) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ([], None),
        (["unknown"], None),
        (["6.6.6.6, 203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9, 127.0.0.1"], "203.0.113.9"),
    ],
)
def test_behind_a_unix_socket_only_the_proxys_word_counts(forwarded: list[str], address: str | None) -> None:
    assert Addresses(LOOPBACK).find(None, forwarded) == address


@pytest.mark.parametrize("peer", ["198.51.100.7", "::1"])
def test_a_peer_that_is_no_proxy_of_ours_is_the_client_itself(peer: str) -> None:
    assert Addresses(LOOPBACK).find(peer, ["203.0.113.9"]) == peer


def test_a_connection_that_is_gone_names_nobody() -> None:
    assert Addresses(LOOPBACK).find("", ["203.0.113.9"]) is None


@pytest.mark.parametrize(
    ("trusted", "expected"), [((), "127.0.0.1"), (LOOPBACK, "203.0.113.9"), ((ip_network("10.0.0.0/8"),), "127.0.0.1")]
)
async def test_only_a_trusted_proxy_names_the_client(trusted: tuple[object, ...], expected: str) -> None:
    lies = {"X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6", "X_Forwarded_For": "6.6.6.6", "Client-IP": "6.6.6.6"}
    async with running(trusted_proxies=trusted) as edge:
        await edge.post(headers={**SAME, **lies, "X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
    assert [event.context["ip"] for event in edge.log.events] == [expected]


async def test_a_unix_sockets_peer_is_the_proxy(tmp_path: Path) -> None:
    async with running(listen=("unix", str(tmp_path / "s"))) as edge:
        await edge.post(X_Forwarded_For="6.6.6.6, 203.0.113.9")
        await edge.post()
    assert [event.context.get("ip") for event in edge.log.events] == ["203.0.113.9", None]


# Cookies


async def test_a_first_request_gets_a_cookie_and_the_next_one_is_the_same_browser() -> None:
    async with running() as edge:
        first = await edge.post()
        second = await edge.post(Cookie=f"cart=1; {first.cookie}")
    assert first.headers["Set-Cookie"] == edge.cookies.header_value(MINTED + "01", edge.clock.now_ms() // 86_400_000)
    assert second.cookie == ""
    assert [event.browser for event in edge.log.events] == [MINTED + "01"] * 2


async def test_a_cookie_older_than_a_day_is_renewed_with_the_same_id() -> None:
    async with running() as edge:
        first = await edge.post()
        edge.clock.advance(DAY_S)
        renewed = await edge.post(Cookie=first.cookie)
        again = await edge.post(Cookie=renewed.cookie)
    assert renewed.cookie not in ("", first.cookie)
    assert again.cookie == ""
    assert {event.browser for event in edge.log.events} == {MINTED + "01"}


async def test_a_cookie_signed_with_the_old_key_is_signed_anew() -> None:
    new = Secret("another-key" * 3)
    async with running() as before:
        old = (await before.post()).cookie
    async with running(keys=(new, KEY)) as edge:
        answer = await edge.post(Cookie=old)
    async with running(keys=(new,)) as after:
        await after.post(Cookie=answer.cookie)
        await after.post(Cookie=old)
    assert [event.browser for event in edge.log.events] == [MINTED + "01"]
    assert [event.browser for event in after.log.events] == [MINTED + "01"] * 2


async def test_a_forged_cookie_is_a_new_browser() -> None:
    async with running() as edge:
        genuine = (await edge.post()).cookie
        answer = await edge.post(Cookie=genuine[:-1] + ("A" if genuine[-1] != "A" else "B"))
    assert answer.cookie not in ("", genuine)
    assert [event.browser for event in edge.log.events] == [MINTED + "01", MINTED + "02"]


async def test_two_first_requests_of_one_page_are_one_browser_for_a_minute() -> None:
    async with running() as edge:
        for wait_s in (0.0, 59.0, 1.0):
            edge.clock.advance(wait_s)
            assert (await edge.post(batch(**SESSION))).cookie
        short = {"session": {"id": "1"}}
        await edge.post(batch(**short))
        await edge.post(batch(**short))
    assert [event.browser[-2:] for event in edge.log.events] == ["01", "01", "02", "03", "04"]


async def test_with_a_domain_the_cookie_has_its_other_name() -> None:
    async with running(domain="shop.example") as edge:
        answer = await edge.post()
    assert answer.cookie.startswith("_dfid=")
    assert "; Domain=shop.example;" in answer.headers["Set-Cookie"]


@pytest.mark.parametrize(
    ("context", "headers", "has_cookie"),
    [
        ({}, {}, False),
        (NO, {}, False),
        (YES, {}, True),
        ({"consent": {"functional": "granted"}}, {}, True),
        ({"consent": {"advertising": "granted"}}, {}, True),
        ({"consent": {"advertising": "granted"}}, {"Sec-GPC": "1"}, False),
        ({"consent": "granted"}, {}, False),
    ],
)
async def test_without_consent_there_is_no_cookie_and_the_session_is_the_browser(
    context: dict[str, object], headers: dict[str, str], has_cookie: bool
) -> None:
    async with running(wait_for_consent=True) as edge:
        answers = [await edge.post(batch(**SESSION, **context), {**SAME, **headers}) for _ in range(2)]
    assert [bool(answer.cookie) for answer in answers] == [has_cookie] * 2
    assert len({event.browser for event in edge.log.events}) == 1
    assert (edge.log.events[0].browser == MINTED + "01") == has_cookie
    assert len(edge.log.events[0].browser) == 32


async def test_without_consent_and_session_every_request_is_its_own() -> None:
    async with running(wait_for_consent=True) as edge:
        assert [(await edge.post()).cookie for _ in range(2)] == ["", ""]
    assert len({event.browser for event in edge.log.events}) == 2


async def test_a_withdrawal_does_not_renew_the_cookie() -> None:
    async with running(wait_for_consent=True) as edge:
        first = await edge.post(batch(**YES))
        edge.clock.advance(DAY_S)
        answers = [await edge.post(batch(**said), Cookie=first.cookie) for said in (NO, {}, YES)]
    assert [bool(answer.cookie) for answer in answers] == [False, True, True]
    assert len({event.browser for event in edge.log.events}) == 1
