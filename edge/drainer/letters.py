"""Dead letters as they are written, and requests as they are shown: with every credential masked."""

import re
from dataclasses import replace

import orjson

from edge.delivery import DeadLetter, Rejected, Request, Response, Unclear
from edge.drainer.jobs import Job
from edge.drainer.talking import Answered
from edge.ledger.letters import UNCLEAR_REASON

SECRET_HEADERS = frozenset({"authorization", "access-token", "x-api-key"})
_SECRET_QUERY = re.compile(r"(?<=[?&])(api_secret|access_token|appsecret_proof|key|token)=[^&]*")
_SECRET_FIELD = re.compile(r"(?<![^&])(assertion|client_secret|refresh_token)=[^&]*")
_FORM = "application/x-www-form-urlencoded"
MAX_KEPT_CHARS = 20_000


def letter_of(job: Job, outcome: Rejected | Unclear, answered: Answered, *, is_shared: bool) -> DeadLetter:
    """Write a dead letter: the request with its credentials masked, the answer as it came.

    Of a request that it shared with other visitors' events the letter holds only its own part.
    """
    exchange = answered.about(outcome)
    request = exchange.request if exchange else None
    response = outcome.response if is_shared else (exchange.response if exchange else None)
    if request and is_shared:
        request = replace(request, body=job.payload.body)
    return DeadLetter(
        reason=f"{UNCLEAR_REASON}: {outcome.reason}" if isinstance(outcome, Unclear) else outcome.reason,
        request=shown_request(request) if request else "",
        response=_shown_response(response) if response else "",
        payload=job.payload.body,
    )


def shown_request(request: Request) -> str:
    """Give a request as JSON text, credentials masked."""
    secret = SECRET_HEADERS | request.secret_headers
    headers = {n: "****" if n.lower() in secret else v for n, v in request.headers.items()}
    body = request.body.decode("utf-8", "replace")
    if request.headers.get("Content-Type") == _FORM:
        body = _SECRET_FIELD.sub(r"\1=****", body)
    body = body[:MAX_KEPT_CHARS]
    url = _SECRET_QUERY.sub(r"\1=****", request.url)
    return orjson.dumps({"method": request.method, "url": url, "headers": headers, "body": body}).decode()


def _shown_response(response: Response) -> str:
    body = response.body.decode("utf-8", "replace")[:MAX_KEPT_CHARS]
    return orjson.dumps({"status": response.status, "headers": dict(response.headers), "body": body}).decode()
