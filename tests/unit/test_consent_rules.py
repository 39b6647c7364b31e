"""Consent: which evidence decides."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.consent import ALL_PURPOSES, Answer, Decision, Purpose, Said, Standing
from edge.consent_rules import OWN_MOMENT_COUNTS_MS, ConsentSettings, Verdict, agreed, judge

NO, ADS = Purpose.NONE, Purpose.ADVERTISING
T1, T2, T3 = 1_795_000_000_000, 1_795_000_060_000, 1_795_000_120_000
SETTINGS = ConsentSettings()


def answer(source, is_grant, of=ALL_PURPOSES, **more):
    granted, denied = (of, NO) if is_grant else (NO, of)
    return Answer(granted, denied, source, "" if source == "explicit" else source, **more)


def told(*steps, settings=SETTINGS, has_gpc=False):
    """Give the last event's verdict, when each event brought these answers at its moment."""
    standing, verdict = None, Verdict(Decision(NO, ""), None)
    for received_ms, *answers in steps:
        verdict = judge(answers, standing, has_gpc=has_gpc, received_ms=received_ms, settings=settings)
        standing = verdict.standing
    return verdict


KINDS = ("explicit", "tcf", "onetrust", None)
EVIDENCE = [(source, is_grant) for source in KINDS[:3] for is_grant in (True, False)] + [(None, None)]
ORDERS, SIGNALS, DEFAULTS = ("earlier", "together"), (False, True), (NO, ALL_PURPOSES)
PAIRS = list(product(EVIDENCE, EVIDENCE, ORDERS, SIGNALS, ("deny", "ignore"), DEFAULTS))


def expected(first, second, order, has_gpc, gpc, default):
    """Say it once more, slowly."""
    spoken = [one for one in (first, second) if one[0] is not None]
    if not spoken:
        granted, basis = default, "default"
    else:
        winner = spoken[-1]
        if len(spoken) == 2 and order == "together" and first[0] != second[0]:
            page = [one for one in spoken if one[0] == "explicit"]
            refusing = [one for one in spoken if not one[1]]
            winner = (page or refusing or [first])[0]
        elif len(spoken) == 2 and first[1] == second[1] and first[0] != second[0] and order == "earlier":
            winner = second
        granted = ALL_PURPOSES if winner[1] else NO
        is_of_now = order == "together" or second[0] == winner[0]
        basis = winner[0] if is_of_now else "remembered"
    if has_gpc and gpc == "deny" and granted & ADS:
        return Decision(granted & ~ADS, f"{basis}+gpc")
    return Decision(granted, basis)


@pytest.mark.parametrize(("first", "second", "order", "has_gpc", "gpc", "default"), PAIRS)
def test_every_combination_of_evidence(first, second, order, has_gpc, gpc, default):
    """Earlier and later, granted and denied, page and platforms, with and without the signal and the site's default."""
    answers = [answer(source, is_grant) for source, is_grant in (first, second) if source is not None]
    if order == "together":
        steps = [(T1, *answers)]
    else:
        steps = [(T1, *([answer(*first)] if first[0] else [])), (T2, *([answer(*second)] if second[0] else []))]
    settings = ConsentSettings(default, gpc_denies=gpc == "deny")
    verdict = told(*steps, settings=settings, has_gpc=has_gpc)
    assert verdict.decision == expected(first, second, order, has_gpc, gpc, default)


@pytest.mark.parametrize("voices", [("explicit", "tcf"), ("tcf", "explicit"), ("tcf", "onetrust")])
@pytest.mark.parametrize("was_granted", [True, False])
def test_what_is_only_repeated_does_not_grow_newer(voices, was_granted):
    """A page keeps telling last month's answer; today's, of whoever, stays the newer one."""
    old, new = answer(voices[0], was_granted), answer(voices[1], not was_granted)
    granted = NO if was_granted else ALL_PURPOSES
    for last in ((T3, old), (T3, old, new), (T3, new, old)):
        assert told((T1, old), (T2, new), last).decision.granted == granted


def test_an_answer_given_again_is_newer():
    yes, no = answer("explicit", True), answer("tcf", False)
    standing = told((T1, yes), (T2, no)).standing
    again = judge([yes], standing, has_gpc=False, received_ms=T3, settings=SETTINGS, is_act=True)
    assert (again.decision, again.news) == (Decision(ALL_PURPOSES, "explicit"), (yes,))


