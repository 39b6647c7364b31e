"""A few hundred of the documents that `make fuzz` loads by the thousand."""

import faulthandler
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzz.documents import BASES, documents
from tests.fuzz.loader import HANG_S, Tally, load


@settings(max_examples=400, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(documents)
def test_any_document_is_read_or_refused_with_reasons(text: str) -> None:
    faulthandler.dump_traceback_later(HANG_S, exit=True)
    load(text)
    faulthandler.cancel_dump_traceback_later()


def test_every_base_is_good_before_something_is_done_to_it() -> None:
    """A fuzz whose every document is refused at its first character tests nothing."""
    assert [load(text) for text in BASES] == [1] * len(BASES)
    assert load("site: {name: no}") == 0


@pytest.mark.parametrize(("limits", "said"), [({"limit_s": -1.0}, "took"), ({"limit_bytes": -1}, "memory grew by")])
def test_the_gate_can_fail(limits: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        Tally(**limits).take("site: {name: shop}")
