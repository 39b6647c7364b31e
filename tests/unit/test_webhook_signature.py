"""What signs our posts to addresses of the shop's: a secret, or two while it is changed."""

import pytest

from edge.secret import Secret
from edge.webhook_signature import headers_of, secrets_of


@pytest.mark.parametrize(
    ("secret", "delivery", "at_s", "body", "made"),
    [
        (
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            b'{"test": 2432232314}',
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        ),
        (
            "whsec_plJ3nmyCDGBKInavdOK15jsl",
            "msg_loFOjxBNrRLzqYUf",
            1_731_705_121,
            b'{"event_type":"ping","data":{"success":true}}',
            "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
        ),
    ],
)
def test_signature_is_that_of_the_published_examples(
    secret: str, delivery: str, at_s: int, body: bytes, made: str
) -> None:
    """Source: the test vector of the Standard Webhooks libraries, and the example of Svix's guide to verifying."""
    assert headers_of(delivery, at_s, body, [Secret(secret)])["webhook-signature"] == made


def test_two_secrets_give_two_signatures_and_none_gives_none() -> None:
    both = [Secret("whsec_" + "A" * 32), Secret("x" * 16)]
    single = [headers_of("e-1", 1, b"{}", [one])["webhook-signature"] for one in both]
    named = {"webhook-id": "e-1", "webhook-timestamp": "1"}
    assert headers_of("e-1", 1, b"{}", both) == named | {"webhook-signature": " ".join(single)}
    assert headers_of("e-1", 1, b"{}", []) == named


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "at most 2"),
        ("fifteen letters", "a text of at least 16 characters"),
        ("x" * 15, "a text of at least 16 characters"),
        ("whsec_", "are 16 to 64 bytes"),
        ("whsec_c2hvcnQ=", "are 16 to 64 bytes"),
        ("whsec_" + "A" * 200, "are 16 to 64 bytes"),
        ("whsec_ü", "behind whsec_ is base64"),
        ("whsec_A", "behind whsec_ is base64"),
        (" ".join(("x" * 16,) * 3), "at most 2, with a space between"),
        ("x" * 16 + " whsec_", "are 16 to 64 bytes"),
    ],
)
def test_secret_that_signs_badly_is_refused(text: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"^accepted .*{what}"):
        secrets_of(Secret(text))


def test_one_variable_may_hold_two_secrets() -> None:
    assert secrets_of(Secret(f"{'x' * 16} {'y' * 16}")) == (Secret("x" * 16), Secret("y" * 16))
