"""Logs say where, never with which values."""

import subprocess
import sys

import pytest

from edge.delivery import told_of

PROGRAM = """
import structlog
from edge.delivery import Request
from edge.log import configure_logs

configure_logs("drainer")


def deliver(request, email):
    raise ValueError(f"cannot send {email}")


try:
    headers = {"Authorization": "pk_canary"}
    deliver(Request("POST", "https://x.example", headers, b"canary@shop.example"), "canary@shop.example")
except ValueError:
    structlog.get_logger().exception("task ended unasked", task="klaviyo")
"""


def test_an_unforeseen_error_is_logged_without_payload_address_or_key():
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=30)
    assert told.returncode == 0
    assert "ValueError at <string>" in told.stderr
    assert "task ended unasked" in told.stderr
    assert "canary" not in told.stderr


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("401 not_authenticated", "401"),
        ("403 203.0.113.77 at /o-4711; and 2 more", "403"),
        ("410", "410"),
        ("447700900911", "refused"),
        ("invalid_grant visitor@shop.example", "refused"),
        ("", "refused"),
    ],
)
def test_of_a_vendors_reason_only_the_status_is_told(reason: str, told: str) -> None:
    """A code or a place in the payload may be an order number or an address just as well."""
    assert told_of(reason) == told
