"""What does not run is said by every verb that shows the queue: its figures look calm when nothing moves any more."""

from pathlib import Path

import pytest

from edge.app.lock import is_held, take_lock
from edge.cli.running import Absences
from edge.errors import StorageTaken
from tests.component.world import World, build, served

NOBODY = "no service runs here: nothing is accepted or delivered"
NO_COLLECTOR = "the collector does not run: nothing is accepted"
NO_DRAINER = "the drainer does not run: nothing is delivered"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return build(tmp_path_factory.mktemp("world"))


def watched(world: World, *arguments: str) -> str:
    """Look once, then press Ctrl-C."""

    async def pause(_: float) -> None:
        raise KeyboardInterrupt

    return world.edge("queue", "--watch", *arguments, pause=pause).stdout


def test_a_killed_service_is_said_by_queue_watch_and_tail(world: World) -> None:
    assert world.lines("queue")[1] == NOBODY
    assert watched(world).splitlines()[1] == NOBODY
    assert world.edge("tail", "--once").stderr.splitlines()[0] == NOBODY
    nobody = '"running":{"collector":false,"drainer":false}'
    assert [nobody in told for told in (world.edge("queue", "--json").stdout, watched(world, "--json"))] == [True] * 2


@pytest.mark.parametrize(("runs", "missing"), [("drainer", NO_COLLECTOR), ("collector", NO_DRAINER)])
def test_a_part_that_runs_alone_counts_for_its_role(world: World, runs: str, missing: str) -> None:
    with served(world.folder, runs):
        assert world.lines("queue")[1] == missing
        running = world.json("queue")["running"]
    assert running == {"collector": runs == "collector", "drainer": runs == "drainer"}


def test_of_a_service_that_runs_nothing_is_said(world: World) -> None:
    with served(world.folder):
        assert world.lines("queue")[1].startswith("the resolver")
        assert world.edge("tail", "--once").stderr == "accepted and not resolved yet: 1; is the drainer running?\n"


def test_an_absence_is_said_once_and_so_is_its_end(tmp_path: Path) -> None:
    absences = Absences(tmp_path)
    said = [absences.news(), absences.news()]
    with served(tmp_path, "drainer"):
        said.append(absences.news())
        with served(tmp_path, "collector"):
            said += [absences.news(), absences.news()]
    said.append(absences.news())
    assert said == [NOBODY, "", NO_COLLECTOR, "the service runs again", "", NOBODY]


def test_looking_at_a_lock_takes_it_from_nobody(tmp_path: Path) -> None:
    assert is_held(tmp_path, "drainer") is False
    with served(tmp_path, "drainer"):
        assert is_held(tmp_path, "drainer") is True
        with pytest.raises(StorageTaken, match="already runs as drainer"):
            take_lock(tmp_path, "drainer")
    assert is_held(tmp_path, "drainer") is False
    with served(tmp_path, "drainer"):
        assert is_held(tmp_path, "drainer") is True


def test_a_lock_that_cannot_be_read_is_no_claim(tmp_path: Path) -> None:
    (tmp_path / "a-file").write_text("")
    assert is_held(tmp_path / "a-file", "drainer") is None
