"""The fake Klaviyo takes what Klaviyo takes, once, and keeps it on the right profile."""

import orjson
import pytest

from edge.sandbox import Klaviyo
from tests.klaviyo_requests import DELETION, IMPORT, Account, errors, event, pointers, profile, without


@pytest.fixture
def account() -> Account:
    return Account()


def test_a_good_event_is_accepted_without_a_body_and_recorded_whole(account: Account) -> None:
    answer = account.post(event(value=84.5, value_currency="EUR", backfill=True))
    assert (answer.status, answer.body, answer.notes) == (202, b"", ())
    assert account.events() == [
        {
            "number": 1,
            "profile_id": "01SANDBOX00000000000000001",
            "metric": "Placed Order",
            "service": "api",
            "time": "2026-11-18T10:00:00Z",
            "unique_id": "order-70311",
            "value": 84.5,
            "value_currency": "EUR",
            "backfill": True,
            "properties": {"OrderId": "70311"},
        }
    ]


def test_every_optional_attribute_of_a_profile_is_taken(account: Account) -> None:
    location = {"address1": "1 Quay", "address2": "", "city": "Leith", "country": "GB", "region": "LTH", "zip": "EH6"}
    location |= {"latitude": 55.97, "longitude": "-3.17", "timezone": "Europe/London", "ip": "2001:db8::1"}
    person = {
        "first_name": "User",
        "last_name": "Kiln",
        "organization": "",
        "title": "Dr",
        "image": "https://i.example/l",
    }
    person |= {"locale": "en-GB", "location": location, "properties": {"plan": {"tier": 2}}}
    answer = account.post(event(profile=profile({"email": "user@shop.example", **person})))
    assert (answer.status, answer.notes) == (202, ())
    found = account.klaviyo.find_profile("user@shop.example")
    assert found is not None
    assert found.attributes == person


def test_only_properties_metric_and_profile_are_required(account: Account) -> None:
    bare = without(event(properties={}), "time", "unique_id")
    assert account.post(bare).status == 202
    for key in ("properties", "metric", "profile"):
        assert pointers(account.post(without(event(), key))) == [f"/data/attributes/{key}"]


def test_time_defaults_to_the_time_of_receipt_and_is_cut_to_the_second(account: Account) -> None:
    account.clock.advance(0.75)
    account.post(without(event(unique_id="a"), "time"))
    account.post(event(unique_id="b", time="2026-11-18T12:00:00.999+02:00"))
    assert [one["time"] for one in account.events()] == ["2026-11-18T11:06:40Z", "2026-11-18T10:00:00Z"]


def test_the_first_of_a_repeated_unique_id_is_kept(account: Account) -> None:
    first = account.post(event(value=1))
    again = account.post(event(value=2, time="2026-11-18T11:00:00Z"))
    assert (first.status, again.status) == (202, 202)
    assert [one["value"] for one in account.events()] == [1]
    assert "duplicate" in again.notes[0].text


def test_one_unique_id_may_stand_under_two_metrics_and_two_profiles(account: Account) -> None:
    """A refund carries its order's unique id; metric names are case-sensitive."""
    account.post(event())
    account.post(event(metric_name="Refunded Order"))
    account.post(event(metric_name="placed order"))
    account.post(event(profile=profile({"email": "max@shop.example"})))
    assert len(account.events()) == 4


def test_a_unique_id_is_remembered_for_ever(account: Account) -> None:
    account.post(event())
    account.clock.advance(400 * 86_400)
    account.post(event())
    assert len(account.events()) == 1


def test_without_unique_id_one_event_a_second_and_metric_is_kept(account: Account) -> None:
    def post(time: str, name: str = "Viewed Product") -> None:
        account.post(without(event(time=time, metric_name=name), "unique_id"))

    post("2026-11-18T10:00:00.100Z")
    post("2026-11-18T10:00:00.900Z")
    post("2026-11-18T10:00:01.000Z")
    post("2026-11-18T10:00:00.100Z", "Added to Cart")
    assert [one["metric"] for one in account.events()] == ["Viewed Product", "Viewed Product", "Added to Cart"]


