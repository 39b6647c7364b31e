"""Klaviyo's bulk call: what shares a job, and what a refusal of the whole means for each event."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from edge.delivery import Delivered, Payload, Refused, Rejected, Response, Retry, Throttled, Unclear
from tests.conversations import with_answers
from tests.klaviyo_events import CUT, KLAVIYO, NOW_MS, TAKEN, at, event, payload, refused, told

BULK, SINGLE = "/api/event-bulk-create-jobs", "/api/events"
ALWAYS = replace(KLAVIYO, endpoint="bulk_create_events")
NEVER = replace(KLAVIYO, endpoint="create_event")


def test_several_events_are_one_job_grouped_by_profile() -> None:
    payloads = [event(1), event(2, "max"), replace(event(3), is_backfill=True)]
    requests, outcomes = with_answers(KLAVIYO.deliver(payloads, NOW_MS), TAKEN)
    assert outcomes == [Delivered(202)] * 3
    [request] = requests
    assert (request.url, request.budget) == ("https://a.klaviyo.com" + BULK, "bulk")
    frame = {
        "time": "2026-11-20T14:03:09Z",
        "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
    }

    def group(email: str, *events: dict[str, object]) -> dict[str, object]:
        data = [{"type": "event", "attributes": {**one, **frame, "properties": {"OrderId": "70311"}}} for one in events]
        profile = {"data": {"type": "profile", "attributes": {"email": email}}}
        return {"type": "event-bulk-create", "attributes": {"profile": profile, "events": {"data": data}}}

    assert orjson.loads(request.body) == {
        "data": {
            "type": "event-bulk-create-job",
            "attributes": {
                "events-bulk-create": {
                    "data": [
                        group("user@shop.example", {"unique_id": "e-1"}, {"unique_id": "e-3", "backfill": True}),
                        group("max@shop.example", {"unique_id": "e-2"}),
                    ]
                }
            },
        }
    }


ODD = 'a}}},"properties":{"b\\'


@pytest.mark.parametrize(
    "changes",
    [
        {
            "metric": ODD,
            "unique_id": ODD,
            "properties": {"profile": {"data": {"type": "profile"}}, "properties": {ODD: 1}},
        },
        {"profile": {"$email": "user@shop.example", "$first_name": ODD, "$last_name": '},"time":"'}},
        {"profile": {"$email": "user@shop.example", "$city": "Kiel", "plan": {"properties": {"a": {"b": {}}}}}},
        {
            "profile": {"$email": "user@shop.example"},
            "properties": {"$value": 5, "$currency": "EUR", "$event_id": None},
        },
    ],
)
@pytest.mark.parametrize("is_backfill", [False, True])
def test_job_tells_of_an_event_what_its_own_call_would(changes: dict[str, Any], is_backfill: bool) -> None:
    """A job is pasted together from the bytes of single calls, whatever stands in them."""
    one = replace(payload(**changes), is_backfill=is_backfill)
    alone, _ = with_answers(KLAVIYO.deliver([one], NOW_MS), TAKEN)
    [job], _ = with_answers(KLAVIYO.deliver([one, event(1, "max")], NOW_MS), TAKEN)
    single = orjson.loads(alone[0].body)["data"]
    group = orjson.loads(job.body)["data"]["attributes"]["events-bulk-create"]["data"][0]["attributes"]
    assert group["profile"] == single["attributes"].pop("profile")
    assert group["events"]["data"] == [single]
    assert list(group["events"]["data"][0]["attributes"]) == list(single["attributes"])


def test_profile_that_changed_and_changed_back_keeps_its_order() -> None:
    names = ["A", "B", "A"]
    payloads = [
        payload(unique_id=f"e-{n}", profile={"$email": "user@shop.example", "$first_name": name})
        for n, name in enumerate(names)
    ]
    [request], _ = with_answers(KLAVIYO.deliver(payloads, NOW_MS), TAKEN)
    groups = orjson.loads(request.body)["data"]["attributes"]["events-bulk-create"]["data"]
    assert [one["attributes"]["profile"]["data"]["attributes"]["first_name"] for one in groups] == names


def test_lone_event_goes_by_itself_whatever_the_endpoint_says() -> None:
    requests, outcomes = with_answers(ALWAYS.deliver([event(1)], NOW_MS), TAKEN)
    assert (told(requests), outcomes) == ([(SINGLE, ["e-1"])], [Delivered(202)])


def test_endpoint_says_how_many_share_a_job() -> None:
    sizes = {
        one.endpoint: [one.batch_size(is_backlog=is_backlog) for is_backlog in (False, True)]
        for one in (KLAVIYO, ALWAYS, NEVER)
    }
    assert sizes == {"auto": [1, 1_000], "bulk_create_events": [1_000, 1_000], "create_event": [1, 1]}


def test_unique_id_that_the_file_makes_up_keeps_an_event_out_of_every_job() -> None:
    """It may have been used before, and then Klaviyo would drop the whole job without a word."""
    own, mapped = event(1), event(2, properties={"$event_id": "cart-9"})
    assert (KLAVIYO.goes_alone(own), KLAVIYO.goes_alone(mapped)) == (False, True)
    requests, outcomes = with_answers(KLAVIYO.deliver([own, event(3), mapped, event(4)], NOW_MS), TAKEN, TAKEN, TAKEN)
    assert told(requests) == [(BULK, ["e-1", "e-3"]), (SINGLE, ["cart-9"]), (SINGLE, ["e-4"])]
    assert outcomes == [Delivered(202)] * 4


def test_only_the_events_that_a_refusal_names_die_and_the_others_go_again() -> None:
    payloads = [event(1), event(2, "max"), event(3), event(4, "max")]
    answer = refused(at(0, 1), at(0, 1, "/attributes/time"), detail="user@shop.example")
    requests, outcomes = with_answers(KLAVIYO.deliver(payloads, NOW_MS), answer, TAKEN)
    assert told(requests) == [(BULK, ["e-1", "e-3", "e-2", "e-4"]), (BULK, ["e-1", "e-2", "e-4"])]
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered, Rejected, Delivered]
    assert outcomes[2] == Rejected(f"400 invalid at {at(0, 1)}; invalid at {at(0, 1, '/attributes/time')}", answer)


def test_dead_event_keeps_nothing_of_what_is_said_of_another() -> None:
    both = [{"code": "invalid", "detail": who, "source": {"pointer": at(n, 0)}} for n, who in enumerate(["one", "two"])]
    answer = Response(400, {}, orjson.dumps({"errors": both}))
    _, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2, "max")], NOW_MS), answer)
    responses = [outcome.response for outcome in outcomes if isinstance(outcome, Rejected)]
    assert [orjson.loads(one.body)["errors"] for one in responses if one] == [both[:1], both[1:]]


def test_refused_profile_is_the_end_of_all_its_events_and_of_no_other() -> None:
    payloads = [event(1), event(2, "max"), event(3, "max")]
    _, outcomes = with_answers(KLAVIYO.deliver(payloads, NOW_MS), refused(at(1, rest="/data/attributes/email")), TAKEN)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Rejected, Rejected]


@pytest.mark.parametrize(
    "answer",
    [
        refused(),
        refused("/data"),
        refused(at(0, 0), "/data"),
        refused(at(7, 0)),
        refused(at(0, 9)),
        Response(413, {}, b""),
        Response(404, {}, b""),
        Response(400, {}, b"<html>"),
    ],
)
def test_refusal_that_names_nobody_is_repeated_event_by_event(answer: Response) -> None:
    _, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2, "max")], NOW_MS), answer)
    assert outcomes == [Retry(f"{answer.status} for the whole job")] * 2


def test_unique_id_that_was_there_before_is_no_reason_to_give_an_event_up() -> None:
    answer = refused(at(0, 0, "/attributes/unique_id"))
    _, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2, "max")], NOW_MS), answer, TAKEN)
    assert outcomes == [Retry(f"400 invalid at {at(0, 0, '/attributes/unique_id')}"), Delivered(202)]


def test_job_that_is_refused_ten_times_is_given_up_for_single_events() -> None:
    payloads = [event(n) for n in range(15)]
    requests, outcomes = with_answers(KLAVIYO.deliver(payloads, NOW_MS), *[refused(at(0, 0))] * 10)
    assert [len(ids) for _, ids in told(requests)] == list(range(15, 5, -1))
    assert [type(outcome) for outcome in outcomes] == [Rejected] * 10 + [Retry] * 5


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (CUT, Retry("the answer was cut")),
        (Response(503, {}, b""), Retry("503")),
        (Response(429, {"retry-after": "7"}, b""), Throttled(7.0)),
        (Response(401, {}, b""), Refused("401")),
        (Response(200, {}, b""), Unclear("200", Response(200, {}, b""))),
    ],
)
def test_what_is_said_of_the_job_is_said_of_each_event(answer: Response | Exception, outcome: object) -> None:
    requests, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2, "max")], NOW_MS), answer)
    assert (len(requests), outcomes) == (1, [outcome] * 2)


def test_event_told_twice_is_sent_once_and_both_are_delivered() -> None:
    requests, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2), event(1)], NOW_MS), TAKEN)
    assert (told(requests), outcomes) == ([(BULK, ["e-1", "e-2"])], [Delivered(202)] * 3)


def test_one_unique_id_of_two_persons_is_kept_apart() -> None:
    requests, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2), event(1, "max")], NOW_MS), TAKEN)
    assert told(requests) == [(BULK, ["e-1", "e-2"])]
    assert outcomes[2] == Retry("kept out of a job that had its unique_id")


def test_same_unique_id_under_another_metric_is_another_event() -> None:
    payloads = [event(1), event(1, metric="Refunded Order")]
    [request], _ = with_answers(KLAVIYO.deliver(payloads, NOW_MS), TAKEN)
    assert told([request]) == [(BULK, ["e-1", "e-1"])]


def test_repeat_of_a_dead_event_is_tried_by_itself() -> None:
    _, outcomes = with_answers(KLAVIYO.deliver([event(1), event(2), event(1)], NOW_MS), refused(at(0, 0)), TAKEN)
    assert [type(outcome) for outcome in outcomes] == [Rejected, Delivered, Retry]


def test_jobs_end_at_five_megabytes_and_a_throttled_one_stops_the_rest() -> None:
    text = "x" * 90_000
    payloads = [event(n, properties={str(k): text for k in range(20)}) for n in range(6)]
    requests, outcomes = with_answers(
        KLAVIYO.deliver(payloads, NOW_MS), TAKEN, Response(429, {"retry-after": "9"}, b"")
    )
    assert [len(ids) for _, ids in told(requests)] == [2, 2]
    assert all(len(request.body) <= 5_000_000 for request in requests)
    assert outcomes == [Delivered(202)] * 2 + [Throttled(9.0)] * 4


@pytest.mark.parametrize("answer", [CUT, Response(503, {}, b""), Response(200, {}, b"")])
def test_nothing_follows_a_job_whose_events_go_again(answer: Response | Exception) -> None:
    """Its visitors may have later events in the next one, which would overtake."""
    requests, outcomes = with_answers(KLAVIYO.deliver([order(number, 600) for number in range(3)], NOW_MS), answer)
    assert len(requests) == 1
    assert not any(isinstance(outcome, Delivered) for outcome in outcomes)


def order(number: int, lines: int, **changes: Any) -> Payload:
    """Render an order with an Ordered Product a line."""
    items = [{"sku": f"s-{n}"} for n in range(lines)]
    bought = {"name": "purchase", "properties": {"items": items}}
    return event(number, own={"ordered_product": True}, event=bought, **changes)


def test_job_of_large_orders_with_small_lines_ends_at_five_megabytes() -> None:
    large = {str(number): "x" * 90_000 for number in range(34)}
    requests, _ = with_answers(
        KLAVIYO.deliver([order(number, 3, properties=large) for number in range(2)], NOW_MS), TAKEN, TAKEN
    )
    assert [len(ids) for _, ids in told(requests)] == [4, 4]
    assert all(len(request.body) <= 5_000_000 for request in requests)


def test_order_with_its_lines_shares_a_job_and_counts_as_its_worst_event() -> None:
    requests, outcomes = with_answers(KLAVIYO.deliver([order(1, 2), event(2)], NOW_MS), refused(at(0, 2)), TAKEN)
    assert told(requests) == [(BULK, ["e-1", "e-1_s-0", "e-1_s-1", "e-2"]), (BULK, ["e-1", "e-1_s-0", "e-2"])]
    assert [type(outcome) for outcome in outcomes] == [Rejected, Delivered]


def test_job_has_at_most_a_thousand_events_whatever_the_payloads_hold() -> None:
    payloads = [order(number, 600) for number in range(3)]
    requests, outcomes = with_answers(KLAVIYO.deliver(payloads, NOW_MS), TAKEN, TAKEN)
    assert [len(ids) for _, ids in told(requests)] == [1_000, 803]
    assert outcomes == [Delivered(202)] * 3