def test_a_platforms_own_moment_tells_that_it_was_answered_anew():
    first, again = (answer("tcf", True, own_ms=own_ms) for own_ms in (T1, T3))
    withdrawn = (T2, answer("explicit", False))
    assert told((T1, first), withdrawn, (T3, first)).decision.granted == NO
    assert told((T1, first), withdrawn, (T3, again)).decision.granted == ALL_PURPOSES


@pytest.mark.parametrize("age_ms", [0, 60_000, OWN_MOMENT_COUNTS_MS - 1, OWN_MOMENT_COUNTS_MS, 10**12, -(10**9)])
def test_an_old_answer_seen_first_today_counts_from_its_own_day(age_ms):
    """A browser's clock may be minutes or hours wrong, so what claims to be younger than a day counts from now."""
    late = answer("tcf", False, own_ms=T2 - age_ms)
    granted = ALL_PURPOSES if age_ms >= OWN_MOMENT_COUNTS_MS else NO
    assert told((T1, answer("explicit", True)), (T2, late)).decision.granted == granted


@given(st.integers(-(2**63), 2**63), st.integers(-(2**63), 2**63))
def test_no_claimed_moment_outlives_a_later_refusal(first_ms, second_ms):
    yes = [answer("tcf", True, own_ms=own_ms) for own_ms in (first_ms, first_ms)]
    assert told((T1, yes[0]), (T2, answer("explicit", False)), (T3, yes[1])).decision.granted == NO
    changed = answer("tcf", False, own_ms=second_ms)
    assert told((T1, yes[0]), (T2, changed)).decision.granted == NO


@pytest.mark.parametrize("voices", [("explicit", "tcf"), ("tcf", "explicit"), ("tcf", "onetrust")])
def test_our_clock_set_back_does_not_make_an_answer_old(voices):
    yes, no = answer(voices[0], True), answer(voices[1], False)
    assert told((T3, yes), (T1, no), (T2, yes)).decision.granted == NO
    assert told((T3, no), (T1, yes), (T2, no)).decision.granted == ALL_PURPOSES


def test_each_purpose_has_its_own_newest_answer():
    analytics = answer("explicit", True, Purpose.ANALYTICS)
    denied = answer("tcf", False)
    marketing = answer("explicit", True, Purpose.MARKETING)
    verdict = told((T1, analytics), (T2, denied), (T3, marketing))
    assert verdict.decision == Decision(Purpose.MARKETING, "explicit")
    assert verdict.standing == Standing(
        Purpose.MARKETING,
        ALL_PURPOSES & ~Purpose.MARKETING,
        "explicit",
        said=(Said("page", "explicit", (0, T1, T3, 0)), Said("tcf", "tcf", (-T2, -T2, -T2, -T2))),
    )


def test_what_answers_leave_open_is_left_to_the_default():
    settings = ConsentSettings(Purpose.FUNCTIONAL | Purpose.MARKETING)
    steps = (T1, answer("explicit", False, Purpose.MARKETING)), (T2, answer("explicit", True, Purpose.ANALYTICS))
    assert told(*steps, settings=settings).decision == Decision(Purpose.ANALYTICS | Purpose.FUNCTIONAL, "explicit")


def test_a_purpose_both_granted_and_denied_is_denied():
    both = Answer(Purpose.MARKETING, Purpose.MARKETING, "explicit")
    granted = told((T1, both), settings=ConsentSettings(ALL_PURPOSES)).decision.granted
    assert granted == ALL_PURPOSES & ~Purpose.MARKETING


@pytest.mark.parametrize(("is_grant", "default"), list(product((True, False), DEFAULTS)))
def test_a_platforms_default_holds_where_nobody_answered_and_is_not_remembered(is_grant, default):
    meanwhile = answer("consent_mode", is_grant, is_default=True)
    verdict = told((T1, meanwhile), settings=ConsentSettings(default))
    assert verdict == Verdict(Decision(ALL_PURPOSES if is_grant else NO, "consent_mode default"), None)
    after = told((T1, answer("explicit", not is_grant)), (T2, meanwhile), settings=ConsentSettings(default))
    assert after.decision == Decision(NO if is_grant else ALL_PURPOSES, "remembered")


def test_of_two_platforms_defaults_the_denial_holds():
    defaults = [answer(name, name == "onetrust", is_default=True) for name in ("onetrust", "consent_mode")]
    assert told((T1, *defaults)).decision == Decision(NO, "onetrust default")


