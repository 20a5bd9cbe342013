"""What the demo makes of a session's events: whose turn it is, what was heard, and whether all went as it should."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal, cast

import pytest

from jackfield import RealtimeAgent, RealtimePlaybackTracker, RealtimeSession
from jackfield.errors import ProviderError
from jackfield.run_context import RunContextWrapper
from jackfield.session import events as se
from jackfield.transport import Emitter, TransportCapabilities
from jackfield.transport import events as ev
from jackfield_local.demo.record import AgentLine, CallerLine, Cut, HandedOver, Problem, Record, ToolUse
from jackfield_local.demo.report import Report, make_report
from jackfield_local.demo.script import Line, get_weather
from jackfield_local.demo.server_process import Door
from jackfield_local.demo.speaker import Speaker

INFO = se.RealtimeEventInfo(RunContextWrapper(None))
DESK = RealtimeAgent("Desk")
BILLING = RealtimeAgent("Billing")
SECOND = bytes(48_000)


class Conversation:
    """A session's events told by hand, and the record of them."""

    def __init__(self, playback: Literal["client", "server"] = "client", *, audio_out: bool = True) -> None:
        self.now = 0.0
        self.events = Emitter()
        self.raw = Emitter()
        capabilities = TransportCapabilities(audio_out=audio_out, playback=playback, truncate=playback)
        transport = SimpleNamespace(on=self.raw.on, capabilities=capabilities)
        self.session = SimpleNamespace(on=self.events.on, transport=transport, current_agent=DESK)
        self.speaker = Speaker(RealtimePlaybackTracker(), lambda *_: None)
        self.record = Record(self.speaker, now=lambda: self.now, changed=lambda: None)
        self.record.watch(cast("RealtimeSession", self.session))

    def tell(self, *events: Any) -> None:
        for event in events:
            self.events.emit(event)

    def pass_time(self, ms: float) -> None:
        self.speaker.play(ms, self.now)
        self.now += ms
        self.record.listened()

    def ask(self, text: str, *, cuts_in: bool = False) -> None:
        item_id = f"user_{self.now}"
        self.record.caller_begins(cuts_in=cuts_in)
        self.tell(ev.SpeechStarted(item_id, 0))
        self.pass_time(1000)
        self.record.caller_ended(self.now)
        self.tell(ev.SpeechStopped(item_id, 0))
        self.tell(ev.InputAudioTranscriptionCompleted(text, item_id, 0))

    def start(self, response: str) -> None:
        self.tell(se.RealtimeAgentStartEvent(self.session.current_agent, INFO, response))

    def end(self, response: str, status: str = "completed") -> None:
        self.tell(se.RealtimeAgentEndEvent(self.session.current_agent, INFO, response, status))

    def say(self, response: str, text: str, audio: bytes = SECOND) -> None:
        item = f"item_{response}"
        self.tell(se.RealtimeTranscriptDelta("assistant", "audio", text, item, 0, INFO, response))
        self.record.hear(audio, item, 0)

    def answer(self, response: str, text: str) -> None:
        self.start(response)
        self.say(response, text)
        self.end(response)

    def call(self, response: str) -> None:
        self.raw.emit(
            ev.FunctionCall(name="get_weather", arguments="{}", call_id="c", item_id="i", response_id=response)
        )

    def cut(self, response: str, played_ms: int) -> None:
        self.tell(se.RealtimeAudioInterrupted(INFO, f"item_{response}", 0, played_ms, response))

    def report(self, *lines: Line, doors: tuple[Door, Door] | None = None) -> Report:
        return make_report(
            lines,
            self.record.entries,
            usage=ev.Usage(input_tokens=12, output_tokens=34),
            duration_ms=self.now,
            seconds=1.0,
            recording=Path("out.wav"),
            doors=doors,
        )


@pytest.fixture
def talk() -> Conversation:
    return Conversation()


