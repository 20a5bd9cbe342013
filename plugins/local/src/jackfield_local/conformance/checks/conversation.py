"""Conversations with a server that behaves like the provider: turns, interruptions, function calls, history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from jackfield.testing.conformance import PATIENCE
from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.sound import SOUND, duration_ms
from jackfield.transport import RealtimeTransportLayer, items
from jackfield_local import LocalServer
from jackfield_local.conformance.responder import ANSWER, quiet_server
from jackfield_local.conformance.subjects import DialectSubject

__all__ = [
    "TestServerConfig",
    "TestServerFunctionCalls",
    "TestServerHistory",
    "TestServerInterruption",
    "TestServerTurns",
]


WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}

CUTS = ("response.cancel", "output_audio_buffer.clear", "conversation.item.truncate")
"""What an interruption may consist of, in this order."""


async def turn(events: AsyncIterator[Any]) -> list[Any]:
    """Return the events up to the end of the turn."""
    told = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            told.append(event)
            if event.type == "turn_done":
                return told
    raise AssertionError(f"the connection ended before the turn did: {told}")


async def heard_out(events: AsyncIterator[Any]) -> list[Any]:
    """Return the events up to the end of the turn and of its audio, whichever comes last."""
    told: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            told.append(event)
            if {"turn_done", "audio_done"} <= {event.type for event in told}:
                return told
    raise AssertionError(f"the connection ended before the audio did: {told}")


async def first(events: AsyncIterator[Any], kind: str) -> Any:
    """Wait for an event of that type."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event.type == kind:
                return event
    raise AssertionError(f"the connection ended before {kind}")


def told_of(transport: RealtimeTransportLayer, kind: str) -> asyncio.Future[dict[str, Any]]:
    """Return what is resolved by the next raw event of that type."""
    heard: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def listen(event: dict[str, Any]) -> None:
        if event["type"] == kind and not heard.done():
            heard.set_result(event)

    transport.on("*", listen)
    return heard


def speech(transport: RealtimeTransportLayer) -> str:
    """Return the type of the events by which it is known what is spoken, whether or not the sound comes here."""
    return "audio" if transport.capabilities.audio_out else "audio_transcript_delta"


async def ask(transport: RealtimeTransportLayer, events: AsyncIterator[Any], text: str) -> Any:
    """Send a message, wait until the answer to it begins to be heard, and return an event of that."""
    playing = told_of(transport, "output_audio_buffer.started")
    await transport.send_message(text)
    begun = await first(events, speech(transport))
    if not transport.capabilities.audio_out:  # or else what is heard is its own sign
        async with asyncio.timeout(PATIENCE):
            await playing
    return begun


def spoken(told: list[Any]) -> str:
    return "".join(event.delta for event in told if event.type == "audio_transcript_delta")


def audio_of(told: list[Any]) -> bytes:
    return b"".join(event.data for event in told if event.type == "audio")


async def user_item(transport: RealtimeTransportLayer, events: AsyncIterator[Any], text: str) -> Any:
    """Send a message and return its item as the far end has it."""
    await transport.send_message(text, trigger_response=False)
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event.type == "item_update" and event.item.content == (items.InputText(text=text),):
                return event.item
    raise AssertionError("the item never came back")


