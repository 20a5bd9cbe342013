"""The demo's telephones: whose the sound is that comes out of one, and what goes into it."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield.audio import PCM16, AudioFormat
from jackfield_local.demo.desk import DeskHandset, SomebodyThere
from jackfield_local.demo.handset import Handset, Mouthpiece

FRAME = 320
WORDS = b"\1\2" * 160
SILENCE = bytes(FRAME)


class Heard:
    """An ear that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def announce(self, item_id: str) -> None:
        self.told.append(("announced", item_id))

    def hear(self, pcm: bytes, item_id: str, content_index: int, audio_format: AudioFormat = PCM16) -> None:
        self.told.append((item_id, len(pcm)))

    def hear_end(self, item_id: str, content_index: int) -> None:
        self.told.append(("ended", item_id))

    def watch(self, session: object) -> None: ...

    def pick_up(self) -> None: ...

    def put_through(self, target: str, who: str, text: str, said_ms: float) -> None: ...

    @property
    def kinds(self) -> list[str]:
        """What was told, once for each run of the same."""
        kinds = [f"{one} {two}" if isinstance(two, str) else one for one, two in self.told]
        return [kind for before, kind in zip([None, *kinds], kinds, strict=False) if kind != before]


class Call:
    def __init__(self) -> None:
        self.ear = Heard()
        self.mouthpiece = Mouthpiece()
        self.handset = Handset(self.ear, self.mouthpiece)

    def tell(self, kind: str, response_id: str = "r1", **fields: Any) -> None:
        self.handset.take({"type": kind, "response_id": response_id, **fields})

    def announce(self, response_id: str = "r1") -> None:
        place = {"item_id": f"item_{response_id}", "content_index": 0, "part": {"type": "audio"}}
        self.tell("response.content_part.added", response_id, **place)

    def done(self, status: str, response_id: str = "r1") -> None:
        self.handset.take({"type": "response.done", "response": {"id": response_id, "status": status}})

    def hear(self, *frames: bytes) -> None:
        for frame in frames:
            self.handset.hear(frame)


@pytest.fixture
def call() -> Call:
    return Call()


class TestHandset:
    def test_an_answer_is_heard_from_its_first_sound_to_the_silence_after_it(self, call: Call) -> None:
        call.hear(SILENCE)
        call.announce()
        call.done("completed")
        call.tell("output_audio_buffer.started")
        call.hear(WORDS, SILENCE, WORDS)
        call.tell("output_audio_buffer.stopped")
        call.hear(WORDS, SILENCE, SILENCE)
        assert call.ear.kinds == ["announced item_r1", "item_r1", "ended item_r1"]
        assert sum(size for who, size in call.ear.told if who == "item_r1") == 4 * 3 * FRAME

    def test_sound_may_be_faster_than_what_is_told_of_it(self, call: Call) -> None:
        call.hear(WORDS)
        call.announce()
        call.tell("output_audio_buffer.started")
        call.hear(WORDS)
        assert sum(size for who, size in call.ear.told if who == "item_r1") > 3 * FRAME

    def test_what_is_cut_is_over(self, call: Call) -> None:
        call.announce()
        call.tell("output_audio_buffer.started")
        call.hear(WORDS)
        call.tell("output_audio_buffer.cleared")
        call.hear(WORDS, SILENCE)
        assert call.ear.kinds == ["announced item_r1", "item_r1", "ended item_r1"]

    @pytest.mark.parametrize("how", ["output_audio_buffer.cleared", "response.done"])
    def test_what_is_cut_before_it_began_is_not_awaited(self, call: Call, how: str) -> None:
        call.announce()
        if how == "response.done":
            call.done("cancelled")
        else:
            call.tell(how)
        call.hear(SILENCE)
        assert call.ear.kinds == ["announced item_r1", "ended item_r1"]

    def test_it_is_spoken_into_while_it_is_held(self, call: Call) -> None:
        call.mouthpiece.say(bytes(48 * 60))
        assert call.handset.speak() == SILENCE
        call.handset.held = False
        assert call.handset.speak() is None


class TestMouthpiece:
    def test_silence_is_left_out_where_the_phone_is_behind_and_words_are_not(self) -> None:
        mouthpiece = Mouthpiece()
        for _ in range(50):
            mouthpiece.say(bytes(960))
        for _ in range(50):
            mouthpiece.say(b"\1\2" * 480)
        frames = []
        while (frame := mouthpiece.next_frame()) is not None:
            frames.append(frame)
        assert 50 <= len([frame for frame in frames if any(frame)]) <= 51
        assert len([frame for frame in frames if not any(frame)]) <= 6


class TestDesk:
    def test_somebody_is_heard_from_the_first_word_to_the_last(self) -> None:
        ear = Heard()
        somebody = SomebodyThere(b"\1\2" * 24_000)
        handset = DeskHandset(ear, Mouthpiece(), somebody)
        while not somebody.has_spoken:
            handset.hear(somebody.speak() or SILENCE)
        assert somebody.speak() is None
        handset.hear(SILENCE)
        handset.hear(SILENCE)
        assert ear.kinds == ["Front desk", "ended Front desk"]
        assert sum(size for who, size in ear.told if who == "Front desk") == pytest.approx(48_000, abs=960)
