"""`edge preview` of examples: what one looks at before a pipeline is switched on."""

from pathlib import Path

import pytest

from edge.shipped import shipped
from tests.component.plan_world import build
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


def test_a_disabled_pipeline_that_is_named_is_shown_as_if_it_were_on(world: World) -> None:
    file = str(shipped("pipelines/ga4-events.yaml"))
    result = world.edge("preview", file, "--only", "purchase")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[5:8] == [
        "ga4_events  purchase → purchase  needs analytics  live",
        "disabled: shown as if it were on",
        "POST https://www.google-analytics.com/mp/collect?measurement_id=&api_secret=****",
    ]
    assert result.stderr.splitlines() == [
        "GA4_API_SECRET is not set; unset-GA4_API_SECRET stands in for it",
        "GA4_MEASUREMENT_ID is not set; what it gives is empty here",
    ]


@pytest.mark.parametrize(
    "name", ["archive", "ga4-events", "google-ads", "meta-conversions", "segment", "tiktok-events", "webhook"]
)
def test_every_shipped_pipeline_can_be_looked_at_before_it_is_on(world: World, name: str) -> None:
    told = world.json("preview", str(shipped(f"pipelines/{name}.yaml")), "--only", "purchase")
    assert (told["becomes"], told["notes"]) == ("sent", ["disabled: shown as if it were on"])


def test_a_disabled_pipeline_that_nobody_named_stays_disabled(tmp_path: Path) -> None:
    world = build(tmp_path / "shop")
    file = world.folder / "pipelines/klaviyo.yaml"
    file.write_text(f"enabled: false\n{file.read_text()}")
    told = [(one["pipeline"], one["becomes"], one["reason"]) for one in world.json("preview", "--event", "view-2")]
    assert told == [("archive", "sent", ""), ("klaviyo", "skipped", "the pipeline is disabled")]
    named = world.json("preview", "klaviyo", "--event", "view-2")
    assert (named["becomes"], named["notes"]) == ("sent", ["disabled: shown as if it were on"])
