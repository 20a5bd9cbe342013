"""The dialect without a socket: messages in, events and messages out."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from jackfield.audio import RealtimePlaybackTracker
from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectRefusedError,
    RemoteClosedError,
    ResponseLostError,
    UnsupportedByTransportError,
)
from jackfield.wire import RejoiningDialect
from jackfield_gemini.dialect import GeminiDialect
from jackfield_gemini.session_setup import Settings

SECOND = b"\1\2" * 24_000


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class End:
    """A dialect and what it is told, in the provider's words."""

    def __init__(self, config: Mapping[str, Any] | None = None, **options: Any) -> None:
        self.clock = Clock()
        barge_in = options.pop("barge_in", "auto")
        settings = Settings.of(config, "models/m", barge_in=barge_in)
        self.dialect = GeminiDialect(settings=settings, clock=self.clock, id_prefix="x", **options)
        self.sent: list[Any] = [*self.dialect.open(config)]
        assert self.tell({"setupComplete": {}}) == []

    def tell(self, *messages: Mapping[str, Any]) -> list[Any]:
        events: list[Any] = []
        for message in messages:
            events += self.dialect.receive(message)
            self.sent += self.dialect.data_to_send()
        return events

    def content(self, **content: Any) -> list[Any]:
        return self.tell({"serverContent": content})

    def speak(self, text: str = "Hello.", audio: bytes = SECOND) -> list[Any]:
        blob = {"mimeType": "audio/pcm;rate=24000", "data": base64.b64encode(audio).decode()}
        return self.content(modelTurn={"parts": [{"inlineData": blob}]}) + (
            self.content(outputTranscription={"text": text}) if text else []
        )

    def complete(self, **usage: int) -> list[Any]:
        ride = {"usageMetadata": usage} if usage else {}
        return self.tell({"serverContent": {"turnComplete": True}, **ride})

    def call(self, *call_ids: str) -> list[Any]:
        calls = [{"id": call_id, "name": "get_weather", "args": {"city": "Paris"}} for call_id in call_ids]
        return self.tell({"toolCall": {"functionCalls": calls}})

    def due(self) -> list[Any]:
        """Let the time come that the dialect waits for; return what is told."""
        deadline = self.dialect.deadline
        assert deadline is not None
        self.clock.now = max(self.clock.now, deadline)
        told = self.dialect.expire()
        self.sent += self.dialect.data_to_send()
        return list(told)


def kinds(events: list[Any]) -> list[str]:
    return [event.type for event in events]


def test_it_is_a_dialect_for_sessions_that_outlive_their_sockets() -> None:
    assert isinstance(End().dialect, RejoiningDialect)


