"""Pronunciations for words that the recogniser's dictionary lacks: espeak-ng says them, and its IPA becomes ARPABET.

ARPABET without stress marks is what CMUdict and the acoustic model are written in.
"""

# ruff: noqa: RUF001 - the International Phonetic Alphabet has letters that look like others

from __future__ import annotations

from jackfield_local.speech.espeak import ipa

# Longest first: a diphthong or affricate is one sound.
_SOUNDS = {
    "aɪə": "AY AH",
    "aɪɚ": "AY ER",
    "aʊɚ": "AW ER",
    "tʃ": "CH",
    "dʒ": "JH",
    "aɪ": "AY",
    "aʊ": "AW",
    "eɪ": "EY",
    "oʊ": "OW",
    "əʊ": "OW",
    "ɔɪ": "OY",
    "iə": "IY AH",
    "əl": "AH L",
    "n̩": "AH N",
    "l̩": "AH L",
    "ɑ": "AA",
    "ɒ": "AA",
    "a": "AA",
    "æ": "AE",
    "ʌ": "AH",
    "ə": "AH",
    "ɐ": "AH",
    "ᵻ": "IH",
    "ɔ": "AO",
    "o": "OW",
    "ɛ": "EH",
    "e": "EH",
    "ɜ": "ER",
    "ɚ": "ER",
    "ɪ": "IH",
    "i": "IY",
    "ʊ": "UH",
    "u": "UW",
    "b": "B",
    "d": "D",
    "ð": "DH",
    "f": "F",
    "ɡ": "G",
    "g": "G",
    "h": "HH",
    "j": "Y",
    "k": "K",
    "l": "L",
    "ɫ": "L",
    "m": "M",
    "n": "N",
    "ŋ": "NG",
    "p": "P",
    "ɹ": "R",
    "r": "R",
    "s": "S",
    "ʃ": "SH",
    "t": "T",
    "ɾ": "T",
    "ʔ": "T",
    "θ": "TH",
    "v": "V",
    "w": "W",
    "x": "K",
    "z": "Z",
    "ʒ": "ZH",
}
_LONGEST = max(map(len, _SOUNDS))


def arpabet(word: str) -> str:
    """Return how `word` sounds, as ARPABET phones with spaces between; "" where it has no sound in English.

    Raises `EspeakError` where espeak-ng is missing.
    """
    said = ipa(word)
    phones: list[str] = []
    index = 0
    while index < len(said):
        for size in range(_LONGEST, 0, -1):
            sound = _SOUNDS.get(said[index : index + size])
            if sound is not None:
                phones += sound.split()
                index += size
                break
        else:
            index += 1  # stress, length, and sounds that the model doesn't have
    return " ".join(phones)
