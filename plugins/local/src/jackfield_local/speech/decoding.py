"""Hears with pocketsphinx: a grammar of the expected phrases first, free English where they don't fit.

One `PhraseDecoder` serves one caller at a time and keeps what it has learnt: models, grammars, pronunciations.
pocketsphinx holds the interpreter lock while it works, which is why `sphinx` runs this in a process of its own.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from rapidfuzz import fuzz, process

from jackfield.audio.resample import resample
from jackfield_local.interfaces import SAMPLE_RATE
from jackfield_local.speech.espeak import EspeakError
from jackfield_local.speech.grammar import Grammar, build
from jackfield_local.speech.patterns import Pattern, parse
from jackfield_local.speech.pronounce import arpabet
from jackfield_local.speech.slots import Rule
from jackfield_local.speech.spoken import words
from jackfield_local.speech.voiced import speech_span

__all__ = ["RATE", "PhraseDecoder"]

RATE: Final = 16_000
"""Samples per second that the acoustic model was trained on, in Hz."""

MAX_SPEECH_MS: Final = 60_000
"""An utterance is heard up to here, in milliseconds; decoding time grows with its length."""

# Tuned on espeak-ng's voices over phrases like those of a tool-using agent: wide beams and frequent silences matter
# most, and a grammar's own weights should count for little.
_GRAMMAR_OPTIONS: Final[dict[str, Any]] = {
    "lm": None,
    "beam": 1e-52,
    "pbeam": 1e-52,
    "wbeam": 1e-34,
    "lw": 3.0,
    "silprob": 0.3,
}
_MARGIN_MS: Final = 200
_DITHER: Final = 10.0
"""RMS of the noise that is added: digital silence has no logarithm that the model would know."""

_GRAMMARS_KEPT: Final = 8

# Log score per 10 ms frame, against the best that the acoustic model could have made of that frame. Speech that fits
# its grammar stays above the mean in all but a few per cent of cases; other speech falls below it in most.
_MEAN_FIT: Final = -4.5
_WORST_WORD_FIT: Final = -8.5

_NEAR: Final = 72.0
"""RapidFuzz ratio (0 to 100) from which free words are taken to be an expected phrase, misheard."""


class PhraseDecoder:
    """Turns PCM16 mono at 24,000 Hz into text. Not for use by two threads at once."""

    def __init__(self) -> None:
        import pocketsphinx  # type: ignore[import-untyped]

        self._pocketsphinx: Any = pocketsphinx
        self._by_grammar: Any = self._decoder(_GRAMMAR_OPTIONS)
        self._by_language: Any = None
        self._grammars: OrderedDict[tuple[str, ...], str | None] = OrderedDict()
        self._named = 0
        self._known: set[str] = set()
        self._silent: set[str] = set()

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        """Return what was said, written as the matching phrase writes it; "" where nobody spoke."""
        span = speech_span(pcm, SAMPLE_RATE)
        if span is None:
            return ""
        sound = _prepared(pcm, span)
        patterns = [parse(phrase) for phrase in phrases]
        guess: list[str] = []
        grammar = self._grammar(tuple(phrases), patterns)
        if grammar is not None:
            self._by_grammar.activate_search(grammar)
            guess, fits = _decode(self._by_grammar, sound)
            said = _first_match(patterns, guess)
            if said is not None and fits:
                return said
        free, _ = _decode(self._language(), sound)
        return _first_match(patterns, free) or _nearest(patterns, [free, guess]) or " ".join(free).capitalize()

    def prepare(self, phrases: Sequence[str]) -> None:
        """Build the grammar of `phrases` now, so that the first utterance needn't wait for it."""
        self._grammar(tuple(phrases), [parse(phrase) for phrase in phrases])

    def _decoder(self, options: dict[str, Any]) -> Any:
        return self._pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", **options)

    def _language(self) -> Any:
        if self._by_language is None:
            self._by_language = self._decoder({})
        return self._by_language

    def _grammar(self, key: tuple[str, ...], patterns: Sequence[Pattern]) -> str | None:
        """Return the name of the search for `patterns`, or None where they have no word that can be heard."""
        if key in self._grammars:
            self._grammars.move_to_end(key)
            return self._grammars[key]
        while len(self._grammars) >= _GRAMMARS_KEPT:
            _, oldest = self._grammars.popitem(last=False)
            if oldest is not None:
                self._by_grammar.remove_search(oldest)
        self._grammars[key] = self._add_grammar(build(patterns))
        return self._grammars[key]

    def _add_grammar(self, grammar: Grammar) -> str | None:
        self._pronounce(grammar.words())
        arcs = [arc for arc in grammar.arcs if arc[2] not in self._silent]
        if not _reaches(arcs, grammar.start, grammar.final):
            return None
        choices = Counter(start for start, _, _ in arcs)
        # A choice among many is a little less likely than one among few; which phrase is said is anyone's guess.
        weights = {state: 1.0 if state == grammar.start else count**-0.5 for state, count in choices.items()}
        transitions = [
            (start, end, weights[start]) if word is None else (start, end, weights[start], word)
            for start, end, word in arcs
        ]
        self._named += 1
        name = f"phrases-{self._named}"
        model = self._by_grammar.create_fsg(name, grammar.start, grammar.final, transitions)
        self._by_grammar.add_fsg(name, model)
        return name

    def _pronounce(self, vocabulary: Iterable[str]) -> None:
        """Teach the decoder the words that it lacks, and espeak-ng's way of saying those that it has."""
        for word in sorted(set(vocabulary) - self._known - self._silent):
            known = self._pronunciations(word)
            try:
                phones = arpabet(word)
            except EspeakError:
                phones = ""
            if phones and phones not in known:
                self._by_grammar.add_word(f"{word}({len(known) + 1})" if known else word, phones, False)
            (self._known if known or phones else self._silent).add(word)

    def _pronunciations(self, word: str) -> list[str]:
        found: list[str] = []
        phones = self._by_grammar.lookup_word(word)
        while phones is not None:
            found.append(phones)
            phones = self._by_grammar.lookup_word(f"{word}({len(found) + 1})")
        return found


