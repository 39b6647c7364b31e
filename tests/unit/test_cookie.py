"""The visitor cookie: genuine or nothing."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.cookie import CookieSigner, Found
from edge.secret import Secret

OLD, NEW = Secret("old-key-" * 4), Secret("new-key-" * 4)
TODAY = 20_778
ID = bytes(range(16))
BROWSER = ID.hex()
NAME = "__Host-dfid="
LETTERS = string.ascii_letters + string.digits + '-_+/= ;,"%\x00é\udc80'


@pytest.fixture
def signer() -> CookieSigner:
    return CookieSigner((NEW,))


def pair(signer: CookieSigner, browser: str = BROWSER, day: int = TODAY) -> str:
    """Give `name=value` as a browser sends it back."""
    return signer.header_value(browser, day).partition(";")[0]


def test_set_cookie_has_exactly_the_attributes_of_a_host_cookie(signer: CookieSigner) -> None:
    name_and_value, *attributes = signer.header_value(BROWSER, TODAY).split("; ")
    assert name_and_value.startswith(NAME)
    assert len(name_and_value) == len(NAME) + 47
    assert attributes == ["Max-Age=34560000", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"]


def test_set_cookie_with_a_domain_has_the_other_name_and_the_domain() -> None:
    header = CookieSigner((NEW,), "shop.example").header_value(BROWSER, TODAY)
    assert header.startswith("_dfid=")
    assert header.partition(";")[2] == (
        " Max-Age=34560000; Domain=shop.example; Path=/; Secure; HttpOnly; SameSite=Lax"
    )


@given(st.binary(min_size=16, max_size=16), st.integers(0, 65_000))
def test_what_was_made_today_is_found_fresh(random: bytes, today: int) -> None:
    signer = CookieSigner((NEW,))
    assert signer.find(pair(signer, signer.mint(random), today), today) == Found(random.hex(), is_stale=False)


@pytest.mark.parametrize(
    ("age_days", "expected"),
    [
        (-2, None),
        (-1, Found(BROWSER, is_stale=False)),
        (0, Found(BROWSER, is_stale=False)),
        (1, Found(BROWSER, is_stale=True)),
        (400, Found(BROWSER, is_stale=True)),
        (401, None),
    ],
)
def test_age_decides_between_fresh_stale_and_nothing(
    signer: CookieSigner, age_days: int, expected: Found | None
) -> None:
    assert signer.find(pair(signer, day=TODAY - age_days), TODAY) == expected


def test_every_single_letter_counts(signer: CookieSigner) -> None:
    """Also the two spare bits of base64's last letter, which most readers ignore."""
    genuine = pair(signer)
    for place in range(len(NAME), len(genuine)):
        for letter in LETTERS:
            forged = genuine[:place] + letter + genuine[place + 1 :]
            assert forged == genuine or signer.find(forged, TODAY) is None, forged


@given(st.text(max_size=60))
def test_any_other_text_is_nothing(text: str) -> None:
    signer = CookieSigner((NEW,))
    assert signer.find(NAME + text, TODAY) is None
    assert signer.find(text, TODAY) is None


@given(st.binary(min_size=35, max_size=35))
def test_a_value_of_the_right_length_without_the_key_is_nothing(raw: bytes) -> None:
    value = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    assert CookieSigner((NEW, OLD)).find(NAME + value, TODAY) is None


@pytest.mark.parametrize("length", [0, 1, 46])
def test_a_cut_value_is_nothing(signer: CookieSigner, length: int) -> None:
    assert signer.find(pair(signer)[: len(NAME) + length], TODAY) is None


@pytest.mark.parametrize("end", ["A", "=", " ", "AAAA", '"'])
def test_a_longer_value_is_nothing(signer: CookieSigner, end: str) -> None:
    assert signer.find(pair(signer) + end, TODAY) is None


def test_a_new_key_still_knows_the_old_ones_and_renewing_keeps_the_id() -> None:
    before, during, after = CookieSigner((OLD,)), CookieSigner((NEW, OLD)), CookieSigner((NEW,))
    old_cookie = pair(before)
    assert during.find(old_cookie, TODAY) == Found(BROWSER, is_stale=True)
    assert after.find(old_cookie, TODAY) is None
    renewed = pair(during, BROWSER)
    assert after.find(renewed, TODAY) == Found(BROWSER, is_stale=False)


def test_a_value_signed_with_another_shops_key_is_nothing(signer: CookieSigner) -> None:
    assert signer.find(pair(CookieSigner((OLD,))), TODAY) is None


def test_it_is_found_between_the_shops_own_cookies(signer: CookieSigner) -> None:
    assert signer.find(f"cart=1; {pair(signer)}; _ga=GA1.1.2.3", TODAY) == Found(BROWSER, is_stale=False)
    assert signer.find(f"cart=1;{pair(signer)};_ga=GA1.1.2.3", TODAY) == Found(BROWSER, is_stale=False)


@pytest.mark.parametrize("header", ["x{0}", "a=x{0}", '__Host-dfid="{1}"', "__host-dfid={1}", "_dfid={1}", "{1}"])
def test_lookalike_names_and_quotes_are_not_ours(signer: CookieSigner, header: str) -> None:
    genuine = pair(signer)
    assert signer.find(header.format(genuine, genuine.removeprefix(NAME)), TODAY) is None


def test_the_first_genuine_one_of_several_counts(signer: CookieSigner) -> None:
    other = "ff" * 16
    forged = NAME + "A" * 47
    header = f"{forged}; {NAME}; {pair(signer)}; {pair(signer, other)}"
    assert signer.find(header, TODAY) == Found(BROWSER, is_stale=False)


@pytest.mark.parametrize("header", [None, "", ";", "=", "a", NAME, NAME * 3])
def test_a_header_without_it_is_nothing(signer: CookieSigner, header: str | None) -> None:
    assert signer.find(header, TODAY) is None


@pytest.mark.parametrize("keys", [(), (Secret(""),), (NEW, Secret(""))])
def test_a_missing_or_empty_key_is_refused(keys: tuple[Secret, ...]) -> None:
    with pytest.raises(ValueError, match="key"):
        CookieSigner(keys)


@pytest.mark.parametrize("domain", ["", "shop.example; Secure", "a\r\nX: 1", "ü.example"])
def test_a_domain_that_could_break_a_header_is_refused(domain: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        CookieSigner((NEW,), domain)


def test_an_id_is_made_of_sixteen_bytes_and_no_others(signer: CookieSigner) -> None:
    assert signer.mint(ID) == BROWSER
    with pytest.raises(ValueError, match="16"):
        signer.mint(b"short")
