"""Interruption in every phase of a response: what is sent, what is told, and what is dropped afterwards."""

from __future__ import annotations

import base64
from typing import Any, Literal

import pytest

from jackfield.audio import RealtimePlaybackTracker
from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.transport import BargeIn, TransportCapabilities, events

SERVER_PLAYS = TransportCapabilities(audio_in=False, audio_out=False, playback="server", truncate="server")
ABSENT: Literal["absent"] = "absent"
Told = Literal["absent"] | bool | None


class Call:
    """A connected dialect with a clock, a server that speaks into it, and what came of that."""

    def __init__(
        self,
        *,
        interrupts: Told = True,
        barge_in: BargeIn = "auto",
        capabilities: TransportCapabilities | None = None,
        tracker: RealtimePlaybackTracker | None = None,
    ) -> None:
        self.ms = 1000
        self.sent: list[dict[str, Any]] = []
        self.told: list[Any] = []
        self.dialect = OpenAIRealtimeProtocol(
            capabilities=capabilities or TransportCapabilities(),
            clock=lambda: self.ms / 1000,
            barge_in=barge_in,
            playback_tracker=tracker,
        )
        detection: dict[str, Any] = {"type": "server_vad"}
        if interrupts != ABSENT:
            detection["interrupt_response"] = interrupts
        self.hear("session.created", session={"audio": {"input": {"turn_detection": detection}}})

    def hear(self, type_: str, **fields: Any) -> None:
        self.told += self.dialect.receive({"type": type_, **fields})
        self.sent += self.dialect.data_to_send()

    def begin(self, response: str = "resp_1") -> None:
        self.hear("response.created", response={"id": response, "conversation_id": "conv_1"})

    def audio(self, ms: int, item: str = "item_1", response: str = "resp_1", part: int = 0) -> None:
        delta = base64.b64encode(bytes(48 * ms)).decode()
        self.hear("response.output_audio.delta", response_id=response, item_id=item, content_index=part, delta=delta)

    def audio_done(self, item: str = "item_1", response: str = "resp_1", part: int = 0) -> None:
        self.hear("response.output_audio.done", response_id=response, item_id=item, content_index=part)

    def end(self, response: str = "resp_1", status: str = "completed") -> None:
        self.hear("response.done", response={"id": response, "conversation_id": "conv_1", "status": status})

    def speak(self) -> None:
        self.hear("input_audio_buffer.speech_started", item_id="item_user", audio_start_ms=0)

    def interrupt(self, response: str | None = None) -> None:
        frames, told = self.dialect.interrupt(response)
        self.sent += frames
        self.told += told

    def frames(self) -> list[tuple[Any, ...]]:
        """Return, once, what was sent, short."""
        shown: list[tuple[Any, ...]] = []
        for frame in self.sent:
            match frame["type"]:
                case "conversation.item.truncate":
                    shown.append(("truncate", frame["item_id"], frame["content_index"], frame["audio_end_ms"]))
                case "response.cancel":
                    shown.append(("cancel", frame["response_id"]))
                case other:
                    shown.append((other,))
        self.sent = []
        return shown

    def cuts(self) -> list[tuple[str, int]]:
        """Return, once, what was told to be interrupted: the item and how much of it was heard, in ms."""
        cuts = [(event.item_id, event.played_ms) for event in self.told if isinstance(event, events.AudioInterrupted)]
        self.told = []
        return cuts

    def heard(self) -> list[str]:
        """Return, once, the items of which audio was told."""
        items = [event.item_id for event in self.told if isinstance(event, events.Audio)]
        self.told = []
        return items


