"""Hearing and speaking for the local server, with no account and no network.

`default_recognizer` and `default_synthesizer` give what the `speech` extra makes possible; `speak_to_pcm` is for
anyone who needs a caller's voice. Modules that need the extra are imported when they are used.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from jackfield_local.speech.patterns import plain

if TYPE_CHECKING:
    from jackfield_local.speech.espeak import EspeakSynthesizer
    from jackfield_local.speech.sphinx import SphinxRecognizer

__all__ = ["default_recognizer", "default_synthesizer", "plain", "speak_to_pcm"]


@cache
def default_recognizer() -> SphinxRecognizer | None:
    """Return this process's recogniser, already starting up, or None without the `speech` extra.

    It is shared: leave closing it to the end of the process.
    """
    if find_spec("pocketsphinx") is None:
        return None
    from jackfield_local.speech.sphinx import SphinxRecognizer

    recognizer = SphinxRecognizer()
    recognizer.start()
    return recognizer


@cache
def default_synthesizer() -> EspeakSynthesizer | None:
    """Return this process's synthesiser, or None without the `speech` extra."""
    if find_spec("espeakng_loader") is None:
        return None
    from jackfield_local.speech.espeak import EspeakSynthesizer

    return EspeakSynthesizer()


def speak_to_pcm(text: str, *, voice: str = "marin", speed: float = 1.0) -> bytes:
    """Return `text` spoken as PCM16 mono at 24,000 Hz, for a caller's side of a conversation.

    `voice` is an API voice name, `speed` runs from 0.25 to 1.5. Raises `EspeakError` without the `speech` extra.
    """
    from jackfield_local.speech.espeak import EspeakSynthesizer

    return EspeakSynthesizer().synthesize(text, voice=voice, speed=speed)
