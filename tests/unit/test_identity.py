"""Who a visitor is: normal forms, and what a claim changes."""

import pytest

from edge.identity import Link, claim_from, link
from edge.person import Identifiers

NOBODY = {}


def linked(person, claimed, *, owners=NOBODY, people=NOBODY):
    return link(
        person,
        claimed,
        owner=lambda kind, value: owners.get((kind, value)),
        known=lambda number: people.get(number, Identifiers()),
    )


@pytest.mark.parametrize(
    ("traits", "identifiers"),
    [
        ({"email": "  Visitor@Shop.EXAMPLE "}, Identifiers(email="visitor@shop.example")),
        ({"phone": "020 7946 0018"}, Identifiers(phone="+442079460018")),
        ({"phone": "+49 30 901820"}, Identifiers(phone="+4930901820")),
        ({"customer_id": 19}, Identifiers(customer_id="19")),
        ({"email": None, "phone": ""}, Identifiers()),
    ],
)
def test_identifiers_are_brought_to_normal_form(traits, identifiers):
    assert claim_from(traits, "GB") == (identifiers, [])


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("email", "undefined"),
        ("email", "test@test.com"),
        ("email", "no at sign"),
        ("email", "two@at@shop.example"),
        ("email", "a@b"),
        ("email", "<b>x</b>@shop.example"),
        ("email", ["a@shop.example"]),
        ("email", "x" * 250 + "@shop.example"),
        ("phone", "call me"),
        ("phone", "12"),
        ("phone", True),
        ("customer_id", "null"),
        ("customer_id", "0"),
        ("customer_id", "x" * 256),
        ("customer_id", {"id": 1}),
    ],
)
def test_an_unusable_identifier_is_dropped_and_said(kind, raw):
    assert claim_from({kind: raw, "first_name": "x"}, "GB") == (Identifiers(), [kind])


def test_a_first_identifier_makes_a_person():
    assert linked(None, Identifiers(email="a@x.example")) == Link(None, (("email", "a@x.example"),), opens_epoch=False)


def test_a_known_identifier_finds_its_person():
    found = linked(None, Identifiers(email="a@x.example"), owners={("email", "a@x.example"): 7})
    assert found == Link(7, (), opens_epoch=False)


def test_a_claim_that_says_nothing_new_changes_nothing():
    people = {7: Identifiers(email="a@x.example")}
    owners = {("email", "a@x.example"): 7}
    assert linked(7, Identifiers(email="a@x.example"), owners=owners, people=people) is None
    assert linked(None, Identifiers()) is None


def test_a_further_kind_is_gained():
    people = {7: Identifiers(email="a@x.example")}
    gained = linked(7, Identifiers(phone="+442079460018"), people=people)
    assert gained == Link(7, (("phone", "+442079460018"),), opens_epoch=False)


def test_another_value_of_the_same_kind_opens_an_epoch():
    people = {7: Identifiers(email="a@x.example")}
    fresh = linked(7, Identifiers(email="b@x.example"), people=people)
    assert fresh == Link(None, (("email", "b@x.example"),), opens_epoch=True)


def test_customer_id_decides_before_email_and_nobody_is_merged():
    owners = {("email", "a@x.example"): 7, ("customer_id", "19"): 8}
    decided = linked(None, Identifiers(email="a@x.example", customer_id="19"), owners=owners)
    assert decided == Link(8, (), opens_epoch=False)


def test_an_identifier_of_somebody_else_is_never_taken():
    people, owners = {7: Identifiers(email="a@x.example")}, {("phone", "+442079460018"): 8}
    assert linked(7, Identifiers(phone="+442079460018"), owners=owners, people=people) is None


def test_a_known_email_is_not_replaced_by_way_of_the_customer_id():
    people, owners = {8: Identifiers(email="a@x.example", customer_id="19")}, {("customer_id", "19"): 8}
    found = linked(None, Identifiers(email="b@x.example", customer_id="19"), owners=owners, people=people)
    assert found == Link(8, (), opens_epoch=False)