class TestWhoseTurn:
    def test_an_answer_ends_with_its_response(self, talk: Conversation) -> None:
        talk.ask("Hello.")
        assert not talk.record.answered
        talk.start("r1")
        talk.say("r1", "Hello.")
        assert not talk.record.answered
        talk.end("r1")
        assert talk.record.answered

    def test_a_tool_call_is_no_answer_yet(self, talk: Conversation) -> None:
        talk.ask("What is the weather?")
        talk.start("r1")
        talk.call("r1")
        talk.end("r1")
        assert not talk.record.answered
        talk.answer("r2", "Sunny.")
        assert talk.record.answered

    def test_a_response_that_was_cancelled_answers_nothing(self, talk: Conversation) -> None:
        talk.ask("Tell me more.")
        talk.start("r1")
        talk.end("r1", "cancelled")
        assert not talk.record.answered

    def test_the_end_of_an_interrupted_response_is_no_answer_to_the_interruption(self, talk: Conversation) -> None:
        talk.ask("Tell me more.")
        talk.start("r1")
        talk.record.caller_begins(cuts_in=True)
        talk.tell(ev.SpeechStarted("user_2", 0), ev.SpeechStopped("user_2", 0))
        talk.end("r1")
        assert not talk.record.answered
        talk.answer("r2", "Yes.")
        assert talk.record.answered

    def test_a_failed_response_keeps_nobody_waiting(self, talk: Conversation) -> None:
        talk.ask("Hello.")
        talk.start("r1")
        talk.end("r1", "failed")
        assert talk.record.answered

    def test_what_was_announced_is_awaited(self, talk: Conversation) -> None:
        talk.ask("Hello.")
        talk.start("r1")
        talk.record.announce("item_r1")
        talk.end("r1")
        assert not talk.record.answered
        talk.say("r1", "Hello.")
        assert talk.record.answered

    def test_who_answers_the_phone_speaks_first(self, talk: Conversation) -> None:
        talk.record.pick_up()
        assert not talk.record.answered
        talk.answer("r1", "Hello.")
        assert talk.record.answered


class TestWhatWasHeard:
    def test_the_wait_is_from_the_last_sound_to_the_first(self, talk: Conversation) -> None:
        talk.ask("Hello.")
        talk.pass_time(640)
        talk.answer("r1", "Hello.")
        assert [line.after_ms for line in talk.record.entries if isinstance(line, AgentLine)] == [None]
        talk.pass_time(20)
        talk.answer("r2", "And more.")
        talk.pass_time(2000)
        assert [line.after_ms for line in talk.record.entries if isinstance(line, AgentLine)] == [640, None]

    def test_an_interruption_cuts_the_sound_and_counts_what_was_heard(self, talk: Conversation) -> None:
        talk.ask("Tell me more.")
        talk.start("r1")
        talk.say("r1", "One two three four five", SECOND * 5)
        talk.pass_time(2100)
        talk.record.caller_begins(cuts_in=True)
        talk.cut("r1", 2100)
        talk.raw.emit_raw(
            "*",
            lambda: {"type": "conversation.item.truncated", "item_id": "item_r1", "audio_end_ms": 2100},
        )
        talk.pass_time(1000)
        (cut,) = [entry for entry in talk.record.entries if isinstance(entry, Cut)]
        assert (cut.heard_ms, cut.generated_ms, cut.audio_end_ms, cut.confirmed_ms) == (2100, 5000, 2100, 2100)
        assert cut.heard_text == "One two"
        assert talk.speaker.silent

    def test_a_far_end_that_plays_measures_by_itself(self) -> None:
        talk = Conversation(playback="server")
        talk.ask("Stop.", cuts_in=True)
        talk.start("r1")
        talk.say("r1", "A long story", SECOND * 2)
        talk.pass_time(2000)
        talk.cut("r1", 2000)
        for confirmed, failures in ((2060, 0), (2500, 1)):
            truncated = {"type": "conversation.item.truncated", "item_id": "item_r1", "audio_end_ms": confirmed}
            talk.raw.emit_raw("*", lambda truncated=truncated: truncated)  # type: ignore[misc]
            (cut,) = [entry for entry in talk.record.entries if isinstance(entry, Cut)]
            assert (cut.heard_ms, cut.generated_ms, cut.heard_text) == (2000, None, "")
            told = [failure for failure in talk.report(STOP).failures if "the server cut at" in failure]
            assert len(told) == failures

    def test_how_much_of_the_answer_was_heard(self, talk: Conversation) -> None:
        talk.ask("Hello.")
        talk.answer("r1", "Hello.")
        talk.pass_time(5000)
        talk.ask("Tell me more.")
        assert talk.record.answer_played_ms == 0
        talk.start("r2")
        talk.say("r2", "More.", SECOND * 5)
        talk.pass_time(300)
        assert talk.record.answer_played_ms == 300

    def test_what_the_caller_said_in_two_pieces_is_one_line(self, talk: Conversation) -> None:
        talk.ask("What is")
        talk.tell(ev.SpeechStarted("user_b", 0), ev.InputAudioTranscriptionCompleted("the weather?", "user_b", 0))
        (line,) = [entry for entry in talk.record.entries if isinstance(entry, CallerLine)]
        assert line.text == "What is the weather?"

    def test_tools_handoffs_and_errors(self, talk: Conversation) -> None:
        talk.tell(
            se.RealtimeToolStart(DESK, get_weather, '{"city": "Paris"}', INFO, "c"),
            se.RealtimeToolEnd(DESK, get_weather, '{"city": "Paris"}', "sunny", INFO, "c"),
            se.RealtimeToolStart(DESK, get_weather, "no json", INFO, "d"),
            se.RealtimeHandoffEvent(DESK, BILLING, INFO),
            se.RealtimeError(ProviderError("harmless", classification="benign"), INFO),
            se.RealtimeError(ProviderError("bad"), INFO),
        )
        first, second, handoff, problem = talk.record.entries
        assert isinstance(first, ToolUse)
        assert (first.arguments, first.output) == ({"city": "Paris"}, "sunny")
        assert isinstance(second, ToolUse)
        assert (second.arguments, second.output) == ({"arguments": "no json"}, None)
        assert isinstance(handoff, HandedOver)
        assert handoff.target == "Billing"
        assert isinstance(problem, Problem)
        assert problem.message == "bad"


