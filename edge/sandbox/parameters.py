"""What a pipeline's file says to reach the sandbox."""

from edge.sandbox.ga4 import MEASUREMENT_ID
from edge.sandbox.meta import PIXEL_ID
from edge.sandbox.tiktok import PIXEL_CODE
from edge.sandbox.vendor import Vendor

# What a pipeline's file says under `parameters` for each vendor; {url} is its base_url, {key} what it accepts.
# A key that looks like a real one is refused in a file, so that it is named by its variable.
_PARAMETERS: dict[str, dict[str, str]] = {
    "klaviyo": {"private_api_key": "{key}", "base_url": "{url}"},
    "meta": {"pixel_id": f'"{PIXEL_ID}"', "access_token": "{key}", "base_url": "{url}"},
    "ga4": {"measurement_id": MEASUREMENT_ID, "api_secret": "{key}", "base_url": "{url}"},
    "google-ads": {
        "credentials": '"${{GOOGLE_ADS_CREDENTIALS}}"',
        "customer_id": '"1234567890"',
        "conversion_action": '"987654321"',
        "base_url": "{url}",
        "token_url": "{url}/token",
    },
    "tiktok": {"pixel_code": PIXEL_CODE, "access_token": "{key}", "base_url": "{url}"},
    "webhook": {"url": "{url}", "secret": '"${{WEBHOOK_SECRET}}"', "allow_http": "true", "allow_private": "true"},
    "segment": {"write_key": "{key}", "base_url": "{url}"},
    "rudderstack": {"write_key": "{key}", "base_url": "{url}"},
    "jitsu": {"api": "jitsu", "write_key": "{key}", "base_url": "{url}"},
}


def parameters_of(vendor: Vendor, url: str) -> dict[str, str]:
    """Give what a pipeline's file says under `parameters` to reach a vendor at a URL, each value as YAML."""
    facts = {"key": vendor.key, "url": url}
    return {name: value.format_map(facts) for name, value in _PARAMETERS[vendor.name].items()}
