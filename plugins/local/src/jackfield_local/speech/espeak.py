"""Speaks with espeak-ng, from the library and voices that the `espeakng-loader` wheel brings.

The library is called in process (ctypes releases the interpreter lock while it works). Its C interface is one global
state, so that calls take turns. What the API's voice names stand for is `voices`.
"""

from __future__ import annotations

import ctypes
import logging
import threading
import unicodedata
from functools import cache
from typing import Any, Final

from jackfield.audio.resample import Resampler
from jackfield_local.interfaces import SAMPLE_RATE
from jackfield_local.speech.voices import EspeakVoice, voice_for

__all__ = ["MAX_SPEECH_MS", "EspeakError", "EspeakSynthesizer", "ipa"]

MAX_SPEECH_MS: Final = 10 * 60 * 1000
"""Speech longer than this, in milliseconds, is cut off: it bounds the memory that one text can take."""

MIN_SPEED: Final = 0.25
MAX_SPEED: Final = 1.5

_WORDS_PER_MINUTE: Final = 160
"""espeak-ng's rate at speed 1.0: its own default is 175, which is brisk over a telephone."""

_SLOWEST: Final = 80
"""The lowest rate that espeak-ng takes; below it, pauses between words do the slowing."""

_GAP_UNITS: Final = 20
"""Pause between words, in espeak-ng's units, that doubles the length of speech at the slowest rate."""

# espeak-ng/speak_lib.h
_OUTPUT_SYNCHRONOUS: Final = 2
_DONT_EXIT: Final = 0x8000
_CHARS_UTF8: Final = 1
_POSITION_CHARACTER: Final = 1
_PARAMETER_RATE: Final = 1
_PARAMETER_VOLUME: Final = 2
_PARAMETER_PITCH: Final = 3
_PARAMETER_RANGE: Final = 4
_PARAMETER_WORDGAP: Final = 7
_PHONEMES_IPA: Final = 2

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

_logger = logging.getLogger(__name__)


class EspeakError(RuntimeError):
    """espeak-ng can't be loaded or refuses to work; the message says what to do."""


class EspeakSynthesizer:
    """A `Synthesizer` on espeak-ng. Stateless and safe to share between threads; calls take turns.

    Raises `EspeakError` where the speech extra isn't installed or its library doesn't load.
    """

    def __init__(self) -> None:
        _engine()

    def synthesize(self, text: str, *, voice: str = "alloy", speed: float = 1.0) -> bytes:
        """Return `text` spoken as PCM16 mono at 24,000 Hz, b"" where it holds nothing to say.

        `voice` is an API voice name; `speed` runs from 0.25 to 1.5 and is held to that. Marks of any kind are read or
        passed over, never obeyed. Speech ends after ten minutes (`MAX_SPEECH_MS`), whatever the text. The same text
        sounds the same every time, but not to the bit: the flutter of a voice runs on from one call to the next.
        """
        spoken = _speakable(text)
        if not spoken:
            return b""
        return _engine().speak(spoken, voice_for(voice), min(MAX_SPEED, max(MIN_SPEED, speed)))


def ipa(word: str) -> str:
    """Return how American English would say `word`, in the International Phonetic Alphabet.

    Raises `EspeakError` as `EspeakSynthesizer` does.
    """
    return _engine().ipa(_speakable(word))


@cache
def _engine() -> _Engine:
    return _Engine()


class _Engine:
    """The one espeak-ng of this process."""

    def __init__(self) -> None:
        try:
            import espeakng_loader  # type: ignore[import-untyped]
        except ImportError as error:
            raise EspeakError(
                "Speaking needs espeak-ng, which is not installed. Run: pip install 'jackfield-local[speech]'"
            ) from error
        try:
            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
            data = espeakng_loader.get_data_path()
        except (OSError, RuntimeError) as error:
            raise EspeakError(
                f"espeak-ng doesn't load: {error}. Reinstall it: pip install --force-reinstall espeakng-loader"
            ) from error
        self._lock = threading.Lock()
        self._pieces: list[bytes] = []
        self._room = 0
        # The library keeps the address only: the callback must live as long as it does.
        self._callback = _Callback(self._collect)
        self._declare()
        self.sample_rate: int = self._library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data.encode(), _DONT_EXIT)
        if self.sample_rate <= 0:
            raise EspeakError(
                f"espeak-ng can't read its voices in {data}. "
                "Reinstall them: pip install --force-reinstall espeakng-loader"
            )
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: EspeakVoice, speed: float) -> bytes:
        resampler = Resampler(self.sample_rate, SAMPLE_RATE)
        with self._lock:
            self._set(voice, speed)
            self._pieces = []
            self._room = MAX_SPEECH_MS * self.sample_rate // 1000 * 2
            data = text.encode("utf-8", "replace") + b"\0"
            self._library.espeak_Synth(data, len(data), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None)
            pcm, self._pieces = b"".join(self._pieces), []
            cut = self._room <= 0
        if cut:
            _logger.warning("speech of %d characters was cut off after %d ms", len(text), MAX_SPEECH_MS)
        return resampler.process(pcm) + resampler.flush()

    def ipa(self, text: str) -> str:
        buffer = ctypes.create_string_buffer(text.encode("utf-8", "replace"))
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses: list[str] = []
        with self._lock:
            self._set(EspeakVoice("en-us"), 1.0)
            while rest.value:
                clause: bytes | None = self._library.espeak_TextToPhonemes(
                    ctypes.byref(rest), _CHARS_UTF8, _PHONEMES_IPA
                )
                clauses.append((clause or b"").decode("utf-8", "replace"))
        return " ".join(clauses)

    def _declare(self) -> None:
        library = self._library
        library.espeak_Initialize.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int]
        library.espeak_SetSynthCallback.argtypes = [_Callback]
        library.espeak_SetVoiceByName.argtypes = [ctypes.c_char_p]
        library.espeak_SetParameter.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int]
        library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]
        library.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_int, ctypes.c_int]
        library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def _collect(self, samples: Any, count: int, _events: object) -> int:
        """Take the next samples; a 1 tells espeak-ng to stop."""
        if samples and count > 0:
            self._pieces.append(ctypes.string_at(samples, 2 * count))
            self._room -= 2 * count
        return int(self._room <= 0)

    def _set(self, voice: EspeakVoice, speed: float) -> None:
        if self._library.espeak_SetVoiceByName(voice.name.encode()):
            raise EspeakError(
                f"espeak-ng has no voice {voice.name!r}. Install the version that comes with the speech extra: "
                "pip install 'jackfield-local[speech]'"
            )
        wanted = _WORDS_PER_MINUTE * speed
        rate = max(_SLOWEST, round(wanted))
        parameters = {
            _PARAMETER_RATE: rate,
            _PARAMETER_WORDGAP: round(_GAP_UNITS * (rate / wanted - 1)) if rate > wanted + 1 else 0,
            _PARAMETER_PITCH: voice.pitch,
            _PARAMETER_RANGE: voice.range,
            _PARAMETER_VOLUME: voice.volume,
        }
        for parameter, value in parameters.items():
            self._library.espeak_SetParameter(parameter, value, 0)


def _speakable(text: str) -> str:
    """Return `text` without what espeak-ng would stumble over; "" where no letter, digit or sign is left."""
    cleaned = "".join(char if unicodedata.category(char)[0] != "C" else " " for char in text)
    return " ".join(cleaned.split())
