"""What every destination keeps to, whichever vendor it talks to: asked with the payloads of its own golden cases."""

import base64
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.consent import PURPOSE_NAMES
from edge.delivery import (
    OTHER_REASON,
    Append,
    Conversation,
    Delivered,
    Outcome,
    Payload,
    Refused,
    Rejected,
    Request,
    Response,
    Retry,
    Throttled,
    Told,
    Unclear,
    Undecided,
)
from edge.destinations import BUILTIN
from edge.destinations.base import Choosy, Destination, TellsLater
from edge.drainer.letters import shown_request
from edge.errors import Interrupted, TransportFailed
from edge.pipeline import Planned
from edge.secret import Secret
from tests.conversations import Heard
from tests.golden_cases import NOW_MS, case_files, load_case, pipeline_of, pipeline_text, planned

MAX_REQUESTS = 20_000
OUTCOMES = (Delivered, Retry, Throttled, Refused, Rejected, Unclear)
OK = Response(200, {"content-type": "application/json"}, b"{}")
LOST, UNSENT = TransportFailed("cut"), Interrupted("not sent, the rest waits")
# Whose vendor counts a repeat twice: what may have arrived is not sent again.
NEVER_AGAIN = {"ga4-measurement-protocol"}
every_destination = pytest.mark.parametrize("integration", BUILTIN)
every_later_teller = pytest.mark.parametrize(
    "integration", [name for name in BUILTIN if hasattr(BUILTIN[name], "inquire")]
)
moderately = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Golden:
    """The pipeline of most of a destination's golden cases, by one of them, and the payloads they become."""

    case: Any
    payloads: tuple[Payload, ...]

    def destination(self) -> Destination:
        """Make the destination anew: it has talked to nobody yet."""
        return pipeline_of(self.case).destination


@cache
def golden_of_all() -> dict[str, Golden]:
    found: dict[tuple[str, str], list[tuple[Any, Payload]]] = {}
    for case in map(load_case, case_files()):
        pipeline = pipeline_of(case)
        made = planned(case, pipeline)
        if isinstance(made, Planned):
            payload = replace(made.payload, is_backfill=bool(case.get("is_backfill")))
            found.setdefault((pipeline.integration, pipeline_text(case)), []).append((case, payload))
    largest: dict[str, Golden] = {}
    for (integration, _), made_of in sorted(found.items(), key=lambda one: len(one[1])):
        largest[integration] = Golden(made_of[0][0], tuple(dict.fromkeys(payload for _, payload in made_of)))
    return largest


def golden(integration: str) -> Golden:
    assert integration in golden_of_all(), f"{integration} has no golden case that is sent"
    return golden_of_all()[integration]


def talk(conversation: Conversation, answers: Iterator[Heard]) -> tuple[list[Request], Sequence[Outcome] | None]:
    """Drive a conversation; its outcomes are None where it ends with a failure of the transport."""
    requests: list[Request] = []
    try:
        request = next(conversation)
        while True:
            requests.append(request)
            assert len(requests) <= MAX_REQUESTS, "the conversation does not end"
            answer = next(answers)
            request = conversation.send(answer) if isinstance(answer, Response) else conversation.throw(answer)
    except StopIteration as end:
        return requests, end.value
    except TransportFailed:
        return requests, None
    finally:
        conversation.close()


def check_outcomes(outcomes: Sequence[Outcome] | None, payloads: int) -> None:
    if outcomes is not None:
        assert len(outcomes) == payloads
        assert all(isinstance(outcome, OUTCOMES) for outcome in outcomes)


def check_request(destination: Destination, request: Request) -> None:
    if not isinstance(request, Append):
        assert request.method in ("GET", "POST", "PUT", "PATCH")
        assert request.url.startswith(("https://", "http://"))
    assert isinstance(request.body, bytes)
    assert request.budget in ("", *destination.rate.named)
    for name, value in request.headers.items():
        assert (name + value).isprintable(), name


def batches(golden: Golden, size: int) -> list[Payload]:
    return list(islice(cycle(golden.payloads), size))


