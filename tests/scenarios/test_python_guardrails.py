"""What users of the Python SDK rely on, A79 to A89: output guardrails; and what jackfield adds to them.

Where a scenario's outcome differs here on purpose, `docs/compatibility.md` says why.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from jackfield import (
    GuardrailFunctionOutput,
    OutputGuardrail,
    OutputGuardrailResult,
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeSession,
    RunContextWrapper,
    output_guardrail,
)
from jackfield.errors import ListenerError, TransportError
from jackfield.testing import Say, ScriptedTransport, Turn, Write
from support.clock import advance, settle, timeless
from support.memory_wire import FarEnd, open_session, read_until, response_done, spoken_turn, text_turn

Event = dict[str, Any]

LONG = "Nothing to see here, and so it goes on and on. "  # 47 characters
BAD = "badword"


def guard(name: str = "strict", bad: str = BAD, runs: list[str] | None = None) -> OutputGuardrail:
    """Return a guardrail that trips on `bad`, and notes in `runs` what it judged."""

    @output_guardrail(name=name)
    async def judge(context: RunContextWrapper[Any], agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
        if runs is not None:
            runs.append(text)
        return GuardrailFunctionOutput(output_info={"judged": text}, tripwire_triggered=bad in text)

    return judge


class Gate:
    """A guardrail that thinks until it is let go, and then trips or doesn't."""

    def __init__(self, *, trips: bool = True, name: str = "slow") -> None:
        self.judging = asyncio.Event()
        self.opened = asyncio.Event()
        self.runs: list[str] = []

        @output_guardrail(name=name)
        async def judge(context: Any, agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
            self.runs.append(text)
            self.judging.set()
            await self.opened.wait()
            return GuardrailFunctionOutput(None, trips)

        self.guardrail = judge


def guarded(*guardrails: OutputGuardrail, name: str = "Speaker") -> RealtimeAgent:
    return RealtimeAgent(name, output_guardrails=list(guardrails))


def begun(turn: list[Event], deltas: int) -> list[Event]:
    """The beginning of a turn, up to and with its first `deltas` deltas of words or audio."""
    places = [number for number, frame in enumerate(turn) if frame["type"].endswith(".delta")]
    return turn[: places[deltas - 1] + 1]


def feedback(far: FarEnd) -> list[Event]:
    """The messages that were sent to the model so far."""
    return [frame["item"] for frame in far.frames if frame["type"] == "conversation.item.create"]


class TestScenarios:
    @timeless
    async def test_a79_one_event_one_cancel_one_message_that_names_all(self) -> None:
        words = (LONG, LONG, f"{BAD} ", "and more of it. ")
        guardrails = (guard("first"), guard("calm", "never said"), guard("second"))
        async with open_session(guarded(*guardrails)) as (session, far):
            far.send(*begun(spoken_turn("resp_1", "item_1", words), 6))
            event = (await read_until(session, "guardrail_tripped"))[-1]
            assert [result.guardrail.get_name() for result in event.guardrail_results] == ["first", "second"]
            assert (event.response_id, event.item_id) == ("resp_1", "item_1")
            assert event.message == LONG + LONG + words[2]
            assert event.guardrail_results[0].output.output_info == {"judged": event.message}
            cancel = await far.received("response.cancel")
            assert cancel["response_id"] == "resp_1"
            await settle()
            (message,) = feedback(far)
            assert message["role"] == "user"
            assert message["content"] == [{"type": "input_text", "text": "guardrail triggered: first, second"}]
            assert "response.create" not in far.types
            far.send(*spoken_turn("resp_1", "item_1", words)[-4:-1], response_done("resp_1", status="cancelled"))
            await far.received("response.create")
            events = await read_until(session, "agent_end")
            await settle()
            assert [event.type for event in events if event.type == "guardrail_tripped"] == []
            assert [far.types.count(kind) for kind in ("response.cancel", "conversation.item.create")] == [1, 1]

    async def test_a79_it_interrupts_what_is_heard(self) -> None:
        tracker = RealtimePlaybackTracker()
        words = (LONG, LONG, BAD)
        async with open_session(guarded(guard()), playback_tracker=tracker) as (session, far):
            told: list[str] = []
            for kind in ("guardrail_tripped", "audio_interrupted"):
                session.on(kind, lambda event: told.append(event.type))
            far.send(*begun(spoken_turn("resp_1", "item_1", words), 4))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 150)
            far.send(*begun(spoken_turn("resp_1", "item_1", words), 6)[-2:])
            event = (await read_until(session, "audio_interrupted"))[-1]
            assert (event.item_id, event.played_ms, event.response_id) == ("item_1", 150, "resp_1")
            assert (await far.received("conversation.item.truncate"))["audio_end_ms"] == 150
            assert told == ["guardrail_tripped", "audio_interrupted"]

    @timeless
    async def test_a79_what_comes_late_of_it_is_neither_heard_nor_judged(self) -> None:
        words = (LONG, LONG, BAD, "late, ", f"and another {BAD}", LONG)
        turn = spoken_turn("resp_1", "item_1", words)
        async with open_session(guarded(guard())) as (session, far):
            tripped: list[Any] = []
            session.on("guardrail_tripped", tripped.append)
            far.send(*begun(turn, 6))
            await read_until(session, "guardrail_tripped")
            await settle()
            far.send(*turn[len(begun(turn, 6)) :])
            await settle()
            events = await read_until(session, "agent_end")
            assert [event for event in events if event.type == "audio"] == []
            assert len(tripped) == 1
            assert len(feedback(far)) == 1

    @timeless
    async def test_a79_what_nobody_has_read_yet_leaves_the_stream(self) -> None:
        slow = Gate()
        async with open_session(guarded(slow.guardrail)) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await advance(60)  # by the clock it was all heard, and there is nothing to interrupt
            slow.opened.set()
            await settle()
            events = await read_until(session, "guardrail_tripped")
            assert [event for event in events if event.type == "audio"] == []
            assert "conversation.item.truncate" not in far.types

    @timeless
    async def test_a80_runs_at_the_same_time_interrupt_once(self) -> None:
        slow = Gate()
        async with open_session(guarded(slow.guardrail, guard())) as (session, far):
            tripped: list[Any] = []
            session.on("guardrail_tripped", tripped.append)
            turn = text_turn("resp_1", "item_1", (LONG * 3, f"{BAD} ", LONG * 3))
            far.send(*begun(turn, 1))
            await slow.judging.wait()
            far.send(*turn[len(begun(turn, 1)) :])
            await settle()
            slow.opened.set()
            await settle()
            assert len(tripped) == 1
            assert len(feedback(far)) == 1

    async def test_a81_written_text(self) -> None:
        async with open_session(guarded(guard())) as (session, far):
            interrupted: list[Any] = []
            session.on("audio_interrupted", interrupted.append)
            far.send(*begun(text_turn("resp_1", "item_1", (LONG * 3, BAD, LONG * 3)), 3))
            await read_until(session, "guardrail_tripped")
            cancel = await far.received("response.cancel")
            assert cancel["response_id"] == "resp_1"
            await far.received("conversation.item.create")
            assert interrupted == []
            assert "conversation.item.truncate" not in far.types

    @pytest.mark.parametrize("source", ["spoken", "written"])
    @timeless
    async def test_a82_a_verdict_that_comes_when_a_newer_response_has_begun(self, source: str) -> None:
        make: Callable[..., list[Event]] = spoken_turn if source == "spoken" else text_turn
        tracker = RealtimePlaybackTracker()
        slow = Gate()
        async with open_session(guarded(slow.guardrail), playback_tracker=tracker) as (session, far):
            far.send(*make("resp_1", "item_1", ("Goodbye",)))
            await slow.judging.wait()
            far.send(*begun(spoken_turn("resp_2", "item_2", previous="item_1"), 4))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 50)
            interrupted: list[tuple[str, int]] = []
            session.on("audio_interrupted", lambda event: interrupted.append((event.item_id, event.played_ms)))
            slow.opened.set()
            await settle()
            before = await read_until(session, "guardrail_tripped")
            assert before[-1].response_id == "resp_1"
            if source == "spoken":
                assert interrupted == [("item_1", 50)]
                assert far.types == ["session.update", "conversation.item.truncate"]
            else:
                assert (interrupted, far.types) == ([], ["session.update"])
            turn = spoken_turn("resp_2", "item_2", ("Hello", " there."))
            far.send(*turn[len(begun(turn, 4)) :])
            events = before + await read_until(session, lambda event: getattr(event, "output", "") == "Hello there.")
            assert [event.item_id for event in events if event.type == "audio"] == ["item_2"] * 2
            assert events[-1].status == "completed"

    @timeless
    async def test_a83_what_the_transport_can_not_send_is_told(self) -> None:
        far_end = ScriptedTransport(strict=False)
        far_end.fail_next("send_message", TransportError("the line is busy"))
        async with RealtimeSession(guarded(guard()), transport=far_end) as session:
            far_end.emit(Write(f"{BAD}"))
            await far_end.expect_call("interrupt", {"response_id": "resp_1"})
            events = await read_until(session, "error")
            assert str(events[-1].error) == "the line is busy"
            assert [event.type for event in events if event.type == "guardrail_tripped"] == ["guardrail_tripped"]
            far_end.emit(Write("Good words."))
            await read_until(session, lambda event: getattr(event, "output", None) == "Good words.")

    async def test_a84_one_that_is_given_twice_judges_once(self) -> None:
        runs: list[str] = []
        guardrail = guard(runs=runs)
        config = {"output_guardrails": [guardrail, guard("the run's")]}
        async with open_session(guarded(guardrail, guardrail), config=config) as (session, far):
            far.send(*text_turn("resp_1", "item_1", (BAD,)))
            event = (await read_until(session, "guardrail_tripped"))[-1]
            assert [result.guardrail.get_name() for result in event.guardrail_results] == ["strict", "the run's"]
            assert runs == [BAD]

    @pytest.mark.parametrize("failure", [LookupError("no model"), asyncio.CancelledError()])
    @timeless
    async def test_a85_one_that_fails_is_skipped_and_told(self, failure: BaseException) -> None:
        @output_guardrail(name="broken")
        async def broken(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
            raise failure

        async with open_session(guarded(broken, guard())) as (session, far):
            far.send(*text_turn("resp_1", "item_1", ("Good words.",)))
            error = (await read_until(session, "error"))[-1].error
            assert isinstance(error, ListenerError)
            assert "'broken' raised" in str(error)
            assert "The others judged all the same" in str(error)
            assert error.__cause__ is failure
            far.send(*text_turn("resp_2", "item_2", (BAD,)))
            events = await read_until(session, "guardrail_tripped")
            (result,) = events[-1].guardrail_results
            assert result.guardrail.get_name() == "strict"

    @pytest.mark.parametrize("returned", [None, True, "tripped"])
    async def test_a85_one_that_returns_no_verdict(self, returned: Any) -> None:
        @output_guardrail  # type: ignore[arg-type]
        async def broken(context: Any, agent: Any, text: str) -> Any:
            return returned

        async with open_session(guarded(broken)) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            error = (await read_until(session, "error"))[-1].error
            assert "it must return a GuardrailFunctionOutput" in str(error)

    @timeless
    async def test_a86_the_agent_that_began_the_response_answers_for_it(self) -> None:
        seen: list[str] = []

        def noted(name: str) -> OutputGuardrail:
            @output_guardrail
            async def judge(context: Any, agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
                seen.append(f"{name} judges {agent.name}: {text}")
                return GuardrailFunctionOutput(None, False)

            return judge

        second = guarded(noted("second's"), name="Second")
        async with open_session(guarded(noted("first's"), name="First")) as (session, far):
            turn = text_turn("resp_1", "item_1")
            far.send(*turn[:1])
            await far.heard()
            await session.update_agent(second)
            far.send(*turn[1:])
            await settle()
            far.send(*text_turn("resp_2", "item_2", ("Well?",)))
            await settle()
            assert seen == ["first's judges First: Hello there.", "second's judges Second: Well?"]

    @timeless
    async def test_a87_a_beginning_that_is_told_late(self) -> None:
        runs: list[str] = []
        async with open_session(guarded(guard(runs=runs))) as (session, far):
            tripped: list[Any] = []
            session.on("guardrail_tripped", tripped.append)
            turn = text_turn("resp_1", "item_1", (LONG, LONG, LONG, BAD))
            created, rest = turn[0], turn[1:]
            for frame in (*begun(rest, 2), created, *rest[len(begun(rest, 2)) :]):
                far.send(frame)
                await settle()
            assert [event.response_id for event in tripped] == ["resp_1"]
            assert tripped[0].message == LONG * 3 + BAD
            assert runs == [LONG * 3, LONG * 3 + BAD]
            assert len(feedback(far)) == 1

    @timeless
    async def test_a88_an_end_that_is_told_again_changes_nothing(self) -> None:
        async with open_session(guarded(guard())) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await settle()
            turn = spoken_turn("resp_2", "item_2", ("Hello", f" {BAD}"))
            far.send(*begun(turn, 2), response_done("resp_1"), *turn[len(begun(turn, 2)) :])
            await settle()
            events = await read_until(session, "guardrail_tripped")
            assert events[-1].response_id == "resp_2"
            ends = [event.response_id for event in events if event.type == "agent_end"]
            assert ends == ["resp_1", "resp_2"]
            assert [event.response_id for event in events if event.type == "audio_start"] == ["resp_2"]

    @timeless
    async def test_a88_the_end_of_another_response_does_not_end_the_audio(self) -> None:
        async with open_session() as (session, far):
            turn = spoken_turn("resp_2", "item_2")
            beside = text_turn("resp_1", "item_1")
            for frame in (beside[0], beside[-1]):
                frame["response"]["conversation_id"] = None
            far.send(*begun(turn, 2), beside[0], beside[-1], *turn[len(begun(turn, 2)) :])
            events = await read_until(
                session, lambda event: event.type == "agent_end" and event.response_id == "resp_2"
            )
            assert [event.response_id for event in events if event.type == "audio_start"] == ["resp_2"]

    @timeless
    async def test_a89_a_verdict_that_comes_long_after_the_end(self) -> None:
        slow = Gate()
        tracker = RealtimePlaybackTracker()
        async with open_session(guarded(slow.guardrail), playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await slow.judging.wait()
            await settle()
            tracker.on_play_ms("item_1", 0, 50)
            slow.opened.set()
            event = (await read_until(session, "audio_interrupted"))[-1]
            assert (event.item_id, event.played_ms) == ("item_1", 50)
            await settle()
            assert far.types == [
                "session.update",
                "conversation.item.truncate",
                "conversation.item.create",
                "response.create",
            ]


class TestWhenTextIsJudged:
    @timeless
    async def test_each_time_it_has_grown_by_the_length_and_at_the_end(self) -> None:
        runs: list[str] = []
        config = {"guardrails_settings": {"debounce_text_length": 10}}
        async with open_session(guarded(guard(runs=runs)), config=config) as (_, far):
            words = ("123456789", "0", "12345678", "901", "2")
            turn = text_turn("resp_1", "item_1", words)
            for frame in begun(turn, 5):
                far.send(frame)
                await settle()
            assert runs == ["1234567890", "123456789012345678901"]
            far.send(*turn[len(begun(turn, 5)) :])
            await settle()
            assert runs[2:] == ["1234567890123456789012"]

    @timeless
    async def test_what_comes_while_it_thinks_is_judged_next_and_at_once(self) -> None:
        slow = Gate(trips=False)
        config = {"guardrails_settings": {"debounce_text_length": 10}}
        async with open_session(guarded(slow.guardrail), config=config) as (_, far):
            turn = text_turn("resp_1", "item_1", ("1234567890",) * 9)
            far.send(*begun(turn, 1))
            await slow.judging.wait()
            far.send(*begun(turn, 9)[len(begun(turn, 1)) :])
            await settle()
            slow.opened.set()
            await settle()
            assert slow.runs == ["1234567890", "1234567890" * 9]

    @timeless
    async def test_short_text_is_judged_when_the_response_ends(self) -> None:
        async with open_session(guarded(guard())) as (session, far):
            turn = spoken_turn("resp_1", "item_1", ("Hi, ", BAD))
            far.send(*turn[:-1])
            await settle()
            assert len(far.types) == 1
            far.send(turn[-1])
            assert (await read_until(session, "guardrail_tripped"))[-1].message == f"Hi, {BAD}"

    @timeless
    async def test_each_message_by_itself(self) -> None:
        runs: list[str] = []
        far_end = ScriptedTransport(strict=False)
        async with RealtimeSession(guarded(guard(runs=runs)), transport=far_end):
            far_end.emit(Turn([Say("One."), Write("Two.")]))
            await settle()
            assert runs == ["One.", "Two."]

    @timeless
    async def test_a_response_without_words_is_not_judged(self) -> None:
        runs: list[str] = []
        async with open_session(guarded(guard(runs=runs))) as (_, far):
            turn = spoken_turn("resp_1", "item_1")
            far.send(*(frame for frame in turn if "transcript" not in frame["type"]))
            await settle()
            assert runs == []

    async def test_functions_run_on_a_thread_and_coroutines_on_the_loop(self) -> None:
        where: dict[str, int] = {}

        @output_guardrail
        def on_a_thread(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
            where["thread"] = threading.get_ident()
            return GuardrailFunctionOutput(None, False)

        @output_guardrail
        async def on_the_loop(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
            where["loop"] = threading.get_ident()
            return GuardrailFunctionOutput(None, True)

        async with open_session(guarded(on_a_thread, on_the_loop)) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "guardrail_tripped")
            assert where["loop"] == threading.get_ident() != where["thread"]

    @timeless
    async def test_where_responses_have_no_ids_each_is_judged_all_the_same(self) -> None:
        async with open_session(guarded(guard())) as (session, far):
            tripped: list[str] = []
            session.on("guardrail_tripped", lambda event: tripped.append(event.message))
            for words in (f"One {BAD}", "Good.", f"Another {BAD}"):
                turn = text_turn("", f"item {words}", (words,))
                far.send(*turn)
                await settle()
            assert tripped == [f"One {BAD}", f"Another {BAD}"]

    @timeless
    async def test_closing_the_session_stops_the_judging(self) -> None:
        slow = Gate()
        async with open_session(guarded(slow.guardrail)) as (session, far):
            told: list[str] = []
            for kind in ("guardrail_tripped", "error"):
                session.on(kind, lambda event: told.append(event.type))
            far.send(*text_turn("resp_1", "item_1"))
            await slow.judging.wait()
            await session.close()
            slow.opened.set()
            await settle()
            assert (told, far.types) == ([], ["session.update"])

    @timeless
    async def test_a_verdict_that_comes_when_the_far_end_has_gone(self) -> None:
        slow = Gate()
        async with open_session(guarded(slow.guardrail)) as (session, far):
            errors: list[Any] = []
            session.on("error", errors.append)
            far.send(*text_turn("resp_1", "item_1"))
            await slow.judging.wait()
            far.close()
            await settle()
            slow.opened.set()
            await settle()
            assert (errors, far.types) == ([], ["session.update"])


class TestWhatTheModelIsTold:
    @staticmethod
    async def trip(settings: dict[str, Any]) -> tuple[list[Event], list[Any], list[str]]:
        """Trip a guardrail; return the messages sent, the errors told and the types sent."""
        async with open_session(guarded(guard()), config={"guardrails_settings": settings}) as (session, far):
            errors: list[Any] = []
            session.on("error", lambda event: errors.append(event.error))
            far.send(*text_turn("resp_1", "item_1", (BAD,)))
            await read_until(session, "guardrail_tripped")
            await settle()
            return feedback(far), errors, far.types

    @timeless
    async def test_other_words_in_another_role(self) -> None:
        messages, errors, types = await self.trip({"feedback_message": "Say it kindly.", "feedback_role": "system"})
        (message,) = messages
        assert (message["role"], message["content"][0]["text"]) == ("system", "Say it kindly.")
        assert (errors, types[-1]) == ([], "response.create")

    @timeless
    async def test_words_made_of_what_the_guardrails_said(self) -> None:
        def words(results: Sequence[OutputGuardrailResult]) -> str:
            return ", ".join(result.output.output_info["judged"] for result in results)

        messages, errors, _ = await self.trip({"feedback_message": words})
        assert [message["content"][0]["text"] for message in messages] == [BAD]
        assert errors == []

    @pytest.mark.parametrize("message", [None, "", lambda results: None, lambda results: ""])
    @timeless
    async def test_nothing_and_no_response_is_asked_for(self, message: Any) -> None:
        assert await self.trip({"feedback_message": message}) == ([], [], ["session.update"])

    @pytest.mark.parametrize("message", [lambda results: 1 / 0, lambda results: 7])
    @timeless
    async def test_words_that_fail_are_told_and_nothing_is_sent(self, message: Any) -> None:
        messages, errors, types = await self.trip({"feedback_message": message})
        assert (messages, types) == ([], ["session.update"])
        (error,) = errors
        assert isinstance(error, ListenerError)
        assert "feedback_message raised" in str(error)

    @timeless
    async def test_an_out_of_band_response_beside_it_is_no_newer_one(self) -> None:
        slow = Gate()
        async with open_session(guarded(slow.guardrail)) as (session, far):
            far.send(*begun(text_turn("resp_1", "item_1", (LONG * 3,)), 1))
            await slow.judging.wait()
            beside = {"id": "resp_9", "status": "in_progress", "output": [], "conversation_id": None}
            far.send({"type": "response.created", "response": beside})
            await settle()
            slow.opened.set()
            await read_until(session, "guardrail_tripped")
            await settle()
            assert len(feedback(far)) == 1


async def test_a_plain_function_judges_on_a_thread_of_the_sessions_own() -> None:
    busy = threading.Event()
    pool = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(pool)
    blocked = asyncio.get_running_loop().run_in_executor(None, busy.wait, 30)
    threads: list[str] = []

    @output_guardrail
    def judge(context: Any, agent: RealtimeAgent, text: str) -> GuardrailFunctionOutput:
        threads.append(threading.current_thread().name)
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    try:
        async with open_session(RealtimeAgent("Greeter", output_guardrails=[judge])) as (session, far):
            far.send(*text_turn("resp_1", "item_1"))
            await read_until(session, "guardrail_tripped")
            assert [name.startswith("jackfield") for name in threads] == [True]
    finally:
        busy.set()
        await blocked
        pool.shutdown()
