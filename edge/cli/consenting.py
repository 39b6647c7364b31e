"""`edge consent`."""

import asyncio
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
from rich.console import Console
from rich.text import Text

from edge.app.keys import find_consent_key
from edge.cli.answered import Answered, answers_json, browsers_elsewhere, find_answers, told_answers
from edge.cli.options import with_config
from edge.cli.pipeline_files import load_leniently
from edge.cli.screen import as_json, console, plain
from edge.cli.stores import Stores, Unavailable, open_stores
from edge.cli.story import Story, find_story
from edge.cli.times import moment
from edge.cli.whom import read_who
from edge.config import Config
from edge.consent import Purpose, names_of
from edge.ledger.consent_log import ChainReport, LoggedConsent, who_of
from edge.ledger.records import JournalFate
from edge.pipeline import files_of

HASH = re.compile(r"[0-9a-f]{64}")
BY_COOKIE = "the answers of somebody who was erased are found by the browser's cookie id only"


@dataclass(frozen=True, slots=True)
class Proof:
    """What was logged of somebody, and whether the log holds: where it does not, a later answer may be missing.

    `story` is of the event that was asked for: the last answer up to it is the one that decided, and `answered` are
    those that decided later what it had left open.
    """

    answers: tuple[LoggedConsent, ...]
    chain: ChainReport
    story: Story | None
    answered: tuple[Answered, ...] = ()

    @property
    def seq(self) -> int | None:
        """The event's number."""
        return self.story.seq if self.story is not None else None

    @property
    def decided_by(self) -> int | None:
        """The row that held when the event was decided."""
        before = [answer.id for answer in self.answers if self.seq is not None and answer.seq <= self.seq]
        return before[-1] if before else None


@click.group()
def consent() -> None:
    """Prove what visitors agreed to, and check the log that proves it."""


@consent.command()
@click.option("--head", metavar="HASH", help="A head that was noted earlier: it must still be in the log.")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@with_config
def verify(config: Config, head: str | None, is_json: bool) -> None:
    """Check the consent log row by row. Exit 1 names the first row that was changed, moved or taken out."""
    if head is not None and not HASH.fullmatch(head):
        raise click.UsageError("--head is 64 hexadecimal digits, as this verb prints them")
    found = asyncio.run(_verify(config, bytes.fromhex(head) if head is not None else None))
    is_good = found.damaged_row is None and found.has_seen
    if is_json:
        click.echo(as_json({"is_whole": is_good, **_chain_json(found)}))
    else:
        _tell_chain(found, is_asked_for_head=head is not None)
    sys.exit(0 if is_good else 1)


@consent.command()
@click.argument("subject", metavar="WHO|EVENT_ID")
@click.option("--json", "is_json", is_flag=True, help="One JSON object.")
@with_config
def prove(config: Config, subject: str, is_json: bool) -> None:
    """Print every answer of a visitor with its proof, and check the log that it stands in.

    WHO is a browser's cookie id as `edge why` shows it, an e-mail, a phone or a customer id; EVENT_ID may also be its
    number as `edge tail` shows it (#1042). Exit 1 when nothing was ever answered, or the log does not hold.
    """
    asked = subject.encode("utf-8", "replace").decode()
    proof = asyncio.run(_prove(config, asked))
    if is_json:
        click.echo(as_json(_proof_json(proof)))
    else:
        _tell_proof(proof, asked)
    sys.exit(0 if proof.answers and proof.chain.damaged_row is None else 1)


async def _verify(config: Config, seen: bytes | None) -> ChainReport:
    async with open_stores(config) as stores:
        return await stores.ledger.check_consents(seen=seen)


async def _prove(config: Config, asked: str) -> Proof:
    key = find_consent_key(config.data_dir)
    if key is None:
        raise Unavailable(f"{config.data_dir}: no consent.key here, so nobody can be found in the consent log")
    async with open_stores(config) as stores:
        browsers, story = await _browsers(stores, config, asked)
        answers = await stores.ledger.consents([who_of(browser, key) for browser in browsers])
        if not answers and story is not None:
            others = await browsers_elsewhere(stores, story)
            answers = await stores.ledger.consents([who_of(browser, key) for browser in others])
        answered = await find_answers(stores, story, key) if story is not None else ()
        return Proof(tuple(answers), await stores.ledger.check_consents(), story, answered)