class TestSpokenTurn:
    def test_events(self) -> None:
        end = End()
        told = end.speak() + end.content(generationComplete=True) + end.complete(promptTokenCount=3, totalTokenCount=3)
        assert kinds(told) == [
            "turn_started",
            "item_update",
            "audio",
            "audio_transcript_delta",
            "audio_done",
            "item_update",
            "usage_update",
            "turn_done",
        ]
        done = told[-1]
        assert {event.response_id for event in told if hasattr(event, "response_id")} == {done.response_id}
        assert done.status == "completed" and done.usage.total_tokens == 3 and done.usage.requests == 1
        [item] = done.output
        assert (item.item_id, item.text, item.status) == (told[2].item_id, "Hello.", "completed")
        assert told[2].data == SECOND

    def test_a_transcript_may_come_first_and_also_after_the_generation(self) -> None:
        end = End()
        told = end.content(outputTranscription={"text": "One"}) + end.speak("")
        told += end.content(generationComplete=True) + end.content(outputTranscription={"text": " two."})
        told += end.complete()
        deltas = [event for event in told if event.type == "audio_transcript_delta"]
        assert [event.delta for event in deltas] == ["One", " two."]
        assert len({(event.item_id, event.content_index) for event in deltas}) == 1
        assert told[-1].output[0].text == "One two."
        assert kinds(told).count("turn_started") == 1

    def test_a_transcript_after_the_end_belongs_to_what_was_said(self) -> None:
        end = End()
        ended = [*end.speak("One"), *end.complete()][-1]
        late = end.content(outputTranscription={"text": " two."})
        assert kinds(late) == ["audio_transcript_delta", "item_update"]
        assert late[0].response_id == ended.response_id and late[1].item.text == "One two."

    def test_a_transcript_after_the_users_words_begins_a_turn(self) -> None:
        end = End()
        end.speak("One")
        end.complete()
        end.content(inputTranscription={"text": "And?"})
        assert "turn_started" in kinds(end.content(outputTranscription={"text": "Two."}))

    def test_ids_are_never_the_same(self) -> None:
        end = End()
        told = [event for _ in range(3) for event in (*end.speak(), *end.complete())]
        assert len({event.response_id for event in told if event.type == "turn_done"}) == 3
        assert len({event.item_id for event in told if event.type == "audio"}) == 3

    def test_items_stand_behind_one_another(self) -> None:
        end = End()
        end.dialect.message("Hello?", trigger_response=True)
        [user] = [event for event in end.due() if event.type == "item_update"]
        spoken = next(event for event in end.speak() if event.type == "item_update")
        assert (user.after, spoken.after) == (None, user.item.item_id)

    def test_audio_of_another_rate_is_told_at_24_khz(self) -> None:
        end = End()
        blob = {"mimeType": "audio/pcm;rate=12000", "data": base64.b64encode(bytes(24_000)).decode()}
        told = end.content(modelTurn={"parts": [{"inlineData": blob}]})
        [audio] = [event for event in told if event.type == "audio"]
        assert audio.format.rate == 24_000 and len(audio.data) > 40_000

    def test_thoughts_are_kept_to_itself(self) -> None:
        assert End().content(modelTurn={"parts": [{"text": "Hm.", "thought": True}]}) == []

    def test_an_odd_reason_is_a_failed_turn(self) -> None:
        end = End()
        end.speak()
        told = end.content(turnComplete=True, turnCompleteReason="RESPONSE_REJECTED")
        assert told[-1].status == "failed" and told[-1].status_details["reason"] == "RESPONSE_REJECTED"
        [error] = [event.error for event in told if event.type == "error"]
        assert error.classification == "retry_turn"

    def test_usage_that_comes_late_is_told(self) -> None:
        end = End()
        done = [*end.speak(), *end.complete()][-1]
        [late] = end.tell({"usageMetadata": {"promptTokenCount": 5, "responseTokenCount": 2, "totalTokenCount": 7}})
        assert (late.type, late.response_id, late.usage.total_tokens) == ("usage_update", done.response_id, 7)

    def test_usage_counts_by_kind(self) -> None:
        end = End()
        end.speak()
        usage = {
            "promptTokenCount": 10,
            "responseTokenCount": 4,
            "thoughtsTokenCount": 2,
            "cachedContentTokenCount": 3,
            "totalTokenCount": 16,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 10}],
            "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
        }
        told = end.tell({"serverContent": {"turnComplete": True}, "usageMetadata": usage})
        usage_told = told[-1].usage
        assert (usage_told.input_tokens, usage_told.output_tokens, usage_told.total_tokens) == (10, 6, 16)
        assert usage_told.input_tokens_details == {"audio_tokens": 10, "cached_tokens": 3}
        assert usage_told.output_tokens_details == {"audio_tokens": 4, "reasoning_tokens": 2}


class TestWrittenTurn:
    def test_events(self) -> None:
        end = End({"modalities": ["text"]})
        told = end.content(modelTurn={"parts": [{"text": "Hel"}, {"text": "lo."}]}) + end.complete()
        assert kinds(told) == [
            "turn_started",
            "item_update",
            "output_text_delta",
            "output_text_delta",
            "item_update",
            "turn_done",
        ]
        assert told[-1].output[0].text == "Hello."


