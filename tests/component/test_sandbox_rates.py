"""The fake vendors' rate windows are the real ones, and go by the clock that is handed in."""

import pytest

from edge.sandbox import Klaviyo
from edge.sandbox.vendor import Rate
from tests.klaviyo_requests import BULK, DELETION, IMPORT, Account, bulk, errors, event

LIMITS = {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}


@pytest.fixture
def account() -> Account:
    """The clock stands 40 s into a minute."""
    return Account()


def statuses(account: Account, count: int, path: str = "/api/events") -> list[int]:
    """What so many empty requests are answered; a refused document counts too."""
    return [account.send(b"", path).status for _ in range(count)]


@pytest.mark.parametrize(("path", "burst"), [("/api/events", 350), (BULK, 10), (IMPORT, 75), (DELETION, 3)])
def test_the_burst_window_is_a_second(account: Account, path: str, burst: int) -> None:
    assert statuses(account, burst + 1, path) == [400] * burst + [429]
    account.clock.advance(0.999)
    assert statuses(account, 1, path) == [429]
    account.clock.advance(0.001)
    assert statuses(account, 1, path) == [400]


@pytest.mark.parametrize(
    ("path", "burst", "steady"), [("/api/events", 350, 3_500), (BULK, 10, 150), (IMPORT, 75, 750), (DELETION, 3, 60)]
)
def test_the_steady_window_is_a_minute(account: Account, path: str, burst: int, steady: int) -> None:
    account.clock.advance(20)
    for _ in range(steady // burst):
        assert 429 not in statuses(account, burst, path)
        account.clock.advance(1)
    answer = account.send(b"", path)
    assert (answer.status, answer.headers["Retry-After"]) == (429, str(60 - steady // burst))
    account.clock.advance(60 - steady // burst)
    assert statuses(account, 1, path) == [400]


def test_a_429_has_an_integer_retry_after_and_no_rate_headers(account: Account) -> None:
    statuses(account, 350)
    answer = account.post(event())
    assert (answer.status, answer.headers["Retry-After"]) == (429, "1")
    assert not LIMITS & set(answer.headers)
    assert errors(answer)[0]["code"] == "throttled"
    assert account.events() == []


def test_every_other_answer_reports_the_steady_window(account: Account) -> None:
    accepted, refused = account.post(event()), account.post({})
    first = {name: accepted.headers[name] for name in LIMITS}
    assert first == {"RateLimit-Limit": "3500", "RateLimit-Remaining": "3499", "RateLimit-Reset": "20"}
    assert (refused.status, refused.headers["RateLimit-Remaining"]) == (400, "3498")


def test_a_throttled_request_is_not_counted(account: Account) -> None:
    statuses(account, 400)
    account.clock.advance(1)
    assert account.post(event()).headers["RateLimit-Remaining"] == "3149"


def test_a_request_that_is_judged_late_does_not_open_an_old_window_again(account: Account) -> None:
    """One that hung is judged by the time of its arrival."""
    account.clock.advance(1)
    statuses(account, 350)
    account.clock.advance(-1)
    assert statuses(account, 1) == [429]
    account.clock.advance(1)
    assert statuses(account, 1) == [429]


def test_each_operation_has_its_own_windows(account: Account) -> None:
    statuses(account, 351)
    assert account.post(bulk(), BULK).status == 400


def test_all_keys_of_the_account_share_the_windows() -> None:
    account = Account(Klaviyo(keys=("a", "b")))
    for _ in range(175):
        account.send(b"", Authorization="Klaviyo-API-Key a")
        account.send(b"", Authorization="Klaviyo-API-Key b")
    assert account.send(b"", Authorization="Klaviyo-API-Key b").status == 429


def test_a_request_with_a_wrong_key_is_not_counted(account: Account) -> None:
    for _ in range(400):
        account.send(b"", Authorization="Klaviyo-API-Key wrong")
    assert account.post(event()).status == 202


def test_limits_can_be_changed_and_switched_off(account: Account) -> None:
    account.klaviyo.set_rates({"create_event": Rate(burst_per_s=1, steady_per_min=2)})
    assert statuses(account, 2) == [400, 429]
    account.klaviyo.set_rates(None)
    assert 429 not in statuses(account, 5_000)
    account.klaviyo.set_rates({})
    assert statuses(account, 351)[-1] == 429
    with pytest.raises(KeyError, match="create_events is not one of"):
        account.klaviyo.set_rates({"create_events": Rate(1, 1)})
