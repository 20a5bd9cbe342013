"""Responses in sequence, and a far end that misbehaves, as programs for the Python agents SDK expect it: A101 to A111.

Where jackfield does better than that SDK, the test is of what jackfield does. A112 (one observer of a call that is
announced twice) is in `test_calls`.
"""

from __future__ import annotations

import asyncio
import copy
import json
import logging
from typing import Any

import pytest

from jackfield import (
    AssistantAudio,
    AssistantText,
    RealtimeAgent,
    RealtimeSession,
    RunContextWrapper,
    function_tool,
)
from jackfield.errors import (
    ConfigurationError,
    NotConnectedError,
    ProtocolError,
    ProviderError,
    ResponseLostError,
    SessionStateError,
)
from support.clock import advance, settle, timeless
from support.memory_wire import (
    FarEnd,
    MemoryWire,
    call_turn,
    memory_transport,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    user_item,
)

SECRET = "the patient is Ann Onymous"

CREATED, DONE = text_turn("resp_1", "item_1")[0], text_turn("resp_1", "item_1")[-1]


@function_tool
async def ping() -> str:
    """Answer."""
    return "pong"


async def exchange(far: FarEnd, response_id: str) -> None:
    """Answer the request that is under way, to its end."""
    far.send(*text_turn(response_id, f"item_of_{response_id}"))
    await settle()


def refusal(message: str, *, event_id: str | None = None, code: str | None = "invalid_value") -> dict[str, Any]:
    error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id}
    return {"type": "error", "error": error}


