"""Pipeline files for tests, and events to plan with them."""

from typing import Any

import pytest

from edge.errors import ConfigErrors
from edge.event import Event
from edge.pipeline import Pipeline, compile_pipeline

ENVIRON = {"KLAVIYO_PRIVATE_API_KEY": "pk_test"}
MINIMAL = """
name: k
integration: klaviyo-events-api
parameters: {private_api_key: "${KLAVIYO_PRIVATE_API_KEY}"}
global: {profile: {"$email": {source: context.traits.email}}}
events: {search: {metric: Searched Site, properties: {Term: {source: properties.search_term}}}}
"""


def event(name: str, **parts: Any) -> Event:
    given = {"properties": {}, "traits": {}, "context": {}, **parts}
    return Event("e-1", name, 1_795_183_389_120, 1_795_183_389_620, "browser", "0" * 32, **given)


def compiled(text: str) -> Pipeline:
    return compile_pipeline(text, "p.yaml", ENVIRON)


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        compiled(text)
    return [str(problem) for problem in caught.value.problems]
