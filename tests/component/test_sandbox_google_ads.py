"""The fake Data Manager API takes a request whole or refuses it whole, as the real one does."""

from base64 import urlsafe_b64encode
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from edge.sandbox import GoogleAds
from edge.sandbox.google_ads import PROCESSING_S
from edge.sandbox.google_oauth import JWT_BEARER
from edge.sandbox.vendor import Rate
from tests.conversations import converse
from tests.google_ads_events import NOW_MS, ROBOT, account, payload, robot_credentials, robot_public_key
from tests.google_ads_requests import ACCOUNT, DESTINATION, HASH, Api, body, event, reasons, violations

AT = "events.events[0]"
USER = f"{AT}.user_data.user_identifiers[0]"
GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
ADDRESS = {"givenName": HASH, "familyName": HASH, "regionCode": "GB", "postalCode": "EH6"}


@pytest.fixture
def api() -> Api:
    return Api()


def person(*identifiers: Any) -> dict[str, Any]:
    return {"userIdentifiers": list(identifiers)}


def test_good_request_is_taken_whole_and_its_status_can_be_asked(api: Api) -> None:
    named = person({"emailAddress": HASH}, {"phoneNumber": HASH}, {"address": ADDRESS})
    good = event(userData=named, consent=GRANTED)
    answer = api.post(body(good))
    assert (answer.status, orjson.loads(answer.body)) == (200, {"requestId": "sandbox-request-1"})
    assert api.events() == [{"action": "7", **good}]
    counts = {"eventsIngestionStatus": {"recordCount": "1"}}
    assert api.status(1) == [{"destination": DESTINATION, "requestStatus": "PROCESSING", **counts}]
    api.clock.advance(PROCESSING_S)
    assert api.status(1) == [{"destination": DESTINATION, "requestStatus": "SUCCESS", **counts}]


BROKEN: list[tuple[Any, list[tuple[str, str]]]] = [
    ([], [("", "INVALID_FORMAT")]),
    (body(events=[]), [("events", "REQUIRED_FIELD_MISSING")]),
    (body(events=[event()] * 2_001), [("events", "TOO_MANY_EVENTS")]),
    (
        body(destinations=None),
        [("destinations", "REQUIRED_FIELD_MISSING"), (f"{AT}.destination_references", "INVALID_DESTINATION_REFERENCE")],
    ),
    (body(destinations=[DESTINATION] * 11), [("destinations", "TOO_MANY_DESTINATIONS")]),
    (
        body(destinations=[DESTINATION | {"operatingAccount": {}}]),
        [("destinations[0].operating_account", "REQUIRED_FIELD_MISSING")],
    ),
    (
        body(destinations=[DESTINATION | {"operatingAccount": ACCOUNT | {"accountId": "1-2"}}]),
        [("destinations[0].operating_account", "INVALID_FORMAT")],
    ),
    (
        body(destinations=[DESTINATION | {"loginAccount": {}}]),
        [("destinations[0].login_account", "REQUIRED_FIELD_MISSING")],
    ),
    (
        body(destinations=[DESTINATION | {"productDestinationId": "purchase"}]),
        [("destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_ID")],
    ),
    (body(destinations=[DESTINATION | {"action": 1}]), [("destinations[0]", "INVALID_FORMAT")]),
    (body(validateOnly="yes"), [("validate_only", "INVALID_FORMAT")]),
    (body(partialFailure=True), [("partialFailure", "UNKNOWN_FIELD")]),
    (body(consent={"adUserData": "GRANTED"}), [("consent", "INVALID_FORMAT")]),
    (body("event"), [(AT, "INVALID_FORMAT")]),
    (body(event(orderId="1")), [(f"{AT}.orderId", "UNKNOWN_FIELD")]),
    (body(event(destinationReferences=["8"])), [(f"{AT}.destination_references", "INVALID_DESTINATION_REFERENCE")]),
    (body(event(eventTimestamp=None)), [(f"{AT}.event_timestamp", "REQUIRED_FIELD_MISSING")]),
    (body(event(eventTimestamp="2026-11-20 14:03:09")), [(f"{AT}.event_timestamp", "INVALID_FORMAT")]),
    (body(event(eventTimestamp="2026-11-20T14:03:12Z")), [(f"{AT}.event_timestamp", "EVENT_TIME_INVALID")]),
    (body(event(eventTimestamp="2026-08-20T14:03:09Z")), [(f"{AT}.event_timestamp", "EVENT_TIME_INVALID")]),
    (body(event(eventSource="SHOP")), [(f"{AT}.event_source", "INVALID_FORMAT")]),
    (body(event(transactionId=5)), [(f"{AT}.transaction_id", "INVALID_FORMAT")]),
    (body(event(currency="eur")), [(f"{AT}.currency", "INVALID_CURRENCY_CODE")]),
    (body(event(conversionValue="5")), [(f"{AT}.conversion_value", "INVALID_FORMAT")]),
    (body(event(consent={"adUserData": "DENIED"})), [(f"{AT}.consent", "INVALID_FORMAT")]),
    (body(event(adIdentifiers=None)), [(AT, "NO_IDENTIFIERS_PROVIDED")]),
    (body(event(adIdentifiers={"gclid": ""})), [(f"{AT}.ad_identifiers", "INVALID_FORMAT")]),
    (body(event(userData=person(*[{"emailAddress": HASH}] * 11))), [(f"{AT}.user_data", "TOO_MANY_USER_IDENTIFIERS")]),
    (body(event(userData=person({"emailAddress": HASH, "phoneNumber": HASH}))), [(USER, "INVALID_FORMAT")]),
    (
        body(event(userData=person({"emailAddress": "visitor@shop.example"}))),
        [(f"{USER}.email_address", "INVALID_HEX_ENCODING")],
    ),
    (body(event(userData=person({"phoneNumber": "a" * 63}))), [(f"{USER}.phone_number", "INVALID_SHA256_FORMAT")]),
    (body(event(userData=person({"phoneNumber": ""}))), [(f"{USER}.phone_number", "REQUIRED_FIELD_MISSING")]),
    (
        body(event(userData=person({"address": ADDRESS | {"regionCode": "gb"}}))),
        [(f"{USER}.address.region_code", "INVALID_FORMAT")],
    ),
    (
        body(event(userData=person({"address": ADDRESS | {"postalCode": ""}}))),
        [(f"{USER}.address.postal_code", "REQUIRED_FIELD_MISSING")],
    ),
    (body(event(userData=person({"emailAddress": HASH})), encoding=None), [("encoding", "REQUIRED_FIELD_MISSING")]),
    (body(event(cartData={"lines": []})), [(f"{AT}.cart_data", "INVALID_FORMAT")]),
    (body(event(cartData={"items": [{"quantity": "2"}]})), [(f"{AT}.cart_data.items[0]", "INVALID_FORMAT")]),
]