class TestPhases:
    def test_nothing_is_going_on(self) -> None:
        call = Call(interrupts=False)
        call.interrupt()
        call.speak()
        assert call.frames() == []
        assert call.cuts() == []

    def test_before_the_first_audio(self) -> None:
        call = Call()
        call.begin()
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1")]
        assert call.cuts() == []
        call.audio(100)
        assert call.heard() == [], "late audio of what was interrupted is dropped"

    def test_before_the_response_was_created(self) -> None:
        call = Call()
        call.dialect.request_response()
        call.interrupt()
        assert call.frames() == []
        call.begin()
        assert call.frames() == [("cancel", "resp_1")]

    def test_during_generation(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.ms += 200
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 200)]
        assert call.cuts() == [("item_1", 200)]

    def test_during_generation_that_is_behind_playback(self) -> None:
        call = Call()
        call.begin()
        call.audio(100)
        call.ms += 400
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 100)]

    def test_at_the_very_first_moment(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 0)]

    def test_after_the_part_was_generated_and_before_the_response_ended(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.audio_done()
        call.ms += 120
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 120)]

    def test_after_generation_while_it_still_plays(self) -> None:
        call = Call()
        call.begin()
        call.audio(3000)
        call.audio_done()
        call.end()
        call.ms += 1000
        call.speak()
        assert call.frames() == [("truncate", "item_1", 0, 1000)]
        assert call.cuts() == [("item_1", 1000)]

    def test_after_generation_an_interruption_cancels_nothing(self) -> None:
        call = Call(interrupts=False)
        call.begin()
        call.audio(3000)
        call.end()
        call.ms += 1000
        call.interrupt()
        assert call.frames() == [("truncate", "item_1", 0, 1000)]

    def test_when_all_was_heard(self) -> None:
        call = Call()
        call.begin()
        call.audio(300)
        call.end()
        call.ms += 300
        call.interrupt()
        call.speak()
        assert call.frames() == [], "a truncation would erase the transcript of what was heard whole"
        assert call.cuts() == []

    def test_twice(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.ms += 200
        call.interrupt()
        call.frames()
        call.cuts()
        call.ms += 100
        call.interrupt()
        call.speak()
        assert call.frames() == []
        assert call.cuts() == []

    def test_by_hand_and_by_speech_cut_at_the_same_place(self) -> None:
        cuts = []
        for how in ("interrupt", "speak"):
            call = Call(interrupts=False, barge_in="always")
            call.begin()
            call.audio(500)
            call.ms += 123
            getattr(call, how)()
            cuts.append((call.frames(), call.cuts()))
        assert cuts[0] == cuts[1] == ([("cancel", "resp_1"), ("truncate", "item_1", 0, 123)], [("item_1", 123)])


class TestSeveral:
    def test_items_of_one_response(self) -> None:
        call = Call()
        call.begin()
        call.audio(500, "item_1")
        call.audio_done("item_1")
        call.audio(500, "item_2")
        call.ms += 200
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 200), ("truncate", "item_2", 0, 0)]
        assert call.cuts() == [("item_1", 200), ("item_2", 0)]

    def test_the_first_was_heard_whole(self) -> None:
        call = Call()
        call.begin()
        call.audio(500, "item_1")
        call.audio_done("item_1")
        call.audio(500, "item_2", part=1)
        call.ms += 700
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_2", 1, 200)]

    def test_items_of_two_responses(self) -> None:
        call = Call()
        call.begin("resp_1")
        call.audio(2000, "item_1", "resp_1")
        call.end("resp_1")
        call.begin("resp_2")
        call.audio(500, "item_2", "resp_2")
        call.ms += 400
        call.interrupt()
        assert call.frames() == [("cancel", "resp_2"), ("truncate", "item_1", 0, 400), ("truncate", "item_2", 0, 0)]


