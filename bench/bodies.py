"""The requests that the benchmark sends: one event is a body of 844 bytes, and no two events have one id."""

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import orjson

Requests: TypeAlias = Callable[[], bytes]

BODY_BYTES = 844
EVENTS_PATH, SCRIPT_PATH = "/t/e", "/t/datafly.js"
HEAD = (
    "Host: shop.example\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Origin: https://shop.example\r\n"
    "Content-Type: text/plain;charset=UTF-8\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0 Safari/537.36\r\n"
    "X-Forwarded-For: 203.0.113.9\r\n"
)
GRANTED = dict.fromkeys(("functional", "analytics", "marketing", "advertising"), "granted")
ID_MARK = "0123456789abcdef"  # stands in the template where each event's own id goes
CONTEXT: dict[str, Any] = {
    "page": {"url": "https://shop.example/p/501", "path": "/p/501", "title": "Moon Teapot", "referrer": ""},
    "session": {"id": "s" * 16 + ID_MARK, "number": 1},
    "consent": {**GRANTED, "source": "explicit"},
    "locale": "en-GB",
}

_numbers = itertools.count(1)


def event(note: str = "") -> dict[str, Any]:
    """Give one shop event; its id is the mark."""
    return {
        "id": ID_MARK,
        "name": "view_item",
        "properties": {
            "item_id": "501",
            "sku": "TK-501-B",
            "item_name": "Moon Teapot",
            "item_brand": "Moon",
            "item_category": "Tea",
            "categories": ["Tea", "Pots"],
            "price": 42.25,
            "currency": "EUR",
            "value": 42.25,
            "item_url": "https://shop.example/p/501",
            "image_url": "https://shop.example/i/501.jpg",
            "note": note,
        },
    }


def body(events: int) -> bytes:
    """Give a body with the marks in it; with one event it has `BODY_BYTES`, each further one adds its own."""
    short = orjson.dumps({"context": CONTEXT, "events": [event()]})
    note = "n" * (BODY_BYTES - len(short))
    return orjson.dumps({"context": CONTEXT, "events": [event(note)] * events})


def posts(path: str, events: int) -> Requests:
    """Give what makes one whole HTTP request after the other, each with ids of its own."""
    content = body(events)
    head = f"POST {path} HTTP/1.1\r\n{HEAD}Content-Length: {len(content)}\r\n\r\n".encode()
    pieces = (head + content).split(ID_MARK.encode())

    def make() -> bytes:
        number, made = next(_numbers), [pieces[0]]
        for place, piece in enumerate(pieces[1:]):
            made.append(b"%012x%04x" % (number, place))
            made.append(piece)
        return b"".join(made)

    return make


def gets(path: str) -> Requests:
    """Give what asks for the script as a browser does."""
    request = f"GET {path} HTTP/1.1\r\n{HEAD}Accept-Encoding: gzip\r\n\r\n".encode()
    return lambda: request


def ids_of(request: bytes) -> list[str]:
    """Give the ids of a made request's events."""
    return [one["id"] for one in orjson.loads(request.partition(b"\r\n\r\n")[2])["events"]]
