"""What a pipeline may say of a webhook: addresses, secrets, headers and bodies that could do harm are refused."""

import pytest

from edge.delivery import Payload, Rendered
from edge.destinations.base import first_request
from edge.destinations.webhook import Webhook
from edge.drainer.letters import shown_request
from edge.errors import ConfigErrors
from tests.conversations import read_parameters

ENVIRON = {"SECRET": "whsec_" + "A" * 32, "TOKEN": "t0p-secret-token"}


def hook(more: str = "", url: str = "https://hooks.example/shop", environ: dict[str, str] = ENVIRON) -> Webhook:
    made: Webhook = read_parameters(Webhook, f"url: '{url}'\nsecret: ${{SECRET}}\n{more}\n", environ)
    return made


def problems(more: str = "", url: str = "https://hooks.example/shop", environ: dict[str, str] = ENVIRON) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        hook(more, url, environ)
    return [problem.what for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://hooks.example", "https://hooks.example/"),
        ("https://hooks.example:8443/a/b?c=d&e", "https://hooks.example:8443/a/b?c=d&e"),
        ("https://hooks.example?c=d", "https://hooks.example/?c=d"),
        ("https://8.8.8.8/a", "https://8.8.8.8/a"),
        ("https://[2606:4700::1111]:443/", "https://[2606:4700::1111]:443/"),
        ("https://xn--bcher-kva.example/%C3%A4", "https://xn--bcher-kva.example/%C3%A4"),
    ],
)
def test_address_is_taken(url: str, taken: str) -> None:
    assert hook(url=url).url == taken


PRIVATE = "leads into a private network or to this machine; accepted is a public host, or allow_private: true"
NO_ADDRESS = "is not an address; accepted is one such as https://hooks.example/shop, no login, no fragment"
NO_TLS = "is not https; accepted is https://…, or allow_http: true beside it"