class TestInterruption:
    def test_by_the_users_voice(self) -> None:
        end = End()
        end.speak()
        end.clock.now += 0.25
        told = end.content(interrupted=True)
        assert kinds(told) == ["item_update", "speech_started", "audio_interrupted"]
        assert (told[-1].played_ms, told[-1].received_ms) == (250, 1000)
        done = end.complete()[-1]
        assert done.status == "cancelled" and done.output[0].status == "incomplete"

    def test_while_it_is_only_played_still(self) -> None:
        end = End()
        end.speak()
        end.content(generationComplete=True)
        assert "audio_interrupted" in kinds(end.content(interrupted=True))
        assert end.complete()[-1].status == "completed"

    def test_the_tracker_says_how_much_was_heard(self) -> None:
        tracker = RealtimePlaybackTracker()
        end = End(playback_tracker=tracker)
        audio = next(event for event in end.speak() if event.type == "audio")
        tracker.on_play_ms(audio.item_id, audio.content_index, 120.0)
        assert end.content(interrupted=True)[-1].played_ms == 120

    def test_by_the_application_nothing_is_sent_and_nothing_more_told(self) -> None:
        end = End()
        end.speak()
        before = len(end.sent)
        sent, told = end.dialect.interrupt()
        assert sent == [] and kinds(told) == ["audio_interrupted", "audio_done", "item_update"]
        assert end.speak(" More.") == []
        assert len(end.sent) == before
        [done] = end.complete()
        assert done.status == "cancelled"
        assert done.output[0].text == "Hello."
        assert "audio" in kinds(end.speak("Next."))

    def test_before_it_began(self) -> None:
        end = End()
        end.dialect.request_response()
        assert end.dialect.interrupt() == ([], [])
        assert kinds(end.speak()) == ["turn_started"]
        assert end.complete()[-1].status == "cancelled"

    def test_of_another_response_changes_nothing(self) -> None:
        end = End()
        end.speak()
        assert end.dialect.interrupt("resp_of_long_ago") == ([], [])
        assert "audio" in kinds(end.speak())

    def test_of_nothing(self) -> None:
        assert End().dialect.interrupt() == ([], [])

    def test_by_a_message_is_no_speech(self) -> None:
        end = End()
        end.speak()
        [sent] = end.dialect.message("Stop.", trigger_response=True)
        assert sent["clientContent"]["turnComplete"] is True
        told = end.content(interrupted=True)
        assert "speech_started" not in kinds(told) and "audio_interrupted" in kinds(told)
        assert end.complete()[-1].status == "cancelled"
        assert "turn_started" in kinds(end.speak("I stop."))


class TestTheUsersSpeech:
    def test_is_an_item_before_the_answer(self) -> None:
        end = End({"input_audio_transcription": {}})
        told = end.content(inputTranscription={"text": "What"}) + end.content(inputTranscription={"text": " is it?"})
        told += end.speak() + end.complete()
        assert kinds(told)[:3] == [
            "item_update",
            "input_audio_transcription_delta",
            "input_audio_transcription_delta",
        ]
        [completed] = [event for event in told if event.type == "input_audio_transcription_completed"]
        assert completed.transcript == "What is it?" and completed.item_id == told[0].item.item_id
        answer = next(event for event in told if event.type == "item_update" and event.item.role == "assistant")
        assert answer.after == completed.item_id
        assert kinds(told).index("input_audio_transcription_completed") < kinds(told).index("turn_done")

    def test_is_over_where_the_provider_says_so(self) -> None:
        told = End().content(inputTranscription={"text": "Hi.", "finished": True})
        assert kinds(told)[-1] == "input_audio_transcription_completed"

    def test_words_that_come_late_belong_to_what_was_answered(self) -> None:
        end = End()
        end.dialect.audio(bytes(9600))
        told = end.speak()
        item = told[0].item
        assert item.role == "user"
        late = end.content(inputTranscription={"text": "What is it?"})
        assert kinds(late) == ["input_audio_transcription_delta"] and late[0].item_id == item.item_id
        assert "input_audio_transcription_completed" in kinds(end.complete())

    def test_an_answer_that_was_asked_for_makes_no_speech_of_the_microphones_silence(self) -> None:
        end = End()
        end.dialect.audio(bytes(9600))
        end.dialect.request_response()
        assert kinds(end.speak())[0] == "turn_started"

    def test_voice_activity(self) -> None:
        end = End()
        told = end.tell(
            {"voiceActivity": {"type": "ACTIVITY_START", "audioOffset": "1.5s"}},
            {"voiceActivity": {"type": "ACTIVITY_END"}},
        )
        assert kinds(told) == ["item_update", "speech_started", "speech_stopped"]
        assert told[1].audio_start_ms == 1500 and told[1].item_id == told[2].item_id == told[0].item.item_id
        assert kinds(end.content(interrupted=True)) == []

    def test_an_interruption_begins_another_one(self) -> None:
        end = End()
        first = end.content(inputTranscription={"text": "One."})[0].item.item_id
        end.speak()
        told = end.content(interrupted=True)
        assert kinds(told) == [
            "item_update",
            "input_audio_transcription_completed",
            "item_update",
            "speech_started",
            "audio_interrupted",
        ]
        assert told[1].item_id == first != told[3].item_id

    def test_interim_words_are_not_told_twice(self) -> None:
        assert End().content(interimInputTranscription={"text": "Wha"}) == []


