"""What the docs say for a cookie notice and a record of processing is what the code keeps."""

from pathlib import Path

import pytest

from edge.config.values import SpoolConfig
from edge.cookie import DOMAIN_NAME, HOST_NAME, MAX_AGE_DAYS, CookieSigner
from edge.destinations.archive import KEEP_FOR_S
from edge.drainer.housekeeping import EARLY_SHARE, MIN_JOURNAL_MS
from edge.drainer.letters import MAX_KEPT_CHARS
from edge.ledger.persons import KEPT_DAYS, KEPT_OF_A_KIND, MAX_QUARANTINED
from edge.secret import Secret

DAY_S = 86_400
DOCS = Path(__file__).resolve().parents[2] / "docs"
CONSENT, IDENTITY = (" ".join((DOCS / name).read_text().split()) for name in ("consent.md", "identity.md"))


@pytest.mark.parametrize(("name", "domain"), [(HOST_NAME, None), (DOMAIN_NAME, "shop.example")])
def test_the_visitor_cookie_is_told_as_it_is_set(name: str, domain: str | None) -> None:
    set_cookie = CookieSigner((Secret("k" * 32),), domain).header_value("ab" * 16, 20_000)
    value, *attributes = [part for part in set_cookie.split("; ") if not part.startswith("Domain=")]
    assert value.startswith(f"{name}=") and f"`{name}`" in CONSENT
    assert f"`{'; '.join(attributes)}`" in CONSENT
    assert f"| {MAX_AGE_DAYS} days; renewed" in CONSENT


@pytest.mark.parametrize(
    "said",
    [
        f"`spool.keep_for` ({SpoolConfig().keep_for_s / DAY_S:.0f} days)",
        f"(`spool.segment_age`, {'an hour at most' if SpoolConfig().segment_age_s == 3_600 else 'another time'})",
        f"from {EARLY_SHARE * 100:.0f} % of `spool.max_bytes` on",
        f"at least {MIN_JOURNAL_MS / 1_000 / DAY_S:.0f} days",
        f"the newest {KEPT_OF_A_KIND} of a kind and visitor",
        f"{'two' if KEPT_DAYS == 2 else KEPT_DAYS} days later",
        f"the newest {MAX_QUARANTINED:,}",
        f"({MAX_KEPT_CHARS:,} characters of each)",
        f"its `keep_for` ({KEEP_FOR_S / DAY_S:.0f} days)",
    ],
)
def test_how_long_things_are_kept_is_told_as_it_is(said: str) -> None:
    assert said in IDENTITY
