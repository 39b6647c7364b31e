"""Vendors are asked to erase, until they answer for good; nobody's identifier is kept longer."""

import json

import pytest

from edge.delivery import Response
from edge.drainer import VendorEraser
from edge.drainer.vendor_erasing import FIRST_AFTER_S, GIVE_UP_AFTER_S, calls_for, without_calls
from edge.errors import TransportFailed
from edge.ledger import LedgerView, VendorErasureLedger
from edge.ledger.vendor_erasing import VendorCall, VendorErasure
from edge.pipeline import compile_pipeline
from edge.sandbox.klaviyo import Klaviyo
from tests.backroom import ENVIRON, PIPELINE, Answer, Backroom, ScriptedTransport
from tests.component.world import REFUSAL
from tests.eraser_room import EraserRoom, holding
from tests.klaviyo_requests import Account

HERS = "visitor@shop.example"
META = """
name: meta
integration: meta-conversions-api
parameters: {pixel_id: "123456789012345", access_token: "${KEY}", base_url: "http://klaviyo.test"}
global: {profile: {em: {source: context.traits.email}}}
events: {view_item: {event_name: ViewContent}}
"""
TAKEN = Response(202, {}, b"")


class VendorRoom:
    """An erasure that is done but for the vendor; `said` is what it was sent."""

    def __init__(self, erasing: EraserRoom, transport: ScriptedTransport) -> None:
        self.erasing, self.room, self.transport = erasing, erasing.room, transport
        self.restart()

    def restart(self) -> None:
        destinations = {one.name: one.destination for one in self.erasing.pipelines}
        self.vendors = VendorEraser(
            VendorErasureLedger(self.room.database),
            find=destinations.get,
            transport=self.transport,
            clock=self.room.clock,
            uniform=lambda low, high: high,
            pause=self.room.pause,
            metrics=self.room.metrics,
        )

    async def work(self) -> None:
        """Ask until nothing is due, and let the eraser follow."""
        while await self.vendors.step():
            pass
        await self.erasing.finish()

    async def calls(self) -> list[VendorErasure]:
        view = await LedgerView.open(self.room.folder / "ledger.db")
        try:
            return [one for _, vendors in await view.erasures() for one in vendors]
        finally:
            await view.close()


async def open_room(folder, *answers: Answer) -> VendorRoom:
    room = await Backroom.open(folder)
    erasing = EraserRoom(room, pipelines=[room.pipeline])
    await room.identify(1, email=HERS)
    await room.resolve()
    await erasing.ask(("email", HERS))
    vendors = VendorRoom(erasing, ScriptedTransport(answers=list(answers)))
    await vendors.work()
    return vendors


async def test_the_vendor_is_asked_when_what_was_on_its_way_has_arrived_and_then_nothing_names_anybody(tmp_path):
    vendors = await open_room(tmp_path)
    assert vendors.transport.requests == []
    assert holding(tmp_path, HERS) == ["ledger.db"]
    vendors.room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    [request] = vendors.transport.requests
    profile = {"data": {"type": "profile", "attributes": {"email": HERS}}}
    assert request.url == "http://klaviyo.test/api/data-privacy-deletion-jobs"
    assert json.loads(request.body) == {
        "data": {"type": "data-privacy-deletion-job", "attributes": {"profile": profile}}
    }
    assert [(one.state, one.attempts) for one in await vendors.calls()] == [("done", 1)]
    assert holding(tmp_path, HERS) == []
    assert vendors.room.metrics.erasures._value.get() == 1, "one person, whose last state began anew with the answer"
    await vendors.room.close()


@pytest.mark.parametrize(
    "answer", [Response(503, {}, b""), TransportFailed("no answer in time"), Response(200, {}, b"")]
)
async def test_whoever_cannot_answer_now_is_asked_again_also_after_a_restart(tmp_path, answer):
    vendors = await open_room(tmp_path, answer)
    vendors.room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    assert [(one.state, one.attempts) for one in await vendors.calls()] == [("open", 1)]
    vendors.restart()
    await vendors.work()
    assert len(vendors.transport.requests) == 1
    vendors.room.clock.advance(60)
    await vendors.work()
    assert [(one.state, one.attempts) for one in await vendors.calls()] == [("done", 2)]
    await vendors.room.close()