@pytest.mark.parametrize(("document", "found"), BROKEN)
def test_broken_rule_refuses_the_whole_request_with_its_place(api: Api, document: Any, found: list[Any]) -> None:
    answer = api.post(document)
    assert (answer.status, violations(answer)) == (400, found)
    assert api.events() == []


def test_each_bad_event_is_named(api: Api) -> None:
    answer = api.post(body(event(), event(currency="x"), event(eventTimestamp=None)))
    assert [place for place, _ in violations(answer)] == [
        "events.events[1].currency",
        "events.events[2].event_timestamp",
    ]


def test_action_that_the_account_has_not_is_a_matter_of_the_destination() -> None:
    answer = Api(GoogleAds(actions=["8"])).post(body())
    assert violations(answer) == [("destinations[0].product_destination_id", "INVALID_CONVERSION_ACTION_ID")]


def test_validation_takes_nothing_and_gives_no_request_id(api: Api) -> None:
    assert orjson.loads(api.post(body(validateOnly=True)).body) == {}
    assert api.events() == []
    assert api.post(body(event(currency="x"), validateOnly=True)).status == 400


@pytest.mark.parametrize("authorization", ["", "Bearer wrong", "Basic sandbox-access-token", "Bearer sandbox-token-1"])
def test_token_that_is_not_known_is_a_401(api: Api, authorization: str) -> None:
    answer = api.post(body(), Authorization=authorization)
    assert (answer.status, reasons(answer)) == (401, ["UNAUTHENTICATED", "ACCESS_TOKEN_INVALID"])


