"""`edge preview` of examples: what one looks at before a pipeline is switched on."""

from pathlib import Path

import pytest

from edge.shipped import shipped
from tests.component.world import CONFIG, World, write_files


@pytest.fixture
def world(tmp_path: Path) -> World:
    return write_files(tmp_path)


def test_an_example_is_of_the_shop_that_is_configured_so_nothing_of_it_is_left_out(world: World) -> None:
    origins = "site: {origins: ['https://www.tea.example:8443', 'https://shop.example']}\n"
    (world.folder / "edge.yaml").write_text(CONFIG + origins)
    order = world.json("preview", str(shipped("pipelines/klaviyo-events.yaml")), "--only", "purchase")
    assert order["notes"] == []
    items = order["request"]["body"]["data"]["attributes"]["properties"]["Items"]
    assert [item["ProductURL"] for item in items] == [
        "https://www.tea.example:8443/products/moon-teapot",
        "https://www.tea.example:8443/products/river-cup",
    ]