def test_identifiers_that_come_together_lead_to_one_profile(account: Account) -> None:
    account.post(event(unique_id="1", profile=profile({"anonymous_id": "browser-1"})))
    account.post(event(unique_id="2", profile=profile({"anonymous_id": "browser-1", "email": "User@Shop.example"})))
    account.post(event(unique_id="3", profile=profile({"email": "user@shop.example", "external_id": "c-19"})))
    account.post(event(unique_id="4", profile=profile({"external_id": "c-19", "phone_number": "+4915112345678"})))
    account.post(event(unique_id="5", profile=profile({"_kx": "K-x", "external_id": "c-19"})))
    for identifier in ("browser-1", "USER@shop.example", "c-19", "+4915112345678", "K-x"):
        assert [one["unique_id"] for one in account.events(identifier)] == ["1", "2", "3", "4", "5"]


def test_kx_is_case_sensitive(account: Account) -> None:
    account.post(event(profile=profile({"_kx": "Abc"})))
    assert account.klaviyo.find_profile("abc") is None


def test_two_profiles_named_together_are_merged_and_say_so(account: Account) -> None:
    """What the vendor merges cannot be parted again, so a test must be able to see it."""
    account.post(event(unique_id="1", profile=profile({"email": "a@shop.example"})))
    account.post(event(unique_id="2", profile=profile({"email": "b@shop.example", "external_id": "c-2"})))
    account.post(event(unique_id="3", profile=profile({"email": "a@shop.example", "external_id": "c-2"})))
    found = account.klaviyo.find_profile("b@shop.example")
    assert found is account.klaviyo.find_profile("a@shop.example")
    assert found is not None
    assert found.merges == ["01SANDBOX00000000000000002"]
    assert found.identifiers == {"email": ["b@shop.example", "a@shop.example"], "external_id": ["c-2"]}
    assert sorted(one["unique_id"] for one in account.events("c-2")) == ["1", "2", "3"]


def test_a_merge_keeps_one_of_an_event_that_both_profiles_have(account: Account) -> None:
    account.post(event(profile=profile({"anonymous_id": "browser-1"})))
    account.post(event(profile=profile({"email": "a@shop.example"})))
    account.post(event(unique_id="2", profile=profile({"anonymous_id": "browser-1", "email": "a@shop.example"})))
    assert [one["unique_id"] for one in account.events("a@shop.example")] == ["order-70311", "2"]


def test_a_merge_keeps_what_both_profiles_remember(account: Account) -> None:
    account.post(event(unique_id="1", profile=profile({"anonymous_id": "browser-1"})))
    account.post(event(unique_id="2", profile=profile({"email": "a@shop.example"})))
    both = profile({"anonymous_id": "browser-1", "email": "a@shop.example"})
    for unique_id in ("3", "1", "2"):
        account.post(event(unique_id=unique_id, profile=both))
    assert [one["unique_id"] for one in account.events("a@shop.example")] == ["1", "2", "3"]


def test_a_phone_number_alone_is_accepted_and_not_recorded_without_sms(account: Account) -> None:
    answer = account.post(event(profile=profile({"phone_number": "+15005550006"})))
    assert answer.status == 202
    assert account.klaviyo.taken()["events"] == []
    assert "no SMS" in answer.notes[0].text

    with_sms = Account(Klaviyo(has_sms=True))
    with_sms.post(event(profile=profile({"phone_number": "+15005550006"})))
    assert len(with_sms.events("+15005550006")) == 1


def test_null_clears_an_attribute_and_is_noted(account: Account) -> None:
    account.post(event(profile=profile({"email": "a@shop.example", "first_name": "User", "title": "Dr"})))
    answer = account.post(event(unique_id="2", profile=profile({"email": "a@shop.example", "first_name": None})))
    assert [note.pointer for note in answer.notes] == ["/data/attributes/profile/data/attributes/first_name"]
    found = account.klaviyo.find_profile("a@shop.example")
    assert found is not None
    assert found.attributes == {"title": "Dr"}


def test_null_in_properties_is_noted(account: Account) -> None:
    answer = account.post(event(properties={"Items": [{"SKU": None}]}))
    assert [note.pointer for note in answer.notes] == ["/data/attributes/properties/Items/0/SKU"]


