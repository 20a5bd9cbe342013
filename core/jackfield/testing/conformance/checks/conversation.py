"""Turns and function calls: requests wait for their turn, every call is answered once, and the model goes on."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import answering, listening
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import ConfigurationError

from .watching import all_told, first, turn

__all__ = ["TestFunctionCalls", "TestSequencing"]

CALL = ("call_1", "get_weather", '{"city": "Paris"}')


@area("sequencing")
class TestSequencing:
    async def test_a_message_is_answered(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            await transport.send_message("Hello?")
            assert (await turn(events))[-1].status == "completed"
            assert list(far.messages) == ["Hello?"] and far.requests == 1

    async def test_a_message_without_a_request_is_not(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            await transport.send_message("Nothing to say to.", trigger_response=False)
            await far.until(lambda: far.messages, "the message")
            await all_told(transport, far)
            assert far.requests == 0

    async def test_turns_follow_one_another(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            seen = []
            for _ in range(3):
                await transport.send_message("Hello?")
                seen.append((await turn(events))[-1])
            assert [done.status for done in seen] == ["completed"] * 3
            assert len({done.response_id for done in seen}) == 3
            assert far.requests == 3

    async def test_requests_wait_for_the_turn_that_is_being_spoken(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await transport.request_response()
            await far.until(lambda: far.requests == 1, "the first request")
            await far.speak(response_id="resp_1")
            await first(events, "turn_started")
            await transport.request_response()
            await transport.request_response()
            await all_told(transport, far)
            assert far.requests == 1, "a response was asked for while another one was active"
            await far.finish(response_id="resp_1")
            await far.until(lambda: far.requests == 2, "the request that had to wait")
            await far.say(response_id="resp_2")
            await turn(events)
            assert (await turn(events))[-1].status == "completed"
            await all_told(transport, far)
            assert far.requests == 2, "two requests that waited for the same turn were not made one"

    async def test_a_session_goes_on_after_many_turns(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            events = transport.events()
            for number in range(1, 21):
                await transport.request_response()
                await turn(events)
                assert far.requests == number


@area("function_calls")
class TestFunctionCalls:
    async def test_an_output_reaches_the_model_which_goes_on(self, subject: Subject) -> None:
        async with subject.pair(answering(CALL)) as (transport, far):
            events = transport.events()
            await transport.send_message("What is the weather in Paris?")
            call = await first(events, "function_call")
            await transport.send_function_call_output(call, '{"weather": "sunny"}')
            told = await turn(events)
            if not any(event.type == "audio_transcript_delta" for event in told):  # that was the end of the call's turn
                told += await turn(events)
            assert dict(far.outputs) == {"call_1": '{"weather": "sunny"}'}
            assert any(event.type == "audio_transcript_delta" for event in told), "the model did not go on"
            items = [event.item for event in told if event.type == "item_update"]
            [item] = [item for item in items if item.type == "function_call" and item.output is not None]
            assert (item.item_id, item.output) == (call.item_id, '{"weather": "sunny"}')

    async def test_two_calls_of_one_turn_are_answered_once(self, subject: Subject) -> None:
        calls = (CALL, ("call_2", "get_time", "{}"))
        async with subject.pair(answering(*calls)) as (transport, far):
            events = transport.events()
            await transport.send_message("What is the weather in Paris, and the time?")
            one = await first(events, "function_call")
            two = await first(events, "function_call")
            await transport.send_function_call_output(one, "sunny", start_response=False)
            await transport.send_function_call_output(two, "noon")
            await far.until(lambda: len(far.outputs) == 2, "both outputs")
            assert dict(far.outputs) == {"call_1": "sunny", "call_2": "noon"}
            await far.until(lambda: far.requests == 2, "the request for the answer")
            await turn(events)
            await all_told(transport, far)
            assert far.requests == 2

    async def test_outputs_are_text(self, subject: Subject) -> None:
        async with subject.pair(answering(CALL)) as (transport, far):
            events = transport.events()
            await transport.send_message("What is the weather in Paris?")
            call = await first(events, "function_call")
            odd: Any = {"weather": "sunny"}
            with pytest.raises(ConfigurationError, match="str"):
                await transport.send_function_call_output(call, odd)
            await transport.send_function_call_output(call, "sunny: ü \U0001f600")
            await far.until(lambda: far.outputs, "the output")
            assert dict(far.outputs) == {"call_1": "sunny: ü \U0001f600"}
