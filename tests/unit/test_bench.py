"""What the benchmark compares is the same on both sides; the figures themselves belong to `make bench`."""

import pytest

from bench.mapping import BY_HAND, FILE, IDENTIFIERS, event_of, profile_by_hand
from edge.mapping import apply
from edge.pipeline import load_pipeline, source_of
from tests.pipeline_files import ENVIRON


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_made_by_hand_is_what_the_shipped_pipeline_maps(name):
    pipeline, source = load_pipeline(FILE, ENVIRON), source_of(event_of(name), IDENTIFIERS)
    assert apply(pipeline.profile, source) == profile_by_hand(source)
    assert apply(pipeline.events[name].properties, source) == BY_HAND[name](source)
