"""Logs say where, never with which values."""

import subprocess
import sys

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