class TestInputWhileItSpeaks:
    @timeless
    async def test_a101_the_item_goes_out_now_and_the_request_behind_the_response(self) -> None:
        async with open_session() as (session, far):
            far.send(CREATED)
            await settle()
            await session.send_message("And tomorrow?")
            assert far.types == ["session.update", "conversation.item.create"]
            far.send(DONE)
            await far.received("response.create")
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    @pytest.mark.parametrize("kind", ["agent_start", "transcript_delta", "raw_model_event"])
    @timeless
    async def test_a101_also_from_a_listener_and_the_reader_reads_on(self, kind: str) -> None:
        async with open_session() as (session, far):

            async def speak_up(event: Any) -> None:
                await session.send_message("And tomorrow?")
                sent.set()

            sent = asyncio.Event()
            session.once(kind, speak_up)
            turn = text_turn("resp_1", "item_1")
            far.send(*turn[:-1])
            await sent.wait()
            await settle()
            assert far.types == ["session.update", "conversation.item.create"]
            far.send(turn[-1])
            await far.received("response.create")

    @timeless
    async def test_a101_also_from_the_loop_that_reads_the_events(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            async for event in session:
                if event.type == "transcript_delta":
                    await session.send_message("And tomorrow?")
                if event.type == "agent_end":
                    break
            await far.received("response.create")
            assert far.types.count("conversation.item.create") == 2

    @timeless
    async def test_a102_many_inputs_ask_for_one_response(self) -> None:
        async with open_session() as (session, far):
            far.send(CREATED)
            await settle()
            for number in range(5):
                await session.send_message(str(number))
            far.send(DONE)
            await far.received("response.create")
            await exchange(far, "resp_2")
            assert far.types == ["session.update", *["conversation.item.create"] * 5, "response.create"]

    @timeless
    async def test_a102_many_outputs_ask_for_one_response(self) -> None:
        async with open_session(RealtimeAgent("A", tools=[ping])) as (_, far):
            far.send(*call_turn("resp_1", *((f"call_{number}", "ping", "{}") for number in range(5))))
            await settle()
            await exchange(far, "resp_2")
            await settle()
            assert far.types == ["session.update", *["conversation.item.create"] * 5, "response.create"]

    @timeless
    async def test_a102_inputs_and_outputs_of_one_turn_ask_for_one_response(self) -> None:
        async with open_session(RealtimeAgent("A", tools=[ping])) as (session, far):
            turn = call_turn("resp_1", ("call_1", "ping", "{}"))
            far.send(*turn[:-1])
            await settle()
            await session.send_message("And tomorrow?")
            far.send(turn[-1])
            await settle()
            assert far.types == ["session.update", *["conversation.item.create"] * 2, "response.create"]
            await exchange(far, "resp_2")
            await settle()
            assert far.types[4:] == []

    @timeless
    async def test_a102_what_came_after_the_request_is_answered_by_another(self) -> None:
        async with open_session() as (session, far):
            await session.send_message("one")
            await session.send_message("two")
            assert far.types.count("response.create") == 1
            await exchange(far, "resp_1")
            await settle()
            assert far.types.count("response.create") == 2
            await exchange(far, "resp_2")
            await settle()
            assert far.types.count("response.create") == 2


class TestRequestsByHand:
    @timeless
    async def test_a103_are_never_merged_and_keep_their_order(self) -> None:
        async with open_session() as (session, far):
            far.send(CREATED)
            await settle()
            for number in range(2):
                raw = {
                    "type": "response.create",
                    "event_id": f"mine_{number}",
                    "response": {"instructions": str(number)},
                }
                await session.transport.send_event(raw)
            await session.send_message("one")
            await session.send_message("two")
            await session.request_response({"instructions": "2"})
            assert "response.create" not in far.types
            far.send(DONE)
            asked = []
            for number in range(2, 6):
                request = await far.received("response.create")
                asked.append((request.get("event_id", "").startswith("mine"), request.get("response")))
                await exchange(far, f"resp_{number}")
            assert asked == [
                (True, {"instructions": "0"}),
                (True, {"instructions": "1"}),
                (False, None),
                (False, {"instructions": "2"}),
            ]
            assert far.types.count("response.create") == 4

    @timeless
    async def test_a103_an_automatic_one_waits_until_the_turn_of_the_one_before_is_over(self) -> None:
        async with open_session() as (session, far):
            await session.transport.send_event({"type": "response.create", "event_id": "mine"})
            await session.send_message("one")
            assert far.types == ["session.update", "response.create", "conversation.item.create"]
            far.send(CREATED)
            await settle()
            assert far.types.count("response.create") == 1
            far.send(DONE)
            await settle()
            assert far.types.count("response.create") == 2


class TestRefusals:
    @timeless
    async def test_a104_an_error_about_something_else_leaves_the_request_pending(self) -> None:
        async with open_session() as (session, far):
            await session.send_message("one")
            await session.send_message("two")
            far.send(refusal("no such item", event_id="jf_99"), refusal("too loud"))
            errors = [(await read_until(session, "error"))[-1].error for _ in range(2)]
            assert all(isinstance(error, ProviderError) for error in errors)
            await settle()
            assert far.types.count("response.create") == 1
            await exchange(far, "resp_1")
            assert far.types.count("response.create") == 2

    @pytest.mark.parametrize("named", [True, False])
    @timeless
    async def test_a104_one_about_the_request_lets_the_next_go(self, named: bool) -> None:
        async with open_session() as (session, far):
            await session.send_message("one")
            await session.send_message("two")
            request = await far.received("response.create")
            far.send(refusal("response.create is not possible now", event_id=request["event_id"] if named else None))
            assert isinstance((await read_until(session, "error"))[-1].error, ProviderError)
            assert (await far.received("response.create"))["event_id"] != request["event_id"]

    @timeless
    async def test_a104_one_that_lost_against_the_far_ends_own_response_is_sent_again_after_it(self) -> None:
        async with open_session() as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            await session.send_message("one")
            request = await far.received("response.create")
            busy = refusal(
                "Conversation already has an active response in progress: resp_1",
                event_id=request["event_id"],
                code="conversation_already_has_active_response",
            )
            far.send(CREATED, busy)
            await settle()
            assert (errors, far.types.count("response.create")) == ([], 1)
            far.send(DONE)
            await far.received("response.create")
            await exchange(far, "resp_2")
            assert far.types.count("response.create") == 2

    @timeless
    async def test_a104_one_that_is_never_answered_holds_nobody_up_for_ever(self) -> None:
        async with open_session() as (session, far):
            lost: list[Any] = []
            session.on("error", lambda event: lost.append(event.error))
            await session.send_message("one")
            await session.send_message("two")
            await advance(14.9)
            assert (lost, far.types.count("response.create")) == ([], 1)
            await advance(0.2)
            assert [type(error) for error in lost] == [ResponseLostError]
            assert far.types.count("response.create") == 2
            await exchange(far, "resp_1")
            await advance(3600)
            assert len(lost) == 1
            assert far.types.count("response.create") == 2

    @timeless
    async def test_a105_a_request_whose_caller_gave_up_blocks_nobody(self) -> None:
        async with open_session() as (session, far):
            far.stall()
            asking = asyncio.create_task(session.request_response({"instructions": "Say hello."}))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            far.flow()
            await far.received("response.create")
            await session.send_message("one")
            await exchange(far, "resp_1")
            assert (await far.received("response.create")).get("response") is None

    @timeless
    async def test_a105_an_agent_takes_over_in_both_places_or_in_none(self) -> None:
        agents = [RealtimeAgent(name, instructions=f"You are {name}.") for name in ("A", "B")]
        async with open_session(agents[0]) as (session, far):
            far.stall()
            updating = asyncio.create_task(session.update_agent(agents[1]))
            await settle()
            updating.cancel()
            await asyncio.gather(updating, return_exceptions=True)
            far.flow()
            await settle()
            assert far.frames[-1]["session"]["instructions"] == session.current_agent.instructions

    @timeless
    async def test_a105_what_can_not_be_encoded_takes_no_turn(self) -> None:
        async with open_session() as (session, far):
            for unsendable in (
                session.request_response({"metadata": {"key": object()}}),
                session.transport.send_event({"type": "response.create", "response": {"instructions": object()}}),
                session.send_message("\ud800"),
            ):
                with pytest.raises(ConfigurationError):
                    await unsendable
            assert far.types == ["session.update"]
            await session.send_message("one")
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    @pytest.mark.parametrize("how", ["our close", "clean", "lost"])
    @timeless
    async def test_a106_what_waited_goes_with_its_connection(self, how: str) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        async with RealtimeSession(RealtimeAgent("A"), transport=transport) as session:
            far = wire.far_ends[0]
            await session.send_message("one")
            await session.send_message("two")
            if how == "clean":
                far.close()
            elif how == "lost":
                far.lose()
            await settle()
        assert far.types.count("response.create") == 1
        async with RealtimeSession(RealtimeAgent("A"), transport=transport) as session:
            far = wire.far_ends[1]
            await exchange(far, "resp_1")
            assert far.types == ["session.update"]
            await session.send_message("three")
            assert far.types == ["session.update", "conversation.item.create", "response.create"]

    @timeless
    async def test_a106_who_waits_for_the_wire_is_told(self) -> None:
        async with open_session() as (session, far):
            far.stall()
            sending = [asyncio.create_task(session.send_message(str(number))) for number in range(3)]
            await asyncio.sleep(0)
            await session.close()
            assert [type(error) for error in await asyncio.gather(*sending, return_exceptions=True)] == [
                NotConnectedError
            ] * 3

    @timeless
    async def test_a106_an_agent_that_is_ready_too_late_goes_to_no_other_session(self) -> None:
        asked, answer = asyncio.Event(), asyncio.Event()

        async def instructions(context: RunContextWrapper[Any], agent: Any) -> str:
            asked.set()
            await answer.wait()
            return "You are late."

        wire = MemoryWire()
        transport = memory_transport(wire)
        async with RealtimeSession(RealtimeAgent("A"), transport=transport) as session:
            updating = asyncio.create_task(session.update_agent(RealtimeAgent("B", instructions=instructions)))
            await asked.wait()
        async with RealtimeSession(RealtimeAgent("A"), transport=transport):
            answer.set()
            with pytest.raises(SessionStateError):
                await updating
            await settle()
            assert wire.far_ends[1].types == ["session.update"]


JUNK: dict[str, bytes] = {
    "no JSON": b'{"type": "response.done", "secret": "' + SECRET.encode(),
    "no text": b"\xff\xfe" + SECRET.encode(),
    "no object": json.dumps([SECRET]).encode(),
    "no type": json.dumps({"text": SECRET}).encode(),
    "audio that is none": json.dumps({"type": "response.output_audio.delta", "delta": SECRET}).encode(),
}

ODD: dict[str, Any] = {
    "a type that nobody knows": {"type": "response.hologram.delta", "delta": SECRET},
    "a field of another type": {"type": "response.output_text.delta", "delta": [SECRET], "item_id": {"a": SECRET}},
    "no fields at all": {"type": "conversation.item.added"},
    "an item of a type that nobody knows": {"type": "conversation.item.added", "item": {"id": "x", "type": SECRET}},
}


class TestWhatIsOdd:
    @pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
    @timeless
    async def test_a107_junk_is_an_error_event_and_the_session_goes_on(
        self, junk: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with open_session() as (session, far):
            far.send_frame(junk)
            far.send(*text_turn("resp_1", "item_1"))
            events = await read_until(session, "agent_end")
            (error,) = [event.error for event in events if event.type == "error"]
            assert isinstance(error, ProtocolError)
            assert SECRET not in f"{error!s} {error!r} {caplog.text}"

    @pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
    @timeless
    async def test_a107_what_is_only_odd_is_passed_on_raw_and_is_no_error(
        self, odd: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with open_session() as (session, far):
            far.send(odd, *text_turn("resp_1", "item_1"))
            events = await read_until(session, "agent_end")
            assert odd in [event.data for event in events if event.type == "raw_model_event"]
            assert "error" not in [event.type for event in events]
            assert SECRET not in caplog.text

    @pytest.mark.parametrize(
        "event",
        [
            {"text": SECRET},
            {"type": None, "text": SECRET},
            {"type": "", "session": {"tools": [{"type": "mcp", "authorization": SECRET}]}},
            {"type": "conversation.item.create", "item": {"text": SECRET, "more": object()}},
            {"type": "response.create", "response": SECRET},
            {"type": "response.create", "event_id": {"id": SECRET}},
        ],
    )
    @timeless
    async def test_a108_a_client_event_that_is_none_is_refused_without_its_content(
        self, event: dict[str, Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with open_session() as (session, far):
            with pytest.raises(ConfigurationError) as caught:
                await session.transport.send_event(event)
            assert SECRET not in f"{caught.value!s} {caplog.text}"
            await session.transport.send_event({"type": "vendor.own", "text": "passes"})
            assert far.frames[1:] == [{"type": "vendor.own", "text": "passes"}]

    @timeless
    async def test_a109_raw_events_are_as_they_came(self) -> None:
        events = [
            {"type": "session.updated", "session": {"audio": {"output": {"voice": {"id": "voice_1", "x": None}}}}},
            {
                "type": "conversation.item.added",
                "previous_item_id": None,
                "item": user_item("item_1", "hello")[0]["item"],
            },
            {
                "type": "response.created",
                "response": {"id": "resp_1", "audio": {"output": {"voice": {"id": "voice_1"}}}},
            },
        ]
        async with open_session() as (session, far):
            heard: list[Any] = []

            def spoil(message: dict[str, Any]) -> None:
                heard.append(copy.deepcopy(message))
                message.clear()

            session.transport.on("*", spoil)
            session.transport.on("*", spoil)
            far.send(*events)
            told = [event.data for event in await read_until(session, "agent_start") if event.type == "raw_model_event"]
            assert told[-3:] == events
            assert heard == [event for event in events for _ in range(2)]
            assert session.history[0].item_id == "item_1"

    @timeless
    async def test_a110_what_a_turn_cost_is_known_when_it_ends_also_of_a_cancelled_one(self) -> None:
        async with open_session() as (session, far):
            totals: list[tuple[str, int, int]] = []
            session.on(
                "agent_end",
                lambda event: totals.append(
                    (event.status, event.info.context.usage.total_tokens, event.info.context.usage.requests)
                ),
            )
            far.send(*spoken_turn("resp_1", "item_1", tokens=10))
            far.send({**CREATED, "response": {"id": "resp_2"}}, response_done("resp_2", status="cancelled", tokens=5))
            far.send(*text_turn("resp_3", "item_3"))  # of which nothing is told
            events = await read_until(session, lambda event: getattr(event, "status", "") == "cancelled")
            kinds = [event.type for event in events if event.type in {"usage_update", "agent_end"}]
            assert kinds == ["usage_update", "agent_end"] * 2
            await settle()
            assert totals == [("completed", 20, 1), ("cancelled", 30, 2), ("completed", 30, 2)]
            assert session.usage.total_tokens == 30

    @timeless
    async def test_a110_each_session_counts_for_itself(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire)
        for number in range(2):
            async with RealtimeSession(RealtimeAgent("A"), transport=transport) as session:
                wire.far_ends[number].send(*spoken_turn("resp_1", "item_1", tokens=10))
                await settle()
                assert (session.usage.total_tokens, session.usage.requests) == (20, 1)

    @timeless
    async def test_a111_what_the_model_wrote_and_said_are_text_and_audio(self) -> None:
        async with open_session() as (session, far):
            far.send(*text_turn("resp_1", "item_1"), *spoken_turn("resp_2", "item_2", previous="item_1"))
            await settle()
            written, spoken = session.history
            assert written.content == (AssistantText("Hello there."),)
            assert spoken.content == (AssistantAudio("Hello there."),)
            assert [part.type for item in session.history for part in item.content] == ["text", "audio"]
