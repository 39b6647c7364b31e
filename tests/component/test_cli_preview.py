"""`edge preview`: exactly what would be sent, or why nothing would."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.event import Event, encode, named
from edge.shipped import shipped
from tests.component.world import CONFIG, USER, World, write_files

SHIPPED = str(shipped("pipelines/klaviyo-events.yaml"))
EVENT = {
    "id": "e-1",
    "name": "view_item",
    "properties": {"item_name": "Moon teapot"},
    "traits": {"email": USER},
}

STORED = Event("e-9", "view_item", 1_795_000_000_000, 1_795_000_000_000, "browser", "0" * 32, {}, {"email": USER}, {})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return write_files(tmp_path)


def previewed(world: World, event: Any, *arguments: str) -> Any:
    """Give what becomes of an event from stdin in the pipeline klaviyo."""
    result = world.edge("preview", "klaviyo", "-", "--json", *arguments, input=json.dumps(event))
    told = [json.loads(line) for line in result.stdout.splitlines()]
    return told[0] if len(told) == 1 else told


def test_the_exact_request_is_shown_with_its_key_masked(world: World) -> None:
    (world.folder / "event.json").write_text(json.dumps(EVENT))
    lines = world.lines("preview", "klaviyo", str(world.folder / "event.json"))
    assert lines[:13] == [
        "view_item  e-1",
        f"identity  email {USER}; from the event's traits",
        "consent   granted: functional, analytics, marketing, advertising",
        "          taken as granted: the event says nothing; the site's default would deny everything",
        "",
        "klaviyo  view_item → Viewed Product  needs marketing  live",
        "POST http://klaviyo.test/api/events",
        "Authorization: ****",
        "revision: 2026-10-15",
        "Content-Type: application/vnd.api+json",
        "Accept: application/vnd.api+json",
        "X-Klaviyo-User-Agent: datafly-edge/0.1.0",
        "",
    ]
    assert json.loads("\n".join(lines[13:]))["data"]["attributes"] == {
        "unique_id": "e-1",
        "time": "2026-11-18T11:06:40Z",
        "metric": {"data": {"type": "metric", "attributes": {"name": "Viewed Product"}}},
        "profile": {"data": {"type": "profile", "attributes": {"email": USER}}},
        "properties": {"ProductName": "Moon teapot"},
    }


@pytest.mark.parametrize(
    ("changes", "becomes", "reason"),
    [
        ({"name": "share"}, "unmapped", "the file says nothing of this event"),
        ({"traits": {}}, "held", "nobody knows the visitor"),
        ({"context": {"consent": {"marketing": "denied"}}}, "withheld", "consent does not grant marketing"),
    ],
)
def test_what_is_not_sent_is_said_with_its_reason(
    world: World, changes: dict[str, Any], becomes: str, reason: str
) -> None:
    told = previewed(world, EVENT | changes)
    assert (told["becomes"], told["reason"], told["request"]) == (becomes, reason, None)


def test_a_stranger_is_said_to_be_one_with_what_would_make_him_known(world: World) -> None:
    result = world.edge("preview", "klaviyo", "-", input=json.dumps(EVENT | {"traits": {}}))
    assert [line.rstrip() for line in result.stdout.splitlines()] == [
        "view_item  e-1",
        "identity  nobody knows who this is",
        "consent   granted: functional, analytics, marketing, advertising",
        "          taken as granted: the event says nothing; the site's default would deny everything",
        "",
        "klaviyo  view_item  needs marketing",
        "held: nobody knows the visitor; try --email, --phone or --customer-id",
    ]


@pytest.mark.parametrize(
    ("context", "site", "lines"),
    [
        (
            {"consent": {"marketing": "denied", "source": "explicit"}},
            "",
            [
                "granted: nothing",
                "denied: functional, analytics, marketing, advertising",
                "ground: the event's own answer (explicit)",
                "not answered: functional, analytics, advertising; there the site's default holds",
            ],
        ),
        (
            {"consent": dict.fromkeys(["functional", "analytics", "marketing", "advertising"], "granted"), "gpc": True},
            "",
            [
                "granted: functional, analytics, marketing",
                "denied: advertising",
                "ground: the event's own answer (page); the privacy signal (GPC) denies advertising",
            ],
        ),
        (
            {"gpc": True},
            "{functional: granted, analytics: granted}",
            [
                "granted: functional, analytics, marketing",
                "denied: advertising",
                "taken as granted: the event says nothing; the site's default would deny marketing; the",
                "privacy signal (GPC) denies advertising",
            ],
        ),
        (
            {},
            "{functional: granted, analytics: granted, marketing: granted, advertising: granted}",
            [
                "granted: functional, analytics, marketing, advertising",
                "taken as granted: the event says nothing; so says the site's default",
            ],
        ),
    ],
)
def test_consent_is_decided_as_the_resolver_would_and_its_ground_is_said(
    world: World, context: dict[str, Any], site: str, lines: list[str]
) -> None:
    if site:
        (world.folder / "edge.yaml").write_text(f"{CONFIG}consent: {{default: {site}}}\n")
    event = {**named(STORED), "context": context}
    result = world.edge("preview", "klaviyo", "-", input=json.dumps(event))
    shown = [line[10:].rstrip() for line in result.stdout.splitlines()]
    assert shown[2 : 2 + len(lines)] == lines


def test_only_one_of_the_examples_is_shown_for_every_pipeline(world: World) -> None:
    told = world.json("preview", "klaviyo", "archive", "--only", "purchase")
    assert [(one["pipeline"], one["event"], one["becomes"]) for one in told] == [
        ("klaviyo", "purchase", "sent"),
        ("archive", "purchase", "sent"),
    ]


def test_what_a_new_event_brings_of_vendors_ids_is_given_to_its_mapping(world: World) -> None:
    page = {"url": "https://shop.example/?gclid=Cj0&_kx=token-1"}
    told = previewed(
        world, {**EVENT, "context": {"page": page, "vendor_ids": {"fbp": "forged"}}}, "--email", "a@shop.example"
    )
    assert told["identity"]["ids"] == {"gclid": "Cj0", "kx": "token-1"}


def test_options_say_who_the_visitor_is(world: World) -> None:
    told = previewed(world, EVENT, "--email", " Abc@Shop.example", "--customer-id", "19")
    profile = told["request"]["body"]["data"]["attributes"]["profile"]["data"]["attributes"]
    assert profile == {"email": "abc@shop.example", "external_id": "19"}
    identifiers = {"customer_id": "19", "email": "abc@shop.example"}
    assert told["identity"] == {
        "identifiers": identifiers,
        "ids": {},
        "origin": "options",
        "visitor": None,
        "person": None,
    }
    assert world.edge("preview", "klaviyo", "--email", "no").exit_code == 2


def test_a_batch_gives_each_of_its_events_and_names_the_refused(world: World) -> None:
    batch = {"context": {}, "events": [EVENT, {"name": "1"}, EVENT | {"name": "purchase"}]}
    result = world.edge("preview", "klaviyo", "-", "--json", input=json.dumps(batch))
    assert [json.loads(line)["event"] for line in result.stdout.splitlines()] == ["view_item", "purchase"]
    assert "-: event 1 would be refused at the door: " in result.stderr


def test_a_stored_envelope_is_taken_as_it_is_and_an_old_one_is_marked_as_backfill(world: World) -> None:
    now_ms = world.clock.now_ms()
    event = replace(STORED, time_ms=now_ms - 5 * 3_600_000)
    told = previewed(world, named(event))
    assert told["request"]["body"]["data"]["attributes"]["backfill"] is True
    assert told["notes"] == ["older than fresh_for, so it is marked as backfill"]


def test_an_envelope_is_read_as_the_spool_holds_it(world: World) -> None:
    told = world.edge("preview", "klaviyo", "-", "--json", input=encode(STORED).decode())
    assert json.loads(told.stdout) == previewed(world, named(STORED))
    broken = world.edge("preview", "klaviyo", "-", input='["e-1", "view_item"]')
    assert (broken.exit_code, broken.stdout) == (2, "")
    assert "-: it looks like a stored envelope and is none" in broken.stderr


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("name", ["view_item"], "its key name is not a text"),
        ("browser", None, "its key browser is not a text"),
        ("time", "2026-11-20", "its key time is not a moment; accepted are milliseconds since 1970"),
        ("time", 10**19, "its key time is not a moment; accepted are milliseconds since 1970"),
        ("received_at", True, "its key received_at is not a moment; accepted are milliseconds since 1970"),
        ("properties", [], "its key properties is not an object"),
        ("context", None, "its key context is not an object"),
    ],
)
def test_an_envelope_written_by_hand_is_refused_with_what_is_wrong(
    world: World, key: str, value: Any, said: str
) -> None:
    event = {**named(STORED), key: value}
    result = world.edge("preview", "klaviyo", "-", input=json.dumps(event))
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"-: it looks like a stored envelope, and {said}" in result.stderr


def test_an_event_that_would_be_dead_is_exit_1(world: World) -> None:
    text = (world.folder / "pipelines/klaviyo.yaml").read_text()
    text = text.replace("{source: properties.item_name}", "{source: properties.item_name, required: true}")
    (world.folder / "pipelines/klaviyo.yaml").write_text(text)
    result = world.edge("preview", "klaviyo", "-", input=json.dumps(EVENT | {"properties": {}}))
    assert result.exit_code == 1
    assert result.stdout.splitlines()[6].startswith("dead: events.view_item.properties.ProductName")


def test_without_an_event_every_mapped_event_has_an_example(world: World) -> None:
    told = world.json("preview", SHIPPED)
    assert [(one["event"], one["becomes"]) for one in told] == [
        ("view_item", "sent"),
        ("add_to_cart", "sent"),
        ("started_checkout", "sent"),
        ("purchase", "sent"),
        ("search", "sent"),
        ("sign_up", "sent"),
    ]
    properties = [one["request"]["body"]["data"]["attributes"]["properties"] for one in told]
    assert properties[0]["ProductName"] == "Moon teapot"
    assert len(properties[3]["Items"]) == 2
    assert world.json("preview", "archive")["event"] == "page_view"


def test_a_token_in_the_address_is_masked_on_the_screen_and_as_json(world: World) -> None:
    file = shipped("pipelines/meta-conversions.yaml").read_text().replace("${META_ENABLED:-false}", "true")
    (world.folder / "meta.yaml").write_text(file)
    for more in ((), ("--json",)):
        told = world.edge("preview", str(world.folder / "meta.yaml"), "--only", "purchase", *more)
        assert "/v26.0/unset-META_PIXEL_ID/events?access_token=****" in told.stdout
        assert "unset-META_ACCESS_TOKEN" not in told.stdout


def test_a_variable_that_is_not_set_is_stood_in_for_and_a_default_is_kept(world: World) -> None:
    result = world.edge("preview", SHIPPED, "--json")
    assert result.stderr == "KLAVIYO_PRIVATE_API_KEY is not set; unset-KLAVIYO_PRIVATE_API_KEY stands in for it\n"
    urls = {json.loads(line)["request"]["url"] for line in result.stdout.splitlines()}
    assert urls == {"https://a.klaviyo.com/api/events"}


def test_several_pipelines_are_shown_for_one_event(world: World) -> None:
    result = world.edge("preview", "klaviyo", "archive", "-", "--json", input=json.dumps(EVENT))
    assert [json.loads(line)["pipeline"] for line in result.stdout.splitlines()] == ["klaviyo", "archive"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "no pipeline is called 'nobody'; there are: archive, klaviyo"),
        (["missing.yaml"], "missing.yaml: cannot be read"),
        (["klaviyo", "missing.json"], "missing.json: cannot be read (No such file or directory)"),
        (["event.json"], "name a pipeline before the event"),
        ([], "name a pipeline: edge preview PIPELINE [EVENT.json]"),
        (["klaviyo", "-", "--event", "e-1"], "--event names an event, and so does -; accepted is one of the two"),
        (["klaviyo", "-", "--only", "search"], "--only picks one of the examples"),
        (["klaviyo", "-"], "-: it is not JSON"),
    ],
)
def test_wrong_use_is_exit_2_with_what_is_wrong(world: World, arguments: list[str], said: str) -> None:
    result = world.edge("preview", *arguments, input="{")
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_broken_file_does_not_hide_the_others(world: World) -> None:
    (world.folder / "pipelines/broken.yaml").write_text("name: [")
    assert world.json("preview", "archive")["becomes"] == "sent"


def test_every_call_that_tells_of_one_event_is_shown(world: World) -> None:
    file = world.folder / "pipelines/klaviyo.yaml"
    lines = file.read_text().replace("{metric: Placed Order,", "{metric: Placed Order, ordered_product: true,")
    file.write_text(lines)
    order = EVENT | {"name": "purchase", "properties": {"transaction_id": "o-1", "items": [{"sku": "a"}, {"sku": "b"}]}}
    told = previewed(world, order, "--email", "abc@shop.example")
    further = [one["body"]["data"]["attributes"]["unique_id"] for one in told["further_requests"]]
    assert (told["request"]["body"]["data"]["attributes"]["unique_id"], further) == ("o-1", ["o-1_a", "o-1_b"])
    assert {one["headers"]["Authorization"] for one in told["further_requests"]} == {"****"}
    result = world.edge("preview", "klaviyo", "-", "--email", "abc@shop.example", input=json.dumps(order))
    assert result.stdout.count("POST http://klaviyo.test/api/events") == 3