@pytest.mark.parametrize(
    ("url", "what"),
    [
        *[
            (f"https://{host}/x", PRIVATE)
            for host in (
                *("127.0.0.1", "127.1", "127.0.0.1.", "0", "0.0.0.0", "2130706433", "0x7f000001", "0x7f.0.0.1"),
                *("0177.0.0.1", "017700000001", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254"),
                *("100.64.0.1", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
                *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]"),
                *("[64:ff9b:1::1]", "[2002:7f00:1::]", "[2001::1]", "[fc00::1]", "[fd00:ec2::254]", "[fe80::1]"),
                *("[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[127.0.0.1]", "[:::1]", "localhost", "localhost."),
                *("LOCALHOST", "shop.localhost", "metadata.google.internal", "printer.local", "1.2.3.4.5", "a.1"),
            )
        ],
        *[
            (url, NO_ADDRESS)
            for url in (
                *("hooks.example/shop", "//hooks.example", "ftp://hooks.example/", "file:///etc/passwd"),
                *("HTTPS://hooks.example/", "https:hooks.example", "https:///x", "https://", "https://:443/"),
                *("https://a@127.0.0.1/", "https://hooks.example@127.0.0.1/", "https://a:b@hooks.example/"),
                *("https://hooks.example#@127.0.0.1/", "https://hooks.example/#x", "https://hooks.example/a b"),
                *(
                    r"https://hooks.example\@127.0.0.1/",
                    "https://127.0.0.1%2f.hooks.example/",
                    "https://[fe80::1%25lo]/",
                ),
                *("https://hooks.example:0/", "https://hooks.example:65536/", "https://hooks.example:a/"),
                *(
                    "https://\uff11\uff12\uff17.0.0.1/",
                    "https://hoo ks.example/",
                    "https://a..example/",
                    "https://.example/",
                ),
                *("https://[::1", "https://::1/", "https://ⓛocalhost/", "https://hooks.example/ä"),
            )
        ],
        ("http://hooks.example/shop", NO_TLS),
        ("http://127.0.0.1/", NO_TLS),
    ],
)
def test_address_is_refused(url: str, what: str) -> None:
    assert [one.partition("' ")[2] for one in problems(url=url)] == [what]


def test_address_without_tls_or_in_a_private_network_is_taken_where_the_file_says_so() -> None:
    made = hook("allow_http: true\nallow_private: true", "http://127.0.0.1:8090/hook")
    assert (made.url, made.is_private_allowed) == ("http://127.0.0.1:8090/hook", True)
    assert problems("allow_http: true", "http://127.0.0.1/")[0].endswith(PRIVATE)
    assert problems("allow_private: true", "http://127.0.0.1/")[0].endswith(NO_TLS)
    assert hook().is_private_allowed is False


@pytest.mark.parametrize(
    ("value", "what"),
    [
        ("whsec_!!!", "accepted behind whsec_ is base64"),
        ("whsec_AAAA", "accepted behind whsec_ are 16 to 64 bytes as base64"),
        ("whsec_" + "A" * 88, "accepted behind whsec_ are 16 to 64 bytes as base64"),
        ("short", "accepted is whsec_ with base64, or a text of at least 16 characters"),
        ("whsec_" + "A" * 32 + " short", "accepted is whsec_ with base64, or a text of at least 16 characters"),
        (" ".join(["whsec_" + "A" * 32] * 3), "accepted are at most 2, with a space between"),
    ],
)
def test_secret_that_signs_badly_is_refused_without_being_shown(value: str, what: str) -> None:
    assert problems(environ={"SECRET": value}) == [f"this value is not a secret to sign with; {what}"]


@pytest.mark.parametrize(
    "name",
    [
        *("webhook-id", "Webhook-Signature", "WEBHOOK-TIMESTAMP", "webhook-anything", "svix-id", "Content-Length"),
        *("content-type", "Content-Encoding", "Transfer-Encoding", "Connection", "Host", "TE", "Trailer", "Upgrade"),
        *("Expect", "Keep-Alive", "Proxy-Authorization", "User-Agent", "Via", "Date", "Accept"),
    ],
)
def test_header_of_the_signature_or_the_frame_is_refused(name: str) -> None:
    [what] = problems(f"headers: {{'{name}': shop}}")
    assert what == "is written by the sidecar itself; accepted is any other header"


@pytest.mark.parametrize("name", ["X Shop", "X:Shop", "X-Shöp", "", '"X\\r\\nHost"', "x" * 101])
def test_name_that_no_header_has_is_refused(name: str) -> None:
    written = name if name.startswith('"') else f"'{name}'"
    assert problems(f"headers: {{{written}: shop}}") == [
        "is not the name of a header; accepted are letters, digits and -"
    ]


@pytest.mark.parametrize("value", ['"a\\r\\nHost: b"', '"a\\nb"', '"a\\0b"', '" a"'])
def test_value_that_would_break_the_frame_is_refused(value: str) -> None:
    [what] = problems(f"headers: {{X-Shop: {value}}}")
    assert "control character" in what


def test_one_header_has_one_value_in_ascii() -> None:
    assert problems("headers: {X-Shop: a, x-shop: b}") == ["stands here twice; accepted is one value a header"]
    assert problems("headers: {X-Shop: ä}") == ["this value has characters that no header carries; accepted is ASCII"]


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "x-token", "Cookie"])
def test_credential_in_the_file_itself_is_refused(name: str) -> None:
    [what] = problems(f"headers: {{{name}: abc}}")
    assert what == "this value stands in the file itself; accepted is a reference, ${NAME}"


def test_own_headers_are_sent_and_never_shown() -> None:
    made = hook('headers: {Authorization: "Bearer ${TOKEN}", X-Shop: moon}')
    payload = made.render(Rendered("search", {}, {}, "e-1", 1_795_183_389_120))
    assert isinstance(payload, Payload)
    request = first_request(made, payload, 1_795_183_389_120)
    sent = {name: request.headers[name] for name in ("Authorization", "X-Shop")}
    assert sent == {"Authorization": "Bearer t0p-secret-token", "X-Shop": "moon"}
    shown = shown_request(request)
    assert "t0p-secret-token" not in shown
    assert "moon" not in shown
    assert "t0p-secret-token" not in repr(made) + repr(request)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("xml", "'xml' is not a body; accepted is canonical, or a tree of templates"),
        ("5", "'5' is not a body; accepted is canonical, or a tree of templates"),
        ("{a: '{data.x'}", "has a brace that stands alone"),
        ("{a: [{b: '{properties.x}'}]}", "finds nothing: no path begins with properties"),
        ("['{}']", "has an empty step"),
    ],
)
def test_body_that_is_no_tree_of_templates_is_refused(body: str, what: str) -> None:
    [told] = problems(f"body: {body}")
    assert what in told


def test_problem_in_a_body_names_its_place() -> None:
    with pytest.raises(ConfigErrors) as caught:
        hook("body: {a: [{b: '{properties.x}'}]}")
    assert [problem.path for problem in caught.value.problems] == ["parameters.body.a[0].b"]


def test_batch_is_one_to_a_hundred_events() -> None:
    assert hook("batch: 100").batch == 100
    for wrong in ("0", "101"):
        assert problems(f"batch: {wrong}") == [
            f"'{wrong}' is out of range; accepted is a whole number of at least 1 and at most 100"
        ]
