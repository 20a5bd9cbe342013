"""How answers are cut, paced and, without the speech extras, voiced."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield_local.delivery import Pace, pieces, sentences, words
from jackfield_local.tones import PhraseRecognizer, ToneSynthesizer


class TestCutting:
    @given(st.text())
    def test_nothing_is_lost(self, text: str) -> None:
        assert "".join(sentences(text)) == text
        assert "".join(words(text)) == text

    @given(st.text(), st.integers(0, 30_000).map(lambda n: bytes(2 * n)), st.booleans())
    def test_pieces_are_the_whole(self, text: str, pcm: bytes, first: bool) -> None:
        cut = list(pieces(text, pcm, first=first))
        assert "".join(piece.text for piece in cut) == text
        assert b"".join(piece.pcm for piece in cut) == pcm
        assert all(len(piece.pcm) <= 4800 for piece in cut)

    def test_sentences(self) -> None:
        assert sentences("Hello there! It is 3.5 degrees. Bye") == ["Hello there! ", "It is 3.5 degrees. ", "Bye"]

    def test_the_transcript_is_a_little_ahead(self) -> None:
        text = " ".join("abcdefghijklmnopqrstuvwxyz")
        cut = list(pieces(text, bytes(48_000), first=True))
        told = 0
        for index, piece in enumerate(cut):
            told += len(piece.text.split())
            heard = 26 * index // len(cut)
            assert heard < told <= heard + 7


class TestPace:
    def test_audio_is_spread_over_its_time(self) -> None:
        pace = Pace(4.0)
        now = 100.0
        for _ in range(50):
            now += pace.wait(now, 0.1)
        assert now == pytest.approx(100 + 50 * 0.1 / 4)

    def test_zero_never_waits(self) -> None:
        assert Pace(0).wait(5.0, 10.0) == 0

    def test_lost_time_is_caught_up_on_in_part(self) -> None:
        pace = Pace(1.0)
        pace.wait(0.0, 0.1)
        behind = [pace.wait(100.0, 0.1) for _ in range(20)]
        assert sum(behind) > 0


class TestTones:
    def test_length_fits_the_text(self) -> None:
        voice = ToneSynthesizer()
        short = voice.synthesize("hello", voice="alloy", speed=1.0)
        assert len(short) == 360 * 48
        assert len(voice.synthesize("hello hello", voice="alloy", speed=1.0)) == 2 * len(short)
        assert len(voice.synthesize("hello", voice="alloy", speed=1.5)) < len(short)

    @given(st.text(max_size=50), st.sampled_from(["alloy", "cedar", "voice_custom"]), st.floats(0.25, 1.5))
    def test_any_text(self, text: str, voice: str, speed: float) -> None:
        pcm = ToneSynthesizer().synthesize(text, voice=voice, speed=speed)
        assert len(pcm) % 2 == 0
        assert bool(pcm) == bool(text.split())

    def test_voices_differ(self) -> None:
        voice = ToneSynthesizer()
        assert voice.synthesize("x", voice="alloy", speed=1.0) != voice.synthesize("x", voice="ash", speed=1.0)

    def test_phrases_in_order(self) -> None:
        ear = PhraseRecognizer()
        assert [ear.transcribe(b"", ["Hello[ there]", "In {city}"]) for _ in range(3)] == ["Hello", "In Paris", "Hello"]
        assert ear.transcribe(b"", []) == ""