class TestRequests:
    def test_one_at_a_time(self) -> None:
        end = End()
        assert end.dialect.request_response() == [{"clientContent": {"turnComplete": True}}]
        assert end.dialect.request_response() == []
        end.speak()
        assert end.dialect.request_response() == [] == end.dialect.request_response()
        before = len(end.sent)
        end.content(generationComplete=True)
        assert len(end.sent) == before, "the provider would take it for an interruption"
        end.complete()
        assert end.sent[before:] == [{"clientContent": {"turnComplete": True}}]

    def test_after_an_interruption_nothing_is_waited_for(self) -> None:
        end = End()
        end.speak()
        end.dialect.interrupt()
        assert len(end.dialect.request_response()) == 1

    def test_settings_of_their_own_are_refused(self) -> None:
        with pytest.raises(UnsupportedByTransportError):
            End().dialect.request_response({"instructions": "Sing."})

    def test_a_message_that_wants_no_answer_takes_the_request_back(self) -> None:
        end = End()
        end.dialect.request_response()
        [message] = end.dialect.message("By the way.", trigger_response=False)
        assert message["clientContent"]["turnComplete"] is False
        assert len(end.dialect.request_response()) == 1

    def test_an_answer_of_nothing_is_a_turn(self) -> None:
        end = End()
        end.dialect.request_response()
        assert kinds(end.complete()) == ["turn_started", "turn_done"]
        assert end.complete() == []

    def test_what_never_comes_is_given_up(self) -> None:
        end = End()
        end.dialect.request_response()
        [event] = end.due()
        assert isinstance(event.error, ResponseLostError)
        assert end.dialect.deadline is None
        assert len(end.dialect.request_response()) == 1

    def test_what_goes_silent_is_given_up_and_what_waits_goes_on(self) -> None:
        end = End()
        end.speak()
        end.dialect.request_response()
        before = len(end.sent)
        told = end.due()
        assert kinds(told)[-1] == "turn_done" and told[-1].status == "incomplete"
        assert len(end.sent) == before + 1

    def test_a_turn_that_is_only_played_still_is_not(self) -> None:
        end = End()
        end.speak("", SECOND * 300)
        end.content(generationComplete=True)
        assert end.dialect.deadline is not None
        assert end.dialect.deadline >= end.clock.now + 300


