"""Consent: which evidence decides."""

from itertools import product

import pytest

from edge.consent import ALL_PURPOSES, Answer, Decision, Purpose
from edge.consent_rules import ConsentSettings, decide, merge

YES = Answer(ALL_PURPOSES, Purpose.NONE, "explicit")
NO = Answer(Purpose.NONE, ALL_PURPOSES, "explicit")
NO_ADS = ALL_PURPOSES & ~Purpose.ADVERTISING
ANSWERS = {"yes": YES, "no": NO, "none": None}


def expected(answer, remembered, has_gpc, default):
    """Say it once more, slowly."""
    evidence = answer or remembered
    basis = "explicit" if answer else "remembered" if remembered else "default"
    granted = evidence.granted if evidence else default
    if has_gpc and granted & Purpose.ADVERTISING:
        return Decision(granted & NO_ADS, f"{basis}+gpc")
    return Decision(granted, basis)


@pytest.mark.parametrize(
    ("answer", "remembered", "has_gpc", "default"),
    list(product(ANSWERS, ANSWERS, (False, True), (Purpose.NONE, ALL_PURPOSES))),
)
def test_every_combination_of_evidence(answer, remembered, has_gpc, default):
    newest, older = ANSWERS[answer], ANSWERS[remembered]
    decision = decide(answer=newest, remembered=older, has_gpc=has_gpc, settings=ConsentSettings(default))
    assert decision == expected(newest, older, has_gpc, default)


def test_what_an_answer_leaves_open_is_looked_up_and_then_left_to_the_default():
    answer = Answer(Purpose.ANALYTICS, Purpose.NONE, "explicit")
    remembered = Answer(Purpose.NONE, Purpose.MARKETING, "explicit")
    settings = ConsentSettings(Purpose.FUNCTIONAL | Purpose.MARKETING)
    decision = decide(answer=answer, remembered=remembered, has_gpc=False, settings=settings)
    assert decision == Decision(Purpose.ANALYTICS | Purpose.FUNCTIONAL, "explicit")


def test_a_purpose_both_granted_and_denied_is_denied():
    answer = Answer(Purpose.MARKETING, Purpose.MARKETING, "explicit")
    assert decide(answer=answer, remembered=None, has_gpc=False, settings=ConsentSettings(ALL_PURPOSES)).granted == (
        ALL_PURPOSES & ~Purpose.MARKETING
    )


def test_gpc_can_be_told_to_deny_nothing():
    settings = ConsentSettings(gpc_denies=False)
    assert decide(answer=YES, remembered=None, has_gpc=True, settings=settings) == Decision(ALL_PURPOSES, "explicit")


def test_a_newer_answer_is_remembered_with_the_older_where_it_is_silent():
    newer = Answer(Purpose.NONE, Purpose.MARKETING, "explicit")
    older = Answer(Purpose.MARKETING | Purpose.ANALYTICS, Purpose.NONE, "page")
    assert merge(newer, older) == Answer(Purpose.ANALYTICS, Purpose.MARKETING, "explicit")