async def test_a_429_is_obeyed_and_uses_up_no_attempt(tmp_path):
    vendors = await open_room(tmp_path, Response(429, {"retry-after": "30"}, b""))
    vendors.room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    [call] = await vendors.calls()
    assert (call.state, call.attempts, call.due_at_ms) == ("open", 0, vendors.room.clock.now_ms() + 30_000)
    await vendors.room.close()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (REFUSAL, "400 invalid at /data/attributes/time"),
        (Response(401, {}, b""), "401"),
        (Response(403, {}, b""), "403"),
    ],
)
async def test_a_refusal_is_shown_and_forgets_whom_it_was_about(tmp_path, answer, reason):
    vendors = await open_room(tmp_path, answer)
    vendors.room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    assert [(one.state, one.reason) for one in await vendors.calls()] == [("refused", reason)]
    assert holding(tmp_path, HERS) == []
    await vendors.room.close()


async def test_nobody_is_asked_for_ever(tmp_path):
    vendors = await open_room(tmp_path)
    vendors.transport.always = Response(503, {}, b"")
    for _ in range(3):
        vendors.room.clock.advance(GIVE_UP_AFTER_S)
        await vendors.work()
    assert [(one.state, one.reason) for one in await vendors.calls()] == [("refused", "no good answer in 72 h")]
    await vendors.room.close()


async def test_a_pipeline_whose_file_is_gone_leaves_it_to_be_done_by_hand(tmp_path):
    vendors = await open_room(tmp_path)
    vendors.erasing.pipelines = []
    vendors.restart()
    vendors.room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    assert [(one.state, one.reason) for one in await vendors.calls()] == [
        ("refused", "no pipeline of this name runs any more")
    ]
    await vendors.room.close()


def test_an_account_is_asked_once_and_who_offers_no_call_for_an_identifier_is_named():
    one = compile_pipeline(PIPELINE, "klaviyo.yaml", ENVIRON)
    same = compile_pipeline(PIPELINE.replace("name: klaviyo", "name: again"), "again.yaml", ENVIRON)
    other = compile_pipeline(
        PIPELINE.replace("name: klaviyo", "name: other").replace("KEY", "OTHER_KEY"), "o.yaml", ENVIRON
    )
    names = [("email", HERS), ("phone", "+442079460958"), ("customer_id", "c-1")]
    assert calls_for([one, same, other], names) == [
        VendorCall(name, kind, value) for name in ("klaviyo", "other") for kind, value in names[:2]
    ]
    assert without_calls([one, same, other], names) == []
    assert without_calls([one, same, other], names[2:]) == ["klaviyo", "again", "other"]
    archive = compile_pipeline("name: a\nintegration: archive\nevents: {'*': {}}\n", "a.yaml", ENVIRON)
    assert without_calls([archive, other], names[2:]) == ["other"]
    # Another vendor behind the same proxy with the same key, as in the sandbox, is another account.
    meta = compile_pipeline(META, "meta.yaml", ENVIRON)
    assert meta.destination.account == one.destination.account
    assert without_calls([one, meta], names) == ["meta"]
    assert calls_for([meta, one], names) == calls_for([one], names) != []


async def test_the_fake_klaviyo_erases_the_profile_that_our_request_names(tmp_path):
    account = Account(Klaviyo(keys=[ENVIRON["KEY"]]))

    def answer(request):
        path = "/api/" + request.url.partition("/api/")[2]
        said = account.send(request.body, path, method=request.method, **request.headers)
        return Response(said.status, {name.lower(): value for name, value in said.headers.items()}, said.body)

    room = await Backroom.open(tmp_path)
    room.transport.always = answer
    await room.identify(1, email=HERS)
    await room.store(1, "view_item", id="hers")
    await room.work()
    assert len(account.events()) == 1
    erasing = EraserRoom(room, pipelines=[room.pipeline])
    await erasing.ask(("email", HERS))
    vendors = VendorRoom(erasing, ScriptedTransport(always=answer))
    await vendors.work()
    room.clock.advance(FIRST_AFTER_S)
    await vendors.work()
    assert (account.events(), account.klaviyo.find_profile(HERS)) == ([], None)
    assert [one.state for one in await vendors.calls()] == ["done"]
    await room.close()