class TestFunctionCalls:
    def test_are_told_and_end_the_turn(self) -> None:
        end = End()
        told = end.speak("Let me see.") + end.call("call_1", "call_2")
        calls = [event for event in told if event.type == "function_call"]
        assert [(call.call_id, call.name, call.arguments) for call in calls] == [
            ("call_1", "get_weather", '{"city":"Paris"}'),
            ("call_2", "get_weather", '{"city":"Paris"}'),
        ]
        done = told[-1]
        assert done.status == "completed" and [item.type for item in done.output] == [
            "message",
            "function_call",
            "function_call",
        ]
        assert kinds(told).count("audio_done") == 1

    def test_what_they_cost_is_their_own(self) -> None:
        end = End()
        first = [*end.speak(), *end.complete()][-1]
        call = {"toolCall": {"functionCalls": [{"id": "call_1", "name": "f"}]}, "usageMetadata": {"totalTokenCount": 9}}
        told = end.tell(call)
        [usage] = [event for event in told if event.type == "usage_update"]
        assert usage.response_id == told[-1].response_id != first.response_id
        assert kinds(told)[-2:] == ["usage_update", "turn_done"]

    def test_are_told_once(self) -> None:
        end = End()
        assert kinds(end.call("call_1", "call_1")).count("function_call") == 1
        assert end.call("call_1") == []

    def answer(self, end: End, event: Any, *, start_response: bool = False) -> tuple[list[Any], list[Any]]:
        sent, told = end.dialect.function_call_output(event, f"for {event.call_id}", start_response=start_response)
        return list(sent), list(told)

    def calls(self, end: End, *call_ids: str) -> list[Any]:
        return [event for event in end.call(*call_ids) if event.type == "function_call"]

    def test_all_are_answered_at_once_and_one_request_is_enough(self) -> None:
        end = End()
        one, two = self.calls(end, "call_1", "call_2")
        sent, told = self.answer(end, two)
        assert sent == [] and told[0].item.output == "for call_2"
        sent, _ = self.answer(end, one)
        [message] = sent
        assert [answer["id"] for answer in message["toolResponse"]["functionResponses"]] == ["call_1", "call_2"]
        assert message["toolResponse"]["functionResponses"][0] == {
            "id": "call_1",
            "name": "get_weather",
            "response": {"output": "for call_1"},
        }
        assert end.dialect.request_response() == []

    def test_the_request_is_known_although_the_model_was_quick(self) -> None:
        end = End()
        [one] = self.calls(end, "call_1")
        self.answer(end, one)
        end.speak()
        end.complete()
        assert end.dialect.request_response() == []
        assert len(end.dialect.request_response()) == 1

    def test_a_request_that_comes_long_after_is_another_one(self) -> None:
        end = End()
        [one] = self.calls(end, "call_1")
        self.answer(end, one)
        end.speak()
        end.complete()
        end.clock.now += 10
        assert len(end.dialect.request_response()) == 1

    def test_who_asks_for_the_response_gets_what_is_there(self) -> None:
        end = End()
        one, two = self.calls(end, "call_1", "call_2")
        sent, _ = self.answer(end, one, start_response=True)
        assert len(sent) == 1
        sent, _ = self.answer(end, two)
        assert len(sent) == 1

    def test_a_request_sends_what_is_kept(self) -> None:
        end = End()
        one, _ = self.calls(end, "call_1", "call_2")
        self.answer(end, one)
        [message] = end.dialect.request_response()
        assert "toolResponse" in message
        assert end.dialect.request_response() == []

    def test_one_that_was_taken_back_is_over(self) -> None:
        end = End()
        [one] = self.calls(end, "call_1")
        [update] = end.tell({"toolCallCancellation": {"ids": ["call_1", "of long ago", 5]}})
        assert (update.item.call_id, update.item.status) == ("call_1", "incomplete")
        sent, told = self.answer(end, one)
        assert sent == []
        assert told[0].error.code == "tool_call_cancelled" and told[0].error.classification == "benign"
        assert end.dialect.request_response() == [], "it was for the call that is over"
        assert len(end.dialect.request_response()) == 1

    def test_the_others_are_answered_when_the_last_open_one_is_taken_back(self) -> None:
        end = End()
        one, _ = self.calls(end, "call_1", "call_2")
        self.answer(end, one)
        end.tell({"toolCallCancellation": {"ids": ["call_2"]}})
        assert [answer["id"] for answer in end.sent[-1]["toolResponse"]["functionResponses"]] == ["call_1"]

    def test_unknown_and_answered_ones_are_refused(self) -> None:
        end = End()
        [one] = self.calls(end, "call_1")
        self.answer(end, one)
        with pytest.raises(ConfigurationError, match="answered before"):
            self.answer(end, one)
        with pytest.raises(ConfigurationError, match="no call"):
            self.answer(End(), one)

    def test_one_without_an_id_is_answered_by_its_name(self) -> None:
        end = End()
        told = end.tell({"toolCall": {"functionCalls": [{"name": "get_weather"}]}})
        call = next(event for event in told if event.type == "function_call")
        assert call.call_id and call.arguments == "{}"
        [message] = self.answer(end, call)[0]
        assert message["toolResponse"]["functionResponses"][0].keys() == {"name", "response"}

    def test_of_an_interrupted_response_are_not_told(self) -> None:
        end = End()
        end.speak()
        end.dialect.interrupt()
        assert kinds(end.call("call_1")) == ["turn_done"]