class TestAfterwards:
    def test_late_audio_is_dropped_until_the_response_ends(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.speak()
        call.heard()
        call.audio(500)
        call.audio(500, "item_2")
        assert call.heard() == []
        call.end(status="cancelled")
        call.begin("resp_2")
        call.audio(100, "item_3", "resp_2")
        assert call.heard() == ["item_3"]

    def test_the_same_for_a_response_out_of_band(self) -> None:
        call = Call()
        call.dialect.request_response({"conversation": "none"})
        call.hear("response.created", response={"id": "resp_x", "conversation_id": None})
        call.audio(500, "item_x", "resp_x")
        call.interrupt()
        call.heard()
        call.audio(500, "item_x", "resp_x")
        assert call.heard() == []

    def test_the_next_answer_is_heard_from_its_beginning(self) -> None:
        call = Call()
        call.begin()
        call.audio(60_000)
        call.ms += 1000
        call.speak()
        call.end(status="cancelled")
        call.begin("resp_2")
        call.audio(1000, "item_2", "resp_2")
        call.ms += 300
        call.speak()
        assert call.cuts() == [("item_1", 1000), ("item_2", 300)]

    def test_a_race_of_ours_is_not_told(self) -> None:
        call = Call(interrupts=False)
        call.begin()
        call.interrupt()
        cancel = call.sent[-1]["event_id"]
        call.told.clear()
        call.hear("error", error={"code": "response_cancel_not_active", "message": "…", "event_id": cancel})
        assert call.told == []

    def test_a_truncation_that_came_too_late_is_not_told(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.speak()
        truncate = call.sent[-1]["event_id"]
        call.told.clear()
        for error in (
            {"code": "invalid_value", "message": "Audio content of 480ms is already shorter than 500ms"},
            {"code": "item_truncate_invalid_item_id", "message": "Error truncating item"},
            {"code": "unsupported_content_type", "message": "Only model output audio messages can be truncated"},
        ):
            call.hear("error", error={**error, "event_id": truncate})
        assert call.told == []


CANCELLED = [("cancel", "resp_1"), ("truncate", "item_1", 0, 200)]
TRUNCATED = [("truncate", "item_1", 0, 200)]


@pytest.mark.parametrize(
    ("policy", "interrupts", "expected"),
    [
        ("auto", True, TRUNCATED),  # the server cancels by itself
        ("auto", False, []),  # the model is to be heard out
        ("auto", ABSENT, CANCELLED),
        ("auto", None, CANCELLED),
        ("always", True, TRUNCATED),
        ("always", False, CANCELLED),
        ("always", ABSENT, CANCELLED),
        ("never", True, []),
        ("never", False, []),
        ("never", ABSENT, []),
    ],
)
def test_what_speech_does(policy: BargeIn, interrupts: Told, expected: list[Any]) -> None:
    call = Call(interrupts=interrupts, barge_in=policy)
    call.begin()
    call.audio(500)
    call.ms += 200
    call.speak()
    assert call.frames() == expected
    assert call.cuts() == ([("item_1", 200)] if expected else [])


def test_the_beta_session_says_it_too() -> None:
    call = Call(interrupts=ABSENT)
    call.hear("session.updated", session={"turn_detection": {"type": "server_vad", "interrupt_response": False}})
    call.begin()
    call.audio(500)
    call.speak()
    assert call.frames() == []


def test_an_echo_that_holds_but_a_part_of_the_session_changes_but_that() -> None:
    call = Call(interrupts=False)
    call.hear("session.updated", session={"instructions": "Be brief."})
    call.begin()
    call.audio(500)
    call.speak()
    assert call.frames() == []


class TestReportedPlayback:
    def test_cut_where_the_application_says(self) -> None:
        tracker = RealtimePlaybackTracker()
        call = Call(tracker=tracker)
        call.begin()
        call.audio(2000)
        call.ms += 1900
        tracker.on_play_ms("item_1", 0, 500.7)
        call.speak()
        assert call.frames() == [("truncate", "item_1", 0, 500)]
        assert call.cuts() == [("item_1", 500)]

    def test_never_beyond_what_was_received(self) -> None:
        tracker = RealtimePlaybackTracker()
        call = Call(tracker=tracker)
        call.begin()
        call.audio(300)
        tracker.on_play_ms("item_1", 0, 5000)
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 300)]


class TestFarEndPlays:
    """WebRTC and SIP: the far end holds the queue of audio, and truncates by itself."""

    def speaking(self, **options: Any) -> Call:
        call = Call(capabilities=SERVER_PLAYS, **options)
        call.begin()
        place = {"response_id": "resp_1", "item_id": "item_1", "content_index": 0}
        call.hear("response.content_part.added", **place, part={"type": "audio"})
        call.hear("output_audio_buffer.started", response_id="resp_1")
        call.ms += 400
        return call

    def test_speech_during_generation(self) -> None:
        call = self.speaking()
        call.speak()
        call.hear("output_audio_buffer.cleared", response_id="resp_1")
        call.hear("conversation.item.truncated", item_id="item_1", content_index=0, audio_end_ms=380)
        call.end(status="cancelled")
        assert call.frames() == []
        assert call.cuts() == [("item_1", 400)], "it is told once"
        position = call.dialect.ledger.position("item_1", 0)
        assert position is not None
        assert position.audio_end_ms == 380

    def test_by_hand_during_generation(self) -> None:
        call = self.speaking()
        call.interrupt()
        assert call.frames() == [("cancel", "resp_1"), ("output_audio_buffer.clear",)]
        call.hear("output_audio_buffer.cleared", response_id="resp_1")
        assert call.cuts() == [("item_1", 400)]

    def test_by_hand_after_generation(self) -> None:
        call = self.speaking()
        call.end()
        call.interrupt()
        assert call.frames() == [("output_audio_buffer.clear",)]
        assert call.cuts() == [("item_1", 400)]

    def test_the_far_end_cuts_by_itself(self) -> None:
        call = self.speaking(interrupts=False)
        call.hear("output_audio_buffer.cleared", response_id="resp_1")
        assert call.cuts() == [("item_1", 400)]
        assert call.frames() == []

    def test_it_ran_to_its_end(self) -> None:
        call = self.speaking()
        call.end()
        call.hear("output_audio_buffer.stopped", response_id="resp_1")
        call.interrupt()
        call.speak()
        assert call.frames() == []
        assert call.cuts() == []

    def test_we_never_truncate(self) -> None:
        call = Call(interrupts=ABSENT, capabilities=TransportCapabilities(truncate="server"))
        call.begin()
        call.audio(500)
        call.ms += 100
        call.speak()
        assert call.frames() == [("cancel", "resp_1")]
        assert call.cuts() == [("item_1", 100)]


