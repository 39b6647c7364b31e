"""Events as pipelines hand them to Google Ads, and credentials of both kinds, whose keys are made for one test run."""

from dataclasses import replace
from functools import cache
from typing import Any

import orjson
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from edge.consent import ALL_PURPOSES
from edge.delivery import Payload, Rejected, Rendered
from edge.destinations.google_ads import SCOPE, GoogleAds
from edge.destinations.google_ads_tokens import TOKEN_URL, Tokens, parse_grant
from edge.sandbox.google_oauth import AUTHORIZED_USER
from edge.secret import Secret

ACTION = "700123456"
TIME_MS = 1_795_183_389_120  # 2026-11-20T14:03:09.120Z
NOW_MS = TIME_MS + 2_000
ROBOT = "edge@shop-example.iam.example"
ORDER = Rendered(
    metric="purchase",
    profile={"gclid": "Cj0KCQiA-abc", "email": "visitor@shop.example"},
    properties={"transaction_id": "70311", "value": 84.5},
    unique_id="70311",
    time_ms=TIME_MS,
    currency="EUR",
    granted=ALL_PURPOSES,
)


def account(credentials: str = "sandbox-access-token", *, token_url: str = TOKEN_URL, **more: Any) -> GoogleAds:
    tokens = Tokens(parse_grant(Secret(credentials)), url=token_url, scope=SCOPE)
    return GoogleAds(Secret(credentials), "1234567890", ACTION, tokens, **more)


def user(**more: Any) -> GoogleAds:
    return account(AUTHORIZED_USER, **more)


@cache
def robot_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, 2_048)


def robot_credentials() -> str:
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = robot_key().private_bytes(serialization.Encoding.PEM, *form).decode()
    told = {"type": "service_account", "client_email": ROBOT, "private_key": key, "private_key_id": "k1"}
    return orjson.dumps(told).decode()


def robot_public_key() -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return robot_key().public_key().public_bytes(serialization.Encoding.PEM, form).decode()


def payload(of: Rendered = ORDER, /, **changes: Any) -> Payload:
    made = account().render(replace(of, **changes))
    assert isinstance(made, Payload), made
    return made


def event(of: Rendered = ORDER, /, **changes: Any) -> Any:
    return orjson.loads(payload(of, **changes).body)


def refusal(of: Rendered = ORDER, /, **changes: Any) -> str:
    made = account().render(replace(of, **changes))
    assert isinstance(made, Rejected), made
    return made.reason
