"""Which tool does an utterance ask for? Words in common with the tool's name, description and parameters, weighed.

Scores only; what is passed to the tool is `arguments`.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from rapidfuzz import fuzz

from jackfield_local.responders.thesaurus import EMPTY, GENERIC, content_words, stem
from jackfield_local.responders.toolbox import Tool, name_words
from jackfield_local.speech.spoken import words

ENOUGH = 2.0
"""The score from which an utterance is a request for a tool."""

_NAME = 3.0
_GENERIC_NAME = 0.5
_VALUE = 2.0
_DESCRIPTION = 1.0
_HANDOFF_DESCRIPTION = 2.0
_PARAMETER = 1.0
_MOST_DESCRIPTION = 2.0
_ALIKE = 86.0
"""RapidFuzz ratio (0 to 100) from which two longer words are one, mistyped or misheard."""

_HANDOFF_VERBS = frozenset({"transfer", "talk", "speak", "connect", "put", "switch"})


@frozen
class Match:
    """A tool and how well an utterance fits it."""

    tool: Tool
    score: float


def best_match(text: str, tools: Sequence[Tool]) -> Match | None:
    """Return the tool that `text` asks for, the first of equals, or None where it asks for none."""
    ranked = rank(text, tools)
    return ranked[0] if ranked and ranked[0].score >= ENOUGH else None


def rank(text: str, tools: Sequence[Tool]) -> list[Match]:
    """Return every tool with its score, best first; equals keep their order."""
    said = words(text)
    return sorted((Match(tool, _score(said, tool)) for tool in tools), key=lambda match: -match.score)


def says(said: Sequence[str], wanted: str) -> bool:
    """Tell whether one of the words `said` stands for `wanted`: the same, of its family, or nearly the same."""
    target = stem(wanted)
    for word in said:
        if stem(word) == target:
            return True
        if len(word) >= 5 and len(wanted) >= 5 and fuzz.ratio(word, wanted) >= _ALIKE:
            return True
    return False


def handoff_topics(tool: Tool) -> list[str]:
    """Return the words that stand for the agent behind a handoff tool: its name's, then its description's."""
    named = tool.subject
    told = [word for word in content_words(tool.description) if word not in GENERIC and word not in named]
    return list(dict.fromkeys([*named, *told]))


def _score(said: Sequence[str], tool: Tool) -> float:
    meant = [word for word in said if word not in EMPTY]
    if tool.is_handoff:
        return _handoff_score(said, meant, tool)
    # A word counts once: in the place where it weighs most.
    counted: set[str] = set()
    score = 0.0
    for word in tool.subject:
        if stem(word) not in counted and says(meant, word):
            counted.add(stem(word))
            score += _NAME
    for word in tool.words:
        if word in GENERIC and all(part in said for part in word.split()):
            score += _GENERIC_NAME
    heard = " ".join(said)
    for parameter in tool.parameters:
        for choice in parameter.choices:
            value = " ".join(words(str(choice)))
            if value and f" {value} " in f" {heard} ":
                score += _VALUE
        for word in name_words(parameter.name):
            if word not in EMPTY and stem(word) not in counted and says(meant, word):
                counted.add(stem(word))
                score += _PARAMETER
    told = 0.0
    for word in content_words(tool.description):
        if stem(word) not in counted and word not in GENERIC and says(meant, word):
            counted.add(stem(word))
            told += _DESCRIPTION
    return score + min(told, _MOST_DESCRIPTION)


def _handoff_score(said: Sequence[str], meant: Sequence[str], tool: Tool) -> float:
    counted: set[str] = set()
    score = 0.0
    for word in handoff_topics(tool):
        if stem(word) not in counted and says(meant, word):
            counted.add(stem(word))
            score += _NAME if word in tool.subject else _HANDOFF_DESCRIPTION
    if score and any(word in _HANDOFF_VERBS for word in said):
        score += _VALUE
    return score
