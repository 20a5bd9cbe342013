"""The SDK's six send events as calls of a transport, and sending on a condition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import agents.realtime as sdk
import pytest
from agents.exceptions import UserError

from jackfield.testing import Call, Say, ScriptedTransport, Turn
from jackfield.transport import ConfigurationError, NotConnectedError
from jackfield.transport.events import FunctionCall, ItemUpdate, TurnStarted
from jackfield.transport.items import RealtimeToolCallItem

Connect = Callable[..., Awaitable[Any]]

CALL = sdk.RealtimeModelToolCallEvent(name="get_weather", call_id="call_1", arguments="{}", id="item_1")
INPUT = sdk.RealtimeModelSendUserInput("Hello")


def output(start_response: bool = True) -> sdk.RealtimeModelSendToolOutput:
    return sdk.RealtimeModelSendToolOutput(tool_call=CALL, output="Sunny", start_response=start_response)


def raw(kind: str, **other: Any) -> sdk.RealtimeModelSendRawMessage:
    message: Any = {"type": kind, **({"other_data": other} if other else {})}
    return sdk.RealtimeModelSendRawMessage(message)


class TestUserInput:
    async def test_is_a_message_that_asks_for_an_answer(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(INPUT)
        assert line.calls("send_message") == [{"message": "Hello", "trigger_response": True}]

    async def test_of_several_parts(self, connect: Connect) -> None:
        line = await connect()
        content: Any = [
            {"type": "input_text", "text": "What is this?"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "high"},
        ]
        message: Any = {"type": "message", "role": "user", "content": content}
        await line.model.send_event(sdk.RealtimeModelSendUserInput(message))
        assert line.calls("send_message")[0]["message"] == message
        [told] = [event for event in await line.settled() if event.type == "item_updated"]
        assert [part.type for part in told.item.content] == ["input_text", "input_image"]

    async def test_that_cannot_be_sent_is_refused(self, connect: Connect) -> None:
        line = await connect()
        message: Any = {"type": "message", "role": "user", "content": [{"type": "input_smell"}]}
        with pytest.raises(ConfigurationError, match="input_smell"):
            await line.model.send_event(sdk.RealtimeModelSendUserInput(message))


class TestAudio:
    @pytest.mark.parametrize("commit", [True, False])
    async def test_is_passed_on(self, connect: Connect, commit: bool) -> None:
        line = await connect()
        await line.model.send_event(sdk.RealtimeModelSendAudio(b"\1\2", commit=commit))
        assert line.calls("send_audio") == [{"chunk": b"\1\2", "commit": commit}]


class Mute(ScriptedTransport):
    """Says nothing of an output that was sent."""

    async def send_function_call_output(self, call: FunctionCall, output: str, *, start_response: bool = True) -> None:
        await asyncio.sleep(0)


class TestToolOutput:
    @pytest.mark.parametrize("start_response", [True, False])
    async def test_answers_the_call(self, connect: Connect, start_response: bool) -> None:
        line = await connect()
        await line.model.send_event(output(start_response))
        call = FunctionCall(name="get_weather", arguments="{}", call_id="call_1", item_id="item_1", response_id="")
        assert line.calls("send_function_call_output") == [
            {"call": call, "output": "Sunny", "start_response": start_response}
        ]

    @pytest.mark.parametrize("far_end", [ScriptedTransport, Mute])
    async def test_completes_the_item_once(self, connect: Connect, far_end: type[ScriptedTransport]) -> None:
        line = await connect(far_end(strict=False))
        await line.emit(Call("get_weather", item_id="item_1", call_id="call_1"))
        await line.model.send_event(output())
        [told] = await line.settled()
        assert told.item == sdk.RealtimeToolCallItem(
            item_id="item_1", call_id="call_1", status="completed", arguments="{}", name="get_weather", output="Sunny"
        )

    async def test_that_comes_back_is_not_told_again(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(output())
        assert [event.type for event in await line.settled()] == ["item_updated"]
        item = RealtimeToolCallItem(
            item_id="item_1", call_id="call_1", name="get_weather", arguments="{}", output="Sunny", status="completed"
        )
        told = await line.emit(ItemUpdate(item=item, after="item_0"))
        assert told == []

    async def test_without_an_item_id(self, connect: Connect) -> None:
        line = await connect()
        call = sdk.RealtimeModelToolCallEvent(name="f", call_id="call_7", arguments="{}")
        await line.model.send_event(sdk.RealtimeModelSendToolOutput(call, "Sunny", start_response=False))
        [told] = [event for event in await line.settled() if event.type == "item_updated"]
        assert (told.item.item_id, told.item.call_id) == ("call_7", "call_7")

    async def test_that_was_not_sent_is_not_told(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.fail_next("send_function_call_output", NotConnectedError("gone"))
        with pytest.raises(NotConnectedError):
            await line.model.send_event(output())
        assert [event for event in await line.settled() if event.type == "item_updated"] == []


class TestRawMessages:
    async def test_are_merged_and_passed_on(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(raw("response.create", response={"instructions": "Greet."}, event_id="ev_1"))
        await line.model.send_event(raw("output_audio_buffer.clear"))
        assert [call["event"] for call in line.calls("send_event")] == [
            {"type": "response.create", "response": {"instructions": "Greet."}, "event_id": "ev_1"},
            {"type": "output_audio_buffer.clear"},
        ]

    async def test_about_the_users_audio_take_the_way_that_audio_takes(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(raw("input_audio_buffer.append", audio="AQI="))
        await line.model.send_event(raw("input_audio_buffer.commit"))
        await line.model.send_event(raw("input_audio_buffer.clear", event_id="ev_1"))
        methods = [call.method for call in line.far_end.calls]
        assert methods == ["connect", "send_audio", "commit_audio", "clear_audio"]
        assert line.calls("send_audio")[0]["chunk"] == b"\1\2"

    @pytest.mark.parametrize("audio", ["###", None, 5])
    async def test_with_audio_that_is_none(self, connect: Connect, audio: Any) -> None:
        line = await connect()
        with pytest.raises(UserError, match="base64"):
            await line.model.send_event(raw("input_audio_buffer.append", audio=audio))

    @pytest.mark.parametrize("message", [{}, {"type": ""}, {"type": 5}])
    async def test_without_a_type(self, connect: Connect, message: Any) -> None:
        line = await connect()
        with pytest.raises(UserError, match="needs a type"):
            await line.model.send_event(sdk.RealtimeModelSendRawMessage(message))
        assert line.calls("send_event") == []


class TestOthers:
    async def test_what_is_no_send_event(self, connect: Connect) -> None:
        line = await connect()
        with pytest.raises(UserError, match="str"):
            await line.model.send_event("hello")


class TestOnACondition:
    @pytest.mark.parametrize("holds", [True, False])
    async def test_it_is_sent_where_that_holds(self, connect: Connect, holds: bool) -> None:
        line = await connect()
        assert await line.model.send_event_if(INPUT, lambda: holds) is holds
        assert len(line.calls("send_message")) == holds

    async def test_it_is_asked_when_its_turn_has_come(self, connect: Connect) -> None:
        """Behind another input that is on its way: what was true before that may not be any more."""
        sent = asyncio.Event()
        taken = asyncio.Event()

        class Slow(ScriptedTransport):
            async def send_message(self, message: Any, *, trigger_response: bool = True) -> None:
                taken.set()
                await sent.wait()
                await super().send_message(message, trigger_response=trigger_response)

        line = await connect(Slow(strict=False))
        holds = [True]
        first = asyncio.create_task(line.model.send_event(INPUT))
        await taken.wait()
        second = asyncio.create_task(line.model.send_event_if(raw("session.update"), lambda: holds[0]))
        await asyncio.sleep(0)
        holds[0] = False
        sent.set()
        await first
        assert await second is False
        assert line.calls("send_event") == []

    async def test_an_input_is_not_sent_where_a_response_is_to_come(self, connect: Connect) -> None:
        line = await connect()
        for asks in (INPUT, output(), raw("response.create")):
            await line.model.send_event(asks)
            assert await line.model.send_event_if(INPUT, lambda: True) is False
            await line.emit(Say("Hello."))
            assert await line.model.send_event_if(INPUT, lambda: True) is True
            await line.emit(Say("Hello."))

    async def test_what_asks_for_none_is_no_hindrance(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(output(start_response=False))
        await line.model.send_event(raw("session.update", session={}))
        await line.model.send_event(raw("response.create", response={"conversation": "none"}))
        assert await line.model.send_event_if(INPUT, lambda: True) is True

    async def test_nor_is_what_could_not_be_sent(self, connect: Connect) -> None:
        line = await connect()
        line.far_end.fail_next("send_message", NotConnectedError("gone"))
        with pytest.raises(NotConnectedError):
            await line.model.send_event(INPUT)
        assert await line.model.send_event_if(INPUT, lambda: True) is True

    async def test_a_response_beside_the_conversation_is_not_the_one_to_come(self, connect: Connect) -> None:
        line = await connect()
        await line.model.send_event(INPUT)
        await line.emit(TurnStarted("resp_9", in_conversation=False))
        assert await line.model.send_event_if(INPUT, lambda: True) is False

    async def test_it_is_not_sent_on_what_is_out_of_date(self, connect: Connect, witness: Callable[[], Any]) -> None:
        """A turn has begun that the listeners, who state the condition, don't know of yet."""
        line = await connect()
        line.far_end.emit(Turn([Say("Hello.")]))
        assert await line.model.send_event_if(INPUT, lambda: True) is False
        await line.settled()
        assert await line.model.send_event_if(INPUT, lambda: True) is True

    async def test_other_events_can_be_sent_so_too(self, connect: Connect) -> None:
        line = await connect()
        assert await line.model.send_event_if(sdk.RealtimeModelSendInterrupt(), lambda: True) is True
        assert len(line.calls("interrupt")) == 1
