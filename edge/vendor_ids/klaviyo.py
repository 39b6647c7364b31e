"""Klaviyo's `__kla_id`: JSON in base64; its `$exchange_id` is the token that mails' links carry as `_kx`.

Source: Klaviyo's SFCC and Magento plugins (2026), which read it so on the server.
"""

import base64
import binascii
import re
from typing import Final
from urllib.parse import unquote

import orjson

MAX_COOKIE_CHARS: Final = 4_096
_TOKEN = re.compile(r"[A-Za-z0-9_.~+/=-]{1,512}")


def read_token(text: object) -> str | None:
    """Give a click token as it came, None where it is none."""
    return text if isinstance(text, str) and _TOKEN.fullmatch(text) else None


def read_kla_id(text: str) -> str | None:
    """Give the token in `__kla_id`, "" where it is good and has none; None where it cannot be read.

    What else is in it, an address perhaps, is not looked at.
    """
    if len(text) > MAX_COOKIE_CHARS:
        return None
    encoded = (unquote(text) if "%" in text else text).strip('"').rstrip("=")
    try:
        tree = orjson.loads(base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(tree, dict):
        return None
    token = tree.get("$exchange_id")
    return "" if token in (None, "") else read_token(token)