class TestAudioIn:
    def heard(self, frames: Any) -> bytes:
        blobs = [GeminiDialect.decode(frame)["realtimeInput"].get("audio") for frame in frames]
        return b"".join(base64.b64decode(blob["data"]) for blob in blobs if blob)

    def test_is_resampled_and_comes_whole(self) -> None:
        end = End()
        frames = [frame for start in range(0, 48_000, 999) for frame in end.dialect.audio(SECOND[start : start + 999])]
        rest = [GeminiDialect.encode(message) for message in end.dialect.commit_audio()]
        assert len(self.heard([*frames, *rest])) == 32_000
        assert GeminiDialect.decode(rest[-1]) == {"realtimeInput": {"audioStreamEnd": True}}

    def test_g711_is_decoded(self) -> None:
        end = End({"input_audio_format": "g711_ulaw"})
        frames = list(end.dialect.audio(b"\xff" * 8000))
        rest = [GeminiDialect.encode(message) for message in end.dialect.commit_audio()]
        assert self.heard([*frames, *rest]) == bytes(32_000)

    def test_16_khz_pass_as_they_are(self) -> None:
        end = End({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}}}})
        assert self.heard(end.dialect.audio(SECOND)) == SECOND

    def test_by_hand_a_turn_is_begun_and_ended(self) -> None:
        end = End({"turn_detection": None})
        frames = [GeminiDialect.decode(frame) for frame in end.dialect.audio(SECOND)]
        assert frames[0] == {"realtimeInput": {"activityStart": {}}}
        assert all("audio" in frame["realtimeInput"] for frame in frames[1:])
        again = [GeminiDialect.decode(frame) for frame in end.dialect.audio(SECOND)]
        assert all("audio" in frame["realtimeInput"] for frame in again)
        assert end.dialect.commit_audio()[-1] == {"realtimeInput": {"activityEnd": {}}}
        assert [event.item.role for event in end.due()] == ["user"]
        assert end.dialect.request_response() == [], "the provider answers what it has heard"
        assert GeminiDialect.decode(end.dialect.audio(SECOND)[0]) == {"realtimeInput": {"activityStart": {}}}

    def test_a_request_behind_the_end_of_a_turn_goes_out_where_nothing_comes_of_that(self) -> None:
        end = End()
        end.dialect.audio(SECOND)
        end.dialect.commit_audio()
        end.due()
        assert end.dialect.request_response() == []
        before = len(end.sent)
        assert end.due() == []
        assert end.sent[before:] == [{"clientContent": {"turnComplete": True}}]

    def test_and_does_not_where_it_was_answered(self) -> None:
        end = End()
        end.dialect.audio(SECOND)
        end.dialect.commit_audio()
        end.dialect.request_response()
        before = len(end.sent)
        end.speak()
        end.complete()
        assert len(end.sent) == before

    def test_by_hand_the_users_turn_interrupts_and_is_answered_without_asking(self) -> None:
        end = End({"turn_detection": None})
        end.speak()
        end.dialect.audio(SECOND)
        end.dialect.commit_audio()
        assert end.dialect.request_response() == []
        before = len(end.sent)
        end.content(interrupted=True)
        assert end.complete()[-1].status == "cancelled"
        assert end.speak("Yes?")[-1].type == "audio_transcript_delta"
        end.complete()
        assert len(end.sent) == before

    def test_by_hand_a_turn_of_nothing_is_none(self) -> None:
        assert End({"turn_detection": None}).dialect.commit_audio() == []

    def test_by_hand_a_turn_of_next_to_nothing_is_one(self) -> None:
        end = End({"turn_detection": None})
        assert end.dialect.audio(b"\1\2" * 3) == ()
        sent = [next(iter(message["realtimeInput"])) for message in end.dialect.commit_audio()]
        assert sent == ["activityStart", "audio", "activityEnd"]


