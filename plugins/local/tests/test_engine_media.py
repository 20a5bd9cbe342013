"""A session whose media path carries G.711: turns, cuts and formats are the same, and nothing is resampled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from jackfield.audio.g711 import decode, encode
from jackfield.audio.resample import resample
from jackfield_local.engine.media import PCM, media_of
from jackfield_local.engine.outbox import Recognize

FORMATS = {"audio/pcmu": "ulaw", "audio/pcma": "alaw"}


def as_g711(pcm: bytes, audio_format: str) -> bytes:
    return encode(resample(pcm, 24_000, 8_000), FORMATS[audio_format])  # type: ignore[arg-type]


@pytest.fixture(params=FORMATS)
def audio_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def phone(make_driver: Any, audio_format: str) -> Any:
    return make_driver(playback="server", media=audio_format)


def hear(driver: Any, data: bytes) -> list[dict[str, Any]]:
    events = []
    for start in range(0, len(data), 160):
        driver.engine.hear(data[start : start + 160])
        events += driver.take()
    return events


def play(driver: Any) -> bytes:
    heard = b""
    while (frame := driver.engine.next_audio()) is not None:
        assert len(frame) == 160
        heard += frame
    driver.take()
    return heard


class TestLevels:
    def test_they_are_those_of_pcm(self, audio_format: str, speech: Any) -> None:
        pcm = resample(speech(400), 24_000, 8_000)
        data = encode(pcm, FORMATS[audio_format])  # type: ignore[arg-type]
        levels = media_of(audio_format).levels(data)
        samples = np.frombuffer(pcm, "<i2").astype(float).reshape(-1, 160)
        assert levels == pytest.approx(np.sqrt((samples * samples).mean(axis=1)), rel=0.02)

    def test_silence_is_silent(self, audio_format: str) -> None:
        media = media_of(audio_format)
        assert media.levels(media.silence)[0] < 10
        assert PCM.levels(PCM.silence) == [0.0]


class TestHearing:
    def test_turns_are_those_of_pcm(
        self, make_driver: Any, phone: Any, audio_format: str, speech: Any, silence: Any
    ) -> None:
        pcm = silence(200) + speech(600) + silence(400)
        plain = make_driver(playback="server")
        for start in range(0, len(pcm), 960):
            plain.engine.hear(pcm[start : start + 960])
        events, expected = hear(phone, as_g711(pcm, audio_format)), plain.take()
        assert [event["type"] for event in events] == [event["type"] for event in expected]
        for key in ("audio_start_ms", "audio_end_ms"):
            assert [event.get(key) for event in events] == [event.get(key) for event in expected]

    def test_a_turn_is_kept_as_it_came(self, phone: Any, audio_format: str, speech: Any, silence: Any) -> None:
        data = as_g711(speech(600) + silence(400), audio_format)
        committed = next(event for event in hear(phone, data) if event["type"] == "input_audio_buffer.committed")
        (heard,) = phone.effects_of(Recognize)
        assert heard.audio in data
        assert heard.pcm == resample(decode(heard.audio, FORMATS[audio_format]), 8_000, 24_000)  # type: ignore[arg-type]
        retrieved = phone.send("conversation.item.retrieve", item_id=committed["item_id"])[0]
        assert retrieved["item"]["content"][0]["audio"]

    def test_what_a_client_appends_is_of_the_same_format(self, phone: Any, audio_format: str, b64: Any) -> None:
        phone.send("input_audio_buffer.append", audio=b64(media_of(audio_format).silence * 10))
        kinds = [event["type"] for event in phone.send("input_audio_buffer.commit")]
        assert kinds[0] == "input_audio_buffer.committed"
        assert len(phone.effects_of(Recognize)[-1].audio) == 1600


class TestPlaying:
    def test_all_of_an_answer_is_heard(self, phone: Any, audio_format: str, speech: Any) -> None:
        phone.say("Hello.", 500)
        heard = play(phone)
        expected = as_g711(speech(500), audio_format)
        assert heard[: len(expected)] == expected
        assert heard[len(expected) :] == media_of(audio_format).silence[: len(heard) - len(expected)]

    def test_a_cut_is_where_it_was_heard(self, phone: Any, audio_format: str, speech: Any) -> None:
        phone.say("A long story.", 2_000)
        for _ in range(10):
            assert phone.engine.next_audio() is not None
        events = hear(phone, as_g711(speech(200), audio_format))
        (cut,) = (event for event in events if event["type"] == "conversation.item.truncated")
        assert cut["audio_end_ms"] == 200


class TestFormats:
    def test_they_are_what_was_agreed_on(self, make_driver: Any, audio_format: str) -> None:
        pcm = {"format": {"type": "audio/pcm", "rate": 24000}}
        config = {"type": "realtime", "audio": {"input": pcm, "output": pcm}}
        driver = make_driver(playback="server", media=audio_format, config=config)
        for event in (driver.created[0], driver.update(audio={"input": pcm, "output": pcm})[0]):
            audio = event["session"]["audio"]
            assert audio["input"]["format"] == audio["output"]["format"] == {"type": audio_format}


class TestKeys:
    def test_a_key_is_told_of(self, phone: Any) -> None:
        phone.engine.press("#")
        (event,) = phone.engine.take_events()
        assert set(event) == {"type", "event", "received_at"}
        assert (event["type"], event["event"]) == ("input_audio_buffer.dtmf_event_received", "#")