class TestOneResponse:
    """An interruption that is meant for one response leaves every other one alone."""

    def test_the_active_one(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.ms += 200
        call.interrupt("resp_1")
        assert call.frames() == [("cancel", "resp_1"), ("truncate", "item_1", 0, 200)]
        assert call.cuts() == [("item_1", 200)]

    def test_an_older_one_that_still_plays(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.audio_done()
        call.end()
        call.begin("resp_2")
        call.audio(500, "item_2", "resp_2")
        call.ms += 100
        call.interrupt("resp_1")
        assert call.frames() == [("truncate", "item_1", 0, 100)], "the newer one goes on"
        assert call.cuts() == [("item_1", 100)]
        call.audio(100, "item_2", "resp_2")
        assert call.heard() == ["item_2"]

    def test_one_that_was_played(self) -> None:
        call = Call()
        call.begin()
        call.audio(100)
        call.audio_done()
        call.end()
        call.ms += 200
        call.begin("resp_2")
        call.interrupt("resp_1")
        assert call.frames() == []
        assert call.cuts() == []

    def test_a_request_that_waits_is_not_cancelled(self) -> None:
        call = Call()
        call.dialect.request_response()
        call.interrupt("resp_1")
        call.begin("resp_2")
        assert call.frames() == []

    def test_where_the_far_end_plays_another_one(self) -> None:
        call = Call(capabilities=SERVER_PLAYS)
        call.begin("resp_2")
        place = {"response_id": "resp_2", "item_id": "item_2", "content_index": 0}
        call.hear("response.content_part.added", **place, part={"type": "audio"})
        call.hear("output_audio_buffer.started", response_id="resp_2")
        call.interrupt("resp_1")
        assert call.frames() == []

    def test_where_the_far_end_has_a_newer_one_behind_it(self) -> None:
        call = self.two_at_the_far_end()
        call.interrupt("resp_1")
        assert call.frames() == [], "its buffer can only be cleared whole"
        assert call.cuts() == [], "and so the older one plays on"

    def test_where_the_far_end_has_it_behind_an_older_one(self) -> None:
        call = self.two_at_the_far_end()
        call.interrupt("resp_2")
        assert call.frames() == [("cancel", "resp_2"), ("output_audio_buffer.clear",)]

    def test_where_the_far_end_plays_an_older_one_and_has_nothing_of_it_yet(self) -> None:
        call = self.two_at_the_far_end(heard_of_the_second=False)
        call.interrupt("resp_2")
        assert call.frames() == [("cancel", "resp_2")]

    def test_where_the_far_end_has_only_it(self) -> None:
        call = self.two_at_the_far_end(heard_of_the_second=False)
        call.ms += 300
        call.interrupt("resp_1")
        assert call.frames() == [("output_audio_buffer.clear",)]
        assert call.cuts() == [("item_1", 300)]

    def two_at_the_far_end(self, *, heard_of_the_second: bool = True) -> Call:
        """Return a call in which the far end plays a response while the next one is being generated."""
        call = Call(capabilities=SERVER_PLAYS)
        for number in (1, 2):
            call.begin(f"resp_{number}")
            place = {"response_id": f"resp_{number}", "item_id": f"item_{number}", "content_index": 0}
            if number == 1 or heard_of_the_second:
                call.hear("response.content_part.added", **place, part={"type": "audio"})
            if number == 1:
                call.hear("output_audio_buffer.started", response_id="resp_1")
                call.end()
        return call

    def test_what_had_arrived_is_told(self) -> None:
        call = Call()
        call.begin()
        call.audio(500)
        call.ms += 200
        call.interrupt("resp_1")
        [cut] = [event for event in call.told if isinstance(event, events.AudioInterrupted)]
        assert (cut.played_ms, cut.received_ms) == (200, 500)
