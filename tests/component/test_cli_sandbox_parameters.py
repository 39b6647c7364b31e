"""What `edge sandbox` prints is taken by the shipped pipelines as it stands."""

import re

import pytest

from edge.cli.sandboxing import tell
from edge.clock import SystemClock
from edge.pipeline import compile_pipeline
from edge.sandbox import start
from edge.shipped import shipped

FILES = {
    "klaviyo": "klaviyo-events",
    "meta": "meta-conversions",
    "ga4": "ga4-events",
    "google-ads": "google-ads",
    "tiktok": "tiktok-events",
    "webhook": "webhook",
    "segment": "segment",
    "rudderstack": "segment",
    "jitsu": "segment",
}
PARAMETERS = re.compile(r"^parameters:\n(?:[ #].*\n)+", re.MULTILINE)
BLOCK = re.compile(r"^    # ([a-z0-9-]+)(?:; first: export (.*)=(.*))?\n((?:    .*\n)+)", re.MULTILINE)


async def test_what_is_printed_for_each_vendor_can_be_put_into_its_shipped_pipeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    running = await start(clock=SystemClock())
    try:
        tell(running)
    finally:
        await running.close()
    blocks = BLOCK.findall(capsys.readouterr().out)
    assert {vendor for vendor, _, _, _ in blocks} == set(FILES)
    for vendor, variable, value, block in blocks:
        text = shipped(f"pipelines/{FILES[vendor]}.yaml").read_text()
        text = re.sub(r"^enabled:.*$", "enabled: true", text, flags=re.MULTILINE)
        text, replaced = PARAMETERS.subn(re.sub(r"^    ", "", block, flags=re.MULTILINE), text)
        assert replaced == 1
        pipeline = compile_pipeline(text, f"{vendor}.yaml", {variable: value})
        assert pipeline.is_enabled
        assert getattr(pipeline.destination, "base_url", running.base_url(vendor)).startswith(running.base_url(vendor))
