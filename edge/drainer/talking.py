"""Driving one conversation to its end."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from edge.budget import Budget
from edge.clock import Clock
from edge.delivery import Conversation, Outcome, Rejected, Request, Response, Retry, Unclear
from edge.errors import Interrupted, TransportFailed

# What is kept of a request for dead letters; a bulk of five megabytes is of no use there.
MAX_KEPT_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, cut, and its answer; None where there was none in full."""

    request: Request
    response: Response | None


@dataclass(frozen=True, slots=True)
class Answered:
    """One outcome a payload, with what was said and heard on the way."""

    outcomes: Sequence[Outcome]
    exchanges: Sequence[Exchange] = ()
    was_interrupted: bool = False

    def about(self, outcome: Outcome) -> Exchange | None:
        """Give the exchange that an outcome tells of; the last one where it does not say."""
        response = outcome.response if isinstance(outcome, Rejected | Unclear) else None
        told = (exchange for exchange in self.exchanges if response is not None and exchange.response is response)
        return next(told, self.exchanges[-1] if self.exchanges else None)

    @property
    def is_known(self) -> bool:
        """Whether the vendor certainly has nothing of what has no final outcome: it said so to the only request."""
        is_open = any(isinstance(outcome, Retry | Unclear) for outcome in self.outcomes)
        return len(self.exchanges) <= 1 and not is_open


async def converse(
    conversation: Conversation, payloads: int, ask: Callable[[Request], Awaitable[Response]]
) -> Answered:
    """Drive a conversation about some payloads.

    Where `ask` raises TransportFailed, the conversation is told; if it has no answer to that, every payload is retried:
    the request may or may not have arrived.

    Raises:
        Exception: whatever else `ask` or the conversation raises.
    """
    exchanges: list[Exchange] = []
    was_interrupted = False
    try:
        request = next(conversation)
        while True:
            try:
                response = await ask(request)
            except TransportFailed as error:
                was_interrupted = was_interrupted or isinstance(error, Interrupted)
                exchanges.append(_kept(request, None))
                request = conversation.throw(error)
            else:
                exchanges.append(_kept(request, response))
                request = conversation.send(response)
    except StopIteration as end:
        outcomes = tuple(end.value)
        if len(outcomes) != payloads:
            raise ValueError(f"a conversation gave {len(outcomes)} outcomes for {payloads} payloads") from None
        return Answered(outcomes, exchanges, was_interrupted)
    except TransportFailed as error:
        return Answered([Retry(str(error))] * payloads, exchanges, was_interrupted)
    finally:
        conversation.close()


async def take_turn(budget: Budget, clock: Clock, pause: Callable[[float], Awaitable[None]]) -> None:
    """Wait until one request may be made that counts against an account's own rate."""
    turn = budget.join()
    try:
        while (wait_s := budget.wait_s(turn, clock.monotonic_s())) > 0:
            await pause(wait_s)
    finally:
        budget.leave(turn)


def _kept(request: Request, response: Response | None) -> Exchange:
    is_long = len(request.body) > MAX_KEPT_BYTES
    return Exchange(replace(request, body=request.body[:MAX_KEPT_BYTES]) if is_long else request, response)
