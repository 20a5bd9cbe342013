"""The API's voice names, and the espeak-ng voices that stand in for them.

All speak American English, which the recogniser's acoustic model knows best; they differ in timbre and pitch enough
that two speakers in one recording are told apart at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from types import MappingProxyType

from attrs import frozen


@frozen
class EspeakVoice:
    """An espeak-ng voice name with its variant, and espeak-ng's parameters for it."""

    name: str
    pitch: int = 50
    """0 to 99; 50 is the voice's own."""
    range: int = 50
    """How much the pitch moves, 0 to 99; 50 is the voice's own."""
    volume: int = 100
    """Chosen so that all voices are about equally loud, and none clips; 100 is espeak-ng's own."""


VOICES: Mapping[str, EspeakVoice] = MappingProxyType(
    {
        "alloy": EspeakVoice("en-us+f2", pitch=38, volume=89),
        "ash": EspeakVoice("en-us+m6", pitch=42, volume=92),
        "ballad": EspeakVoice("en-us+michel", pitch=55, range=65, volume=75),
        "cedar": EspeakVoice("en-us+m5", pitch=45, volume=95),
        "coral": EspeakVoice("en-us+f1", pitch=58, volume=82),
        "echo": EspeakVoice("en-us+edward", pitch=50, volume=80),
        "marin": EspeakVoice("en-us+f2", pitch=60, range=60, volume=81),
        "sage": EspeakVoice("en-us+f1", pitch=40, volume=87),
        "shimmer": EspeakVoice("en-us+f5", pitch=60, volume=98),
        "verse": EspeakVoice("en-us+Reed", pitch=58, range=65, volume=73),
    }
)
"""Voice by API name."""


def voice_for(name: str) -> EspeakVoice:
    """Return the voice for an API voice name; any other name (a custom voice's id) always gets the same one of them."""
    known = VOICES.get(name.casefold())
    if known is not None:
        return known
    names = sorted(VOICES)
    return VOICES[names[zlib.crc32(name.encode("utf-8", "replace")) % len(names)]]
