"""Input audio: turn detection, commits, transcription, interruption, silence. Protocol sections 1.7 b-d, g, l, m; 6."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest

from jackfield.audio import g711
from jackfield.audio.resample import resample
from jackfield_local.engine.outbox import Halt, Recognize, Respond, WatchIdle

TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
]


class TestServerVad:
    def test_order_of_a_turn(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        events = driver.hear(silence(500) + speech(800) + silence(400))
        assert kinds(events) == TURN
        item_id = events[0]["item_id"]
        assert [event.get("item_id") or event["item"]["id"] for event in events[:5]] == [item_id] * 5
        item = events[3]["item"]
        assert item == {
            "id": item_id,
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": None}],
        }

    def test_times_are_those_of_the_audio(self, driver: Any, speech: Any, silence: Any) -> None:
        events = driver.hear(silence(1000) + speech(800) + silence(400))
        assert events[0]["audio_start_ms"] == 700
        assert events[1]["audio_end_ms"] == 2000
        (heard,) = driver.effects_of(Recognize)
        assert len(heard.pcm) == 1300 * 48
        assert heard.pcm == (silence(1000) + speech(800) + silence(400))[700 * 48 : 2000 * 48]

    @pytest.mark.parametrize("chunk_ms", [1, 7, 20, 100, 3000])
    def test_the_size_of_chunks_makes_no_difference(
        self, make_driver: Any, kinds: Any, speech: Any, silence: Any, chunk_ms: int
    ) -> None:
        driver = make_driver()
        events = driver.hear(silence(1000) + speech(800) + silence(400), chunk_ms=chunk_ms)
        assert kinds(events) == TURN
        assert (events[0]["audio_start_ms"], events[1]["audio_end_ms"]) == (700, 2000)

    def test_two_turns_in_one_frame(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"turn_detection": {"create_response": False}}})
        events = driver.hear((speech(500) + silence(300)) * 2, chunk_ms=5000)
        assert kinds(events) == TURN[:5] * 2
        assert events[7]["previous_item_id"] == events[0]["item_id"]
        # The prefix of the second turn doesn't reach into the first one.
        assert events[1]["audio_end_ms"] == events[5]["audio_start_ms"] == 700

    def test_the_start_is_never_before_the_session(self, driver: Any, speech: Any) -> None:
        assert driver.hear(speech(300))[0]["audio_start_ms"] == 0

    def test_clicks_and_silence_are_no_speech(self, driver: Any, speech: Any, silence: Any) -> None:
        assert driver.hear(silence(500) + speech(40) + silence(500) + speech(40) + silence(1000)) == []

    def test_quiet_noise_is_no_speech(self, driver: Any) -> None:
        noise = np.random.default_rng(1).normal(0, 100, 24000 * 3).astype("<i2").tobytes()
        assert driver.hear(noise) == []

    def test_loud_noise_is_got_used_to(self, driver: Any, kinds: Any) -> None:
        noise = np.random.default_rng(1).normal(0, 500, 24000 * 20).astype("<i2").tobytes()
        assert "input_audio_buffer.speech_stopped" in kinds(driver.hear(noise))

    def test_a_lower_threshold_hears_more(self, make_driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        whisper = silence(300) + speech(500, loudness=300) + silence(600)
        assert make_driver().hear(whisper) == []
        driver = make_driver()
        driver.update(audio={"input": {"turn_detection": {"threshold": 0.2}}})
        assert kinds(driver.hear(whisper)) == TURN

    def test_a_pause_shorter_than_the_silence_is_part_of_the_turn(
        self, driver: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        driver.update(audio={"input": {"turn_detection": {"silence_duration_ms": 700}}})
        events = driver.hear(speech(500) + silence(500) + speech(500) + silence(800))
        assert kinds(events) == TURN
        assert events[1]["audio_end_ms"] == 2200

    def test_prefix_padding(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"turn_detection": {"prefix_padding_ms": 0}}})
        assert driver.hear(silence(1000) + speech(300))[0]["audio_start_ms"] == 1000

    def test_events_only(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        detection = {"create_response": False, "interrupt_response": False}
        driver.update(audio={"input": {"turn_detection": detection}})
        assert kinds(driver.hear(speech(500) + silence(500))) == TURN[:5]

    def test_a_changed_turn_detection_gives_up_the_turn(
        self, driver: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        first = driver.hear(speech(500))
        driver.update(audio={"input": {"turn_detection": {"silence_duration_ms": 300}}})
        assert driver.hear(silence(1000)) == []
        second = driver.hear(speech(500) + silence(500))
        assert kinds(second) == TURN
        assert second[0]["item_id"] != first[0]["item_id"]

    def test_an_unrelated_update_does_not_disturb_the_turn(
        self, driver: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        driver.hear(speech(500))
        driver.update(instructions="Something else.")
        assert kinds(driver.hear(silence(500))) == TURN[1:]

    def test_bad_base64(self, driver: Any) -> None:
        error = driver.error(driver.send("input_audio_buffer.append", audio="not base64!"))
        assert (error["code"], error["param"]) == ("invalid_value", "audio")

    def test_odd_bytes_are_kept_for_the_next_frame(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        pcm = silence(200) + speech(500) + silence(500)
        events = []
        for start in range(0, len(pcm), 961):
            audio = base64.b64encode(pcm[start : start + 961]).decode()
            events += driver.send("input_audio_buffer.append", audio=audio)
        assert kinds(events) == TURN
        (heard,) = driver.effects_of(Recognize)
        assert heard.pcm in pcm


class TestSemanticVad:
    @pytest.mark.parametrize(("eagerness", "waited"), [("high", 260), ("medium", 400), ("auto", 400), ("low", 700)])
    def test_a_finished_sentence_is_answered_soon(
        self, driver: Any, speech: Any, silence: Any, eagerness: str, waited: int
    ) -> None:
        driver.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
        events = driver.hear(speech(1000) + silence(3000))
        assert events[1]["audio_end_ms"] == 1000 + waited

    @pytest.mark.parametrize(("eagerness", "waited"), [("high", 2000), ("auto", 4000), ("low", 8000)])
    def test_a_hesitation_is_waited_for(
        self, driver: Any, speech: Any, silence: Any, eagerness: str, waited: int
    ) -> None:
        driver.update(audio={"input": {"turn_detection": {"type": "semantic_vad", "eagerness": eagerness}}})
        events = driver.hear(speech(200) + silence(9000), chunk_ms=100)
        assert events[1]["audio_end_ms"] == 200 + waited


class TestManualTurns:
    @pytest.fixture(autouse=True)
    def _manual(self, driver: Any) -> None:
        driver.update(audio={"input": {"turn_detection": None}})

    def test_commit_makes_an_item_and_no_response(self, driver: Any, kinds: Any, speech: Any) -> None:
        assert driver.hear(speech(300)) == []
        events = driver.send("input_audio_buffer.commit")
        assert kinds(events) == TURN[2:5]
        assert not driver.effects_of(Respond)
        (heard,) = driver.effects_of(Recognize)
        assert heard.pcm == speech(300)

    def test_too_little(self, driver: Any, speech: Any) -> None:
        driver.hear(speech(99))
        error = driver.error(driver.send("input_audio_buffer.commit"))
        assert error["code"] == "input_audio_buffer_commit_empty"
        assert error["message"] == (
            "Error committing input audio buffer: buffer too small. "
            "Expected at least 100ms of audio, but buffer only has 99.00ms of audio."
        )

    def test_the_buffer_is_empty_after_a_commit_and_a_clear(self, driver: Any, kinds: Any, speech: Any) -> None:
        driver.hear(speech(300))
        driver.send("input_audio_buffer.commit")
        assert "0.00ms" in driver.error(driver.send("input_audio_buffer.commit"))["message"]
        driver.hear(speech(300))
        assert kinds(driver.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
        assert "0.00ms" in driver.error(driver.send("input_audio_buffer.commit"))["message"]


class TestCommitDuringVad:
    def test_it_ends_the_turn_early_and_answers_nothing(
        self, driver: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        started = driver.hear(speech(500))
        events = driver.send("input_audio_buffer.commit")
        assert kinds(events) == TURN[2:5]
        assert events[0]["item_id"] == started[0]["item_id"]
        assert driver.hear(silence(1000)) == []

    def test_whoever_speaks_on_begins_another_turn(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        first = driver.hear(speech(500))
        driver.send("input_audio_buffer.commit")
        second = driver.hear(speech(500) + silence(300))
        assert kinds(second) == TURN
        assert second[0]["item_id"] != first[0]["item_id"]
        assert second[0]["audio_start_ms"] == 500

    def test_old_silence_is_not_kept(self, driver: Any, silence: Any) -> None:
        driver.hear(silence(40_000), chunk_ms=1000)
        item_id = driver.send("input_audio_buffer.commit")[0]["item_id"]
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        assert len(base64.b64decode(retrieved["item"]["content"][0]["audio"])) == 30_000 * 48

    def test_clear_forgets_the_turn(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        driver.hear(speech(500))
        assert kinds(driver.send("input_audio_buffer.clear")) == ["input_audio_buffer.cleared"]
        assert driver.hear(silence(1000)) == []


class TestG711:
    @pytest.mark.parametrize(("law", "name"), [("ulaw", "audio/pcmu"), ("alaw", "audio/pcma")])
    def test_in_both_laws(self, driver: Any, kinds: Any, speech: Any, silence: Any, law: Any, name: str) -> None:
        driver.update(audio={"input": {"format": {"type": name}}})
        coded = g711.encode(resample(silence(500) + speech(800) + silence(500), 24000, 8000), law)
        events = []
        for start in range(0, len(coded), 160):
            audio = base64.b64encode(coded[start : start + 160]).decode()
            events += driver.send("input_audio_buffer.append", audio=audio)
        assert kinds(events) == TURN
        assert abs(events[0]["audio_start_ms"] - 200) <= 20
        assert abs(events[1]["audio_end_ms"] - 1500) <= 20
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=events[0]["item_id"])
        audio = base64.b64decode(retrieved["item"]["content"][0]["audio"])
        assert abs(len(audio) / 8 - 1300) <= 40


class TestTranscription:
    def test_none_unless_asked_for(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.hear(speech(500) + silence(500))
        assert driver.recognized("what was said") == []
        assert driver.engine.context().items[0]["content"][0]["transcript"] == "what was said"

    def test_deltas_and_completed(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
        item_id = driver.hear(speech(1100) + silence(500))[0]["item_id"]
        events = driver.recognized("what is this")
        name = "conversation.item.input_audio_transcription"
        assert kinds(events) == [f"{name}.delta"] * 3 + [f"{name}.completed"]
        assert "".join(event["delta"] for event in events[:3]) == "what is this"
        assert all(event["item_id"] == item_id and event["obfuscation"] for event in events[:3])
        completed = events[3]
        assert (completed["transcript"], completed["content_index"]) == ("what is this", 0)
        usage = completed["usage"]
        assert usage["type"] == "tokens"
        assert usage["input_token_details"]["audio_tokens"] == 13
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        (retrieved,) = driver.send("conversation.item.retrieve", item_id=item_id)
        assert retrieved["item"]["content"][0]["transcript"] == "what is this"

    def test_whisper_sends_one_delta_and_is_billed_by_time(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        driver.hear(speech(1000) + silence(500))
        delta, completed = driver.recognized("what is this")
        assert delta["delta"] == "what is this"
        assert completed["usage"] == {"type": "duration", "seconds": 1.2}

    def test_failure(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        item_id = driver.hear(speech(500) + silence(500))[0]["item_id"]
        driver.engine.recognition_failed(item_id, "no")
        (failed,) = driver.take()
        assert failed["type"] == "conversation.item.input_audio_transcription.failed"
        assert (failed["error"]["code"], failed["item_id"]) == ("audio_unintelligible", item_id)

    def test_a_deleted_item_is_not_transcribed(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
        item_id = driver.hear(speech(500) + silence(500))[0]["item_id"]
        driver.send("conversation.item.delete", item_id=item_id)
        assert driver.recognized("late") == []

    def test_transcription_sessions_never_respond(
        self, make_driver: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        driver = make_driver(kind="transcription")
        config = {"type": "transcription", "audio": {"input": {"transcription": {"model": "gpt-4o-transcribe"}}}}
        driver.send("session.update", session=config)
        assert kinds(driver.hear(speech(500) + silence(500))) == TURN[:5]
        assert driver.recognized("hello")[-1]["transcript"] == "hello"
        assert driver.error(driver.send("response.create"))["param"] == "type"


class TestInterruption:
    def test_the_response_is_closed_and_cancelled(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, "Once upon", ms=500)
        events = driver.hear(speech(200))
        assert kinds(events) == [
            "input_audio_buffer.speech_started",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        assert events[2]["transcript"] == "Once upon"
        assert events[4]["item"]["status"] == "incomplete"
        done = events[6]["response"]
        assert done["status"] == "cancelled"
        assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert done["output"][0]["status"] == "incomplete"
        assert done["usage"]["output_token_details"]["audio_tokens"] == 10
        assert driver.effects_of(Halt)[-1].response_id == response.id
        assert kinds(driver.hear(silence(500))) == TURN[1:]

    def test_a_finished_response_is_left_alone(self, driver: Any, kinds: Any, speech: Any) -> None:
        driver.say(ms=5000)
        assert kinds(driver.hear(speech(200))) == ["input_audio_buffer.speech_started"]

    def test_interrupt_response_off(self, driver: Any, kinds: Any, speech: Any, silence: Any) -> None:
        driver.update(audio={"input": {"turn_detection": {"interrupt_response": False}}})
        response, _ = driver.respond()
        driver.speak(response)
        events = driver.hear(speech(500) + silence(500))
        assert kinds(events) == [*TURN[:5], "error"]
        error = events[-1]["error"]
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", None)
        assert response.id in error["message"]

    def test_responses_out_of_band_are_not_interrupted(self, driver: Any, kinds: Any, speech: Any) -> None:
        driver.respond(conversation="none")
        assert kinds(driver.hear(speech(200))) == ["input_audio_buffer.speech_started"]

    def test_the_client_loses_the_race_against_turn_detection(self, driver: Any, speech: Any, silence: Any) -> None:
        created = driver.hear(speech(500) + silence(500))[-1]["response"]
        error = driver.error(driver.send("response.create", event_id="too-late"))
        assert (error["code"], error["event_id"]) == ("conversation_already_has_active_response", "too-late")
        assert error["message"] == (
            f"Conversation already has an active response in progress: {created['id']}. "
            "Wait until the response is finished before creating a new one."
        )


class TestIdleTimeout:
    @pytest.fixture(autouse=True)
    def _idle(self, driver: Any) -> None:
        driver.update(audio={"input": {"turn_detection": {"idle_timeout_ms": 6000}}})

    def test_it_begins_when_the_answer_was_heard(self, driver: Any) -> None:
        response, _ = driver.respond()
        driver.speak(response, ms=4000)
        driver.now += 1.5
        driver.finish(response)
        assert driver.effects_of(WatchIdle)[-1].seconds == pytest.approx(6 + 4 - 1.5)

    def test_silence_becomes_a_turn(self, driver: Any, kinds: Any, silence: Any) -> None:
        driver.say()
        driver.hear(silence(9000), chunk_ms=100)
        driver.engine.idle_elapsed()
        events = driver.take()
        assert kinds(events) == ["input_audio_buffer.timeout_triggered", *TURN[2:]]
        assert (events[0]["audio_start_ms"], events[0]["audio_end_ms"]) == (3000, 9000)
        assert events[0]["item_id"] == events[1]["item_id"] == events[2]["item"]["id"]

    def test_it_is_called_off_by_speech_and_by_a_response(self, driver: Any, speech: Any, silence: Any) -> None:
        driver.say()
        driver.hear(speech(200))
        assert driver.effects_of(WatchIdle)[-1].seconds is None
        driver.hear(silence(500))
        driver.finish(driver.response())
        assert driver.effects_of(WatchIdle)[-1].seconds == 6
        driver.respond()
        assert driver.effects_of(WatchIdle)[-1].seconds is None

    def test_a_cancelled_answer_is_waited_after_too(self, driver: Any) -> None:
        driver.respond()
        driver.send("response.cancel")
        assert driver.effects_of(WatchIdle)[-1].seconds == 6

    def test_a_timer_that_comes_too_late_does_nothing(self, driver: Any, speech: Any) -> None:
        driver.say()
        driver.hear(speech(200))
        driver.engine.idle_elapsed()
        assert driver.take() == []
