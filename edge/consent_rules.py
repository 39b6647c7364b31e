"""Consent decided: once an event, from evidence alone.

The newest answer counts, purpose by purpose. An answer is as old as the moment from which it has stood: what the page
or a platform repeats with every event does not grow newer by that. Strength only breaks ties of one moment: the page's
own words before a platform's; of two platforms, a denial. Then, for a server's event, what its person answered as
other visitors; then what a platform lets hold where nobody answered, then the site's default. The privacy signal (GPC)
denies advertising whatever else was said.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import or_
from typing import Final

from edge.consent import ALL_PURPOSES, MASKS, PAGE, PURPOSE_NAMES, Answer, Decision, Purpose, Said, Standing
from edge.event import is_server

GPC: Final = "gpc"
PERSON: Final = "person"
# An answer seen for the first time counts from the moment that it names itself, when that is a day or more ago:
# nearer than that a browser's clock is not to be trusted against ours.
OWN_MOMENT_COUNTS_MS = 86_400_000

_BITS = tuple(int(purpose) for purpose in PURPOSE_NAMES.values())
_ALL, _ADVERTISING = int(ALL_PURPOSES), int(Purpose.ADVERTISING)


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    """What holds where nobody answered, and whether Global Privacy Control denies advertising.

    `server_default` stands in for `default` where a server tells of somebody. `waits` and `server_waits` are purposes
    that are neither granted nor denied there: the event waits for an answer.
    """

    default: Purpose = Purpose.NONE
    gpc_denies: bool = True
    server_default: Purpose = Purpose.NONE
    waits: Purpose = Purpose.NONE
    server_waits: Purpose = Purpose.NONE

    def of_source(self, source: str) -> "ConsentSettings":
        """Give what holds for events of a source."""
        return replace(self, default=self.server_default, waits=self.server_waits) if is_server(source) else self


@dataclass(frozen=True, slots=True)
class Verdict:
    """An event's decision, what holds for its visitor from now on, and which answers were news.

    In `news`, None stands for the privacy signal having been switched on or off.
    """

    decision: Decision
    standing: Standing | None
    news: tuple[Answer | None, ...] = ()


def judge(
    answers: Sequence[Answer],
    standing: Standing | None,
    *,
    has_gpc: bool | None,
    received_ms: int,
    settings: ConsentSettings,
    is_act: bool = False,
    elsewhere: Answer | None = None,
) -> Verdict:
    """Decide one event's purposes, and what its visitor's answers are from now on.

    Args:
        answers: what the event brought, in the order in which it says it.
        standing: what held for the visitor before.
        has_gpc: the GPC header or signal came with it; None where no browser could have told: then it is as it was.
        received_ms: when it arrived, by our clock.
        is_act: the visitor answered just now, so the page's own words are news even where they say the same again.
        elsewhere: what the visitor's person answered as other visitors; it decides this event, and is no news.
    Returns:
        The granted purposes and the ground: the newest answer's source, `remembered` where an earlier event brought
        it, `person`, a platform's `… default`, or `default`; with `+gpc` where the signal took something away.
    """
    said, news = standing.said if standing else (), list[Answer | None]()
    now_ms = _not_before(said, received_ms)
    for answer in answers:
        if not answer.is_default:
            said, is_news = _with(said, answer, now_ms, is_act and not answer.platform)
            news += [answer] if is_news else []
    had_gpc = standing is not None and standing.has_gpc
    denies = settings.gpc_denies and (had_gpc if has_gpc is None else has_gpc)
    if denies != had_gpc:
        news.append(None)
    if news or denies:
        granted, denied, source = _weigh(said)
    else:
        granted, denied, source = _held(standing)
    decision = _decide(granted, denied, source, answers, denies, settings, elsewhere)
    if not news:
        return Verdict(decision, standing)
    if denies:
        granted, denied, source = granted & ~_ADVERTISING, denied | _ADVERTISING, source or GPC
    return Verdict(decision, Standing(MASKS[granted], MASKS[denied], source, denies, said), tuple(news))


def agreed(standings: Iterable[Standing]) -> Answer | None:
    """Give what somebody answered as several visitors, None for nothing; a denial of one denies for all."""
    granted = denied = 0
    for one in standings:
        granted, denied = granted | int(one.granted), denied | int(one.denied)
    return Answer(MASKS[granted & ~denied], MASKS[denied], PERSON) if granted or denied else None


def _not_before(said: Sequence[Said], received_ms: int) -> int:
    """Give an event's moment; when our clock was set back, one after all that was answered before."""
    newest_ms = 0
    for one in said:
        for at_ms in one.at_ms:
            newest_ms = max(newest_ms, at_ms, -at_ms)
    return received_ms if received_ms >= newest_ms else newest_ms + 1