class TestMessages:
    IMAGE = "data:image/png;base64,iVBORw0KGgo="

    def test_images(self) -> None:
        end = End()
        content = [{"type": "input_text", "text": "What?"}, {"type": "input_image", "image_url": self.IMAGE}]
        [message] = end.dialect.message({"role": "user", "content": content}, trigger_response=True)
        [turn] = message["clientContent"]["turns"]
        assert turn == {
            "role": "user",
            "parts": [{"text": "What?"}, {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}],
        }
        [event] = end.due()
        assert [part.type for part in event.item.content] == ["input_text", "input_image"]

    @pytest.mark.parametrize(
        ("message", "reason"),
        [
            ({"content": [{"type": "input_image", "image_url": "https://example.com/a.png"}]}, "fetches none"),
            ({"content": [{"type": "input_image", "image_url": "data:image/png;base64,?"}]}, "no base64"),
            ({"content": [{"type": "input_image", "image_url": IMAGE, "detail": "low"}]}, "mediaResolution"),
            ({"content": [{"type": "input_audio", "audio": "AAAA"}]}, "send_audio"),
            ({"content": []}, "non-empty"),
            ({"role": "system", "content": "Be nice."}, "instructions"),
            (5, "str or a mapping"),
        ],
    )
    def test_what_cannot_be_sent(self, message: Any, reason: str) -> None:
        end = End()
        with pytest.raises(ConfigurationError, match=reason):
            end.dialect.message(message, trigger_response=True)
        assert end.dialect.deadline is None

    def test_raw_ones(self) -> None:
        end = End()
        message = {"realtimeInput": {"text": "Hi."}}
        assert end.dialect.event(message) == [message]
        for wrong in ({"type": "response.create"}, {"setup": {}}, {**message, "toolResponse": {}}, {}):
            with pytest.raises(ConfigurationError):
                end.dialect.event(wrong)


class TestUpdates:
    TOOL: ClassVar = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}

    def test_instructions_and_tools(self) -> None:
        end = End({"instructions": "First", "voice": "Puck"})
        [message] = end.dialect.session_update({"instructions": "Second", "tools": [self.TOOL]})
        assert message == {
            "contextUpdate": {
                "systemInstruction": {"parts": [{"text": "Second"}]},
                "tools": {"tools": [{"functionDeclarations": [{"name": "f"}]}]},
            }
        }
        assert end.dialect.session_update({"tools": []}) == [{"contextUpdate": {"tools": {"tools": []}}}]

    def test_what_stays_as_it_is_needs_no_telling(self) -> None:
        config = {"instructions": "First", "voice": "Puck", "turn_detection": {"type": "server_vad"}}
        assert End(config).dialect.session_update(config) == []

    @pytest.mark.parametrize(
        ("change", "what"),
        [
            ({"voice": "Kore"}, "generationConfig"),
            ({"modalities": ["text"]}, "generationConfig"),
            ({"turn_detection": None}, "realtimeInputConfig"),
            ({"input_audio_format": "g711_ulaw"}, "audio format"),
            ({"input_audio_transcription": {}}, "inputAudioTranscription"),
        ],
    )
    def test_what_cannot_change_is_refused(self, change: dict[str, Any], what: str) -> None:
        end = End({"instructions": "First"})
        with pytest.raises(ConfigurationError, match=what):
            end.dialect.session_update({**change, "instructions": "Second"})
        assert end.dialect.settings.setup["systemInstruction"]["parts"][0]["text"] == "First"


