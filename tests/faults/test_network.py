"""A bad network before a vendor: nothing is lost, a repeat is the same, and nobody is led elsewhere.

Each run deals every kind of `proxy.py` at least once, in an order that its seed says. What the proxy wrote down and
what the sandbox received are two records by two hands: they must say the same.
"""

from tests.faults.counts import COUNTS
from tests.faults.driver import World, running_world, seeded, until
from tests.faults.proxy import KINDS, Deck, Proxy
from tests.faults.service import Parts
from tests.faults.verdict import Verdict, settled

SLOW = ("429 with a date",)  # half a minute of silence, as Klaviyo's answer cannot be read
FAST_KINDS = tuple(kind for kind in KINDS if kind not in ("pass", *SLOW))
DEALT_S = 240.0
TIMEOUT = "timeout: 3s"


async def test_whatever_a_network_does_nothing_is_lost_and_every_repeat_is_the_same(tmp_path):
    """Refused, reset, silent, cut, garbled, huge, led elsewhere, throttled, broken, dripping, doubled."""
    rng = seeded()
    kinds = FAST_KINDS * COUNTS.network_each + (SLOW if COUNTS.are_long else ())
    proxy = Proxy(Deck(rng, kinds=kinds))
    async with running_world(tmp_path, proxy=proxy, deniers=1, kind=Parts, drainer=TIMEOUT) as world:
        await _play(world, rng)
        verdict = await settled(world)
        _compare(proxy, world, verdict)
        assert set(proxy.injected) >= {f"network: {kind}" for kind in kinds}
        assert proxy.followed == 0, "a redirect was followed"


async def test_a_process_that_is_killed_while_the_network_is_bad_repeats_only_what_may_have_arrived(tmp_path):
    """Both at once: what a dead drainer had sent meets a network that swallowed half of the answers."""
    rng = seeded()
    deck = Deck(rng, kinds=("reset after", "cut", "5xx after", "reset before", "twice"), each=4, passes=3)
    proxy = Proxy(deck)
    async with running_world(tmp_path, proxy=proxy, deniers=1, kind=Parts, drainer=TIMEOUT) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        for _ in range(COUNTS.kills_in_bad_network):
            wanted = world.ended() + rng.randint(1, 8)  # an event with which six processes die in a row is given up
            await until(lambda wanted=wanted: world.ended() >= wanted, DEALT_S, "events end")
            await world.kill("drainer")
        await until(lambda: deck.is_empty, DEALT_S, "every kind was dealt")
        await world.close_doors()
        _compare(proxy, world, await settled(world))


async def test_refused_credentials_keep_everything_and_a_start_tries_them_again(tmp_path):
    """A 401 pauses the pipeline; nothing dies of it, and what was taken meanwhile goes out in order."""
    rng, proxy = seeded(), Proxy()
    async with running_world(tmp_path, proxy=proxy, deniers=1, kind=Parts) as world:
        await world.service.until_ready()
        await world.introduce()
        world.open_doors(rng)
        await world.until_accepted(20, DEALT_S)
        proxy.is_refusing_key = True
        world.injected["network: 401"] += 1
        await until(lambda: _is_paused(world), DEALT_S, "the pipeline is paused")
        await world.until_accepted(20, DEALT_S)
        await world.kill("drainer")
        await until(lambda: _is_paused(world), DEALT_S, "it is paused again, by a probe")
        refused = [one for one in proxy.dealt if one.status == 401]
        proxy.is_refusing_key = False
        await world.kill("drainer")
        await world.close_doors()
        _compare(proxy, world, await settled(world))
    assert len(refused) <= 2 * 16, "a pipeline whose key is refused asked on and on"


async def _play(world: World, rng) -> None:
    await world.service.until_ready()
    await world.introduce()
    world.open_doors(rng)
    deck = world.proxy.deck
    try:
        await until(lambda: deck.is_empty, DEALT_S, "every kind was dealt")
    except AssertionError as late:
        raise AssertionError(f"{late}: {world.proxy.injected}, {len(world.proxy.dealt)} requests") from None
    await world.close_doors()


def _compare(proxy: Proxy, world: World, verdict: Verdict) -> None:
    """The proxy says how many requests it let through, the sandbox how many came."""
    came = len(world.exchanges)
    print(f"{verdict.promised} promised, {verdict.repeats} repeats, {came} requests came, {dict(proxy.injected)}")
    assert came == proxy.forwarded, f"{proxy.forwarded} requests were let through, {came} came"


async def _is_paused(world: World) -> bool:
    return bool((await world.service.state())["drainer"].get("paused"))
