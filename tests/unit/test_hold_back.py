"""Hold-back: audio waits until its words were found good, for a bounded time, and the order is kept."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield import (
    GuardrailFunctionOutput,
    OutputGuardrail,
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeSession,
    output_guardrail,
)
from jackfield.errors import ConfigurationError, TransportError
from jackfield.testing import Finish, Say, ScriptedTransport, Turn
from support.clock import advance, settle, timeless
from support.memory_wire import (
    AUDIO,
    FarEnd,
    MemoryWire,
    memory_transport,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
)

Event = dict[str, Any]

BAD = "badword"
HELD = {"audio_start", "audio", "audio_end", "agent_end", "audio_interrupted", "guardrail_tripped"}
"""The events whose order is the point."""


class Judge:
    """A guardrail in the test's hands: it finds good what `allow` was called for, and trips on the bad word."""

    def __init__(self, *, thinks: bool = True) -> None:
        self.waiting: list[tuple[str, asyncio.Event]] = []
        self.thinks = thinks

        @output_guardrail(name="judge")
        async def judge(context: Any, agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
            if self.thinks:
                gate = asyncio.Event()
                self.waiting.append((text, gate))
                await gate.wait()
            return GuardrailFunctionOutput(None, BAD in text)

        self.guardrail: OutputGuardrail = judge

    async def decide(self) -> str:
        """Let the judgement that is under way end; return the text that it is about."""
        await settle()
        text, gate = self.waiting.pop(0)
        gate.set()
        await settle()
        return text


def speaker(*judges: Judge) -> RealtimeAgent:
    return RealtimeAgent("Speaker", output_guardrails=[judge.guardrail for judge in judges])


def config(hold_back_ms: int = 500, **settings: Any) -> dict[str, Any]:
    return {"guardrails_settings": {"hold_back_ms": hold_back_ms, **settings}}


def told_by(session: RealtimeSession) -> list[str]:
    """A list that fills with the events that matter, as they are told: `audio item_1`."""
    told: list[str] = []
    for kind in HELD:
        session.on(
            kind,
            lambda event: told.append(
                f"{event.type} {getattr(event, 'item_id', '') or getattr(event, 'response_id', '')}"
            ),
        )
    return told


def pieces(turn: list[Event]) -> dict[str, list[Event]]:
    """Split a spoken turn: what opens it, its words and audio in order, and what ends it."""
    deltas = [number for number, frame in enumerate(turn) if frame["type"].endswith(".delta")]
    return {"opening": turn[: deltas[0]], "deltas": turn[deltas[0] : deltas[-1] + 1], "ending": turn[deltas[-1] + 1 :]}


class TestWaiting:
    @timeless
    async def test_audio_is_told_when_the_words_that_came_with_it_were_found_good(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            parts = pieces(spoken_turn("resp_1", "item_1"))
            far.send(*parts["opening"], *parts["deltas"][:2])
            await settle()
            assert told == []
            assert await judge.decide() == "Hello"
            assert told == ["audio_start item_1", "audio item_1"]
            far.send(*parts["deltas"][2:])
            await settle()
            assert told == ["audio_start item_1", "audio item_1"]
            assert await judge.decide() == "Hello there."
            assert told == ["audio_start item_1", "audio item_1", "audio item_1"]
            far.send(*parts["ending"])
            await settle()
            assert told[3:] == ["audio_end item_1", "agent_end resp_1"]

    @timeless
    async def test_audio_that_comes_before_its_words_waits_for_the_first_of_them(self) -> None:
        judge = Judge(thinks=False)
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            parts = pieces(spoken_turn("resp_1", "item_1", ("Hello",)))
            words, audio = parts["deltas"]
            far.send(*parts["opening"], audio)
            await settle()
            assert told == []
            far.send(words)
            await settle()
            assert told == ["audio_start item_1", "audio item_1"]

    @timeless
    async def test_no_longer_than_allowed(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config(500)) as (session, far):
            told = told_by(session)
            parts = pieces(spoken_turn("resp_1", "item_1"))
            far.send(*parts["opening"], *parts["deltas"][:2])
            await advance(0.3)
            far.send(*parts["deltas"][2:])
            await advance(0.19)
            assert told == []
            await advance(0.01)
            assert told == ["audio_start item_1", "audio item_1"]
            await advance(0.29)
            assert len(told) == 2
            await advance(0.01)
            assert told[2:] == ["audio item_1"]

    @timeless
    async def test_nothing_waits_where_nobody_judges(self) -> None:
        async with open_session(config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1"))
            await settle()
            assert told == ["audio_start item_1", *["audio item_1"] * 2, "audio_end item_1", "agent_end resp_1"]

    @timeless
    async def test_the_end_comes_behind_all_audio_and_the_last_verdict(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1"))
            await settle()
            assert told == []
            assert await judge.decide() == "Hello there."
            assert told == ["audio_start item_1", *["audio item_1"] * 2, "audio_end item_1", "agent_end resp_1"]

    @timeless
    async def test_the_order_is_kept_across_responses(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1", ("One",)))
            await settle()
            far.send(*spoken_turn("resp_2", "item_2", ("Two",), previous="item_1"))
            await settle()
            assert told == []
            texts = [text for text, _ in judge.waiting]
            assert texts == ["One", "Two"]
            # The second one is found good first, and waits its turn all the same.
            judge.waiting.pop(1)[1].set()
            await settle()
            assert told == []
            await judge.decide()
            order = ["audio_start", "audio", "audio_end", "agent_end"]
            assert [line.split()[0] for line in told] == order * 2
            assert [line.split()[1][-1] for line in told] == ["1"] * 4 + ["2"] * 4

    @timeless
    async def test_what_nobody_judges_waits_behind_what_is_judged(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1", ("One",)))
            await settle()
            await session.update_agent(RealtimeAgent("Trusted"))
            far.send(*spoken_turn("resp_2", "item_2", ("Two",), previous="item_1"))
            await settle()
            assert told == []
            await judge.decide()
            assert [line.split()[1][-1] for line in told] == ["1"] * 4 + ["2"] * 4

    @timeless
    async def test_a_written_answer_ends_when_it_was_judged(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*text_turn("resp_1", "item_1"))
            await settle()
            assert told == []
            await judge.decide()
            assert told == ["agent_end resp_1"]

    @timeless
    async def test_audio_without_any_words_is_told_at_the_end(self) -> None:
        judge = Judge(thinks=False)
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            turn = [frame for frame in spoken_turn("resp_1", "item_1") if "transcript" not in frame["type"]]
            far.send(*turn[:-1])
            await settle()
            assert told == []
            far.send(turn[-1])
            await settle()
            assert told == ["audio_start item_1", *["audio item_1"] * 2, "audio_end item_1", "agent_end resp_1"]

    @timeless
    async def test_words_are_judged_as_they_come_and_not_by_the_length(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config(debounce_text_length=1000)) as (_, far):
            far.send(*pieces(spoken_turn("resp_1", "item_1"))["deltas"][:1])
            await settle()
            assert [text for text, _ in judge.waiting] == ["Hello"]


class TestStopping:
    @timeless
    async def test_nothing_is_heard_of_what_was_not_found_good(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            parts = pieces(spoken_turn("resp_1", "item_1", ("Good ", "words ", f"and a {BAD}")))
            far.send(*parts["opening"], *parts["deltas"][:2])
            assert await judge.decide() == "Good "
            far.send(*parts["deltas"][2:])
            assert await judge.decide() == f"Good words and a {BAD}"
            assert told == [
                "audio_start item_1",
                "audio item_1",
                "guardrail_tripped item_1",
                "audio_interrupted item_1",
            ]
            far.send(*parts["deltas"][3:4], response_done("resp_1", status="cancelled"))
            await advance(10)
            assert told[4:] == ["agent_end resp_1"]

    @timeless
    async def test_where_nothing_was_heard_nothing_begins(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1", (BAD, " and on")))
            await judge.decide()
            await advance(10)
            assert [line for line in told if line.startswith(("audio_start", "audio "))] == []
            assert told[0] == "guardrail_tripped item_1"
            assert told[-1] == "agent_end resp_1"

    @timeless
    async def test_not_even_where_the_interruption_can_not_be_sent(self) -> None:
        judge = Judge()
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("interrupt", TransportError("the line is busy"))
        async with RealtimeSession(speaker(judge), transport=far_end, config=config()) as session:
            told = told_by(session)
            far_end.emit(Turn([Say(f"A {BAD}")], done=False))
            await judge.decide()
            far_end.emit(Finish())
            await advance(60)
            assert [line for line in told if line.startswith(("audio ", "audio_start "))] == []
            assert told[0].startswith("guardrail_tripped")

    @timeless
    async def test_what_was_heard_is_told_truthfully(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config(10_000)) as (session, far):
            parts = pieces(spoken_turn("resp_1", "item_1", ("One ", "two ", "three ", BAD)))
            far.send(*parts["opening"], *parts["deltas"][:4])
            await advance(3)  # it was generated and withheld: nobody heard it
            assert await judge.decide() == "One two "
            await advance(0.15)
            assert session.history[0].played_ms == 150
            far.send(*parts["deltas"][4:])
            assert await judge.decide() == f"One two three {BAD}"
            truncate = await far.received("conversation.item.truncate")
            assert truncate["audio_end_ms"] == 150
            event = (await read_until(session, "audio_interrupted"))[-1]
            assert event.played_ms == 150
            assert session.history[0].played_ms == 150

    @timeless
    async def test_what_was_withheld_was_not_played(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config(10_000)) as (session, far):
            far.send(*pieces(spoken_turn("resp_1", "item_1"))["opening"])
            far.send(*pieces(spoken_turn("resp_1", "item_1"))["deltas"])
            await advance(5)
            await session.interrupt()
            assert (await far.received("conversation.item.truncate"))["audio_end_ms"] == 0
            told = told_by(session)
            await judge.decide()
            await advance(60)
            assert [line for line in told if line.startswith("audio ")] == []

    @timeless
    async def test_a_newer_response_goes_on_playing_when_an_older_one_is_cut(self) -> None:
        judge = Judge()
        long = AUDIO * 10  # 1 s
        async with open_session(speaker(judge), config=config(100)) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1", (BAD,), audio=long))
            await advance(0.1)
            far.send(*spoken_turn("resp_2", "item_2", ("Two",), previous="item_1", audio=long))
            await advance(0.4)
            assert await judge.decide() == BAD
            event = (await read_until(session, "audio_interrupted"))[-1]
            assert (event.item_id, event.played_ms) == ("item_1", 400)
            await advance(0.3)  # what was queued behind it plays on from now
            assert session.history[1].played_ms == 300
            await session.interrupt()
            truncates = [frame for frame in far.frames if frame["type"] == "conversation.item.truncate"]
            assert [(frame["item_id"], frame["audio_end_ms"]) for frame in truncates] == [
                ("item_1", 400),
                ("item_2", 300),
            ]


class TestInterrupting:
    @timeless
    async def test_what_waits_is_dropped_and_the_end_still_told(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            parts = pieces(spoken_turn("resp_1", "item_1"))
            far.send(*parts["opening"], *parts["deltas"][:2])
            await judge.decide()
            far.send(*parts["deltas"][2:])
            await settle()
            await session.interrupt()
            far.send(response_done("resp_1", status="cancelled"))
            await advance(10)
            assert told == ["audio_start item_1", "audio item_1", "audio_interrupted item_1", "agent_end resp_1"]

    @timeless
    async def test_a_tracker_of_the_applications_own_is_believed(self) -> None:
        tracker = RealtimePlaybackTracker()
        judge = Judge(thinks=False)
        async with open_session(speaker(judge), config=config(), playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await advance(10)
            tracker.on_play_ms("item_1", 0, 120)
            await session.interrupt()
            assert (await far.received("conversation.item.truncate"))["audio_end_ms"] == 120


class TestEnding:
    @timeless
    async def test_a_far_end_that_closes_loses_no_event_but_the_audio(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await settle()
            far.close()
            kinds = [event.type async for event in session]
            assert "agent_end" in kinds
            assert "audio" not in kinds

    @timeless
    async def test_nothing_is_told_after_a_close(self) -> None:
        judge = Judge()
        async with open_session(speaker(judge), config=config()) as (session, far):
            told = told_by(session)
            far.send(*spoken_turn("resp_1", "item_1"))
            await settle()
            await session.close()
            await advance(60)
            assert [line for line in told if line.startswith("audio ")] == []


class TestWhereItCanNotBe:
    def test_where_the_far_end_plays(self) -> None:
        for capabilities in ({"playback": "server"}, {"audio_out": False}):
            with pytest.raises(ConfigurationError, match="hold_back_ms needs a transport whose audio the application"):
                RealtimeSession(speaker(), transport=memory_transport(MemoryWire(), **capabilities), config=config())


WORDS = st.lists(st.sampled_from(["Good ", "words ", "and ", BAD]), min_size=1, max_size=6)
PAUSES = st.lists(st.sampled_from([0.0, 0.05, 0.2, 0.7]), min_size=1, max_size=6)


@given(
    words=WORDS, pauses=PAUSES, thinking=st.sampled_from([0.0, 0.1, 0.4, 2.0]), delay=st.sampled_from([1, 300, 1000])
)
@settings(max_examples=60, deadline=None)
def test_whatever_comes_when(words: list[str], pauses: list[float], thinking: float, delay: int) -> None:
    """Audio is told whole and in order up to a stop, never later than allowed, and nothing is told twice."""

    @output_guardrail
    async def judge(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
        await asyncio.sleep(thinking)
        return GuardrailFunctionOutput(None, BAD in text)

    async def converse(far: FarEnd, session: RealtimeSession) -> None:
        loop = asyncio.get_running_loop()
        sent: dict[int, float] = {}
        heard: list[tuple[int, float]] = []
        order: list[str] = []

        def hear(event: Any) -> None:
            order.append(event.type)
            if event.type == "audio":
                heard.append((event.audio.data[0], loop.time()))

        for kind in HELD:
            session.on(kind, hear)
        parts = pieces(spoken_turn("resp_1", "item_1", words))
        far.send(*parts["opening"])
        pause = itertools.cycle(pauses)
        deltas = iter(parts["deltas"])
        for number, (text, sound) in enumerate(zip(deltas, deltas, strict=True)):
            far.send(text, {**sound, "delta": spoken_turn("r", "i", ("",), audio=bytes([number, 0]) * 480)[5]["delta"]})
            await settle()
            sent[number] = loop.time()
            await advance(next(pause))
        far.send(*parts["ending"])
        await advance(60)
        numbers = [number for number, _ in heard]
        assert numbers == list(range(len(numbers)))
        assert all(at - sent[number] <= delay / 1000 + 1e-6 for number, at in heard)
        assert order.count("agent_end") == 1
        if BAD in words:
            assert "guardrail_tripped" in order
            assert "audio" not in order[order.index("guardrail_tripped") :]
            if 2 * thinking * 1000 < delay:  # one judgement may have to end before the next begins
                assert len(numbers) <= words.index(BAD)
        else:
            assert len(numbers) == len(words)
            assert order[-1] == "agent_end"

    @timeless
    async def run() -> None:
        agent = RealtimeAgent("Speaker", output_guardrails=[judge])
        async with open_session(agent, config=config(delay)) as (session, far):
            await converse(far, session)

    run()


@given(
    dice=st.randoms(use_true_random=False),
    thinking=st.sampled_from([0.0, 0.05, 0.3, 1.5]),
    delay=st.sampled_from([1, 100, 600]),
)
@settings(max_examples=60, deadline=None)
def test_nothing_was_heard_that_was_not_told(dice: random.Random, thinking: float, delay: int) -> None:
    """Responses, stops and interruptions in any order: what counts as heard was told, and there was time to hear it."""

    @output_guardrail
    async def judge(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
        await asyncio.sleep(thinking * dice.random())
        return GuardrailFunctionOutput(None, BAD in text)

    @timeless
    async def converse() -> None:
        loop = asyncio.get_running_loop()
        told: dict[str, list[float]] = {}
        order: list[tuple[str, str]] = []

        def hear(event: Any) -> None:
            order.append((event.type, getattr(event, "response_id", "") or event.audio.response_id))
            if event.type == "audio":
                told.setdefault(event.item_id, []).append(loop.time())

        def check(session: RealtimeSession) -> None:
            for item in session.history:
                times = told.get(item.item_id, [])
                played_ms = getattr(item, "played_ms", None) or 0
                assert played_ms <= 100 * len(times)  # each chunk is of 100 ms
                assert played_ms <= (loop.time() - times[0]) * 1000 + 1 if times else not played_ms

        agent = RealtimeAgent("Speaker", output_guardrails=[judge])
        async with open_session(agent, config=config(delay)) as (session, far):
            for kind in ("audio_start", "audio", "agent_end"):
                session.on(kind, hear)
            responses = [f"resp_{number}" for number in range(dice.randint(1, 3))]
            for response_id in responses:
                words = [dice.choice(["Good ", "words ", "and ", BAD]) for _ in range(dice.randint(1, 5))]
                for frame in spoken_turn(response_id, f"item_{response_id}", words):
                    far.send(frame)
                    if frame["type"].endswith(".delta"):
                        await advance(dice.choice([0, 0, 0.01, 0.1, 0.4]))
                        check(session)
                    if dice.random() < 0.02:
                        await session.interrupt()
                await advance(dice.choice([0, 0.05, 1, 3]))
            await advance(60)
            check(session)
            for response_id in responses:
                kinds = [kind for kind, of in order if of == response_id]
                chunks = kinds.count("audio")
                assert kinds == (["audio_start", *["audio"] * chunks] if chunks else []) + ["agent_end"]

    converse()