class TestBeingTakenUpAgain:
    def resumable(self, end: End) -> None:
        end.tell({"sessionResumptionUpdate": {"newHandle": "h1", "resumable": True}})

    def test_only_with_a_handle(self) -> None:
        end = End({"instructions": "First"})
        assert end.sent[0]["setup"]["sessionResumption"] == {}
        assert end.dialect.reopening(1006) is None
        self.resumable(end)
        end.dialect.session_update({"instructions": "Second"})
        reopening = end.dialect.reopening(1006)
        assert reopening is not None
        setup = GeminiDialect.decode(reopening)["setup"]
        assert setup["sessionResumption"] == {"handle": "h1"}
        assert setup["systemInstruction"]["parts"][0]["text"] == "Second"

    @pytest.mark.parametrize(
        ("code", "outlives"), [(1000, False), (1001, True), (1006, True), (1007, False), (1011, True)]
    )
    def test_by_the_code_of_the_close(self, code: int, outlives: bool) -> None:
        end = End()
        self.resumable(end)
        assert (end.dialect.reopening(code) is not None) is outlives

    def test_it_leaves_when_nothing_is_under_way(self) -> None:
        end = End()
        self.resumable(end)
        assert not end.dialect.leaves
        end.speak()
        end.tell({"goAway": {"timeLeft": "10s"}})
        assert not end.dialect.leaves
        end.complete()
        assert end.dialect.leaves
        end.tell({"sessionResumptionUpdate": {"resumable": False}})
        assert not end.dialect.leaves
        assert end.dialect.reopening(1008) is not None, "the last handle is better than nothing"

    def test_what_was_under_way_is_over(self) -> None:
        end = End()
        self.resumable(end)
        [call] = [event for event in end.call("call_1") if event.type == "function_call"]
        spoken = end.speak("Meanwhile")
        end.dialect.rejoined(("secret",))
        told = end.due()
        assert [event.item.status for event in told if event.type == "item_update"] == ["incomplete", "incomplete"]
        assert told[-1].type == "turn_done" and told[-1].status == "incomplete"
        sent, events = end.dialect.function_call_output(call, "late", start_response=False)
        assert list(sent) == [] and events[0].error.code == "tool_call_lost"
        again = end.speak("Again")
        assert again[0].response_id != spoken[0].response_id

    def test_a_request_that_was_lost_is_told_and_one_that_waits_goes_out(self) -> None:
        end = End()
        self.resumable(end)
        end.dialect.request_response()
        end.dialect.rejoined(())
        [event] = end.due()
        assert isinstance(event.error, ResponseLostError)
        end.speak()
        end.dialect.request_response()
        end.dialect.rejoined(())
        assert end.dialect.data_to_send() == [{"clientContent": {"turnComplete": True}}]


class TestCloses:
    @pytest.mark.parametrize(
        ("code", "reason", "kind", "classification"),
        [
            (1007, "API key not valid. Please pass a valid API key.", AuthenticationError, "fatal"),
            (1008, "Token has expired", AuthenticationError, "fatal"),
            (1007, "Request contains an invalid argument.", RemoteClosedError, "fatal"),
            (1008, "models/x is not found", RemoteClosedError, "fatal"),
            (1011, "You exceeded your current quota", RemoteClosedError, "fatal"),
            (1011, "Internal error", RemoteClosedError, "reconnect"),
            (1006, "", RemoteClosedError, "reconnect"),
            (1001, "", RemoteClosedError, "reconnect"),
        ],
    )
    def test_are_typed(self, code: int, reason: str, kind: type, classification: str) -> None:
        error = End().dialect.closed(code, reason)
        assert type(error) is kind and error is not None and error.classification == classification

    def test_a_normal_end(self) -> None:
        assert End().dialect.closed(1000, "") is None

    def test_before_the_session_began(self) -> None:
        settings = Settings.of(None, "models/m")
        dialect = GeminiDialect(settings=settings, clock=Clock(), secrets=("AIzaSecret",))
        error = dialect.closed(1008, "models/x is not found for AIzaSecret")
        assert isinstance(error, ConnectRefusedError) and error.classification == "fatal"
        assert "AIzaSecret" not in str(error)
        assert isinstance(dialect.closed(1000, ""), RemoteClosedError)
