"""Which tool an utterance means: the words of its name and description, against the words that were said."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from attrs import define
from rapidfuzz import fuzz

from jackfield_local.speech.patterns import escape
from jackfield_local.speech.spoken import words

from .arguments import Parameter, parameters_of

__all__ = ["Intent", "best_intent", "intents_of"]

_TRANSFER = "transfer_to_"
# fmt: off
_VERBS = frozenset({
    "get", "fetch", "look", "lookup", "up", "check", "find", "search", "show", "tell", "set", "make", "do", "call",
    "create", "update", "read", "list", "send", "query", "retrieve",
})
_COMMON = frozenset({
    "a", "an", "the", "of", "in", "on", "at", "for", "to", "is", "are", "was", "be", "and", "or", "with", "by", "from",
    "your", "my", "me", "i", "you", "it", "its", "that", "this", "what", "what's", "when", "where", "which", "who",
    "how", "will", "would", "can", "could", "do", "does", "have", "has", "like", "please", "about", "s", "there", "as",
    "handoff", "agent", "handle", "request", "answers", "questions", "question", "returns", "return", "given", "today",
    "name", "some", "any", "i'd", "want", "need", "tell", "get", "give",
})
# fmt: on
_ENOUGH = 2.0


def _stem(word: str) -> str:
    for ending in ("ies", "es", "s", "ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)] + ("y" if ending == "ies" else "")
    return word


@define
class Intent:
    """A tool as something that can be asked for."""

    tool: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self.tool.get("name") or "")

    @property
    def is_handoff(self) -> bool:
        """Whether it hands over to another agent."""
        return self.name.startswith(_TRANSFER)

    @cached_property
    def topic(self) -> list[str]:
        """The words of its name, without the verb that begins it: "opening hours", "weather"."""
        parts = re.split(r"[_\W]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.name.removeprefix(_TRANSFER)).lower())
        parts = [word for part in parts if part for word in words(part)]
        while len(parts) > 1 and parts[0] in _VERBS:
            parts = parts[1:]
        return parts

    @cached_property
    def keywords(self) -> list[str]:
        """The words of its description that say something."""
        described = words(str(self.tool.get("description") or ""))
        return [word for word in dict.fromkeys(described) if word not in _COMMON and len(word) > 2]

    @cached_property
    def parameters(self) -> list[Parameter]:
        """Its parameters."""
        return parameters_of(self.tool)

    def score(self, spoken: Sequence[str]) -> float:
        """Return how well it fits: 2 for each word of its name that was said, 1 for each of its description."""
        said = {_stem(word) for word in spoken if word not in _COMMON}
        topic = {_stem(word) for word in self.topic if word not in _COMMON or len(self.topic) == 1}
        described = {_stem(word) for word in self.keywords} - topic
        score = 2.0 * sum(_said(word, said) for word in topic) + sum(_said(word, said) for word in described)
        if self.is_handoff and described and any(_said(word, said) for word in described):
            score += 1.0  # a handoff is described by what it is for, not by what is said to get it
        if any(str(choice).lower() in spoken for parameter in self.parameters for choice in parameter.choices):
            score += 1.0
        return score

    def phrases(self) -> list[str]:
        """Return ways to ask for it, as phrases of a grammar."""
        topic = escape(" ".join(self.topic))
        if self.is_handoff:
            found = [f"[Please ]transfer me to {topic}[ please]", f"Can I speak to {topic}[ please]?"]
            found += [f"I want to talk to {topic}", f"I'd like to talk to {topic}"]
            for word in self.keywords:
                for form in dict.fromkeys((word, _stem(word))):
                    found += [f"I have a question about my {form}", f"I have a question about {form}"]
                    found += [f"I have a problem with my {form}", f"I want a {form}", f"I need help with my {form}"]
            return found
        gaps = "".join(f"[ {parameter.asked()}]" for parameter in self.parameters[:3])
        found = [
            f"What is the {topic}[ like]{gaps}?",
            f"What are the {topic}{gaps}?",
            f"What's the {topic}{gaps}?",
            f"How is the {topic}{gaps}?",
            f"Where is my {topic}{gaps}?",
            f"Tell me the {topic}{gaps}[ please]",
            f"{topic}{gaps}[ please]",
        ]
        if self.parameters:  # "the weather in Rome and in Berlin"
            first = self.parameters[0]
            found.append(f"What is the {topic} {first.asked()} and {first.asked()}?")
        if self.verb:
            asked = f"{self.verb}[ the] {topic}{gaps}", f"{self.verb} a {topic}{gaps}", f"{self.verb} my {topic}{gaps}"
            found += [f"{phrase}[ please]" for phrase in asked]
            found += [f"{polite} {phrase}" for polite in ("Can you", "I'd like to") for phrase in asked[:2]]
        return found

    @cached_property
    def verb(self) -> str:
        """The verb that begins its name, as it is said: "look up", "book"."""
        parts = [word for part in self.name.split("_") for word in words(part)]
        if len(parts) <= len(self.topic):
            return parts[0] if len(parts) > 1 and parts == self.topic else ""
        return " ".join(parts[: len(parts) - len(self.topic)]).replace("lookup", "look up")


def intents_of(tools: Sequence[Mapping[str, Any]]) -> list[Intent]:
    """Return the function tools among `tools`."""
    return [Intent(tool) for tool in tools if tool.get("type", "function") == "function" and tool.get("name")]


def best_intent(intents: Sequence[Intent], text: str, *, at_any_rate: bool = False) -> Intent | None:
    """Return the tool that `text` means; None where none fits well enough, unless one must be chosen `at_any_rate`."""
    spoken = words(text)
    ranked = sorted(intents, key=lambda intent: (-intent.score(spoken), intents.index(intent)))
    if not ranked:
        return None
    best = ranked[0]
    return best if at_any_rate or best.score(spoken) >= _ENOUGH else None


def _said(word: str, said: set[str]) -> bool:
    return word in said or any(len(word) > 4 and fuzz.ratio(word, other) >= 88 for other in said)
