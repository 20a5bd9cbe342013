"""The milestones of each turn: when they are reached, in what order, and when they are told."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jackfield import GuardrailFunctionOutput, RealtimeAgent, RealtimePlaybackTracker, RealtimeSession, output_guardrail
from support.clock import advance, settle, timeless
from support.memory_wire import AUDIO, FarEnd, call_turn, open_session, response_done, spoken_turn, text_turn

Event = dict[str, Any]

STARTED = {"type": "input_audio_buffer.speech_started", "item_id": "user_9", "audio_start_ms": 0}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "item_id": "user_9", "audio_end_ms": 900}
START = 1_000.0
"""When the clock of these tests begins."""


def listen(session: RealtimeSession) -> list[Any]:
    """The metrics that are told, and what agents begin and end, in order."""
    told: list[Any] = []
    session.on("agent_start", lambda event: told.append(("start", event.response_id)))
    session.on("agent_end", lambda event: told.append(("end", event.response_id)))
    session.on("turn_metrics", lambda event: told.append(event.metrics))
    return told


def metrics_of(told: list[Any]) -> list[Any]:
    return [each for each in told if not isinstance(each, tuple)]


def chunk(response_id: str, item_id: str, index: int = 0) -> Event:
    """100 ms of audio."""
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": index}
    return {"type": "response.output_audio.delta", **ids, "delta": base64.b64encode(AUDIO).decode()}


def since_start(metrics: Any) -> dict[str, float]:
    """What was reached, in ms since the test began."""
    names = [name for name in dir(metrics) if name.endswith("_at")]
    reached = {name.removesuffix("_at"): getattr(metrics, name) for name in names}
    return {name: round((time - START) * 1000) for name, time in reached.items() if time is not None}


async def send(far: FarEnd, *events: Event, after: float = 0.0) -> None:
    """Let time pass, and have the far end send."""
    await advance(after)
    far.send(*events)
    await settle()


class TestATurn:
    @timeless
    async def test_reaches_its_milestones_in_order(self) -> None:
        agent = RealtimeAgent("Greeter")
        async with open_session(agent) as (session, far):
            told = listen(session)
            events = aiter(session)
            turn = spoken_turn("resp_1", "item_1", [])
            words = {"type": "response.output_audio_transcript.delta", "response_id": "resp_1", "item_id": "item_1"}
            await send(far, STARTED, after=0.1)
            await send(far, STOPPED, after=0.9)
            await send(far, *turn[:4], after=0.3)
            await send(far, words | {"content_index": 0, "delta": "Hello."}, after=0.2)
            await send(far, chunk("resp_1", "item_1"), chunk("resp_1", "item_1"), after=0.05)
            await advance(0.05)
            async for event in events:
                if event.type == "audio_start":
                    break
            await send(far, *turn[4:], after=0.02)
            assert metrics_of(told) == []
            (metrics,) = session.metrics.turns
            assert metrics.status == "completed"
            await advance(10)
            assert metrics_of(told) == [metrics]
            assert since_start(metrics) == {
                "speech_stopped": 1000,
                "created": 1300,
                "first_delta": 1500,
                "first_audio_played": 1550,
                "first_audio_delivered": 1600,
                "done": 1620,
            }
            assert (metrics.response_id, metrics.agent, metrics.status) == ("resp_1", "Greeter", "completed")
            assert metrics.time_to_first_delta == pytest.approx(0.5)
            assert metrics.time_to_first_audio == pytest.approx(0.55)
            assert metrics.duration == pytest.approx(0.32)

    @timeless
    async def test_is_told_when_it_was_heard_to_its_end(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1", ["One", " two", " three"]))
            assert told == [("start", "resp_1"), ("end", "resp_1")]
            await advance(0.29)
            assert metrics_of(told) == []
            await advance(0.02)
            assert len(metrics_of(told)) == 1
            await advance(3600)
            assert len(metrics_of(told)) == 1

    @timeless
    async def test_that_is_written_is_told_when_it_ends(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            turn = text_turn("resp_1", "item_1")
            await send(far, *turn[:5], after=0.1)
            await send(far, *turn[5:], after=0.2)
            assert told[:2] == [("start", "resp_1"), ("end", "resp_1")]
            (metrics,) = metrics_of(told)
            assert since_start(metrics) == {"created": 100, "first_delta": 100, "done": 300}
            assert metrics.time_to_first_audio is None
            assert metrics.time_to_first_delta == pytest.approx(0.0)

    @timeless
    async def test_that_only_calls_a_tool_has_no_delta(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *call_turn("resp_1", ("call_1", "nothing", "{}")))
            (metrics,) = metrics_of(told)
            assert since_start(metrics) == {"created": 0, "done": 0}
            assert (metrics.time_to_first_delta, metrics.duration) == (None, 0.0)

    @pytest.mark.parametrize("status", ["cancelled", "failed", "incomplete"])
    @timeless
    async def test_tells_how_it_ended(self, status: str) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, spoken_turn("resp_1", "item_1")[0], response_done("resp_1", status=status))
            assert [metrics.status for metrics in metrics_of(told)] == [status]

    @timeless
    async def test_is_still_filling_in_while_it_goes_on(self) -> None:
        async with open_session() as (session, far):
            assert session.metrics.turns == []
            await send(far, *spoken_turn("resp_1", "item_1")[:1], after=0.5)
            (metrics,) = session.metrics.turns
            assert (metrics.status, since_start(metrics)) == ("in_progress", {"created": 500})
            assert (metrics.duration, metrics.time_to_first_delta, metrics.time_to_first_audio) == (None, None, None)


class TestSeveralTurns:
    @timeless
    async def test_each_is_told_once_and_before_the_next_begins(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            await send(far, *spoken_turn("resp_2", "item_2", previous="item_1"), after=0.05)
            first, second = session.metrics.turns
            assert told == [("start", "resp_1"), ("end", "resp_1"), first, ("start", "resp_2"), ("end", "resp_2")]
            # The second waits for the first to be heard: 200 ms from the beginning on.
            await advance(10)
            assert told[-1] is second
            assert len(metrics_of(told)) == 2
            assert since_start(second)["first_audio_played"] == 200
            assert session.metrics.responses == 2

    @timeless
    async def test_the_end_of_speech_belongs_to_the_one_that_follows_it(self) -> None:
        async with open_session() as (session, far):
            await send(far, STOPPED, *text_turn("resp_1", "item_1"), after=0.1)
            await send(far, *text_turn("resp_2", "item_2", previous="item_1"), after=0.1)
            first, second = session.metrics.turns
            assert since_start(first)["speech_stopped"] == 100
            assert second.speech_stopped_at is None
            assert second.time_to_first_delta == 0.0

    @timeless
    async def test_only_the_latest_are_kept(self) -> None:
        async with open_session() as (session, far):
            for number in range(100):
                far.send(*text_turn(f"resp_{number}", f"item_{number}"))
            await settle()
            turns = session.metrics.turns
            assert turns[-1].response_id == "resp_99"
            assert len(turns) < 100
            assert session.metrics.responses == 100

    @timeless
    async def test_many_that_never_end_are_bounded_and_harm_nobody(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            for number in range(200):
                far.send(spoken_turn(f"resp_{number}", "")[0])
            await settle()
            await send(far, *text_turn("resp_last", "item_last"))
            assert [metrics.response_id for metrics in metrics_of(told)] == ["resp_last"]
            await session.close()
            assert len(metrics_of(told)) < 100

    @timeless
    async def test_two_beside_each_other_have_each_its_own(self) -> None:
        async with open_session() as (session, far):
            aside = {"type": "response.created", "response": {"id": "resp_2", "conversation_id": None}}
            word = {"type": "response.output_text.delta", "item_id": "item_1", "content_index": 0, "delta": "Hi"}
            await send(far, spoken_turn("resp_1", "")[0], aside)
            await send(far, word | {"response_id": "resp_1"}, after=0.1)
            await send(far, word | {"response_id": "resp_2"}, after=0.1)
            assert [since_start(metrics)["first_delta"] for metrics in session.metrics.turns] == [100, 200]

    @timeless
    async def test_what_belongs_to_none_is_measured_nowhere(self) -> None:
        async with open_session() as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            await send(far, chunk("resp_0", "item_0"), chunk("", "item_1"), response_done("resp_0"))
            await session.interrupt()
            assert (session.metrics.turns, session.metrics.interruptions, errors) == ([], 0, [])


class TestInterruption:
    @pytest.mark.parametrize("how", ["by voice", "by hand"])
    @timeless
    async def test_of_what_is_generated_is_told_when_the_response_ends(self, how: str) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            turn = spoken_turn("resp_1", "item_1")
            await send(far, *turn[:6])
            await advance(0.05)
            if how == "by voice":
                await send(far, STARTED)
            else:
                await session.interrupt()
            assert metrics_of(told) == []
            await send(far, response_done("resp_1", status="cancelled"), after=0.01)
            (metrics,) = metrics_of(told)
            assert since_start(metrics) == {
                "created": 0,
                "first_delta": 0,
                "first_audio_played": 0,
                "interrupted": 50,
                "done": 60,
            }
            assert metrics.status == "cancelled"
            assert session.metrics.interruptions == 1

    @timeless
    async def test_of_what_only_plays_is_told_at_once(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            await advance(0.12)
            await session.interrupt()
            (metrics,) = metrics_of(told)
            assert (since_start(metrics)["interrupted"], metrics.status) == (120, "completed")
            await session.interrupt()
            await advance(60)
            assert len(metrics_of(told)) == 1
            assert session.metrics.interruptions == 1

    @timeless
    async def test_of_several_parts_is_one(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            cut: list[Any] = []
            session.on("audio_interrupted", cut.append)
            turn = spoken_turn("resp_1", "item_1")
            await send(far, *turn[:6], chunk("resp_1", "item_1", 1), chunk("resp_1", "item_1b"))
            await session.interrupt()
            await send(far, response_done("resp_1", status="cancelled"))
            assert len(cut) == 3
            assert len(metrics_of(told)) == 1
            assert session.metrics.interruptions == 1

    @timeless
    async def test_of_what_plays_and_of_what_is_generated(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"), *spoken_turn("resp_2", "item_2")[:6])
            await session.interrupt()
            await send(far, response_done("resp_2", status="cancelled"))
            assert [metrics.response_id for metrics in metrics_of(told)] == ["resp_1", "resp_2"]
            assert session.metrics.turns[1].interrupted_at is not None

    @timeless
    async def test_of_nothing_is_none(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            await advance(0.3)
            await session.interrupt()
            (metrics,) = metrics_of(told)
            assert metrics.interrupted_at is None
            assert session.metrics.interruptions == 0


class TestWithATracker:
    @timeless
    async def test_it_is_told_when_all_was_reported(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            tracker.on_play_ms("item_1", 0, 20)
            await advance(60)
            assert metrics_of(told) == []
            tracker.on_play_ms("item_1", 0, 180)
            await advance(60)
            (metrics,) = metrics_of(told)
            assert metrics.first_audio_played_at is not None

    @timeless
    async def test_what_was_never_reported_is_told_when_the_next_turn_begins(self) -> None:
        async with open_session(playback_tracker=RealtimePlaybackTracker()) as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            await advance(60)
            await send(far, spoken_turn("resp_2", "item_2")[0])
            assert [each if isinstance(each, tuple) else each.response_id for each in told] == [
                ("start", "resp_1"),
                ("end", "resp_1"),
                "resp_1",
                ("start", "resp_2"),
            ]
            assert metrics_of(told)[0].first_audio_played_at is None

    @timeless
    async def test_a_late_interruption_counts(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            tracker.on_play_ms("item_1", 0, 50)
            await advance(1)
            await session.interrupt()
            (metrics,) = metrics_of(told)
            assert metrics.interrupted_at is not None
            assert session.metrics.interruptions == 1

    @timeless
    async def test_what_was_heard_whole_before_the_end_is_told_at_the_end(self) -> None:
        tracker = RealtimePlaybackTracker()
        async with open_session(playback_tracker=tracker) as (session, far):
            told = listen(session)
            turn = spoken_turn("resp_1", "item_1")
            await send(far, *turn[:-1])
            tracker.on_play_ms("item_1", 0, 200)
            await send(far, turn[-1])
            assert len(metrics_of(told)) == 1


class TestDelivery:
    @pytest.mark.parametrize("kind", ["audio", "audio_start"])
    @timeless
    async def test_to_a_listener_counts(self, kind: str) -> None:
        async with open_session() as (session, far):
            session.on(kind, lambda event: None)
            await send(far, *spoken_turn("resp_1", "item_1"), after=0.25)
            (metrics,) = session.metrics.turns
            assert since_start(metrics)["first_audio_delivered"] == 250

    @timeless
    async def test_to_an_iterator_counts_when_it_takes_it(self) -> None:
        async with open_session() as (session, far):
            await send(far, *spoken_turn("resp_1", "item_1"), after=0.25)
            (metrics,) = session.metrics.turns
            assert metrics.first_audio_delivered_at is None
            await advance(0.1)
            async for event in session:
                if event.type == "audio":
                    break
            assert since_start(metrics)["first_audio_delivered"] == 350

    @timeless
    async def test_to_nobody_is_none(self) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"))
            await advance(10)
            (metrics,) = metrics_of(told)
            assert metrics.first_audio_delivered_at is None
            assert metrics.time_to_first_audio == pytest.approx(0.0)

    @timeless
    async def test_of_what_is_held_back_is_when_it_is_let_go(self) -> None:
        @output_guardrail
        async def slow(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
            return GuardrailFunctionOutput(None, tripwire_triggered=False)

        config = {"output_guardrails": [slow], "guardrails_settings": {"hold_back_ms": 300}}
        async with open_session(config=config) as (session, far):
            told = listen(session)
            session.on("audio", lambda event: None)
            turn = spoken_turn("resp_1", "item_1", [])
            await send(far, *turn[:4], chunk("resp_1", "item_1"))
            await send(far, *turn[4:], after=1)
            await advance(10)
            (metrics,) = metrics_of(told)
            reached = since_start(metrics)
            assert (reached["first_delta"], reached["first_audio_delivered"]) == (0, 300)
            assert reached["first_audio_played"] == 300


class TestTheEnd:
    @pytest.mark.parametrize("how", ["close()", "lost"])
    @timeless
    async def test_what_is_open_is_told(self, how: str) -> None:
        async with open_session() as (session, far):
            told = listen(session)
            await send(far, *spoken_turn("resp_1", "item_1"), *spoken_turn("resp_2", "item_2")[:6])
            if how == "lost":
                far.close()
                await settle()
            else:
                await session.close()
            assert [metrics.response_id for metrics in metrics_of(told)] == ["resp_1", "resp_2"]
            assert [metrics.status for metrics in metrics_of(told)] == ["completed", "in_progress"]
            await session.close()
            await advance(60)
            assert len(metrics_of(told)) == 2
            kinds = [event.type async for event in session]
            assert kinds.count("turn_metrics") == 2
            assert kinds[-1] == "connection_change"
