"""The vendors as they really behave, on loopback: for `edge sandbox`, the demo and the tests.

Each vendor is written from its public documentation and knows nothing of our own destinations, so that the two can
disagree and a test can see it.
"""

from edge.sandbox.app import SANDBOX, Running, builtin_vendors, make_app, serve, start
from edge.sandbox.klaviyo import Klaviyo

__all__ = ["SANDBOX", "Klaviyo", "Running", "builtin_vendors", "make_app", "serve", "start"]
