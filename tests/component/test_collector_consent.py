"""What the collector keeps of consent, and whether it may set its cookie."""

from typing import Any

import pytest

from edge.consent import Purpose
from edge.consent_platforms import hear
from tests.consent_values import COOKIEBOT, ONETRUST, tc_string
from tests.running_collector import SAME, batch, running

SESSION = {"session": {"id": "0123456789abcdef0123456789abcdef"}}
EXPLICIT = {"marketing": "denied", "source": "explicit"}
CLOSED = "OptanonAlertBoxClosed"
DENIAL = "CookieConsent=0"
REFUSED = {"source": "tcf", "value": tc_string(set())}
GRANTED = {"source": "tcf", "value": tc_string({1, 8})}
MODE = {"ad_storage": "granted", "analytics_storage": "granted"}


@pytest.mark.parametrize(
    ("context", "cookie", "kept"),
    [
        ({}, "cart=1", None),
        ({}, f"cart=1; {DENIAL}", {"CookieConsent": "0"}),
        ({}, f"OptanonConsent={ONETRUST}; {CLOSED}=x", {"OptanonConsent": ONETRUST, CLOSED: "x"}),
        ({"consent": EXPLICIT}, DENIAL, None),
        ({"consent": [REFUSED]}, DENIAL, None),
        ({"consent": {}}, DENIAL, {"CookieConsent": "0"}),
        ({"consent": {"source": "tcf", "value": "?"}}, DENIAL, {"CookieConsent": "0"}),
        ({"consent_cookies": {"CookieConsent": "-1"}}, "cart=1", None),
    ],
)
async def test_platforms_cookies_are_kept_where_the_page_reported_nothing(
    context: dict[str, Any], cookie: str, kept: Any
) -> None:
    async with running() as edge:
        assert (await edge.post(batch(**context), Cookie=cookie)).status == 204
    (stored,) = edge.log.events
    assert stored.context.get("consent_cookies") == kept
    assert stored.context.get("consent") == context.get("consent")


@pytest.mark.parametrize(
    ("context", "cookie"), [({"consent": EXPLICIT}, "a=1"), ({"consent": REFUSED}, "a=1"), ({}, DENIAL)]
)
async def test_a_refusal_is_kept_when_every_event_is_refused(context: dict[str, Any], cookie: str) -> None:
    async with running() as edge:
        answer = await edge.post(batch(1, **context), Cookie=cookie)
    assert answer.status == 400
    (stored,) = edge.log.events
    (said,) = hear(stored.context).answers
    assert (stored.name, Purpose.MARKETING in said.denied) == ("consent", True)


@pytest.mark.parametrize(
    ("consent", "headers", "has_cookie"),
    [
        (GRANTED, {}, True),
        (REFUSED, {}, False),
        ([REFUSED, {"functional": "granted", "source": "explicit"}], {}, True),
        ([{"functional": "denied", "source": "explicit"}, {"source": "tcf", "value": tc_string({1})}], {}, False),
        ({"source": "consent_mode", "value": {"update": MODE}}, {}, True),
        ({"source": "consent_mode", "value": {"default": MODE}}, {}, False),
        ({"source": "shopify", "value": {"sale_of_data": "no"}}, {}, False),
        ({"advertising": "granted", "gpc": True}, {}, False),
        (None, {"Cookie": f"CookieConsent={COOKIEBOT}"}, True),
        (None, {"Cookie": DENIAL}, False),
        (None, {"Cookie": "CookieConsent=true"}, False),
        (None, {"Cookie": "CookieConsent=-1"}, False),
    ],
)
async def test_the_cookie_waits_for_a_platforms_grant_too(
    consent: Any, headers: dict[str, str], has_cookie: bool
) -> None:
    async with running(wait_for_consent=True) as edge:
        context = SESSION if consent is None else {**SESSION, "consent": consent}
        answer = await edge.post(batch(**context), {**SAME, **headers})
    assert bool(answer.cookie) == has_cookie


async def test_the_signal_may_be_told_to_deny_nothing() -> None:
    context = {**SESSION, "consent": {"advertising": "granted"}}
    async with running(wait_for_consent=True, gpc_denies=False) as edge:
        answer = await edge.post(batch(**context), {**SAME, "Sec-GPC": "1"})
    assert answer.cookie


async def test_a_platforms_withdrawal_does_not_renew_the_cookie() -> None:
    async with running(wait_for_consent=True) as edge:
        first = await edge.post(batch(consent=GRANTED))
        edge.clock.advance(86_400.0)
        answers = [await edge.post(batch(consent=said), Cookie=first.cookie) for said in (REFUSED, GRANTED)]
    assert [bool(answer.cookie) for answer in answers] == [False, True]
