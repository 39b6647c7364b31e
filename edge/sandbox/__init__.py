"""The vendors as they really behave, on loopback: for `edge sandbox`, the demo and the tests.

Each vendor is written from its public documentation and knows nothing of our own destinations, so that the two can
disagree and a test can see it.
"""

from edge.sandbox.app import SANDBOX, Running, builtin_vendors, make_app, serve, start
from edge.sandbox.ga4 import GA4
from edge.sandbox.google_ads import GoogleAds
from edge.sandbox.klaviyo import Klaviyo
from edge.sandbox.meta import Meta
from edge.sandbox.segment import Jitsu, RudderStack, Segment
from edge.sandbox.tiktok import TikTok
from edge.sandbox.webhook import Webhook

__all__ = [
    "GA4",
    "SANDBOX",
    "GoogleAds",
    "Jitsu",
    "Klaviyo",
    "Meta",
    "RudderStack",
    "Running",
    "Segment",
    "TikTok",
    "Webhook",
    "builtin_vendors",
    "make_app",
    "serve",
    "start",
]
