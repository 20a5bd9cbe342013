"""Playback by the server: what is heard, and what the client is told of it. Protocol sections 1.7 h, m; 3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield_local.engine.outbox import Recognize, Respond, WatchIdle

FRAME = 960


@pytest.fixture
def phone(make_driver: Any) -> Any:
    """A driver whose engine plays."""
    return make_driver(playback="server")


def listen(driver: Any, ms: int) -> tuple[bytes, list[dict[str, Any]]]:
    """Return what is heard in so many milliseconds, silence as zeros, and the events of that time."""
    heard, events = b"", []
    for _ in range(ms // 20):
        frame = driver.engine.next_audio()
        assert frame is None or len(frame) == FRAME
        heard += bytes(FRAME) if frame is None else frame
        events += driver.take()
    return heard, events


def say(driver: Any, ms: int, value: int = 1) -> Any:
    """Begin a response that has `ms` of audio, each sample of it `value`, and is still open."""
    response, _ = driver.respond()
    response.open_message()
    response.write_text("Well then")
    response.write_audio(value.to_bytes(2, "little") * (ms * 24))
    driver.take()
    return response


def done(driver: Any, response: Any) -> list[dict[str, Any]]:
    response.close_message()
    return driver.finish(response)  # type: ignore[no-any-return]


def speak_over(driver: Any, speech: Any) -> list[dict[str, Any]]:
    """Have the user speak for as long as it takes to be noticed."""
    driver.engine.hear(speech(60))
    return driver.take()  # type: ignore[no-any-return]


class TestAnAnswer:
    def test_it_is_played_and_no_audio_is_sent(self, phone: Any, kinds: Any) -> None:
        response = say(phone, 100)
        assert "response.output_audio.done" in kinds(done(phone, response))
        heard, events = listen(phone, 140)
        assert heard == b"\1\0" * 2400 + bytes(2 * FRAME)
        assert events == [
            {"type": "output_audio_buffer.started", "event_id": events[0]["event_id"], "response_id": response.id},
            {"type": "output_audio_buffer.stopped", "event_id": events[1]["event_id"], "response_id": response.id},
        ]
        assert "response.output_audio.delta" not in kinds(phone.all)

    def test_started_comes_with_the_first_frame_and_stopped_after_the_last(self, phone: Any, kinds: Any) -> None:
        response = say(phone, 40)
        assert kinds(listen(phone, 20)[1]) == ["output_audio_buffer.started"]
        done(phone, response)
        assert kinds(listen(phone, 20)[1]) == []
        assert kinds(listen(phone, 20)[1]) == ["output_audio_buffer.stopped"]

    def test_it_is_not_over_before_it_is_done(self, phone: Any, kinds: Any) -> None:
        response = say(phone, 40)
        heard, events = listen(phone, 200)
        assert (heard.rstrip(b"\0"), kinds(events)) == ((b"\1\0" * 960)[:-1], ["output_audio_buffer.started"])
        response.write_audio(b"\1\0" * 480)
        done(phone, response)
        heard, events = listen(phone, 40)
        assert (heard[:FRAME], kinds(events)) == (b"\1\0" * 480, ["output_audio_buffer.stopped"])

    def test_a_frame_is_never_torn_before_the_end(self, phone: Any) -> None:
        response = say(phone, 25)
        assert listen(phone, 60)[0] == b"\1\0" * 480 + bytes(2 * FRAME)
        response.write_audio(b"\1\0" * 24 * 25)
        done(phone, response)
        assert listen(phone, 60)[0] == b"\1\0" * 24 * 30 + bytes(3 * FRAME - 48 * 30)

    def test_answers_are_heard_one_after_the_other(self, phone: Any, kinds: Any) -> None:
        first = say(phone, 60, value=1)
        done(phone, first)
        second = say(phone, 60, value=2)
        done(phone, second)
        heard, events = listen(phone, 200)
        assert heard == b"\1\0" * 1440 + b"\2\0" * 1440 + bytes(4 * FRAME)
        assert [(event["type"].rpartition(".")[2], event["response_id"]) for event in events] == [
            ("started", first.id),
            ("stopped", first.id),
            ("started", second.id),
            ("stopped", second.id),
        ]

    def test_several_messages_are_one_answer(self, phone: Any, kinds: Any) -> None:
        response = say(phone, 30)
        response.close_message()
        response.open_message()
        response.write_audio(b"\2\0" * 24 * 30)
        done(phone, response)
        heard, events = listen(phone, 100)
        assert heard == b"\1\0" * 720 + b"\2\0" * 720 + bytes(2 * FRAME)
        assert kinds(events) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]

    def test_text_and_silence_are_not_played(self, phone: Any) -> None:
        response, _ = phone.respond(output_modalities=["text"])
        response.open_message()
        response.write_text("Quietly")
        done(phone, response)
        assert listen(phone, 100) == (bytes(5 * FRAME), [])

    def test_a_cancelled_answer_is_played_as_far_as_it_got(self, phone: Any, kinds: Any) -> None:
        say(phone, 60)
        phone.send("response.cancel")
        heard, events = listen(phone, 100)
        assert heard == b"\1\0" * 1440 + bytes(2 * FRAME)
        assert kinds(events) == ["output_audio_buffer.started", "output_audio_buffer.stopped"]

    def test_the_format_of_the_session_makes_no_difference(self, phone: Any) -> None:
        phone.update(audio={"output": {"format": {"type": "audio/pcmu"}}})
        done(phone, say(phone, 40))
        assert listen(phone, 40)[0] == b"\1\0" * 960

    def test_a_producer_is_told_that_it_is_far_ahead(self, phone: Any) -> None:
        response = say(phone, 59_000)
        assert not phone.engine.far_ahead(response)
        response.write_audio(bytes(48_000))
        assert phone.engine.far_ahead(response)
        listen(phone, 20)
        assert not phone.engine.far_ahead(response)

    def test_a_client_that_plays_is_left_alone(self, driver: Any) -> None:
        response = say(driver, 61_000)
        assert not driver.engine.far_ahead(response)
        assert driver.engine.next_audio() is None
        error = driver.error(driver.send("output_audio_buffer.clear"))
        assert (error["code"], error["param"]) == ("invalid_value", "type")


class TestBargeIn:
    def test_while_the_answer_is_being_made(self, phone: Any, kinds: Any, speech: Any) -> None:
        response = say(phone, 500)
        listen(phone, 300)
        events = speak_over(phone, speech)
        assert kinds(events) == [
            "input_audio_buffer.speech_started",
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
            "response.output_audio.done",
            "response.output_audio_transcript.done",
            "response.content_part.done",
            "conversation.item.done",
            "response.output_item.done",
            "response.done",
            "rate_limits.updated",
        ]
        assert events[1]["response_id"] == response.id
        assert (events[2]["content_index"], events[2]["audio_end_ms"]) == (0, 300)
        assert events[8]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        (item,) = events[8]["response"]["output"]
        assert (item["id"], item["content"][0]["transcript"]) == (events[2]["item_id"], None)
        assert listen(phone, 100) == (bytes(5 * FRAME), [])

    def test_when_only_the_playback_is_left(self, phone: Any, kinds: Any, speech: Any) -> None:
        done(phone, say(phone, 500))
        listen(phone, 100)
        events = speak_over(phone, speech)
        assert kinds(events) == [
            "input_audio_buffer.speech_started",
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
        ]
        assert events[2]["audio_end_ms"] == 100
        (retrieved,) = phone.send("conversation.item.retrieve", item_id=events[2]["item_id"])
        (part,) = retrieved["item"]["content"]
        assert (part["transcript"], len(part["audio"])) == (None, 100 * 48 * 4 // 3)

    def test_after_the_last_of_it(self, phone: Any, kinds: Any, speech: Any) -> None:
        done(phone, say(phone, 100))
        listen(phone, 100)
        assert kinds(speak_over(phone, speech)) == ["input_audio_buffer.speech_started"]
        assert kinds(listen(phone, 20)[1]) == ["output_audio_buffer.stopped"]

    def test_before_the_first_of_it(self, phone: Any, kinds: Any, speech: Any) -> None:
        done(phone, say(phone, 500))
        events = speak_over(phone, speech)
        assert kinds(events)[1:] == ["output_audio_buffer.cleared", "conversation.item.truncated"]
        assert events[2]["audio_end_ms"] == 0

    def test_before_there_is_audio(self, phone: Any, kinds: Any, speech: Any) -> None:
        response, _ = phone.respond()
        response.open_message()
        response.write_text("Well")
        phone.take()
        assert "conversation.item.truncated" not in kinds(speak_over(phone, speech))

    def test_what_was_heard_to_its_end_keeps_its_transcript(self, phone: Any, kinds: Any, speech: Any) -> None:
        response = say(phone, 40)
        response.close_message()
        response.open_message()
        response.write_audio(b"\2\0" * 24 * 100)
        done(phone, response)
        listen(phone, 60)
        events = speak_over(phone, speech)
        assert [event["item_id"] for event in events if "truncated" in event["type"]] == [response.output[1].id]
        assert events[2]["audio_end_ms"] == 20
        assert response.output[0].wire["content"][0]["transcript"] == "Well then"

    def test_all_that_waits_is_cut(self, phone: Any, kinds: Any, speech: Any) -> None:
        done(phone, say(phone, 200))
        done(phone, say(phone, 200))
        listen(phone, 100)
        events = speak_over(phone, speech)
        assert kinds(events)[1:] == ["output_audio_buffer.cleared", "conversation.item.truncated"] * 2
        assert [event["audio_end_ms"] for event in events[2::2]] == [100, 0]

    def test_who_does_not_want_to_be_interrupted_is_not(self, phone: Any, kinds: Any, speech: Any) -> None:
        phone.update(audio={"input": {"turn_detection": {"interrupt_response": False}}})
        done(phone, say(phone, 200))
        listen(phone, 100)
        assert kinds(speak_over(phone, speech)) == ["input_audio_buffer.speech_started"]
        assert listen(phone, 100)[0] == b"\1\0" * 2400

    def test_the_other_conversation_goes_on(self, phone: Any, kinds: Any, speech: Any) -> None:
        response, _ = phone.respond(conversation="none")
        response.open_message()
        response.write_audio(b"\3\0" * 2400)
        done(phone, response)
        listen(phone, 20)
        assert kinds(speak_over(phone, speech)) == ["input_audio_buffer.speech_started"]
        assert listen(phone, 80)[0] == b"\3\0" * 1920

    def test_a_turn_follows(self, phone: Any, kinds: Any, speech: Any, silence: Any) -> None:
        done(phone, say(phone, 500))
        listen(phone, 100)
        for pcm in (speech(300), silence(300)):
            phone.engine.hear(pcm)
        assert kinds(phone.take())[-1] == "response.created"
        assert len(phone.effects_of(Respond)) == 2
        (heard,) = phone.effects_of(Recognize)
        assert heard.pcm[: 300 * 48] == speech(300)

    def test_an_item_that_is_gone_is_not_truncated(self, phone: Any, kinds: Any, speech: Any) -> None:
        response = say(phone, 500)
        done(phone, response)
        listen(phone, 100)
        phone.send("conversation.item.delete", item_id=response.output[0].id)
        assert kinds(speak_over(phone, speech))[1:] == ["output_audio_buffer.cleared"]

    def test_an_item_that_the_client_has_cut_shorter_stays_so(self, phone: Any, speech: Any) -> None:
        response = say(phone, 500)
        done(phone, response)
        listen(phone, 200)
        place = {"item_id": response.output[0].id, "content_index": 0}
        phone.send("conversation.item.truncate", **place, audio_end_ms=120)
        assert speak_over(phone, speech)[2]["audio_end_ms"] == 120


class TestClear:
    def test_it_cuts_and_truncates(self, phone: Any, kinds: Any) -> None:
        done(phone, say(phone, 500))
        listen(phone, 240)
        events = phone.send("output_audio_buffer.clear")
        assert kinds(events) == ["output_audio_buffer.cleared", "conversation.item.truncated"]
        assert events[1]["audio_end_ms"] == 240
        assert listen(phone, 100) == (bytes(5 * FRAME), [])

    def test_after_a_cancel_as_the_api_wants_it(self, phone: Any, kinds: Any) -> None:
        say(phone, 500)
        listen(phone, 100)
        assert "response.done" in kinds(phone.send("response.cancel"))
        assert kinds(phone.send("output_audio_buffer.clear")) == [
            "output_audio_buffer.cleared",
            "conversation.item.truncated",
        ]

    def test_what_is_still_made_of_a_response_that_was_cut_goes_nowhere(self, phone: Any, kinds: Any) -> None:
        response = say(phone, 500)
        listen(phone, 100)
        item_id = phone.send("output_audio_buffer.clear")[1]["item_id"]
        response.write_audio(b"\1\0" * 24_000)
        (ended,) = [event for event in done(phone, response) if event["type"] == "response.done"]
        assert ended["response"]["status"] == "completed"
        assert ended["response"]["usage"]["output_token_details"]["audio_tokens"] == 30
        assert listen(phone, 100) == (bytes(5 * FRAME), [])
        error = phone.error(
            phone.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=101)
        )
        assert error["message"] == "Audio content of 100ms is already shorter than 101ms"

    def test_the_next_answer_is_heard(self, phone: Any) -> None:
        done(phone, say(phone, 500))
        phone.send("output_audio_buffer.clear")
        done(phone, say(phone, 40, value=2))
        assert listen(phone, 40)[0] == b"\2\0" * 960

    def test_nothing_to_clear(self, phone: Any) -> None:
        assert phone.send("output_audio_buffer.clear") == []

    def test_a_response_out_of_band_has_no_item_to_truncate(self, phone: Any, kinds: Any) -> None:
        response, _ = phone.respond(conversation="none")
        response.open_message()
        response.write_audio(b"\3\0" * 2400)
        done(phone, response)
        assert kinds(phone.send("output_audio_buffer.clear")) == ["output_audio_buffer.cleared"]

    def test_fields_are_checked(self, phone: Any) -> None:
        assert phone.error(phone.send("output_audio_buffer.clear", hard=True))["param"] == "hard"


class TestIdleTimeout:
    @pytest.fixture(autouse=True)
    def _idle(self, phone: Any) -> None:
        phone.update(audio={"input": {"turn_detection": {"idle_timeout_ms": 6000}}})

    def waits(self, phone: Any) -> list[float | None]:
        waits = [effect.seconds for effect in phone.effects_of(WatchIdle)]
        phone.effects.clear()
        return waits

    def test_it_begins_when_the_answer_was_heard(self, phone: Any) -> None:
        done(phone, say(phone, 4000))
        listen(phone, 4000)
        assert self.waits(phone) == [None]
        listen(phone, 20)
        assert self.waits(phone) == [6.0]

    def test_it_begins_at_once_where_there_is_nothing_to_hear(self, phone: Any) -> None:
        response, _ = phone.respond(output_modalities=["text"])
        phone.finish(response)
        assert self.waits(phone) == [None, 6.0]

    def test_it_begins_when_the_client_clears(self, phone: Any) -> None:
        done(phone, say(phone, 4000))
        self.waits(phone)
        phone.send("output_audio_buffer.clear")
        assert self.waits(phone) == [6.0]
        phone.send("output_audio_buffer.clear")
        assert self.waits(phone) == []

    def test_it_waits_for_the_answer_that_is_being_made(self, phone: Any) -> None:
        done(phone, say(phone, 40))
        response, _ = phone.respond()
        self.waits(phone)
        listen(phone, 100)
        assert self.waits(phone) == []
        phone.finish(response)
        assert self.waits(phone) == [6.0]

    def test_an_interrupted_answer_is_not_waited_after(self, phone: Any, speech: Any) -> None:
        done(phone, say(phone, 4000))
        listen(phone, 100)
        self.waits(phone)
        speak_over(phone, speech)
        assert self.waits(phone) == [None]


class TestJoining:
    def test_a_greeting_is_the_session_as_it_is_now(self, phone: Any, assert_valid: Any) -> None:
        phone.update(instructions="Be brief.")
        greeting = phone.engine.greeting()
        assert_valid(greeting)
        assert (greeting["type"], greeting["session"]["instructions"]) == ("session.created", "Be brief.")
        assert greeting["session"]["id"] == phone.created[0]["session"]["id"]
        assert phone.take() == []


moves = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 3000)),
    st.tuples(st.just("listen"), st.integers(1, 8)),
    st.tuples(st.sampled_from(["create", "aside", "message", "finish", "cancel", "clear", "speak"]), st.just(0)),
)


class Model:
    """What has to be true of an engine that plays, whatever is done to it."""

    def __init__(self, driver: Any, speech: Any) -> None:
        self.driver = driver
        self.speech = speech
        self.responses: dict[str, Any] = {}
        self.written: dict[str, bytes] = {}
        self.heard: dict[str, bytes] = {}
        self.state: dict[str, str] = {}
        self.seen = 0

    def do(self, move: str, amount: int) -> None:
        running = [response for response in self.responses.values() if not response.done]
        if move == "listen":
            for _ in range(amount):
                self.tick()
        elif move == "clear":
            self.driver.send("output_audio_buffer.clear")
        elif move == "cancel":
            self.driver.send("response.cancel")
        elif move == "speak":
            self.driver.engine.hear(self.speech(60) + bytes(300 * 48))
        elif move == "create" and not [response for response in running if response.default]:
            self.create()
        elif move == "aside":
            self.create(conversation="none", metadata={"a": "b"})
        elif running:
            self.produce(running[-1], move, amount)
        self.settle()

    def create(self, **fields: Any) -> None:
        response, _ = self.driver.respond(**fields)
        self.responses[response.id] = response
        response.open_message()
        response.write_text("words")

    def produce(self, response: Any, move: str, amount: int) -> None:
        value = 1 + list(self.responses).index(response.id)
        if move == "write":
            pcm = value.to_bytes(2, "little") * amount
            response.write_audio(pcm)
            self.written[response.id] = self.written.get(response.id, b"") + pcm
        elif move == "message":
            response.close_message()
            response.open_message()
        else:
            self.driver.engine.finish(response, "completed")

    def tick(self) -> None:
        frame = self.driver.engine.next_audio()
        self.settle()
        if frame is None:
            return
        assert len(frame) == FRAME
        playing = [response_id for response_id, state in self.state.items() if state == "started"]
        # Whoever is heard was announced, and there is one at a time.
        assert len(playing) == 1
        value = 1 + list(self.responses).index(playing[0])
        samples = frame.rstrip(b"\0") + b"\0"
        assert samples == value.to_bytes(2, "little") * (len(samples) // 2)
        # Only the end of a response is filled up with silence.
        assert len(samples) == FRAME or self.responses[playing[0]].done
        self.heard[playing[0]] = self.heard.get(playing[0], b"") + samples

    def settle(self) -> None:
        for response in [effect.response for effect in self.driver.effects_of(Respond)]:
            self.responses.setdefault(response.id, response)
        self.driver.take()
        events = self.driver.all[self.seen :]
        self.seen += len(events)
        for event in events:
            if event["type"].startswith("output_audio_buffer."):
                self.told(event)
            elif event["type"] == "conversation.item.truncated":
                self.truncated(event)

    def told(self, event: dict[str, Any]) -> None:
        response_id, state = event["response_id"], event["type"].rpartition(".")[2]
        before = self.state.get(response_id)
        assert (before, state) in {(None, "started"), (None, "cleared"), ("started", "stopped"), ("started", "cleared")}
        self.state[response_id] = state
        if state == "stopped":
            assert self.responses[response_id].done
            assert self.heard[response_id] == self.written[response_id]

    def truncated(self, event: dict[str, Any]) -> None:
        (response,) = [
            response
            for response in self.responses.values()
            if event["item_id"] in {item.id for item in response.output}
        ]
        assert self.state[response.id] == "cleared"
        heard_ms = len(self.heard.get(response.id, b"")) / 48
        earlier = [item.recordings[0].ms for item in response.output if item.id != event["item_id"]]
        assert event["audio_end_ms"] <= heard_ms
        assert event["audio_end_ms"] + sum(earlier) + 1 > heard_ms


@settings(max_examples=200, deadline=None)
@given(st.lists(moves, max_size=40))
def test_whatever_is_done_what_is_heard_is_what_is_told(make_driver: Any, speech: Any, steps: list[Any]) -> None:
    driver = make_driver(playback="server")
    driver.update(audio={"input": {"turn_detection": {"create_response": False}}})
    model = Model(driver, speech)
    for move, amount in steps:
        model.do(move, amount)

    for response in [response for response in model.responses.values() if not response.done]:
        driver.engine.finish(response, "completed")
    for _ in range(sum(map(len, model.written.values())) // FRAME + 3 * len(model.responses)):
        model.tick()
    # All that was begun came to an end, and the buffer is empty.
    assert set(model.state.values()) <= {"stopped", "cleared"}
    assert set(model.written) == set(model.state)
    assert driver.engine.next_audio() is None


def frames(pcm: bytes) -> Iterator[bytes]:
    return (pcm[start : start + FRAME] for start in range(0, len(pcm), FRAME))


def test_audio_from_the_media_path_and_from_clients_are_one_stream(
    phone: Any, kinds: Any, speech: Any, silence: Any
) -> None:
    for frame in frames(speech(300)):
        phone.engine.hear(frame)
    phone.hear(speech(300))
    for frame in frames(silence(300)):
        phone.engine.hear(frame)
    events = phone.take()
    assert kinds(events)[-1] == "response.created"
    assert events[0]["audio_end_ms"] == 800
