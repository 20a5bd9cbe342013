"""A small script for what no tool answers: greetings, thanks, stories, and the history of the telephone.

Answers depend on nothing but the conversation. The long ones last 15 to 20 seconds, so that they can be interrupted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from attrs import frozen
from rapidfuzz import fuzz

from jackfield_local.responders.persona import Persona
from jackfield_local.responders.sentences import join
from jackfield_local.speech.patterns import parse
from jackfield_local.speech.slots import Rule
from jackfield_local.speech.spoken import number_words, parse_number, words

__all__ = ["CANCELLATIONS", "NOT_HEARD", "Situation", "answer", "is_cancellation", "phrases"]

NOT_HEARD: Final = "Sorry, I did not catch that. Could you say it again?"

_TELEPHONE: Final = (
    "The telephone was born in eighteen seventy six, when Alexander Graham Bell asked for a patent, only hours before "
    "Elisha Gray came with the same idea. At first, every call went through an operator, who put a plug into a jack "
    "by hand. Then came automatic switches, cables under the oceans, and at last no wire at all."
)
_STORY: Final = (
    "Once upon a time there was a lighthouse that nobody had visited for a hundred years. Every evening it lit its "
    "lamp all the same. One winter night a boat was lost in the fog, and its captain saw a single patient light. He "
    "never learned who kept it, but every ship that passes there still sounds its horn, twice."
)
_JOKE: Final = "Why did the telephone wear glasses? Because it had lost all its contacts."
_MOST_COUNTED: Final = 30
_SURE: Final = 84.0

CANCELLATIONS: Final = ("Never mind", "Forget it", "Cancel that", "Stop", "Stop please", "Please stop")


@frozen
class Situation:
    """What an answer may depend on."""

    persona: Persona
    offer: str | None
    """What the tools make possible, in words."""
    previous: str
    """What the assistant said last."""


@frozen
class _Entry:
    phrases: tuple[str, ...]
    reply: Callable[[Situation, str], str]


def _always(text: str) -> Callable[[Situation, str], str]:
    return lambda _situation, _said: text


def _introduce(situation: Situation, _said: str) -> str:
    name = situation.persona.name
    return f"I am {name}, your voice assistant." if name else "I am your voice assistant."


def _offer(situation: Situation, _said: str) -> str:
    offer = situation.offer or situation.persona.role
    return f"I can help you with {offer}." if offer else "I can talk with you, tell you a story, or count for you."


def _greet(situation: Situation, _said: str) -> str:
    return "Hello! How can I help you?" if situation.previous else situation.persona.greeting(offer=situation.offer)


def _repeat(situation: Situation, _said: str) -> str:
    return situation.previous or "I have not said anything yet."


def _count(_situation: Situation, said: str) -> str:
    spoken = words(said)
    target = 10
    for start in range(len(spoken)):
        for end in range(len(spoken), start, -1):
            value = parse_number(spoken[start:end])
            if value:
                target = min(value, _MOST_COUNTED)
                break
        else:
            continue
        break
    return ", ".join(" ".join(number_words(value)) for value in range(1, target + 1)).capitalize() + "."


_ENTRIES: Final = (
    _Entry(
        ("Hello[ there]", "Hi[ there]", "Hey", "Good morning", "Good afternoon", "Good evening", "Is anybody there?"),
        _greet,
    ),
    _Entry(("How are you[ today]?", "How are you doing?"), _always("I am very well, thank you. How can I help you?")),
    _Entry(
        ("Thank you[ very much]", "Thanks[ a lot]", "That is all[, thank you]", "No, thank you", "No, that is all"),
        _always("You are welcome."),
    ),
    _Entry(
        ("[Thank you,] goodbye", "[Thank you,] bye[ bye]", "[Thank you and] goodbye", "See you[ later]"),
        _always("Goodbye! Have a nice day."),
    ),
    _Entry((*CANCELLATIONS, "Wait", "Wait a moment", "Hold on", "Be quiet"), _always("Okay.")),
    _Entry(("Yes[ please]", "Okay", "All right", "No"), _always("All right. What else can I do for you?")),
    _Entry(("Who are you?", "What is your name?", "What's your name?"), _introduce),
    _Entry(("What can you do[ for me]?", "Can you help me?", "How can you help me?", "Help"), _offer),
    _Entry(
        ("[Can you|Could you] say that again[ please]?", "[Can you|Could you] repeat that[ please]?", "Pardon?"),
        _repeat,
    ),
    _Entry(
        ("[Please ]tell me a [long ]story[ please]", "[Please ]tell me about the lighthouse"),
        _always(_STORY),
    ),
    _Entry(("[Please ]tell me a joke[ please]", "Do you know a joke?"), _always(_JOKE)),
    _Entry(
        (
            "[Please ]tell me [more ]about the history of the telephone",
            "[Please ]tell me the history of the telephone",
            "Who invented the telephone?",
        ),
        _always(_TELEPHONE),
    ),
    _Entry(("[Please ]count to {count}[ please]", "Can you count to {count}?"), _count),
)


def phrases() -> list[str]:
    """Return the utterances that are answered here, in the notation of `speech.patterns`."""
    return [phrase for entry in _ENTRIES for phrase in entry.phrases]


def answer(text: str, situation: Situation) -> str | None:
    """Return the answer to `text`, or None where it is not in the script."""
    entry = _entry(text)
    if entry is not None:
        return entry.reply(situation, text)
    spoken = words(text)
    for verb in (("repeat", "after", "me"), ("say",)):
        if spoken[: len(verb)] == list(verb) and len(spoken) > len(verb):
            rest = text.split(None, len(verb))[-1].strip(" :,\"'")
            return rest[:1].upper() + rest[1:]
    return None


def knows(text: str) -> bool:
    """Tell whether `text` is one of `phrases`, or nearly."""
    return _entry(text) is not None


def fallback(text: str, situation: Situation) -> str:
    """Return the answer to what nobody understands: what was heard, and what can be asked instead."""
    heard = text.strip().rstrip(".!?")
    offers = [situation.offer] if situation.offer else ["a story", "a joke"]
    return f"You said: {heard}. I am a simple assistant, but I can help you with {join(offers, 'or')}."


def is_cancellation(text: str) -> bool:
    """Tell whether `text` takes a request back."""
    said = " ".join(words(text))
    return any(said == " ".join(words(phrase)) for phrase in CANCELLATIONS)


def _entry(text: str) -> _Entry | None:
    """Return the entry with the phrase that `text` is most like, if it is like one."""
    spoken = words(text)
    said = " ".join(spoken)
    best: tuple[float, _Entry] | None = None
    for entry in _ENTRIES:
        for phrase in entry.phrases:
            likeness = _likeness(phrase, spoken, said)
            if likeness >= _SURE and (best is None or likeness > best[0]):
                best = (likeness, entry)
    return best[1] if best is not None else None


def _likeness(phrase: str, spoken: Sequence[str], said: str) -> float:
    best = 0.0
    for variant in parse(phrase).variants:
        if any(isinstance(token.symbol, Rule) for token in variant):
            continue
        best = max(best, fuzz.ratio(" ".join(words(" ".join(token.text for token in variant))), said))
    return 100.0 if parse(phrase).match(spoken) is not None else best