def _prepared(pcm: bytes, span: tuple[int, int]) -> bytes:
    """Return the speech alone, at the model's rate, with short quiet margins and no digital silence."""
    margin = _MARGIN_MS * SAMPLE_RATE // 1000
    begin, end = span[0], min(span[1], span[0] + MAX_SPEECH_MS * SAMPLE_RATE // 1000)
    before, after = max(0, begin - margin), min(len(pcm) // 2, end + margin)
    padding = (b"\0\0" * (margin - begin + before), b"\0\0" * (margin - after + end))
    speech = resample(padding[0] + pcm[2 * before : 2 * after] + padding[1], SAMPLE_RATE, RATE)
    samples = np.frombuffer(speech, "<i2").astype(np.float64)
    # The same noise every time: the same sound gives the same words.
    samples += np.random.default_rng(0).standard_normal(len(samples)) * _DITHER
    return np.clip(samples.round(), -32_768, 32_767).astype("<i2").tobytes()


def _decode(decoder: Any, sound: bytes) -> tuple[list[str], bool]:
    """Return the words heard, and whether they fit the sound."""
    decoder.start_utt()
    decoder.process_raw(sound, full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    if hypothesis is None or not hypothesis.hypstr:
        return [], False
    fits: list[tuple[float, int]] = [
        (math.log(max(segment.ascore, 1e-300)), segment.end_frame - segment.start_frame + 1)
        for segment in decoder.seg()
        if segment.word[0] not in "<[("
    ]
    mean = sum(score for score, _ in fits) / max(1, sum(frames for _, frames in fits))
    worst = min((score / frames for score, frames in fits), default=-math.inf)
    return hypothesis.hypstr.split(), mean >= _MEAN_FIT and worst >= _WORST_WORD_FIT


def _first_match(patterns: Iterable[Pattern], spoken: Sequence[str]) -> str | None:
    if not spoken:
        return None
    return next((said for pattern in patterns if (said := pattern.match(spoken)) is not None), None)


def _nearest(patterns: Sequence[Pattern], heard: Iterable[Sequence[str]]) -> str | None:
    """Return the phrase without gaps that comes nearest to what was heard, if any is near."""
    fixed = {
        " ".join(words(" ".join(token.text for token in variant)))
        for pattern in patterns
        for variant in pattern.variants
        if not any(isinstance(token.symbol, Rule) for token in variant)
    }
    best: tuple[float, str] | None = None
    for spoken in heard:
        found = process.extractOne(" ".join(spoken), fixed, scorer=fuzz.ratio, score_cutoff=_NEAR)
        if found is not None and (best is None or found[1] > best[0]):
            best = (found[1], found[0])
    return _first_match(patterns, words(best[1])) if best is not None else None


def _reaches(arcs: Iterable[tuple[int, int, str | None]], start: int, final: int) -> bool:
    follows: dict[int, list[int]] = {}
    for source, target, _ in arcs:
        follows.setdefault(source, []).append(target)
    seen, pending = {start}, [start]
    while pending:
        for target in follows.get(pending.pop(), ()):
            if target not in seen:
                seen.add(target)
                pending.append(target)
    return final in seen
