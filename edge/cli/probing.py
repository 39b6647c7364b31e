"""`edge check --live`: what each vendor says of the credentials, asked in a way that costs and changes nothing."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import click

from edge.cli.problems import near
from edge.cli.screen import plain
from edge.delivery import Delivered, Outcome, Refused, Rejected, Retry, Throttled, Unclear
from edge.destinations.base import KnowsWhyUnasked
from edge.drainer.talking import converse
from edge.pipeline import Pipeline
from edge.transport import HttpTransport, Transport

Word: TypeAlias = Literal["ok", "refused", "unreachable", "unclear", "busy", "not asked"]
NO_CHECK = "the vendor offers no free check; the first event will tell"
GOOD: frozenset[Word] = frozenset({"ok", "not asked"})


@dataclass(frozen=True, slots=True)
class Probe:
    """What came of one pipeline's probe, in a word, and what to do."""

    pipeline: Pipeline
    word: Word
    advice: str = ""

    @property
    def is_good(self) -> bool:
        """Tell whether there is nothing to mend, as far as could be asked."""
        return self.word in GOOD


def probe_and_show(pipelines: Sequence[Pipeline], *, now_ms: int, timeout_s: float) -> bool:
    """Ask every enabled pipeline's vendor, all at once, and print a line each; tell whether all is good."""
    probes = asyncio.run(_probe_all([one for one in pipelines if one.is_enabled], now_ms, timeout_s))
    width = max((len(probe.pipeline.name) for probe in probes), default=0)
    for probe in probes:
        said = probe.advice if probe.word == "not asked" else ": ".join(filter(None, (probe.word, probe.advice)))
        click.echo(plain(f"live: {probe.pipeline.name:{width}}  {said}"))
    if not probes:
        click.echo("live: no pipeline is enabled, so nobody was asked")
    return all(probe.is_good for probe in probes)


async def _probe_all(pipelines: Sequence[Pipeline], now_ms: int, timeout_s: float) -> list[Probe]:
    transport = HttpTransport(timeout_s=timeout_s)
    await transport.open()
    try:
        return await asyncio.gather(*(probe(pipeline, transport, now_ms) for pipeline in pipelines))
    finally:
        await transport.close()


async def probe(pipeline: Pipeline, transport: Transport, now_ms: int) -> Probe:
    """Run one pipeline's probe; where its vendor offers none, nothing is sent."""
    conversation = pipeline.destination.probe(now_ms)
    if conversation is None:
        destination = pipeline.destination
        why = destination.why_unasked if isinstance(destination, KnowsWhyUnasked) else NO_CHECK
        return Probe(pipeline, "not asked", why)
    return _judged(pipeline, (await converse(conversation, 1, transport.send)).outcomes[0])


def _judged(pipeline: Pipeline, outcome: Outcome) -> Probe:
    where = f"mend parameters in {near(pipeline.file)}, or the variables that it names"
    match outcome:
        case Delivered():
            return Probe(pipeline, "ok")
        case Refused(reason) | Rejected(reason):
            return Probe(pipeline, "refused", f"{reason}; {where}")
        case Retry(reason):
            return Probe(pipeline, "unreachable", f"{reason}; look at network, proxy and base_url, then ask again")
        case Throttled(after_s):
            return Probe(pipeline, "busy", f"the account is over its rate; ask again in {after_s:.0f} s")
        case Unclear(reason):
            return Probe(pipeline, "unclear", f"{reason}; the answer is not the vendor's, look at base_url and proxy")
