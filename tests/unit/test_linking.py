"""What a claim changes, by whom it is said."""

from edge.identity import Change, Claim, Graph, link
from edge.person import Alias, Fact, Identifiers

COOKIE, OTHER = "1" * 32, "2" * 32
SESSION = b"session1"


def email(value, person=7, *, level=0, seq=1, session=None):
    return Fact("email", value, person, level, seq, session)


def customer(value, person=7, *, level=0, seq=1):
    return Fact("customer_id", value, person, level, seq)


def phone(value, person=7, *, level=0, seq=1):
    return Fact("phone", value, person, level, seq)


def said(person, facts=(), *, level=0, aliases=(), browser=COOKIE, session=SESSION, **identifiers):
    """Let a visitor whose person has this number claim something; 7 began in this browser, the others elsewhere."""
    graph = Graph(facts, {7: COOKIE, 8: OTHER, 9: OTHER}, aliases)
    return link(person, Claim(Identifiers(**identifiers), level, browser, session), graph)


def test_a_first_identifier_makes_a_person():
    assert said(None, email="a@x.example") == Change(None, gained=(("email", "a@x.example"),))


def test_a_known_identifier_finds_its_person():
    assert said(None, [email("a@x.example", 8)], email="a@x.example") == Change(8)


def test_a_claim_that_says_nothing_new_changes_nothing():
    assert said(7, [email("a@x.example")], email="a@x.example") is None
    assert said(None) is None


def test_a_further_kind_is_gained_by_the_person_that_began_here():
    gained = said(7, [email("a@x.example")], phone="+442079460018")
    assert gained == Change(7, gained=(("phone", "+442079460018"),))


def test_a_browser_hangs_nothing_on_a_person_that_began_elsewhere():
    assert said(8, [email("a@x.example", 8)], phone="+442079460018") is None
    assert said(None, [email("a@x.example", 8)], email="a@x.example", phone="+442079460018") == Change(8)


def test_another_value_of_the_same_kind_opens_an_epoch():
    fresh = said(7, [email("a@x.example")], email="b@x.example")
    assert fresh == Change(None, opens_epoch=True, gained=(("email", "b@x.example"),))


def test_customer_id_decides_before_email_and_no_browser_merges():
    facts = [email("a@x.example"), customer("19", 8)]
    assert said(None, facts, email="a@x.example", customer_id="19") == Change(8)
    assert said(7, facts, email="a@x.example", customer_id="19") == Change(8, opens_epoch=True)


def test_an_identifier_of_somebody_else_is_never_taken():
    facts = [email("a@x.example"), phone("+442079460018", 8)]
    assert said(7, facts, phone="+442079460018") is None


def test_a_known_email_or_phone_is_not_replaced_by_way_of_what_ranks_above():
    facts = [email("a@x.example"), customer("19"), phone("+441")]
    assert said(7, facts, email="b@x.example", customer_id="19", phone="+442") is None


def test_a_family_may_share_a_phone():
    facts = [email("a@x.example", 8), phone("+441", 8)]
    fresh = said(None, facts, email="b@x.example", phone="+441")
    assert fresh == Change(None, gained=(("email", "b@x.example"),))


def test_an_email_corrected_within_its_session_replaces_the_typo():
    typo = email("a@x.exmaple", session=SESSION)
    assert said(7, [typo], email="a@x.example") == Change(7, gained=(("email", "a@x.example"),), lost=(typo,))


def test_an_email_is_no_typo_in_another_session_or_browser_or_once_it_is_somebodys_or_a_server_has_spoken():
    typo, opened = email("a@x.exmaple", session=SESSION), (("email", "a@x.example"),)
    fresh = Change(None, opens_epoch=True, gained=opened)
    assert said(7, [typo], session=b"session2", email="a@x.example") == fresh
    assert said(7, [typo], session=None, email="a@x.example") == fresh
    assert said(7, [typo], browser=OTHER, email="a@x.example") == fresh
    assert said(7, [typo, customer("19", level=2)], email="a@x.example") == fresh
    owned = [typo, email("a@x.example", 8)]
    assert said(7, owned, email="a@x.example") == Change(8, opens_epoch=True)


def test_what_another_visitor_claims_too_cannot_be_corrected_any_more():
    typo = email("a@x.example", 8, session=b"session2")
    assert said(None, [typo], email="a@x.example") == Change(8, firm=(typo,))


def test_a_servers_word_joins_two_persons():
    facts = [customer("19", 8), email("a@x.example", 9)]
    joined = said(None, facts, level=2, customer_id="19", email="a@x.example")
    assert joined == Change(8, gained=(("customer_id", "19"), ("email", "a@x.example")), joined=(9,))


def test_a_servers_word_joins_nobody_with_two_customer_ids():
    facts = [customer("19", 8, level=2), email("a@x.example", 9, level=2), customer("20", 9, level=2)]
    refused = said(None, facts, level=2, customer_id="19", email="a@x.example")
    assert refused == Change(8, refused=("email",))


def test_a_servers_word_joins_nobody_by_a_phone_where_the_emails_differ():
    facts = [email("a@x.example", 8, level=2), email("b@x.example", 9, level=2), phone("+441", 9, level=2)]
    refused = said(None, facts, level=2, email="a@x.example", phone="+441")
    assert refused == Change(8, refused=("phone",))


def test_what_was_taken_apart_by_hand_is_not_joined_again():
    facts = [customer("19", 8, level=2), email("a@x.example", 9, level=2)]
    undone = [Alias(9, 8, 2, 5, is_undone=True)]
    refused = said(None, facts, level=2, aliases=undone, customer_id="19", email="a@x.example")
    assert refused == Change(8, refused=("email",))


def test_a_servers_word_replaces_an_email_by_way_of_the_customer_id():
    facts = [customer("19", 8, level=2), email("a@x.example", 8, level=2)]
    changed = said(None, facts, level=2, customer_id="19", email="b@x.example")
    assert changed == Change(8, gained=(("email", "b@x.example"),), lost=(facts[1],))


def test_what_only_a_browser_claimed_yields_to_a_server_that_contradicts_it():
    """Whoever claims a victim's address beside a number of his own gets neither."""
    facts = [email("victim@x.example"), customer("19")]
    moved = said(None, facts, level=2, customer_id="19", email="a@x.example")
    gained = (("customer_id", "19"), ("email", "a@x.example"))
    assert moved == Change(None, gained=gained, lost=(facts[1],))


def test_a_servers_word_is_not_about_whoever_the_cookie_was_taken_for():
    facts = [email("victim@x.example", 8)]
    fresh = said(8, facts, level=2, customer_id="19")
    assert fresh == Change(None, opens_epoch=True, gained=(("customer_id", "19"),))


def test_a_server_that_says_nothing_new_changes_nothing():
    facts = [customer("19", 8, level=2), email("a@x.example", 8, level=2)]
    assert said(8, facts, level=2, customer_id="19", email="a@x.example") is None


def test_either_email_of_joined_persons_is_their_own():
    facts = [email("a@x.example"), email("b@x.example", 8, seq=2)]
    one = [Alias(8, 7, 2, 3)]
    assert said(7, facts, aliases=one, email="a@x.example") is None
    assert said(8, facts, aliases=one, email="a@x.example") is None


def test_a_servers_word_takes_no_phone_from_whoever_has_another_email():
    facts = [email("a@x.example", 8, level=2), phone("+441", 8, level=2)]
    fresh = said(None, facts, level=2, email="b@x.example", phone="+441")
    assert fresh == Change(None, gained=(("email", "b@x.example"),), refused=("phone",))