WEATHER = Line("What is the weather?", tool="get_weather", arguments={"city": "Paris"}, answer_has="sunny")
BILL = Line("My bill, please.", hands_over_to="Billing")
STOP = Line("Stop.", cuts_in_after_ms=1000)
HUMAN = Line("A human, please.", put_through_to="Desk")


class TestReport:
    def use_tool(self, talk: Conversation, city: str) -> None:
        arguments = f'{{"city": "{city}"}}'
        talk.tell(
            se.RealtimeToolStart(DESK, get_weather, arguments, INFO, "c"),
            se.RealtimeToolEnd(DESK, get_weather, arguments, "sunny", INFO, "c"),
        )

    def test_a_conversation_as_it_should_be(self, talk: Conversation) -> None:
        talk.ask("What is the weather?")
        self.use_tool(talk, "paris")
        talk.answer("r1", "It is Sunny.")
        talk.pass_time(1500)
        talk.ask("My bill, please.")
        talk.session.current_agent = BILLING
        talk.tell(se.RealtimeHandoffEvent(DESK, BILLING, INFO))
        talk.start("r2")
        talk.say("r2", "Billing here, how can I help?", SECOND * 3)
        talk.pass_time(1200)
        talk.ask("Stop.", cuts_in=True)
        talk.cut("r2", 2200)
        talk.answer("r3", "Yes.")
        talk.pass_time(1500)
        report = talk.report(WEATHER, BILL, STOP, doors=(Door("/a", "b", "c"), Door("/a", "b", "c")))
        assert report.failures == []
        assert report.passed
        figures = dict(report.figures)
        assert figures["turns"] == "3"
        assert figures["tools called"] == "get_weather"
        assert figures["handoffs"] == "Desk to Billing"
        assert figures["interruptions"] == "1"
        assert figures["tokens"] == "12 in, 34 out"

    @pytest.mark.parametrize("city", ["Rome", None])
    def test_a_tool_that_was_not_called_so(self, talk: Conversation, city: str | None) -> None:
        talk.ask("What is the weather?")
        if city is not None:
            self.use_tool(talk, city)
        talk.answer("r1", "Sunny.")
        talk.pass_time(20)
        (failure,) = talk.report(WEATHER).failures
        assert "get_weather" in failure

    def test_a_tool_whose_result_was_not_spoken(self, talk: Conversation) -> None:
        talk.ask("What is the weather?")
        self.use_tool(talk, "Paris")
        talk.answer("r1", "I don't know.")
        talk.pass_time(20)
        assert len(talk.report(WEATHER).failures) == 1

    def test_a_handoff_that_did_not_happen(self, talk: Conversation) -> None:
        talk.ask("My bill, please.")
        talk.answer("r1", "I can't help you.")
        talk.pass_time(20)
        assert talk.report(BILL).failures == ["Billing took over and spoke"]

    def test_an_interruption_that_did_not_happen(self, talk: Conversation) -> None:
        talk.ask("Stop.", cuts_in=True)
        talk.answer("r1", "Yes.")
        talk.pass_time(20)
        (failure,) = talk.report(STOP).failures
        assert "0 times" in failure

    @pytest.mark.parametrize(("told", "confirmed"), [(1000, 1000), (2100, 1000)])
    def test_an_interruption_that_was_cut_elsewhere(self, talk: Conversation, told: int, confirmed: int) -> None:
        talk.start("r1")
        talk.say("r1", "A long story", SECOND * 5)
        talk.pass_time(1100)
        talk.ask("Stop.", cuts_in=True)
        talk.cut("r1", told)
        talk.raw.emit_raw(
            "*",
            lambda: {"type": "conversation.item.truncated", "item_id": "item_r1", "audio_end_ms": confirmed},
        )
        talk.answer("r2", "Yes.")
        talk.pass_time(20)
        (failure,) = talk.report(STOP).failures
        assert f"audio_end_ms said {told}, the server cut at {confirmed}" in failure

    @pytest.mark.parametrize(("told", "failures"), [(1080, 0), (1500, 1)])
    def test_an_interruption_that_the_session_did_not_hear(self, told: int, failures: int) -> None:
        talk = Conversation(playback="server", audio_out=False)
        talk.start("r1")
        talk.say("r1", "A long story", SECOND)
        talk.pass_time(1000)
        talk.ask("Stop.", cuts_in=True)
        talk.cut("r1", told)
        talk.answer("r2", "Yes.")
        talk.pass_time(20)
        assert len(talk.report(STOP).failures) == failures

    @pytest.mark.parametrize(("heard", "failures"), [(SECOND, 0), (SECOND[:24_000], 1), (b"", 1)])
    def test_a_call_that_is_put_through_is_heard_there(self, talk: Conversation, heard: bytes, failures: int) -> None:
        talk.ask("A human, please.")
        talk.answer("r1", "Hold the line.")
        talk.pass_time(1000)
        assert not talk.record.is_put_through
        talk.record.put_through("sip:desk", "Desk", "Good evening.", 1000.0)
        assert talk.record.is_put_through
        assert not talk.record.answered
        talk.record.hear(heard, "Desk", 0)
        talk.record.hear_end("Desk", 0)
        talk.pass_time(2000)
        assert talk.record.answered
        assert len(talk.report(HUMAN).failures) == failures

    def test_a_call_that_was_not_put_through(self, talk: Conversation) -> None:
        talk.ask("A human, please.")
        talk.answer("r1", "I am one.")
        talk.pass_time(20)
        assert talk.report(HUMAN).failures == ["the call was put through to the desk"]

    @pytest.mark.parametrize("greets", [True, False])
    def test_a_phone_that_was_answered(self, talk: Conversation, greets: bool) -> None:
        talk.record.pick_up()
        if greets:
            talk.answer("r1", "Hello.")
            talk.pass_time(1000)
        talk.ask("Hello.")
        talk.answer("r2", "Hello.")
        talk.pass_time(1000)
        assert talk.report(Line("Hello.")).passed == greets

    def test_a_line_that_was_understood_as_another_and_not_answered(self, talk: Conversation) -> None:
        talk.ask("Nonsense")
        misunderstood, unanswered = talk.report(Line("What is the weather?")).failures
        assert "understood as" in misunderstood
        assert "answered" in unanswered

    def test_lines_that_were_not_said_errors_and_another_door(self, talk: Conversation) -> None:
        talk.tell(se.RealtimeError(ProviderError("it broke"), INFO))
        said, door, errors = talk.report(STOP, doors=(Door("/a", "b", "c"), Door("/x", "y", "z"))).failures
        assert "0 of 1" in said
        assert "/x?y with the z header" in door
        assert "it broke" in errors
