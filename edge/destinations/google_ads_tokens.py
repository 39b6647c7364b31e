"""Access tokens for Google's APIs, from a service account's key or an authorized user's refresh token.

Source: RFC 7523 (the assertion), RFC 6749 section 6 (the refresh) and section 5 (answers); Google, "Using OAuth 2.0
for server to server applications", as of 2026-11: an assertion and a token hold for at most an hour. The two forms of
the credential are those that Google's own tools write (google-auth 2.62: service_account, authorized_user).
"""

import re
from base64 import b64decode
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlencode

import orjson

from edge.delivery import Outcome, Refused, Request, Response, Retry, Throttled
from edge.destinations.answers import object_of, retry_after_s
from edge.secret import Secret

TOKEN_URL = "https://oauth2.googleapis.com/token"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCEPTED = (
    "the JSON of a service account's key or of an authorized user (type, client_id, client_secret, refresh_token), "
    "on one line or in base64"
)
ASSERTION_S, MARGIN_S, MAX_TOKEN_S = 3_600, 120.0, 86_400.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
# Leads those on who only look at what would be sent; it is never kept, as it has ended already.
STAND_IN = Response(200, {}, b'{"access_token":"token","expires_in":0}')

_BARE = re.compile(r"[A-Za-z0-9._-]{1,60}")
_TOKEN = re.compile(r"[!-~]{1,4096}")
_ERROR = re.compile(r"[a-z_]{1,40}")


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A key that signs for itself."""

    email: str
    signer: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class AuthorizedUser:
    """A person's lasting leave, given to an OAuth client."""

    client_id: str
    client_secret: Secret
    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class BareToken:
    """A token as it is, for the sandbox and for a proxy that knows better."""

    token: Secret


Grant: TypeAlias = ServiceAccount | AuthorizedUser | BareToken
Got: TypeAlias = Generator[Request, Response, Secret | Outcome]


def parse_grant(credentials: Secret) -> Grant:
    """Read a credential. Raises ValueError("is not …; accepted is …"), which holds nothing of it."""
    text = credentials.reveal().strip()
    parsed = _parsed(text)
    if parsed is None and _BARE.fullmatch(text):
        return BareToken(Secret(text))
    match parsed:
        case {"type": "service_account", "client_email": str(email), "private_key": str(key)}:
            return ServiceAccount(email, _signer(key, parsed.get("private_key_id")))
        case {
            "type": "authorized_user",
            "client_id": str(client),
            "client_secret": str(secret),
            "refresh_token": str(token),
        }:
            return AuthorizedUser(client, Secret(secret), Secret(token))
    raise ValueError(f"is no credential of Google's; accepted is {ACCEPTED}")


def _parsed(text: str) -> Any:
    """Give the JSON object that stands in a text, as it is or in base64; None where there is none."""
    try:
        raw = text.encode() if text.startswith("{") else b64decode(text, validate=True)
        parsed = orjson.loads(raw)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def _signer(private_key: str, key_id: object) -> Any:
    """Give what signs with an RSA key; tried at once, so that a key of another kind is refused when it is read."""
    from google.auth import crypt

    try:
        known_as = key_id if isinstance(key_id, str) else None
        signer = crypt.RSASigner.from_string(private_key, known_as)  # type: ignore[no-untyped-call]
        signer.sign(b"")
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError("holds a private_key that does not sign; accepted is an RSA key in PEM") from error
    return signer


class Tokens:
    """One token at a time, kept until shortly before it ends."""

    def __init__(self, grant: Grant, *, url: str, scope: str) -> None:
        self._grant, self._url, self._scope = grant, url, scope
        self._token: Secret | None = None
        self._ends_ms = 0

    def forget(self, token: Secret) -> bool:
        """Drop a token that was refused; False where another one would not be different."""
        if self._token == token:
            self._token = None
        return not isinstance(self._grant, BareToken)

    def get(self, now_ms: int) -> Got:
        """Give a token that holds, fetched where needed; or why there is none, for every event that wants it."""
        if isinstance(self._grant, BareToken):
            return self._grant.token
        if self._token is not None and now_ms < self._ends_ms:
            return self._token
        response = yield Request("POST", self._url, FORM, self._form(self._grant, now_ms), stand_in=STAND_IN)
        found = read_token(response)
        if not isinstance(found, tuple):
            return found
        token, lasts_s = found
        self._token, self._ends_ms = token, now_ms + round((lasts_s - MARGIN_S) * 1_000)
        return token

    def _form(self, grant: ServiceAccount | AuthorizedUser, now_ms: int) -> bytes:
        if isinstance(grant, ServiceAccount):
            from google.auth import jwt

            now_s = now_ms // 1_000
            claims = {"iss": grant.email, "scope": self._scope, "aud": TOKEN_URL, "iat": now_s}
            assertion = jwt.encode(grant.signer, {**claims, "exp": now_s + ASSERTION_S})  # type: ignore[no-untyped-call]
            return urlencode({"grant_type": JWT_BEARER, "assertion": assertion.decode()}).encode()
        asked = {"client_id": grant.client_id, "client_secret": grant.client_secret.reveal()}
        asked |= {"grant_type": "refresh_token", "refresh_token": grant.refresh_token.reveal()}
        return urlencode(asked).encode()


def read_token(response: Response) -> tuple[Secret, float] | Outcome:
    """Give a token and how many seconds it holds; or what its absence means. Reasons hold the error's code at most."""
    told = object_of(response) or {}
    error = told.get("error")
    code = f" {error}" if isinstance(error, str) and _ERROR.fullmatch(error) else ""
    reason = f"token: {response.status}{code}"
    match response.status:
        case 200:
            return _held(told) or Retry(f"{reason}, and no token in it")
        case 400 | 401 | 403:
            return Refused(reason)
        case 429:
            return Throttled(retry_after_s(response))
        case _:
            return Retry(reason)


def _held(told: dict[str, Any]) -> tuple[Secret, float] | None:
    token, lasts_s = told.get("access_token"), told.get("expires_in")
    if not isinstance(token, str) or not _TOKEN.fullmatch(token):
        return None
    is_number = isinstance(lasts_s, int | float) and not isinstance(lasts_s, bool)
    return Secret(token), min(max(float(lasts_s or 0), 0.0), MAX_TOKEN_S) if is_number else 0.0
