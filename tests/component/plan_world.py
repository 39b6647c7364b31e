"""Two days of stored events for `edge plan`, and folders of edited pipelines."""

import asyncio
from pathlib import Path

from tests.backroom import PIPELINE, Backroom
from tests.component.world import ARCHIVE, World, write_files

ALLOWED = {"functional": "granted", "analytics": "granted", "marketing": "granted", "advertising": "denied"}
DENIED = {**ALLOWED, "marketing": "denied"}
MINUTE_S = 60


def build(folder: Path) -> World:
    """Make the stores: #1 is two days old, the others came a minute apart, the last one is not resolved yet."""
    world = write_files(folder)
    asyncio.run(_fill(world))
    return world


def edit(folder: Path, *changes: tuple[str, str]) -> str:
    """Write both pipelines into a folder, with texts of klaviyo.yaml replaced; give the folder."""
    text = PIPELINE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "klaviyo.yaml").write_text(text)
    (folder / "archive.yaml").write_text(ARCHIVE)
    return str(folder)


async def _fill(world: World) -> None:
    room = await Backroom.open(world.folder, world.clock)

    async def store(visitor: int, name: str, id: str, **more: object) -> None:
        world.clock.advance(MINUTE_S)
        await room.store(visitor, name, id=id, **more)

    await store(1, "view_item", "old-1", properties={"item_name": "Old cup"})
    world.clock.advance(2 * 86_400)
    await store(1, "identify", "who-1", traits={"email": "visitor@shop.example"})
    await store(1, "view_item", "view-1", properties={"item_name": "Moon Teapot", "price": 64})
    await store(1, "view_item", "view-2", properties={"item_name": "River cup", "price": 19.99})
    await store(1, "view_item", "view-3", properties={"price": 5})
    await store(1, "view_item", "view-4", properties={"item_name": "Kettle"})
    await store(1, "purchase", "order-1", properties={"transaction_id": "o-1", "value": 64})
    await store(1, "share", "share-1", consent=ALLOWED, properties={"method": "mail"})
    await store(2, "view_item", "stranger-1", properties={"item_name": "Moon Teapot"})
    await store(3, "view_item", "denied-1", consent=DENIED, traits={"email": "third@shop.example"})
    await store(4, "view_item", "taken-back-1", traits={"email": "fourth@shop.example"})
    await store(1, "view_item", "view-1", properties={"item_name": "Moon Teapot"})
    await store(4, "consent", "no-1", consent=DENIED)
    await room.resolve()
    await store(1, "view_item", "late-1")
    world.clock.advance(10 * MINUTE_S)
    await room.close()
