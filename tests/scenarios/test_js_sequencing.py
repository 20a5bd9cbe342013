"""Acceptance scenarios of the JavaScript SDK, 48-54: when `response.create` goes out.

Each test carries the scenario's number.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield.errors import ConfigurationError, ProviderError
from jackfield.openai import OpenAIRealtimeTransport
from support.memory_wire import FarEnd, MemoryWire, memory_transport, open_session, response_done, spoken_turn

Event = dict[str, Any]

CREATED = spoken_turn("resp_1", "item_1")[0]


def busy(event_id: str | None) -> Event:
    message = "Conversation already has an active response in progress: resp_0."
    code = "conversation_already_has_active_response"
    error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
    return {"type": "error", "error": error}


def created(response_id: str) -> Event:
    return {"type": "response.created", "response": {"id": response_id, "conversation_id": "conv_1"}}


def requests(far: FarEnd) -> list[str | None]:
    """What was asked for, in order: the instructions of each request, None where it has none."""
    frames = [frame for frame in far.frames if frame["type"] == "response.create"]
    return [frame.get("response", {}).get("instructions") for frame in frames]


async def test_j48_a_request_waits_for_the_end_of_the_response_and_not_of_its_audio() -> None:
    async with open_session() as (session, far):
        turn = spoken_turn("resp_1", "item_1")
        far.send(turn[0])
        await far.heard()
        await session.request_response()
        far.send(*turn[1:-1])
        await far.heard()
        assert "response.output_audio.done" in [frame["type"] for frame in turn[1:-1]]
        assert requests(far) == []
        far.send(turn[-1])
        await far.received("response.create")
        assert requests(far) == [None]


async def test_j49_an_idle_request_keeps_its_place_between_its_neighbours() -> None:
    async with open_session() as (session, far):
        await asyncio.gather(
            session.send_message("one", trigger_response=False),
            session.request_response(),
            session.send_message("two", trigger_response=False),
            session.send_audio(b"\0\0"),
        )
        expected = ["conversation.item.create", "response.create", "conversation.item.create"]
        assert far.types[1:] == [*expected, "input_audio_buffer.append"]


async def test_j49_a_request_that_is_not_awaited_yet_has_no_place() -> None:
    async with open_session() as (session, far):
        later = session.request_response()
        await session.send_message("one", trigger_response=False)
        await later
        assert far.types[1:] == ["conversation.item.create", "response.create"]


async def test_j50_automatic_requests_coalesce_and_those_with_overrides_do_not() -> None:
    async with open_session() as (session, far):
        far.send(created("resp_0"))
        await far.heard()
        await session.request_response()
        await session.request_response()
        await session.request_response({"instructions": "first"})
        await session.request_response()
        await session.send_message("and")
        await session.transport.send_event({"type": "response.create", "response": {"instructions": "second"}})
        await session.request_response({"instructions": "third"})
        assert requests(far) == []
        for number, expected in enumerate([None, "first", None, "second", "third"]):
            far.send(response_done(f"resp_{number}"))
            await far.received("response.create")
            assert requests(far)[-1] == expected
            far.send(created(f"resp_{number + 1}"))
        far.send(response_done("resp_5"))
        await far.heard()
        assert len(requests(far)) == 5


async def test_j50_one_answer_is_enough_for_what_was_there_when_it_was_asked_for() -> None:
    async with open_session() as (session, far):
        await session.send_message("one")
        await session.request_response()
        far.send(created("resp_1"))
        await far.heard()
        await session.send_message("two")
        far.send(response_done("resp_1"), created("resp_2"), response_done("resp_2"))
        await far.heard()
        assert far.types[1:] == ["conversation.item.create", "response.create"] * 2


async def test_j51_a_refused_request_frees_the_slot_and_only_what_still_waits_follows() -> None:
    async with open_session() as (session, far):
        errors: list[Any] = []
        session.on("error", lambda event: errors.append(event.error))
        await session.request_response({"instructions": "refused"})
        refused = await far.received("response.create")
        await session.request_response()
        await session.request_response()
        error = {"type": "invalid_request_error", "code": "invalid_value", "event_id": refused["event_id"]}
        far.send({"type": "error", "error": error | {"message": "no such voice"}})
        await far.received("response.create")
        assert requests(far) == ["refused", None]
        far.send(created("resp_1"), response_done("resp_1"))
        await far.heard()
        assert requests(far) == ["refused", None]
        assert [type(error) for error in errors] == [ProviderError]


async def test_j51_a_request_that_met_the_servers_own_response_goes_out_again_after_it() -> None:
    async with open_session() as (session, far):
        errors: list[Any] = []
        session.on("error", errors.append)
        await session.request_response()
        request = await far.received("response.create")
        await session.request_response()
        far.send(created("resp_0"), busy(request["event_id"]))
        await far.heard()
        assert requests(far) == [None]
        far.send(response_done("resp_0"))
        await far.received("response.create")
        far.send(created("resp_1"), response_done("resp_1"))
        await far.heard()
        assert requests(far) == [None, None]
        assert errors == []


@pytest.mark.parametrize("event_id", [None, "jf_9999", "event_of_mine"])
async def test_j52_an_error_about_something_else_releases_nothing(event_id: str | None) -> None:
    async with open_session() as (session, far):
        await session.request_response()
        await far.received("response.create")
        await session.request_response({"instructions": "next"})
        error = {"type": "invalid_request_error", "code": "item_retrieve_invalid_item_id", "message": "no such item"}
        far.send({"type": "error", "error": error | {"event_id": event_id}})
        await far.heard()
        assert requests(far) == [None]
        far.send(created("resp_1"), response_done("resp_1"))
        await far.received("response.create")
        assert requests(far) == [None, "next"]


async def test_j53_what_waited_is_dropped_with_its_connection() -> None:
    wire = MemoryWire()
    transport = memory_transport(wire)
    await transport.connect()
    wire.far_ends[0].send(created("resp_0"))
    await wire.far_ends[0].heard()
    await transport.request_response()
    await transport.request_response({"instructions": "old"})
    await transport.close()
    await transport.connect()
    far = wire.far_ends[1]
    far.send(created("resp_1"), response_done("resp_1"))
    await far.heard()
    assert far.frames == []
    await transport.request_response({"instructions": "new"})
    assert requests(far) == ["new"]
    await transport.close()


async def send_as_overrides(transport: OpenAIRealtimeTransport, response: Event) -> None:
    await transport.request_response(response)


async def send_raw(transport: OpenAIRealtimeTransport, response: Event) -> None:
    await transport.send_event({"type": "response.create", "response": response})


@pytest.mark.parametrize("send", [send_as_overrides, send_raw])
async def test_j54_a_request_that_can_not_be_sent_raises_and_takes_no_turn(send: Any) -> None:
    wire = MemoryWire()
    transport = memory_transport(wire)
    await transport.connect()
    (far,) = wire.far_ends
    with pytest.raises(ConfigurationError, match="can't be sent as JSON"):
        await send(transport, {"metadata": {"key": object()}})
    await transport.request_response()
    assert requests(far) == [None]
    await transport.close()


async def test_j54_a_sender_that_gives_up_under_backpressure_does_not_lose_the_turn() -> None:
    async with open_session() as (session, far):
        far.stall()
        first = asyncio.create_task(session.send_message("one", trigger_response=False))
        await asyncio.sleep(0)
        asking = asyncio.create_task(session.request_response())
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait({asking})
        far.flow()
        await first
        await far.received("response.create")
        await session.request_response({"instructions": "next"})
        far.send(created("resp_1"), response_done("resp_1"))
        await far.received("response.create")
        assert requests(far) == [None, "next"]
