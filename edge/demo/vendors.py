"""The variables that point every shipped pipeline at the sandbox."""

from collections.abc import Mapping

from edge.sandbox import Running
from edge.sandbox.ga4 import MEASUREMENT_ID
from edge.sandbox.meta import PIXEL_ID
from edge.sandbox.tiktok import PIXEL_CODE

PREFIXES = ("ARCHIVE_", "GA4_", "GOOGLE_ADS_", "KLAVIYO_", "META_", "SEGMENT_", "TIKTOK_", "WEBHOOK_")

# What a pipeline's credential is called.
CREDENTIALS = {
    "klaviyo_events": "KLAVIYO_PRIVATE_API_KEY",
    "meta_conversions": "META_ACCESS_TOKEN",
    "ga4_events": "GA4_API_SECRET",
    "google_ads": "GOOGLE_ADS_CREDENTIALS",
    "tiktok_events": "TIKTOK_ACCESS_TOKEN",
    "webhook": "WEBHOOK_SECRET",
    "segment": "SEGMENT_WRITE_KEY",
}
_VENDORS = {
    "klaviyo_events": "klaviyo",
    "meta_conversions": "meta",
    "ga4_events": "ga4",
    "google_ads": "google-ads",
    "tiktok_events": "tiktok",
    "webhook": "webhook",
    "segment": "segment",
}


def variables(sandbox: Running, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the sidecar's environment: everything switched on, every address the sandbox's.

    Credentials of the caller's own are taken along, so that a wrong one shows; no other setting of a pipeline is.
    """
    credentials = _credentials(sandbox)
    own = {name: text for name, text in environ.items() if name in credentials or not name.startswith(PREFIXES)}
    return {**credentials, **own, **_settings(sandbox)}


def _credentials(sandbox: Running) -> dict[str, str]:
    keys = {vendor.name: vendor.key for vendor in sandbox.sandbox.vendors}
    return {variable: keys[_VENDORS[pipeline]] for pipeline, variable in CREDENTIALS.items()}


def _settings(sandbox: Running) -> dict[str, str]:
    urls = {vendor.name: sandbox.base_url(vendor.name) + vendor.base_path for vendor in sandbox.sandbox.vendors}
    return {
        "KLAVIYO_BASE_URL": urls["klaviyo"],
        "META_ENABLED": "true",
        "META_PIXEL_ID": PIXEL_ID,
        "META_BASE_URL": urls["meta"],
        "GA4_ENABLED": "true",
        "GA4_MEASUREMENT_ID": MEASUREMENT_ID,
        "GA4_BASE_URL": urls["ga4"],
        "GOOGLE_ADS_ENABLED": "true",
        "GOOGLE_ADS_CUSTOMER_ID": "123-456-7890",
        "GOOGLE_ADS_PURCHASE_ACTION": "700123456",
        "GOOGLE_ADS_BASE_URL": urls["google-ads"],
        "GOOGLE_ADS_TOKEN_URL": f"{urls['google-ads']}/token",
        "TIKTOK_ENABLED": "true",
        "TIKTOK_PIXEL_CODE": PIXEL_CODE,
        "TIKTOK_BASE_URL": urls["tiktok"],
        "WEBHOOK_ENABLED": "true",
        "WEBHOOK_URL": urls["webhook"],
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOW_PRIVATE": "true",
        "SEGMENT_ENABLED": "true",
        "SEGMENT_BASE_URL": urls["segment"],
        "ARCHIVE_ENABLED": "true",
    }