def _with(said: tuple[Said, ...], answer: Answer, received_ms: int, is_act: bool) -> tuple[tuple[Said, ...], bool]:
    """Give all voices with one more answer, and whether that was news."""
    voice = answer.platform or PAGE
    own_ms = answer.own_ms or 0
    for index, before in enumerate(said):
        if before.voice == voice:
            is_given_anew = is_act or own_ms > before.own_ms
            at_ms = _moments(answer, received_ms, () if is_given_anew else before.at_ms, before.at_ms)
            if at_ms == before.at_ms and not is_given_anew:
                return said, False
            now = Said(voice, answer.source, at_ms, max(own_ms, before.own_ms))
            return (*said[:index], now, *said[index + 1 :]), True
    since_ms = own_ms if 0 < own_ms <= received_ms - OWN_MOMENT_COUNTS_MS else received_ms
    return (*said, Said(voice, answer.source, _moments(answer, since_ms, (), (0, 0, 0, 0)), own_ms)), True


def _moments(answer: Answer, since_ms: int, kept: Sequence[int], silent: Sequence[int]) -> tuple[int, int, int, int]:
    """Give since when each purpose is answered so: as kept where the same was said, as before where it is silent."""
    denied = int(answer.denied)
    granted = int(answer.granted) & ~denied
    moments = []
    for index, bit in enumerate(_BITS):
        if not (granted | denied) & bit:
            moments.append(silent[index])
        elif kept and kept[index] and (kept[index] > 0) == bool(granted & bit):
            moments.append(kept[index])
        else:
            moments.append(since_ms if granted & bit else -since_ms)
    return moments[0], moments[1], moments[2], moments[3]


def _weigh(said: Sequence[Said]) -> tuple[int, int, str]:
    """Give the granted and denied purposes and whose answer is the newest that counts."""
    granted = denied = newest_ms = 0
    source = ""
    for index, bit in enumerate(_BITS):
        best, best_key = None, (0, False, False)
        for one in said:
            at_ms = one.at_ms[index]
            key = (abs(at_ms), one.voice == PAGE, at_ms < 0)
            if at_ms and key > best_key:
                best, best_key = one, key
        if best is not None:
            granted, denied = (granted, denied | bit) if best_key[2] else (granted | bit, denied)
            if best_key[0] > newest_ms:
                newest_ms, source = best_key[0], best.source
    return granted, denied, source


def _held(standing: Standing | None) -> tuple[int, int, str]:
    """Give what `_weigh` gave when the standing was made; without the signal that is all there is in it."""
    return (int(standing.granted), int(standing.denied), standing.source) if standing is not None else (0, 0, "")


def _decide(
    granted: int,
    denied: int,
    source: str,
    answers: Sequence[Answer],
    denies: bool,
    settings: ConsentSettings,
    elsewhere: Answer | None,
) -> Decision:
    basis = "default"
    if source:
        basis = source if any(answer.source == source and not answer.is_default for answer in answers) else "remembered"
    left = _ALL & ~(granted | denied)
    if elsewhere is not None and int(elsewhere.granted | elsewhere.denied) & left:
        basis = basis if source else elsewhere.source
        granted |= int(elsewhere.granted) & left
        left &= ~int(elsewhere.granted | elsewhere.denied)
    defaults = [answer for answer in answers if answer.is_default and int(answer.granted | answer.denied) & left]
    if defaults:
        basis = f"{defaults[0].source} default" if basis == "default" else basis
        refused = _union(answer.denied for answer in defaults)
        granted |= _union(answer.granted for answer in defaults) & ~refused & left
        left &= ~(granted | refused)
    granted |= int(settings.default) & left
    waits = int(settings.waits) & left
    if denies and (granted | waits) & _ADVERTISING:
        return Decision(MASKS[granted & ~_ADVERTISING], f"{basis}+gpc", MASKS[waits & ~_ADVERTISING])
    return Decision(MASKS[granted], basis, MASKS[waits])


def _union(masks: Iterable[Purpose]) -> int:
    return reduce(or_, map(int, masks), 0)
