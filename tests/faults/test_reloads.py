"""A pipeline's file is spoilt under load, in every way that editors and people have: the old content goes on."""

from pathlib import Path

from edge.shipped import shipped
from tests.faults.counts import COUNTS, FAST_STEPS
from tests.faults.driver import READY_S, World, running_world, seeded, until
from tests.faults.verdict import settled

GOOD = shipped("pipelines/klaviyo-events.yaml").read_bytes()
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [*%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c, *%c]\n" % (one, one, *([one - 1] * 10))
    for one in b"bcdefgh"
)
SPOILT = {
    "half written": GOOD[: len(GOOD) // 2].rstrip() + b"\n  :",
    "empty": b"",
    "bad YAML": GOOD + b"\n  - ]: [",
    "an unknown key": GOOD.replace(b"integration:", b"integratoin:", 1),
    "one key twice": GOOD + b"\nname: another\n",
    "a variable that is not set": GOOD.replace(b"${KLAVIYO_PRIVATE_API_KEY}", b"${NOBODY_SET_THIS}", 1),
    "a tag that makes objects": GOOD + b'\nexecute: !!python/object/apply:os.system ["true"]\n',
    "an alias bomb": GOOD + b"\n" + BOMB,
    "no text": GOOD + b"\n# \xff\xfe\n",
    "a tab": GOOD + b"\nevents:\n\tview_item: {}\n",
    "a wrong type": GOOD + b"\nmax_age: [1]\n",
    "another vendor": GOOD.replace(b"klaviyo-events-api", b"webhook", 1),
}


async def test_whatever_is_in_the_file_no_request_is_dropped_and_the_old_content_goes_on(tmp_path):
    """The problem is told with its file for as long as it stands, and the last content is good again."""
    rng, folder = seeded(), tmp_path / "pipelines"
    folder.mkdir()
    file = folder / "klaviyo-events.yaml"
    file.write_bytes(GOOD)
    async with running_world(tmp_path, deniers=1, pipelines=folder) as world:
        await world.service.until_ready()
        await world.introduce()
        before = (await world.service.state())["drainer"]["pipelines"]
        world.open_doors(rng)
        for what in SPOILT if COUNTS.are_long else rng.sample([*SPOILT], FAST_STEPS):
            _replace(file, SPOILT[what])
            world.injected[f"reload: {what}"] += 1
            await until(lambda: _is_told(world, file), READY_S, f"{what}: /readyz names the file")
            await world.until_accepted(10, READY_S)
            state = await world.service.state()
            assert (state["ready"], state["drainer"]["pipelines"]) == (True, before), what
            _replace(file, GOOD)
            await until(lambda: _is_well(world), READY_S, f"{what}: the problem is gone")
        await world.close_doors()
        print(await settled(world))
    assert (world.answers.refusals, world.answers.cut) == ([], 0)


def _replace(file: Path, content: bytes) -> None:
    fresh = file.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(file)


async def _is_told(world: World, file: Path) -> bool:
    problems = (await world.service.state())["drainer"].get("pipeline_problems", [])
    return any(str(file) in problem for problem in problems)


async def _is_well(world: World) -> bool:
    return (await world.service.state())["drainer"].get("pipeline_problems") == []
