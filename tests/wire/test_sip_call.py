"""Phone calls from end to end: a phone, the local server, its webhook, a `SipCallServer`, and an agent in the call."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from jackfield import RealtimeAgent, ToolContext, function_tool
from jackfield.testing.conformance import PATIENCE
from jackfield_local.sip.caller import CallFailedError, Phone
from jackfield_transports.sip import Hangup, IncomingCall, PhoneCall, Refer
from support.phone_line import Line, Speaker, phone_line
from support.phone_provider import webhook

LONG = "Goodbye, and thank you ever so much for the call, which was a pleasure, as it always is with you."

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@function_tool
async def opening_hours() -> str:
    """Say when the shop is open."""
    return "from nine to six"


def end_with(goodbye: str) -> Any:
    @function_tool
    async def end_call(context: ToolContext[PhoneCall]) -> str:
        """End the call."""
        await context.context.say_then(Hangup())
        return goodbye

    return end_call


def transfer_to(target: str) -> Any:
    @function_tool
    async def transfer(context: ToolContext[PhoneCall]) -> str:
        """Transfer the caller."""
        await context.context.say_then(Refer(target))
        return "One moment."

    return transfer


def agent(*tools: Any) -> RealtimeAgent:
    return RealtimeAgent("Shop", instructions="Answer the phone.", tools=list(tools))


async def is_over(line: Line, call: Any, number: int = 1) -> str:
    """Wait until both ends know that a call is over, and return how it ended here."""
    async with asyncio.timeout(PATIENCE):
        await call.wait_ended()
    reason = await line.told.ended(number)
    assert line.calls.calls == ()
    return reason


class TestConversation:
    async def test_a_caller_is_greeted_and_answered_with_what_a_tool_found(self) -> None:
        chosen: list[IncomingCall] = []

        def choose(call: IncomingCall) -> RealtimeAgent:
            chosen.append(call)
            return agent(opening_hours)

        async with phone_line(choose, "opening hours") as line:
            speaker = Speaker()
            call = await line.call(speaker, X_Account="gold")
            await speaker.hears()
            await line.told.message("output_audio_buffer.stopped")
            greeting = speaker.heard
            await speaker.say()
            done = await line.told.event("tool_end")
            assert (done.tool.name, done.output) == ("opening_hours", "from nine to six")
            await speaker.hears(more_than=greeting)
            await line.told.message("output_audio_buffer.stopped", 2)
            assert [one.headers["x-account"] for one in chosen] == ["gold"]
            assert chosen[0].caller.user == "caller"
            call.hang_up()
            assert await is_over(line, call) == "remote"
            assert line.told.of("error") == []

    async def test_keys_are_told(self) -> None:
        async with phone_line(agent()) as line:
            call = await line.greeted()
            call.press("5#")
            assert [(await line.told.event("dtmf_received", number)).digit for number in (1, 2)] == ["5", "#"]

    async def test_a_caller_who_speaks_interrupts(self) -> None:
        async with phone_line(agent(), "tell me all") as line:
            speaker = Speaker()
            await line.greeted(speaker)
            await speaker.say()
            await line.told.message("output_audio_buffer.started", 2)
            await speaker.say()
            cut = await line.told.event("audio_interrupted")
            truncated = await line.told.message("conversation.item.truncated")
            assert cut.item_id == truncated["item_id"]
            cleared = await line.told.message("output_audio_buffer.cleared")
            assert cleared["response_id"] == (await line.told.message("output_audio_buffer.started", 2))["response_id"]
            (session,) = line.told.sessions
            said = next(item for item in session.history if item.item_id == cut.item_id)
            assert (said.status, said.played_ms) == ("interrupted", cut.played_ms)


class TestSayThen:
    async def test_the_goodbye_is_heard_to_its_end_and_then_the_call_is_over(self) -> None:
        async with phone_line(agent(end_with("Goodbye.")), "end call") as line:
            speaker = Speaker()
            call = await line.greeted(speaker)
            greeting = speaker.heard
            await speaker.say()
            assert await is_over(line, call) == "remote"
            kinds = [message["type"] for message in line.told.raw]
            assert kinds.count("output_audio_buffer.stopped") == 2
            assert "output_audio_buffer.cleared" not in kinds
            assert speaker.heard > greeting
            assert call.ended is not None
            assert call.ended.by_peer

    async def test_a_caller_who_speaks_over_the_goodbye_does_not_keep_the_line(self) -> None:
        async with phone_line(agent(end_with(LONG)), "end call", "and another thing") as line:
            speaker = Speaker()
            call = await line.greeted(speaker)
            await speaker.say()
            await line.told.message("output_audio_buffer.started", 2)
            speaker.begin(2000)
            await line.told.message("output_audio_buffer.cleared")
            assert await is_over(line, call) == "remote"

    async def test_a_caller_is_transferred_and_both_are_heard(self) -> None:
        there = Speaker()
        async with (
            Phone(name="desk", answers=lambda: there) as desk,
            phone_line(agent(transfer_to(desk.uri)), "transfer", follow_refer=True) as line,
        ):
            speaker = Speaker()
            call = await line.greeted(speaker)
            await speaker.say()
            assert await is_over(line, call) == "remote"
            assert call.referred_to == desk.uri
            assert [message["type"] for message in line.told.raw].count("output_audio_buffer.stopped") == 2
            agents = speaker.heard
            there.begin(200)
            await speaker.hears(more_than=agents)
            speaker.begin(200)
            await there.hears()
            assert call.transfer is not None
            (await desk.nth_call(0)).hang_up()
            async with asyncio.timeout(PATIENCE):
                await call.transfer.wait_ended()

    async def test_where_nobody_answers_the_call_goes_on(self) -> None:
        async with (
            Phone(name="busy") as busy,
            phone_line(
                agent(transfer_to(busy.uri), opening_hours), "transfer", "opening hours", follow_refer=True
            ) as line,
        ):
            speaker = Speaker()
            call = await line.greeted(speaker)
            await speaker.say()
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(CallFailedError, match="486"):
                    await (await line.phone.nth_call(1)).answered()
            await speaker.say()
            assert (await line.told.event("tool_end", 2)).output == "from nine to six"
            assert call.ended is None


class TestAdmission:
    async def test_a_caller_who_hangs_up_while_speaking_leaves_room_for_the_next(self) -> None:
        async with phone_line(agent(), max_calls=1) as line:
            speaker = Speaker()
            call = await line.greeted(speaker)
            with pytest.raises(CallFailedError) as refused:
                await line.call()
            assert refused.value.code == 486
            speaker.begin(10_000)
            await line.told.event("speech_started")
            call.hang_up()
            assert await is_over(line, call) == "remote"
            assert line.told.of("error") == []
            await line.call()
            assert len(line.calls.calls) == 1

    async def test_a_caller_for_whom_there_is_no_agent_is_declined(self) -> None:
        async with phone_line(lambda _: None) as line:
            with pytest.raises(CallFailedError) as refused:
                await line.call()
            assert refused.value.code == 603
            assert await line.told.ended() == "declined"

    async def test_a_caller_who_gives_up_while_it_rings(self) -> None:
        asked, goes_on = asyncio.Event(), asyncio.Event()

        async def choose(_: IncomingCall) -> RealtimeAgent:
            asked.set()
            await goes_on.wait()
            return agent()

        async with phone_line(choose) as line:
            call = await line.phone.call(line.server.sip_uri)
            async with asyncio.timeout(PATIENCE):
                await asked.wait()
                call.hang_up()
                with pytest.raises(CallFailedError, match="487"):
                    await call.answered()
            goes_on.set()
            assert await line.told.ended() == "gone"
            assert line.calls.calls == ()


class TestWebhooks:
    async def test_a_call_that_is_announced_again_is_answered_once(self) -> None:
        async with phone_line(agent()) as line:
            await line.greeted()
            (call_id,) = [call.incoming.call_id for call in line.calls.calls]
            again = webhook(call_id, webhook_id="wh_again", timestamp=int(time.time()))
            assert (await line.deliver(again)).status_code == 200
            assert (await line.deliver(again)).status_code == 200
            assert [call.incoming.call_id for call in line.calls.calls] == [call_id]
            assert line.told.ends == []
            assert len(line.told.sessions) == 1

    async def test_what_is_signed_with_another_secret_is_refused(self) -> None:
        async with phone_line(agent()) as line:
            forged = webhook("rtc_1", secret="whsec_b3RoZXI=", timestamp=int(time.time()))
            assert (await line.deliver(forged)).status_code == 401
            assert line.calls.calls == ()

    async def test_a_server_with_another_secret_rings_in_vain(self) -> None:
        options = {"webhook_secret": "whsec_b3RoZXI=", "ring_seconds": 0.2}
        async with phone_line(agent(), server_options=options) as line:
            with pytest.raises(CallFailedError) as unanswered:
                await line.call()
            assert unanswered.value.code == 480
            assert line.told.sessions == []


class TestTheEnd:
    async def test_the_agent_says_goodbye_when_the_server_closes(self) -> None:
        async with phone_line(agent(), farewell="Say goodbye.") as line:
            speaker = Speaker()
            call = await line.greeted(speaker)
            greeting = speaker.heard
            closing = asyncio.create_task(line.calls.aclose())
            await speaker.hears(more_than=greeting)
            assert await is_over(line, call) == "remote"
            assert [message["type"] for message in line.told.raw].count("output_audio_buffer.stopped") == 2
            await closing

    async def test_a_call_that_rings_then_is_not_taken(self) -> None:
        async with phone_line(agent(), server_options={"ring_seconds": 0.2}) as line:
            await line.calls.aclose()
            with pytest.raises(CallFailedError) as unanswered:
                await line.call()
            assert unanswered.value.code == 480
