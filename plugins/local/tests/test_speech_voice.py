"""espeak-ng as the server's voice."""

from __future__ import annotations

import os
import threading
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jackfield_local.speech import default_synthesizer, speak_to_pcm
from jackfield_local.speech.voices import VOICES, voice_for

if find_spec("espeakng_loader") is None:
    if os.environ.get("CI") == "true":
        raise RuntimeError("the speech tests must run here: pip install 'jackfield-local[speech]'")
    pytest.skip("needs pip install 'jackfield-local[speech]'", allow_module_level=True)

SENTENCE = "The quick brown fox jumps over the lazy dog."


def seconds(pcm: bytes) -> float:
    return len(pcm) / 48_000


def pitch(pcm: bytes) -> float:
    """The median pitch of the loud frames, in Hz."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    found = []
    for start in range(0, len(samples) - 960, 480):
        frame = samples[start : start + 960] - samples[start : start + 960].mean()
        if frame.std() > 800:
            correlation = np.correlate(frame, frame, "full")[959:]
            lag = 60 + int(np.argmax(correlation[60:400]))
            if correlation[lag] > 0.6 * correlation[0]:
                found.append(24_000 / lag)
    return float(np.median(found))


def test_speech_is_loud_and_does_not_clip() -> None:
    for voice in VOICES:
        samples = np.abs(np.frombuffer(speak_to_pcm(SENTENCE, voice=voice), "<i2").astype(int))
        assert 8_000 < samples.max() < 32_000, voice


def test_a_sentence_takes_as_long_as_a_person_takes() -> None:
    assert 2.0 < seconds(speak_to_pcm(SENTENCE)) < 4.0


def test_the_band_above_the_synthesiser_s_is_empty() -> None:
    spectrum = np.abs(np.fft.rfft(np.frombuffer(speak_to_pcm(SENTENCE), "<i2").astype(float))) ** 2
    hertz = np.fft.rfftfreq(2 * (len(spectrum) - 1), 1 / 24_000)
    assert spectrum[hertz > 11_600].sum() < 1e-3 * spectrum.sum()


@pytest.mark.parametrize(("slower", "faster"), [(0.25, 0.4), (0.4, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_speed_changes_the_length(slower: float, faster: float) -> None:
    ratio = seconds(speak_to_pcm(SENTENCE, speed=slower)) / seconds(speak_to_pcm(SENTENCE, speed=faster))
    assert 0.7 * faster / slower < ratio < 1.4 * faster / slower


def test_a_speed_out_of_range_is_held_to_the_range() -> None:
    assert seconds(speak_to_pcm(SENTENCE, speed=9.0)) == pytest.approx(
        seconds(speak_to_pcm(SENTENCE, speed=1.5)), rel=0.02
    )
    assert seconds(speak_to_pcm(SENTENCE, speed=0.0)) == pytest.approx(
        seconds(speak_to_pcm(SENTENCE, speed=0.25)), rel=0.02
    )


def test_every_voice_of_the_api_is_one_of_its_own() -> None:
    names = ["alloy", "ash", "ballad", "cedar", "coral", "echo", "marin", "sage", "shimmer", "verse"]
    assert set(names) == set(VOICES)
    assert len({voice_for(name) for name in names}) == len(names)


def test_two_voices_are_told_apart() -> None:
    assert pitch(speak_to_pcm(SENTENCE, voice="marin")) > 1.4 * pitch(speak_to_pcm(SENTENCE, voice="cedar"))


def test_an_unknown_voice_speaks_and_is_always_the_same() -> None:
    assert voice_for("voice_1234") == voice_for("voice_1234")
    assert seconds(speak_to_pcm("Hello.", voice="voice_1234")) > 0.2


def test_case_does_not_matter_in_a_voice_s_name() -> None:
    assert voice_for("Marin") == voice_for("marin")


@pytest.mark.parametrize(
    "text",
    [
        "<speak>Hello <break time='9s'/></speak>",
        "[[h@l'oU]] {city} &amp; \\n",
        "日本語のテキスト",
        "مرحبا",
        "👍🏽 great 😀",
        "1" * 300,
        "e\u0301" * 60,
        "a\0b\x1b[31m",
        "\ud800 lone",
        "x" * 3_000,
    ],
)
def test_odd_text_is_read_in_a_sane_time(text: str) -> None:
    assert 0.1 < seconds(speak_to_pcm(text)) < 1.0 + len(text)


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\0", "\u200b"])
def test_nothing_to_say_is_no_sound(text: str) -> None:
    assert speak_to_pcm(text) == b""


def test_markup_is_read_out_and_not_obeyed() -> None:
    assert seconds(speak_to_pcm("<break time='9s'/>")) < 8.0


@settings(max_examples=60, deadline=None)
@given(
    st.text(max_size=60),
    st.sampled_from([*VOICES, "", "other"]),
    st.floats(0.0, 4.0),
)
def test_any_text_is_spoken(text: str, voice: str, speed: float) -> None:
    pcm = speak_to_pcm(text, voice=voice, speed=speed)
    assert len(pcm) % 2 == 0
    assert seconds(pcm) < 6.0 + 12.0 * len(text)


def test_threads_do_not_mix_their_words() -> None:
    synthesizer = default_synthesizer()
    assert synthesizer is not None
    alone = {
        text: len(synthesizer.synthesize(text, voice="ash", speed=1.0)) for text in ("Yes.", SENTENCE, "One, two.")
    }
    failures: list[tuple[str, int]] = []

    def speak(text: str) -> None:
        for _ in range(10):
            size = len(synthesizer.synthesize(text, voice="ash", speed=1.0))
            if abs(size - alone[text]) > 0.1 * alone[text]:
                failures.append((text, size))

    threads = [threading.Thread(target=speak, args=(text,)) for text in alone for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_the_default_synthesiser_is_one_for_all() -> None:
    assert default_synthesizer() is default_synthesizer()