ODD_BODIES = [b"", b"[" * 3_000, b'{"a":' * 500 + b"1" + b"}" * 500, b"\xff\xfe", b"9" * 5_000, b'{"errors":[{}]}']
ODD_HEADERS = ["5", "0", "-1", "1e9", "Fri, 20 Nov 2026 14:03:09 GMT", "\u0663", "9" * 400]
# Answers: any bytes, and JSON that looks like what vendors say.
_WORDS = st.sampled_from(
    ["errors", "error", "code", "message", "data", "source", "pointer", "index", "status", "meta", "detail", "results"]
)
_LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | _WORDS
_JSON = st.recursive(
    _LEAVES,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(_WORDS | st.text(max_size=8), below, max_size=4),
    max_leaves=12,
)
_GROUP = "/data/attributes/events-bulk-create/data/{}/attributes/events/data/{}/x"
_POINTERS = st.builds(_GROUP.format, st.integers(0, 3), st.integers(0, 3)) | st.just("/data/attributes/time")
_ERRORS = st.lists(st.fixed_dictionaries({"code": _LEAVES, "source": st.fixed_dictionaries({"pointer": _POINTERS})}))
_BODIES = st.one_of(
    st.binary(max_size=200),
    _JSON.map(lambda value: json.dumps(value).encode()),
    _ERRORS.map(lambda errors: json.dumps({"errors": errors}).encode()),
    st.sampled_from(range(len(ODD_BODIES))).map(ODD_BODIES.__getitem__),
)
_HEADERS = st.dictionaries(
    st.sampled_from(["retry-after", "content-type", "x-other"]),
    st.text(max_size=12) | st.sampled_from(ODD_HEADERS),
    max_size=3,
)
_STATUSES = st.sampled_from([200, 202, 204, 207, 400, 401, 403, 404, 409, 413, 429, 500, 503]) | st.integers(100, 999)
_ANSWERS = st.sampled_from([LOST, UNSENT]) | st.builds(Response, _STATUSES, _HEADERS, _BODIES)


@every_destination
def test_facts_are_what_the_drainer_can_work_with(integration: str) -> None:
    found = BUILTIN[integration]
    assert found.integration == integration
    assert found.purposes and found.purposes <= set(PURPOSE_NAMES)
    assert found.max_batch >= 1
    assert all(min(rate.burst_per_s, rate.steady_per_min) >= 1 for rate in (found.rate, *found.rate.named.values()))
    age_s = getattr(found, "max_event_age_s", None)
    assert age_s is None or age_s > 0
    destination = golden(integration).destination()
    if isinstance(destination, Choosy):
        sizes = [destination.batch_size(is_backlog=is_backlog) for is_backlog in (False, True)]
        assert all(1 <= size <= found.max_batch for size in sizes)


@every_destination
def test_conversation_is_pure(integration: str) -> None:
    given_, answers = golden(integration), [Response(503, {}, b""), LOST, UNSENT, OK, Response(400, {}, b"{}")]
    for payloads in (list(given_.payloads[:1]), batches(given_, min(BUILTIN[integration].max_batch, 8))):
        for answer in answers:
            first, again = (talk(given_.destination().deliver(payloads, NOW_MS), cycle([answer])) for _ in range(2))
            assert first == again


@every_destination
def test_same_payload_makes_the_same_first_request_whatever_was_sent_before(integration: str) -> None:
    """But for an access token, which may stay: so the second and the third conversation are compared."""
    given_ = golden(integration)
    destination, payload = given_.destination(), given_.payloads[0]
    talked = [talk(destination.deliver([payload], NOW_MS), cycle([OK])) for _ in range(3)]
    assert talked[1] == talked[2]


@every_destination
def test_requests_are_well_formed_for_every_golden_payload(integration: str) -> None:
    given_ = golden(integration)
    destination = given_.destination()
    for payload in given_.payloads:
        requests, outcomes = talk(destination.deliver([payload], NOW_MS), cycle([OK]))
        assert requests
        check_outcomes(outcomes, 1)
        for request in requests:
            check_request(destination, request)


