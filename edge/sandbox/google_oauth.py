"""Google's token endpoint: a refresh token or a signed assertion becomes an access token for an hour.

Source: RFC 6749 sections 5 and 6 (forms, answers, errors), RFC 7523 section 3 (what an assertion has to say); Google,
"Using OAuth 2.0 for server to server applications", as of 2026-11.
"""

from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import orjson
from google.auth import crypt

from edge.sandbox.vendor import JSON, Answer, Incoming, Note

CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret"
REFRESH_TOKEN = "sandbox-refresh-token"
AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/datamanager"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LASTS_S = 3_600
CLOCK_MS = 300_000
CREDENTIALS = frozenset({"assertion", "client_secret", "refresh_token"})
AUTHORIZED_USER = orjson.dumps(
    {"type": "authorized_user", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "refresh_token": REFRESH_TOKEN}
).decode()


class OAuth:
    """Knows one client with one refresh token, and service accounts by their public keys in PEM."""

    def __init__(self, service_accounts: Mapping[str, str]) -> None:
        self._service_accounts = dict(service_accounts)
        self._tokens: dict[str, int] = {}
        self._made = 0

    def holds(self, token: str, *, at_ms: int) -> bool:
        """Tell whether a token was given here and has not ended."""
        return self._tokens.get(token, 0) > at_ms

    def revoke(self) -> None:
        """End every token before its time."""
        self._tokens.clear()

    def answer(self, request: Incoming) -> Answer:
        """Give a token, or the error that RFC 6749 names."""
        if request.method != "POST":
            return _error(405, "invalid_request")
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        match form.get("grant_type"):
            case "refresh_token":
                return self._of_refresh_token(form, request.at_ms)
            case grant if grant == JWT_BEARER:
                return self._of_assertion(form.get("assertion", ""), request.at_ms)
        return _error(400, "unsupported_grant_type")

    def _of_refresh_token(self, form: Mapping[str, str], at_ms: int) -> Answer:
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return _error(401, "invalid_client")
        return self._give(at_ms) if form.get("refresh_token") == REFRESH_TOKEN else _error(400, "invalid_grant")

    def _of_assertion(self, assertion: str, at_ms: int) -> Answer:
        why = self._fault_of(assertion, at_ms)
        return self._give(at_ms) if why is None else _error(400, "invalid_grant", why)

    def _fault_of(self, assertion: str, at_ms: int) -> str | None:
        try:
            head, claims = [orjson.loads(_decoded(part)) for part in assertion.split(".")[:2]]
            signed, _, signature = assertion.rpartition(".")
            issuer, issued_ms, ends_ms = str(claims["iss"]), int(claims["iat"]) * 1_000, int(claims["exp"]) * 1_000
            scope, audience, algorithm = str(claims["scope"]), claims["aud"], head["alg"]
        except (ValueError, LookupError, TypeError):
            return "not a JWT with iss, scope, aud, iat and exp"
        if algorithm != "RS256" or not self._is_signed(issuer, signed, signature):
            return "not signed by a key of the issuer"
        if audience != AUDIENCE:
            return "the audience is another"
        if SCOPE not in scope.split():
            return "the scope is missing"
        if not at_ms - CLOCK_MS <= issued_ms <= at_ms + CLOCK_MS or not at_ms < ends_ms <= issued_ms + LASTS_S * 1_000:
            return "not valid at this moment, or for more than an hour"
        return None

    def _is_signed(self, issuer: str, signed: str, signature: str) -> bool:
        if issuer not in self._service_accounts:
            return False
        verifier: Any = crypt.RSAVerifier.from_string(self._service_accounts[issuer])  # type: ignore[no-untyped-call]
        return bool(verifier.verify(signed.encode(), _decoded(signature)))

    def _give(self, at_ms: int) -> Answer:
        self._made += 1
        token = f"sandbox-token-{self._made}"
        self._tokens[token] = at_ms + LASTS_S * 1_000
        body: dict[str, JSON] = {"access_token": token, "expires_in": LASTS_S, "token_type": "Bearer", "scope": SCOPE}
        return _json(200, body)


def masked_form(body: bytes) -> bytes:
    """Give a form with its credentials starred."""
    form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return urlencode([(name, "****" if name in CREDENTIALS else value) for name, value in form]).encode()


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _error(status: int, error: str, why: str = "") -> Answer:
    answer = _json(status, {"error": error, "error_description": why or "Refused."})
    return Answer(answer.status, answer.body, answer.headers, (Note("", why),) if why else ())


def _json(status: int, body: Mapping[str, JSON]) -> Answer:
    return Answer(status, orjson.dumps(body), {"Content-Type": "application/json; charset=utf-8"})