def test_a_null_identifier_identifies_nobody(account: Account) -> None:
    answer = account.post(event(profile=profile({"email": None})))
    assert pointers(answer) == ["/data/attributes/profile/data/attributes"]


def test_a_profile_may_be_named_by_its_own_id(account: Account) -> None:
    account.post(event(unique_id="1"))
    found = account.klaviyo.find_profile("user@shop.example")
    assert found is not None
    assert account.post(event(unique_id="2", profile=profile({}, id=found.id))).status == 202
    assert len(account.events("user@shop.example")) == 2
    assert account.post(event(unique_id="3", profile=profile({}, id="01NOBODY"))).status == 404


def test_profile_import_answers_201_when_new_and_200_when_known(account: Account) -> None:
    document = {"data": {"type": "profile", "attributes": {"email": "a@shop.example", "first_name": "Ada"}}}
    new, known = account.post(document, IMPORT), account.post(document, IMPORT)
    assert (new.status, known.status) == (201, 200)
    assert orjson.loads(new.body)["data"]["id"] == orjson.loads(known.body)["data"]["id"]


def test_a_profile_of_a_hundred_kilobytes_is_taken_and_one_byte_more_is_413(account: Account) -> None:
    body = orjson.dumps({"data": {"type": "profile", "attributes": {"email": "a@shop.example"}}})
    assert account.send(body + b" " * (100_000 - len(body)), IMPORT).status == 201
    assert account.send(body + b" " * (100_001 - len(body)), IMPORT).status == 413


def test_profile_import_refuses_anonymous_id_since_revision_2025_10_15(account: Account) -> None:
    document = {"data": {"type": "profile", "attributes": {"email": "a@shop.example", "anonymous_id": "b"}}}
    assert pointers(account.post(document, IMPORT)) == ["/data/attributes/anonymous_id"]
    assert account.post(document, IMPORT, revision="2025-07-15").status == 201


def test_deletion_removes_the_profile_with_its_events(account: Account) -> None:
    account.post(event())
    whose = {"profile": profile({"email": "user@shop.example"})}
    assert account.post({"data": {"type": "data-privacy-deletion-job", "attributes": whose}}, DELETION).status == 202
    assert account.klaviyo.taken() == {"events": [], "profiles": [], "ignored": []}


@pytest.mark.parametrize("who", [{}, {"email": "a@shop.example", "phone_number": "+15005550006"}])
def test_deletion_takes_exactly_one_identifier(account: Account, who: dict[str, str]) -> None:
    document = {"data": {"type": "data-privacy-deletion-job", "attributes": {"profile": profile(who)}}}
    assert pointers(account.post(document, DELETION)) == ["/data/attributes/profile/data/attributes"]


def test_what_was_taken_can_be_forgotten(account: Account) -> None:
    account.post(event())
    account.klaviyo.reset()
    assert account.klaviyo.taken() == {"events": [], "profiles": [], "ignored": []}
    account.post(event())
    assert len(account.events()) == 1


def test_an_error_has_every_part_that_klaviyo_gives(account: Account) -> None:
    answer = account.post(event(value="84.5"))
    assert answer.headers["Content-Type"] == "application/vnd.api+json"
    assert errors(answer) == [
        {
            "id": "error-id",
            "status": 400,
            "code": "invalid",
            "title": "Invalid input.",
            "detail": "Must be a number, not a string.",
            "source": {"pointer": "/data/attributes/value"},
            "links": {},
            "meta": {},
        }
    ]


def test_one_answer_names_every_problem(account: Account) -> None:
    wrong = event(value="1", time="yesterday", profile=profile({"email": "nobody"}), **{"$value": 1})
    assert set(pointers(account.post(wrong))) == {
        "/data/attributes/value",
        "/data/attributes/time",
        "/data/attributes/profile/data/attributes/email",
        "/data/attributes/$value",
    }
    assert account.klaviyo.taken()["events"] == []


def test_a_refused_event_leaves_no_profile_behind(account: Account) -> None:
    account.post(event(value="1"))
    assert account.klaviyo.taken()["profiles"] == []
