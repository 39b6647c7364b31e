"""Driving a destination's conversation by hand: what it asks, and what it makes of answers of any kind."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from hypothesis import strategies as st

from edge.delivery import Conversation, Outcome, Payload, Request, Response
from edge.errors import TransportFailed
from edge.settings import Problems, Reader
from edge.transport import Transport
from edge.yamlfile import load_yaml

Heard: TypeAlias = Response | TransportFailed

# Any status, headers that an answer's reader may look at, and bytes that may or may not be JSON.
RESPONSES = st.builds(
    Response,
    st.integers(0, 999),
    st.dictionaries(st.sampled_from(["retry-after", "content-type", "location"]), st.text(max_size=30), max_size=3),
    st.one_of(
        st.binary(max_size=200),
        st.sampled_from([b'{"success":', b'{"success":[[]]}', b"[" * 5_000, b"null", b'{"success":true}', b"\xff"]),
    ),
)


def converse(conversation: Conversation, answer: Callable[[Request], Heard]) -> tuple[list[Request], list[Outcome]]:
    """Give every request and the outcomes; raises TransportFailed where the conversation lets it pass."""
    asked: list[Request] = []
    try:
        request = next(conversation)
        while True:
            asked.append(request)
            heard = answer(request)
            request = conversation.send(heard) if isinstance(heard, Response) else conversation.throw(heard)
    except StopIteration as end:
        return asked, list(end.value)


def in_turn(answers: Iterable[Heard]) -> Callable[[Request], Heard]:
    """Answer one request after the other."""
    each = iter(answers)
    return lambda request: next(each)


def with_answers(conversation: Conversation, *heard: Heard) -> tuple[list[Request], list[Outcome]]:
    """The same, with these answers in turn: all of them, and no more, bring it to its end."""
    turns = iter(heard)
    talked = converse(conversation, lambda request: next(turns))
    assert not (left := list(turns)), f"{len(left)} answers were not asked for"
    return talked


def payloads_of(count: int, make: Callable[[int], Any]) -> list[Payload]:
    """Give so many payloads; `make` gives what a destination rendered for a number."""
    made = [make(number) for number in range(count)]
    assert all(isinstance(one, Payload) for one in made), made
    return made


def read_parameters(destination: Any, text: str, environ: dict[str, str] | None = None) -> Any:
    """Read a pipeline's parameters from their text; raises ConfigErrors."""
    problems = Problems("p.yaml")
    made = destination.from_reader(Reader(load_yaml(text, "p.yaml", environ or {}, problems), "parameters", problems))
    problems.raise_if_any()
    return made


async def over(transport: Transport, conversation: Conversation) -> Sequence[Outcome]:
    """Drive a conversation over a transport; a failure is raised where it waits for the answer."""
    try:
        request = next(conversation)
        while True:
            try:
                response = await transport.send(request)
            except TransportFailed as error:
                request = conversation.throw(error)
            else:
                request = conversation.send(response)
    except StopIteration as end:
        outcomes: Sequence[Outcome] = end.value
        return outcomes