def test_the_signal_is_remembered_until_a_browser_comes_without_it():
    yes = answer("explicit", True)
    on = judge([yes], None, has_gpc=True, received_ms=T1, settings=SETTINGS)
    assert (on.standing.denied, on.news) == (ADS, (yes, None))
    server = judge([], on.standing, has_gpc=None, received_ms=T2, settings=SETTINGS)
    assert server == Verdict(Decision(ALL_PURPOSES & ~ADS, "remembered+gpc"), on.standing)
    off = judge([], on.standing, has_gpc=False, received_ms=T3, settings=SETTINGS)
    assert (off.decision, off.news) == (Decision(ALL_PURPOSES, "remembered"), (None,))
    assert off.standing == told((T1, yes)).standing


def test_the_signal_alone_is_an_answer():
    verdict = told((T1,), has_gpc=True, settings=ConsentSettings(ALL_PURPOSES))
    assert verdict == Verdict(
        Decision(ALL_PURPOSES & ~ADS, "default+gpc"), Standing(NO, ADS, "gpc", has_gpc=True), (None,)
    )


def test_only_what_changes_is_news():
    yes, no = answer("explicit", True), answer("explicit", False)
    assert [told(*steps).news for steps in ([(T1, yes)], [(T1, yes), (T2, yes)], [(T1, yes), (T2, no)])] == [
        (yes,),
        (),
        (no,),
    ]


VOICES = st.builds(
    answer,
    st.sampled_from(KINDS[:3]),
    st.booleans(),
    st.integers(1, 15).map(Purpose),
    own_ms=st.none() | st.integers(0, T3),
    is_default=st.booleans(),
)


@given(st.lists(st.tuples(st.lists(VOICES, max_size=3), st.booleans()), max_size=6))
def test_what_is_granted_is_never_denied_and_telling_it_again_changes_nothing(events):
    standing = None
    for number, (answers, has_gpc) in enumerate(events):
        told_now = {"has_gpc": has_gpc, "received_ms": T1 + number, "settings": SETTINGS}
        verdict = judge(answers, standing, **told_now)
        standing = verdict.standing
        if standing is not None:
            assert standing.granted & standing.denied == NO
            assert verdict.decision.granted & standing.denied == NO
        voices = [one.platform for one in answers]
        if len(set(voices)) == len(voices):
            assert judge(answers, standing, **{**told_now, "received_ms": T2}) == Verdict(verdict.decision, standing)


ELSEWHERE = Answer(Purpose.MARKETING, Purpose.ANALYTICS, "person")


@pytest.mark.parametrize(
    ("answers", "granted", "basis"),
    [
        ([], Purpose.MARKETING | Purpose.FUNCTIONAL, "person"),
        ([answer("explicit", False, Purpose.MARKETING)], Purpose.FUNCTIONAL, "explicit"),
        ([answer("explicit", True, Purpose.ANALYTICS)], ALL_PURPOSES & ~ADS, "explicit"),
        ([answer("tcf", True, is_default=True)], ALL_PURPOSES & ~Purpose.ANALYTICS, "person"),
    ],
)
def test_what_was_answered_elsewhere_fills_what_is_open_before_any_default(answers, granted, basis):
    settings = ConsentSettings(Purpose.FUNCTIONAL | Purpose.ANALYTICS)
    verdict = judge(answers, None, has_gpc=False, received_ms=T1, settings=settings, elsewhere=ELSEWHERE)
    alone = judge(answers, None, has_gpc=False, received_ms=T1, settings=settings)
    assert verdict == Verdict(Decision(granted, basis), alone.standing, alone.news)


def test_the_signal_takes_advertising_away_whatever_was_granted_elsewhere():
    elsewhere = Answer(ALL_PURPOSES, NO, "person")
    verdict = judge([], None, has_gpc=True, received_ms=T1, settings=SETTINGS, elsewhere=elsewhere)
    assert verdict.decision == Decision(ALL_PURPOSES & ~ADS, "person+gpc")


def test_one_denial_of_somebody_denies_for_all():
    grants, denies = Standing(ALL_PURPOSES, NO, "page"), Standing(NO, Purpose.MARKETING, "page")
    assert agreed([grants, denies]) == agreed([denies, grants])
    assert agreed([grants, denies]) == Answer(ALL_PURPOSES & ~Purpose.MARKETING, Purpose.MARKETING, "person")
    assert agreed([]) is None