async def _browsers(stores: Stores, config: Config, asked: str) -> tuple[Sequence[str], Story | None]:
    """Give whose answers are asked for, and the event where one is named.

    Raises:
        Unavailable: nobody is known by it, or not any more.
    """
    who = read_who(asked, config)
    if who.browser is not None:
        return [who.browser], None
    named = [browser for name in who.identifiers for browser in await stores.ledger.browsers_of(*name)]
    if named:
        return list(dict.fromkeys(named)), None
    story = await find_story(stores, asked, load_leniently(files_of(config.pipelines), os.environ).pipelines)
    if story is None:
        raise Unavailable(f"{plain(asked, 80)!r} is not known here, or not any more: {BY_COOKIE}")
    if JournalFate.ERASED in [entry.fate for entry in (story.entry, story.original) if entry is not None]:
        raise Unavailable(f"the person of #{story.seq} was erased: {BY_COOKIE}")
    if story.visitor is not None:
        return [story.visitor.browser], story
    if story.event is None:
        raise Unavailable(
            f"the envelope of #{story.seq} is gone, and nothing says whose it was; see: edge why {story.seq}"
        )
    return [story.event.browser], story


def _tell_chain(found: ChainReport, *, is_asked_for_head: bool) -> None:
    out = console()
    span = f", {moment(found.first_ms)} to {moment(found.last_ms)} UTC" if found.first_ms and found.last_ms else ""
    out.print(f"{found.rows:,} {'row' if found.rows == 1 else 'rows'} checked{span}", soft_wrap=True)
    out.print(f"head {found.head.hex()}", soft_wrap=True)
    if found.damaged_row is not None:
        out.print(Text(f"row {found.damaged_row} {found.damage}", "bold red"), soft_wrap=True)
    elif is_asked_for_head and not found.has_seen:
        out.print(Text("the noted head is not in the log: it was written anew since", "bold red"), soft_wrap=True)
    else:
        out.print(Text("the log is whole", "green"))


def _tell_proof(proof: Proof, asked: str) -> None:
    out = console()
    if not proof.answers:
        out.print(f"Nothing was ever answered by {plain(asked, 80)!r}.", soft_wrap=True)
        return
    for one in proof.answers:
        _tell_answer(one, out)
    if proof.seq is not None:
        for line in _told_decision(proof):
            out.print(line, soft_wrap=True)
    out.print(Text(f"the log holds from row 1 to row {proof.chain.rows:,}", "green"), soft_wrap=True)
    if proof.chain.damaged_row is not None:
        damage = f"row {proof.chain.damaged_row} {proof.chain.damage}; a later answer may be missing"
        out.print(Text(damage, "bold red"), soft_wrap=True)


def _told_decision(proof: Proof) -> list[str]:
    """Say what held when the event was decided, and what decided later on what it had left open."""
    decided = f"row {proof.decided_by}" if proof.decided_by is not None else "no answer, but the default,"
    entry = proof.story.entry if proof.story is not None else None
    if proof.story is None or entry is None or not entry.waits:
        return [f"{decided} held when #{proof.seq} was decided"]
    left = f"and left {', '.join(names_of(Purpose(entry.waits)))} to the visitor's answer"
    told = told_answers(proof.answered, proof.story.stages, entry)
    return [f"{decided} held when #{proof.seq} was decided, {left}", *told]


def _tell_answer(one: LoggedConsent, out: Console) -> None:
    version = ", ".join(plain(text) for text in (one.version, one.banner) if text)
    source = f"{plain(one.source)} ({version})" if version else plain(one.source)
    out.print(
        Text.assemble((f"row {one.id}", "bold"), f"  {moment(one.at_ms)} UTC  #{one.seq}  {source}"), soft_wrap=True
    )
    for label, said in (
        ("granted", ", ".join(names_of(one.granted)) or "nothing"),
        ("denied", ", ".join(names_of(one.denied)) or "nothing"),
        ("said", one.digest.hex() or "the privacy signal of the browser"),
        ("hash", one.hash.hex()),
    ):
        out.print(Text.assemble((f"  {label:7}  ", "dim"), said), soft_wrap=True)
    out.print()


def _chain_json(found: ChainReport) -> dict[str, object]:
    return {
        "rows": found.rows,
        "first_ms": found.first_ms,
        "last_ms": found.last_ms,
        "head": found.head.hex(),
        "damaged_row": found.damaged_row,
        "damage": found.damage,
    }


def _proof_json(proof: Proof) -> dict[str, object]:
    return {
        "answers": [_answer_json(one) for one in proof.answers],
        "seq": proof.seq,
        "decided_by": proof.decided_by,
        "answered_by": answers_json(proof.answered),
        "chain": _chain_json(proof.chain),
    }


def _answer_json(one: LoggedConsent) -> dict[str, object]:
    return {
        "row": one.id,
        "at_ms": one.at_ms,
        "seq": one.seq,
        "granted": names_of(one.granted),
        "denied": names_of(one.denied),
        "source": one.source,
        "version": one.version,
        "banner": one.banner,
        "sha256": one.digest.hex(),
        "hash": one.hash.hex(),
    }