@every_destination
def test_largest_batch_gives_one_outcome_a_payload(integration: str) -> None:
    given_, size = golden(integration), BUILTIN[integration].max_batch
    payloads = batches(given_, size)
    for answer in (OK, Response(202, {}, b""), Response(400, {}, b"{}"), Response(429, {}, b""), LOST, UNSENT):
        check_outcomes(talk(given_.destination().deliver(payloads, NOW_MS), cycle([answer]))[1], size)


@every_destination
def test_too_many_requests_end_no_event(integration: str) -> None:
    given_ = golden(integration)
    payloads = batches(given_, min(BUILTIN[integration].max_batch, 5))
    _, outcomes = talk(given_.destination().deliver(payloads, NOW_MS), cycle([Response(429, {}, b"{}")]))
    assert outcomes is not None
    assert all(isinstance(outcome, Throttled | Retry) for outcome in outcomes), outcomes


@every_destination
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 429, 500, 503])
def test_refusal_is_never_a_delivery(integration: str, status: int) -> None:
    given_ = golden(integration)
    payloads = batches(given_, min(BUILTIN[integration].max_batch, 5))
    _, outcomes = talk(given_.destination().deliver(payloads, NOW_MS), cycle([Response(status, {}, b"{}")]))
    assert outcomes is not None
    assert not any(isinstance(outcome, Delivered) for outcome in outcomes)


@every_destination
def test_request_that_was_not_sent_is_never_the_end_of_an_event(integration: str) -> None:
    given_ = golden(integration)
    payloads = batches(given_, min(BUILTIN[integration].max_batch, 5))
    _, outcomes = talk(given_.destination().deliver(payloads, NOW_MS), cycle([UNSENT]))
    assert outcomes is None or all(isinstance(outcome, Retry) for outcome in outcomes)


@every_destination
def test_lost_answer_is_the_end_of_an_event_only_where_a_repeat_would_count_twice(integration: str) -> None:
    given_ = golden(integration)
    payloads = batches(given_, min(BUILTIN[integration].max_batch, 5))
    _, outcomes = talk(given_.destination().deliver(payloads, NOW_MS), cycle([LOST]))
    ended = [outcome for outcome in outcomes or () if not isinstance(outcome, Retry)]
    assert all(isinstance(outcome, Unclear) and outcome.is_final for outcome in ended)
    assert bool(ended) == (integration in NEVER_AGAIN)


@every_destination
@moderately
@given(answers=st.lists(_ANSWERS, min_size=1, max_size=5), count=st.integers(1, 6), start=st.integers(0, 50))
def test_no_answer_whatever_makes_a_conversation_raise(
    integration: str, answers: list[Heard], count: int, start: int
) -> None:
    given_ = golden(integration)
    payloads = list(islice(cycle(given_.payloads), start, start + min(count, BUILTIN[integration].max_batch)))
    _, outcomes = talk(given_.destination().deliver(payloads, NOW_MS), cycle(answers))
    check_outcomes(outcomes, len(payloads))


@every_destination
def test_probe_where_there_is_one_gives_one_outcome_whatever_is_answered(integration: str) -> None:
    statuses = (200, 204, 400, 401, 403, 404, 429, 500)
    answers = [LOST, *(Response(status, {}, body) for status in statuses for body in (*ODD_BODIES, b"{}", b"[5]"))]
    for answer in answers:
        conversation = golden(integration).destination().probe(NOW_MS)
        if conversation is not None:
            check_outcomes(talk(conversation, cycle([answer]))[1], 1)


@pytest.mark.parametrize("file", case_files(), ids=lambda file: file.stem)
def test_purposes_whose_answers_stand_in_a_payload_are_declared(file: Path) -> None:
    """Else a payload that waits would go on telling of a purpose that was withdrawn since."""
    case = load_case(file)
    pipeline = pipeline_of(case)
    made = planned({**case, "granted": list(PURPOSE_NAMES)}, pipeline)
    for name, purpose in PURPOSE_NAMES.items():
        others = [other for other in PURPOSE_NAMES if other != name]
        if not purpose & (pipeline.purposes | pipeline.discloses):
            assert planned({**case, "granted": others}, pipeline) == made, name