def test_token_without_the_scope_is_a_403(api: Api) -> None:
    api.google.accept_keys({"narrow": frozenset({"https://www.googleapis.com/auth/adwords"})})
    assert reasons(api.post(body(), Authorization="Bearer narrow")) == [
        "PERMISSION_DENIED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ]


def test_quota_is_counted_by_the_minute_and_by_the_day() -> None:
    api = Api(GoogleAds(rates={"ingest": Rate(1, 1)}, a_day=2))
    answers = [api.post(body()) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 429]
    assert b"IngestionWritesPerMinutePerProject" in answers[1].body
    api.google.set_rates({})
    answers = [api.post(body()) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert b"IngestionWritesPerDayPerProject" in answers[2].body
    api.clock.advance(86_400)
    assert api.post([]).status == 400
    api.google.set_rates(None)
    assert [api.post([]).status for _ in range(3)] == [400, 400, 400]
    with pytest.raises(KeyError):
        api.google.set_rates({"other": Rate(1, 1)})


def test_other_paths_and_bodies_that_are_no_json_are_refused(api: Api) -> None:
    assert api.send(path="/v1/audienceMembers:ingest").status == 404
    assert api.send(method="GET").status == 404
    assert api.send(b"{").status == 400
    assert api.send(path="/v1/requestStatus:retrieve", method="GET").status == 404


REFRESH = {
    "grant_type": "refresh_token",
    "client_id": "sandbox-client",
    "client_secret": "sandbox-client-secret",
    "refresh_token": "sandbox-refresh-token",
}


def ask(api: Api, form: dict[str, str]) -> tuple[int, Any]:
    answer = api.send(urlencode(form).encode(), "/token")
    return answer.status, orjson.loads(answer.body)


def test_refresh_token_gives_a_token_for_an_hour(api: Api) -> None:
    status, told = ask(api, REFRESH)
    assert (status, told["access_token"], told["expires_in"]) == (200, "sandbox-token-1", 3_600)
    bearer = f"Bearer {told['access_token']}"
    assert api.post(body(), Authorization=bearer).status == 200
    api.google.oauth.revoke()
    assert api.post(body(), Authorization=bearer).status == 401
    bearer = f"Bearer {ask(api, REFRESH)[1]['access_token']}"
    api.clock.advance(3_600)
    assert api.post(body(), Authorization=bearer).status == 401


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"refresh_token": "x"}, 400, "invalid_grant"),
        ({"client_secret": "x"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"grant_type": JWT_BEARER, "assertion": "x"}, 400, "invalid_grant"),
    ],
)
def test_wrong_grant_is_refused_in_the_words_of_oauth(
    api: Api, change: dict[str, str], status: int, error: str
) -> None:
    assert ask(api, REFRESH | change)[0] == status
    assert ask(api, REFRESH | change)[1]["error"] == error
    assert api.send(b"", "/token", method="GET").status == 405


def test_assertion_is_looked_at_in_every_part() -> None:
    api = Api(GoogleAds(service_accounts={ROBOT: robot_public_key()}))
    asked, _ = converse(account(robot_credentials()).deliver([payload()], NOW_MS), api.answer)
    form = asked[0].body.decode()
    assert (len(asked), len(api.events())) == (2, 1)
    head, claims, signature = form.rpartition("=")[2].split(".")
    forged = urlsafe_b64encode(orjson.dumps({"iss": ROBOT, "scope": "x", "aud": "y", "iat": 1, "exp": 2})).decode()
    for assertion in (f"{head}.{forged.rstrip('=')}.{signature}", f"{head}.{claims}.AAAA", "a.b.c", ""):
        assert ask(api, {"grant_type": JWT_BEARER, "assertion": assertion}) == (
            400,
            {
                "error": "invalid_grant",
                "error_description": ask(api, {"grant_type": JWT_BEARER, "assertion": assertion})[1][
                    "error_description"
                ],
            },
        )
    api.clock.advance(600)
    late = ask(api, {"grant_type": JWT_BEARER, "assertion": f"{head}.{claims}.{signature}"})
    assert late[1]["error_description"] == "not valid at this moment, or for more than an hour"
    assert ask(Api(), {"grant_type": JWT_BEARER, "assertion": f"{head}.{claims}.{signature}"})[0] == 400


def test_record_holds_no_credential(api: Api) -> None:
    for authorization, shown in (("Bearer sandbox-access-token", "valid"), ("Bearer x", "invalid")):
        masked = api.google.masked(api.incoming(b"{}", "/v1/events:ingest", headers={"Authorization": authorization}))
        assert (masked.headers["Authorization"], masked.body) == (shown, b"{}")
    form = api.google.masked(api.incoming(urlencode(REFRESH).encode(), "/token", headers={}))
    assert b"sandbox-client-secret" not in form.body and b"sandbox-refresh-token" not in form.body
    assert b"client_id=sandbox-client" in form.body


def test_refusal_is_in_googles_form(api: Api) -> None:
    answer = api.google.refusal(429, retry_after_s=7)
    assert (answer.status, answer.headers["Retry-After"], reasons(answer)) == (429, "7", ["RESOURCE_EXHAUSTED"])
    api.post(body())
    api.google.reset()
    assert api.google.taken() == {"events": [], "ignored": []}
