"""Interruption in each phase: before anything is heard, while it is generated, while it is only played still."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from jackfield.audio import RealtimePlaybackTracker
from jackfield.testing.conformance.check import area, claims, lacks
from jackfield.testing.conformance.far_end import FarConnection, listening
from jackfield.testing.conformance.sound import SOUND, duration_ms
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import RealtimeTransportLayer

from .watching import all_told, first, in_time, turn, whole_turn

__all__ = ["TestInterruption", "TestPlayback"]


async def heard(subject: Subject, events: Any) -> Any:
    """Wait until the answer is being heard; return an event of it."""
    return await first(events, "audio" if subject.capabilities.audio_out else "audio_transcript_delta")


async def in_the_middle(subject: Subject, transport: RealtimeTransportLayer, far: FarConnection) -> tuple[Any, Any]:
    """Have an answer be heard that goes on; return the stream of what is told from then on, and an event of it."""
    events = transport.events()
    await far.speak(SOUND)
    begun = await heard(subject, events)
    await all_told(transport, far)
    return events, begun


async def finish(far: FarConnection, response_id: str = "resp_1") -> None:
    await far.finish(response_id=response_id, cancelled=True)


@area("interruption")
class TestInterruption:
    async def test_before_anything_is_heard(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await transport.request_response()
            await far.until(lambda: far.requests == 1, "the request")
            await far.speak(b"", text="Hm.")
            await first(events, "turn_started")
            await transport.interrupt()
            await self.ends_and_goes_on(subject, transport, far, events)

    async def test_while_it_is_generated(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            await transport.request_response()
            await far.until(lambda: far.requests == 1, "the request")
            events, begun = await in_the_middle(subject, transport, far)
            await transport.interrupt()
            cut = await first(events, "audio_interrupted")
            assert (cut.response_id, cut.item_id, cut.content_index) == (
                begun.response_id,
                begun.item_id,
                begun.content_index,
            )
            assert 0 <= cut.played_ms <= duration_ms(SOUND) + 100
            await self.ends_and_goes_on(subject, transport, far, events)

    @claims("audio_out")
    async def test_what_comes_late_is_not_told(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events, _ = await in_the_middle(subject, transport, far)
            await transport.interrupt()
            await first(events, "audio_interrupted")
            late: list[Any] = []
            transport.on("audio", late.append)
            if subject.capabilities.playback == "client":
                await far.speak(SOUND)  # the far end had sent it before it heard of the interruption
            await finish(far)
            await turn(events)
            await all_told(transport, far)
            assert late == [], "audio of an interrupted answer was told after audio_interrupted"

    @claims("audio_out")
    async def test_while_it_is_only_played_still(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            generated = asyncio.Event()
            transport.on("turn_done", lambda _: generated.set())
            await far.say(SOUND)
            begun = await heard(subject, events)
            await in_time("the turn's end", generated.wait())
            await transport.interrupt()
            cut = await first(events, "audio_interrupted")
            assert (cut.response_id, cut.item_id) == (begun.response_id, begun.item_id)
            part = transport.playback(cut.item_id, cut.content_index)
            assert part is not None and abs(part.played_ms - cut.played_ms) <= 1

    async def test_by_the_users_voice(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            order: list[str] = []
            for kind in ("speech_started", "audio_interrupted"):
                transport.on(kind, lambda event: order.append(event.type))
            events, _ = await in_the_middle(subject, transport, far)
            await far.user_interrupts()
            cut = await first(events, "audio_interrupted")
            assert cut.item_id
            await finish(far)
            done = (await turn(events))[-1]
            assert done.status == "cancelled"
            assert order == ["speech_started", "audio_interrupted"]

    async def test_of_another_response_leaves_this_one_alone(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await far.speak()
            await heard(subject, events)
            await transport.interrupt("resp_of_long_ago")
            await far.finish()
            told = await whole_turn(events)
            assert [event.status for event in told if event.type == "turn_done"] == ["completed"]
            assert "audio_interrupted" not in [event.type for event in told]

    async def test_of_nothing_sends_nothing(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            before = len(far.received)
            await transport.interrupt()
            await all_told(transport, far)
            await transport.send_message("after", trigger_response=False)
            await far.until(lambda: far.messages, "a message")
            assert len(far.received) == before + 1

    async def ends_and_goes_on(
        self, subject: Subject, transport: RealtimeTransportLayer, far: FarConnection, events: Any
    ) -> None:
        """Prove that the turn that was interrupted ends as one that was, and that the next one is as good as any."""
        if subject.capabilities.cancel:
            await far.until(lambda: far.cancels == 1, "the response to be cancelled")
        await finish(far)
        done = (await turn(events))[-1]
        assert done.status == "cancelled"
        await transport.request_response()
        await far.until(lambda: far.requests == 2, "the next request")
        await far.say(response_id="resp_2")
        again = await whole_turn(events)
        assert [event.status for event in again if event.type == "turn_done"] == ["completed"]
        if subject.capabilities.audio_out:
            assert any(event.type == "audio" for event in again), "after an interruption nothing is heard any more"

    @claims("cancel")
    async def test_stops_the_far_end(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await far.speak()
            await first(events, "turn_started")
            await transport.interrupt()
            await far.until(lambda: far.cancels == 1, "the response to be cancelled")

    @lacks("cancel")
    async def test_leaves_the_far_end_alone_and_tells_no_more(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await far.speak()
            await heard(subject, events)
            before = len(far.received)
            await transport.interrupt()
            await first(events, "audio_interrupted")
            await far.speak(SOUND)
            await far.finish()
            told = await turn(events)
            assert "audio" not in [event.type for event in told]
            assert told[-1].status == "cancelled"
            assert len(far.received) == before


@area("interruption")
class TestPlayback:
    @claims("playback=client")
    async def test_the_application_says_how_much_was_heard(self, subject: Subject) -> None:
        tracker = RealtimePlaybackTracker()
        async with subject.pair(listening, playback_tracker=tracker) as (transport, far):
            events, begun = await in_the_middle(subject, transport, far)
            tracker.on_play_ms(begun.item_id, begun.content_index, 200.0)
            part = transport.playback(begun.item_id, begun.content_index)
            assert part is not None and part.played_ms == 200
            await transport.interrupt()
            assert (await first(events, "audio_interrupted")).played_ms == 200

    @claims("playback=server")
    async def test_the_far_end_holds_what_is_not_yet_heard(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await far.speak(SOUND + SOUND)
            begun = await heard(subject, events)
            if not subject.capabilities.audio_out:
                await all_told(transport, far)
            await transport.interrupt()
            cut = await first(events, "audio_interrupted")
            assert cut.item_id == begun.item_id
            assert cut.played_ms < 2 * duration_ms(SOUND)

    @claims("truncate=client")
    async def test_the_model_is_told_how_much_was_heard(self, subject: Subject) -> None:
        tracker = RealtimePlaybackTracker()
        async with subject.pair(listening, playback_tracker=tracker) as (transport, far):
            _, begun = await in_the_middle(subject, transport, far)
            tracker.on_play_ms(begun.item_id, begun.content_index, 300.0)
            await transport.interrupt()
            await far.until(lambda: far.truncations, "the truncation")
            assert list(far.truncations) == [300]

    @claims("truncate=server")
    async def test_the_model_needs_no_telling(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events, _ = await in_the_middle(subject, transport, far)
            await transport.interrupt()
            await first(events, "audio_interrupted")
            await finish(far)
            await turn(events)
            await transport.send_message("after", trigger_response=False)
            await far.until(lambda: far.messages, "a message")
            with contextlib.suppress(NotImplementedError):  # its protocol has no such thing
                assert list(far.truncations) == []

    async def test_it_says_how_far_a_part_has_come(self, subject: Subject) -> None:
        async with subject.pair(listening) as (transport, far):
            events = transport.events()
            await far.say(SOUND)
            begun = await heard(subject, events)
            if subject.capabilities.audio_out:
                await first(events, "audio_done")
            else:
                await turn(events)
            part = transport.playback(begun.item_id, begun.content_index)
            assert part is not None
            assert 0 <= part.played_ms <= part.received_ms
            if subject.capabilities.audio_out:
                assert part.received_ms >= duration_ms(SOUND) - 1
            assert transport.playback("item_of_long_ago") is None

    async def test_a_part_that_nobody_knows_is_none(self, subject: Subject) -> None:
        transport = subject.make(None)
        assert transport.playback("item_of_long_ago") is None