def inquire(destination: TellsLater, answers: Iterator[Heard]) -> object:
    """Ask about a receipt; give what comes of it, None where it ends with a failure of the transport."""
    said: list[object] = []

    def conversation() -> Conversation:
        said.append((yield from destination.inquire("r-1", NOW_MS)))
        return []

    requests, _ = talk(conversation(), answers)
    assert all(request.method == "GET" and request.body == b"" for request in requests if request.stand_in is None)
    return said[0] if said else None


@every_later_teller
def test_inquiry_begins_while_it_may_and_its_reasons_are_few_words_of_ours(integration: str) -> None:
    destination = golden(integration).destination()
    assert isinstance(destination, TellsLater)
    assert 0 < destination.inquire_after_s < destination.inquire_for_s
    assert min(destination.inquiry_rate.burst_per_s, destination.inquiry_rate.steady_per_min) >= 1
    assert 0 < len(destination.late_reasons) <= 50
    assert all(re.fullmatch(r"[A-Z][A-Z_]{2,99}", reason) for reason in destination.late_reasons)


@every_later_teller
@moderately
@given(answers=st.lists(_ANSWERS, min_size=1, max_size=5))
def test_no_answer_whatever_makes_an_inquiry_raise_or_name_a_reason_of_its_own(
    integration: str, answers: list[Heard]
) -> None:
    destination = golden(integration).destination()
    assert isinstance(destination, TellsLater)
    match inquire(destination, cycle(answers)):
        case Told(refused, warned):
            assert {*refused, *warned} <= {*destination.late_reasons, OTHER_REASON}
        case said:
            assert said is None or isinstance(said, (*OUTCOMES, Undecided))
            assert not isinstance(said, Delivered)


@every_later_teller
@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 429, 500, 503])
def test_refused_inquiry_tells_nothing_of_any_event(integration: str, status: int) -> None:
    destination = golden(integration).destination()
    assert isinstance(destination, TellsLater)
    said = inquire(destination, cycle([Response(status, {}, b"{}")]))
    assert isinstance(said, Retry | Throttled | Refused | Rejected | Unclear)


def secrets_of(value: object) -> set[str]:
    """Give every secret that an object holds, however deep."""
    if isinstance(value, Secret):
        return {value.reveal()}
    if isinstance(value, dict):
        return set().union(*map(secrets_of, value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return set().union(*map(secrets_of, value))
    names = [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]
    if not type(value).__module__.startswith("edge."):
        return set()
    return set().union(*(secrets_of(getattr(value, name, None)) for name in names))


def disguises(secret: str) -> set[str]:
    """Give the forms in which a secret may stand in a text."""
    plain = secret.encode()
    login = {base64.b64encode(one).decode().rstrip("=") for one in (plain, plain + b":")}
    return {secret, quote(secret, safe=""), *(one[:-1] for one in login if len(one) > 8)}


@every_destination
def test_no_secret_is_in_what_is_logged_or_kept(integration: str) -> None:
    given_ = golden(integration)
    destination = given_.destination()
    hidden = {form for secret in secrets_of(destination) for form in disguises(secret) if len(form) >= 6}
    requests, _ = talk(destination.deliver(given_.payloads[:1], NOW_MS), cycle([OK]))
    shown = [repr(destination), destination.account, *map(repr, requests), *map(shown_request, requests)]
    for text in shown:
        assert [form[:3] for form in hidden if form in text] == [], integration


def test_secret_in_a_text_is_found() -> None:
    destination = golden("klaviyo-events-api").destination()
    assert secrets_of(destination) == {"sandbox-private-key"}
    assert any(form in "Basic c2FuZGJveC1wcml2YXRlLWtleTo=" for form in disguises("sandbox-private-key"))


def test_outcomes_that_are_too_few_are_found() -> None:
    with pytest.raises(AssertionError):
        check_outcomes([Delivered()], 2)