@area("dialect")
class TestServerTurns:
    async def test_a_message_is_answered(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            await transport.send_message("Hello?")
            told = await heard_out(events)
            assert spoken(told) == ANSWER
            audio = [event for event in told if event.type == "audio"]
            if transport.capabilities.audio_out:
                assert duration_ms(audio_of(told)) > 1000
                sent = [
                    event for event in server.connections[-1].sent if event["type"] == "response.output_audio.delta"
                ]
                assert len(sent) == (len(audio) if transport.capabilities.playback == "client" else 0)
            [done] = [event for event in told if event.type == "turn_done"]
            assert done.status == "completed" and done.usage.total_tokens > 0
            assert {event.response_id for event in told if hasattr(event, "response_id")} == {done.response_id}

    async def test_turns_follow_one_another(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            seen = []
            for _ in range(3):
                await transport.send_message("Hello?")
                seen.append(await turn(events))
            assert [spoken(told) for told in seen] == [ANSWER] * 3
            assert len({told[-1].response_id for told in seen}) == 3

    async def test_requests_wait_for_their_turn(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            for number in range(3):
                await transport.request_response({"metadata": {"number": str(number)}})
            for _ in range(3):
                assert "error" not in [event.type for event in await turn(events)]
            asked = [event for event in server.connections[-1].received if event["type"] == "response.create"]
            assert [event["response"]["metadata"]["number"] for event in asked] == ["0", "1", "2"]

    async def test_audio_by_hand(self, subject: DialectSubject) -> None:
        config = {"turn_detection": None, "output_modalities": ["text"]}
        async with (
            quiet_server() as server,
            subject.with_voice(server, initial_session_config=config) as (transport, speak),
        ):
            events = transport.events()
            await speak(SOUND)
            await transport.commit_audio()
            await transport.request_response()
            told = await turn(events)
            assert "".join(event.delta for event in told if event.type == "output_text_delta") == ANSWER
            assert any(getattr(event.item, "role", "") == "user" for event in told if event.type == "item_update")

    async def test_an_empty_commit_is_told_and_breaks_nothing(self, subject: DialectSubject) -> None:
        async with (
            quiet_server() as server,
            subject.connected(server, initial_session_config={"turn_detection": None}) as transport,
        ):
            events = transport.events()
            await transport.commit_audio()
            await transport.send_message("Hello?")
            assert spoken(await turn(events)) == ANSWER


@area("dialect")
class TestServerFunctionCalls:
    async def test_are_answered_by_hand(self, subject: DialectSubject) -> None:
        async with (
            quiet_server() as server,
            subject.connected(server, initial_session_config={"tools": [WEATHER]}) as transport,
        ):
            events = transport.events()
            await transport.send_message("What is the weather in Paris?")
            told = await turn(events)
            call = next(event for event in told if event.type == "function_call")
            assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
            await transport.send_function_call_output(call, '{"weather": "sunny"}')
            told = await turn(events)
            assert spoken(told) == ANSWER
            done = [event.item for event in told if event.type == "item_update" and event.item.type == "function_call"]
            assert [item.output for item in done] == ['{"weather": "sunny"}']
            assert {item.item_id for item in done} == {call.item_id}

    async def test_without_asking_for_an_answer(self, subject: DialectSubject) -> None:
        async with (
            quiet_server() as server,
            subject.connected(server, initial_session_config={"tools": [WEATHER]}) as transport,
        ):
            events = transport.events()
            await transport.send_message("What is the weather in Paris?")
            call = next(event for event in await turn(events) if event.type == "function_call")
            await transport.send_function_call_output(call, "sunny", start_response=False)
            far = server.connections[-1]
            await far.received_event("conversation.item.create", 2)
            await transport.clear_audio()
            await far.received_event("input_audio_buffer.clear")
            assert [event["type"] for event in far.received].count("response.create") == 1


@area("dialect")
class TestServerInterruption:
    async def test_stops_what_is_generated(self, subject: DialectSubject) -> None:
        async with quiet_server(pace=1) as server, subject.connected(server) as transport:
            events = transport.events()
            begun = await ask(transport, events, "Hello?")
            await transport.interrupt()
            told = await turn(events)
            assert told[-1].status == "cancelled"
            kinds = [event.type for event in told]
            assert "audio_interrupted" in kinds
            assert "audio" not in kinds[kinds.index("audio_interrupted") :]
            again = await ask(transport, events, "Again?")
            assert again.response_id != begun.response_id
            await self.check_what_was_sent(transport, server)

    async def test_stops_what_is_played_when_it_was_generated_long_ago(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            done = told_of(transport, "response.done")
            audio = await ask(transport, events, "Hello?")
            async with asyncio.timeout(PATIENCE):
                await done
            await transport.interrupt()
            interrupted = await first(events, "audio_interrupted")
            assert (interrupted.response_id, interrupted.item_id) == (audio.response_id, audio.item_id)
            part = transport.playback(interrupted.item_id, interrupted.content_index)
            assert part is not None and part.played_ms == pytest.approx(interrupted.played_ms, abs=1)
            await self.check_what_was_sent(transport, server)

    async def test_by_the_users_voice(self, subject: DialectSubject) -> None:
        async with quiet_server(pace=1) as server, subject.with_voice(server) as (transport, speak):
            events = transport.events()
            await ask(transport, events, "Hello?")
            await speak(SOUND)
            told = await turn(events)
            kinds = [event.type for event in told]
            assert kinds.index("speech_started") < kinds.index("audio_interrupted")
            assert told[-1].status == "cancelled"
            assert "audio" not in kinds[kinds.index("audio_interrupted") :]
            await self.check_what_was_sent(transport, server)

    async def check_what_was_sent(self, transport: RealtimeTransportLayer, server: LocalServer) -> None:
        """Who truncates does that alone; who holds the queue of what is not yet played is told to drop it."""
        far = server.connections[-1]
        if transport.capabilities.truncate == "client":
            await far.received_event("conversation.item.truncate")
        if transport.capabilities.playback == "server":
            await far.sent_event("output_audio_buffer.cleared")
        asked = [event["type"] for event in far.received if event["type"] in CUTS]
        mine = {"conversation.item.truncate": "client", "output_audio_buffer.clear": "server"}
        assert all(mine[kind] == transport.capabilities.playback for kind in asked if kind in mine)
        assert asked == sorted(asked, key=CUTS.index)

    async def test_of_another_response_leaves_this_one_alone(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            await transport.send_message("Hello?")
            await first(events, "turn_started")
            await transport.interrupt("resp_of_long_ago")
            told = await heard_out(events)
            assert [event.status for event in told if event.type == "turn_done"] == ["completed"]
            assert "audio_interrupted" not in [event.type for event in told]

    async def test_playback_says_how_far_a_part_has_come(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            events = transport.events()
            played_out = told_of(transport, "output_audio_buffer.stopped")
            await transport.send_message("Hello?")
            told = await heard_out(events)
            if not transport.capabilities.audio_out:  # it is generated, and to be heard elsewhere
                async with asyncio.timeout(PATIENCE):
                    await played_out
            begun = next(event for event in told if event.type == speech(transport))
            part = transport.playback(begun.item_id, begun.content_index)
            assert part is not None
            if transport.capabilities.audio_out:
                assert part.received_ms == pytest.approx(duration_ms(audio_of(told)))
            if transport.capabilities.playback == "server":  # the far end has said that it was heard to its end
                assert part.played_ms == pytest.approx(part.received_ms, abs=100)
                assert part.played_ms > 1000
            assert part.generated
            assert transport.playback("item_of_long_ago") is None

    async def test_of_nothing_sends_nothing(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            await transport.interrupt()
            await transport.clear_audio()
            far = server.connections[-1]
            await far.received_event("input_audio_buffer.clear")
            assert [event["type"] for event in far.received] == ["input_audio_buffer.clear"]


@area("dialect")
class TestServerHistory:
    async def test_is_edited_to_what_is_wanted(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            if not transport.capabilities.history:
                pytest.skip("it can't edit the history")
            events = transport.events()
            one = await user_item(transport, events, "one")
            two = await user_item(transport, events, "two")
            new = items.UserMessageItem(item_id="item_new", content=(items.InputText(text="new"),), status="completed")
            await transport.reset_history([one, two], [new, two])
            deleted, added = [], []
            async with asyncio.timeout(PATIENCE):
                async for event in events:
                    if event.type == "item_deleted":
                        deleted.append(event.item_id)
                    elif event.type == "item_update":
                        added.append((event.item.item_id, event.after))
                        if event.item.item_id == "item_new":
                            break
            assert deleted == [one.item_id]
            assert added[-1] == ("item_new", None)


@area("dialect")
class TestServerConfig:
    async def test_is_changed_while_connected(self, subject: DialectSubject) -> None:
        async with (
            quiet_server() as server,
            subject.connected(server, initial_session_config={"instructions": "First"}) as transport,
        ):
            updated = told_of(transport, "session.updated")
            await transport.update_session_config({"voice": "ash", "inputAudioFormat": "g711_ulaw"})
            async with asyncio.timeout(PATIENCE):
                session = (await updated)["session"]
            assert session["instructions"] == "First"
            assert session["audio"]["output"]["voice"] == "ash"
            if transport.capabilities.playback == "client":
                assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
            else:  # the formats of a media path are negotiated; this one is of what we are given to send
                assert session["audio"]["input"]["format"]["type"] == "audio/pcm"

    async def test_that_is_refused_is_told(self, subject: DialectSubject) -> None:
        async with quiet_server() as server, subject.connected(server) as transport:
            refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            transport.on("error", lambda event: refused.set_result(event.error))
            await transport.update_session_config({"bogus": True})
            async with asyncio.timeout(PATIENCE):
                error = await refused
            assert (error.code, error.param, error.classification) == (
                "unknown_parameter",
                "session.bogus",
                "rejected",
            )
            assert transport.status == "connected"
