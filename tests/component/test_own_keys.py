"""The keys that the service makes itself: made once, and never replaced by nothing."""

from pathlib import Path

import pytest

from edge.app.keys import CONSENT_NAME, NAME, consent_key, cookie_keys
from edge.errors import StorageFailed


def test_a_key_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    made = consent_key(tmp_path)
    assert consent_key(tmp_path) == made
    assert len(made.reveal()) == 64
    assert (tmp_path / CONSENT_NAME).stat().st_mode & 0o777 == 0o600
    assert cookie_keys((), tmp_path) == cookie_keys((), tmp_path) != (made,)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"0123456789abcdef\n", b"\xff" * 64], ids=["empty", "a line end", "short", "no text"]
)
def test_a_file_that_holds_no_key_is_refused_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    """An empty key would hide nobody in the consent log, and find no tombstone."""
    for name in (NAME, CONSENT_NAME):
        (tmp_path / name).write_bytes(content)
    for take in (lambda: cookie_keys((), tmp_path), lambda: consent_key(tmp_path)):
        with pytest.raises(StorageFailed, match="holds no key"):
            take()
    assert [(tmp_path / name).read_bytes() for name in (NAME, CONSENT_NAME)] == [content] * 2
