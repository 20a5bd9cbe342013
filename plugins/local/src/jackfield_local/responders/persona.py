"""What an agent's instructions do to its manner of speaking: a greeting, a name, a pirate's accent.

A rule can't follow instructions; it shows that it has read them, so that two agents are told apart.
"""

from __future__ import annotations

import re
from typing import Final

from attrs import frozen

__all__ = ["Persona"]

_NAME: Final = re.compile(r"\b(?i:you are|you're|your name is|named|called) (?!an?\b|the\b|here\b)([A-Z][\w-]*)")
_ROLE: Final = re.compile(
    r"\b(?:help(?:s|ing)?(?: (?:the )?(?:user|users|customer|customers|caller|callers|people|them))? with"
    r"|handles?|handling|responsible for|in charge of|specialist (?:in|for)|expert (?:in|on)|deals? with"
    r"|(?:answers?|answering) questions (?:about|on)|take care of)\s+([^.;:\n]+)",
    re.IGNORECASE,
)
_GREETING: Final = re.compile(
    r"\b(?:greet|welcome|open|begin|start|say|answer)\b[^.\n\"“]{0,60}[\"“]([^\"”\n]{1,200})[\"”]", re.IGNORECASE
)
_EVERY: Final = re.compile(
    r"\b(begin|start|end|finish)\b[^.\n\"“]{0,20}\b(?:every|each|all)\b[^.\n\"“]{0,40}[\"“]([^\"”\n]{1,80})[\"”]",
    re.IGNORECASE,
)
_GREETS: Final = re.compile(r"\b(?:greet|welcome|say hello)", re.IGNORECASE)
_LONGEST_ROLE: Final = 90


@frozen
class Persona:
    """The manner that a session's or response's `instructions` ask for."""

    instructions: str

    @property
    def name(self) -> str | None:
        """The name that the instructions give, if any."""
        found = _NAME.search(self.instructions)
        return found.group(1) if found else None

    @property
    def role(self) -> str | None:
        """What the instructions say that the agent helps with, if anything."""
        found = _ROLE.search(self.instructions)
        role = found.group(1).strip().rstrip(",") if found else ""
        return role if 0 < len(role) <= _LONGEST_ROLE else None

    @property
    def greets(self) -> bool:
        """Whether the instructions ask for a greeting."""
        return bool(_GREETS.search(self.instructions))

    def greeting(self, *, name: str | None = None, offer: str | None = None) -> str:
        """Return a first line: the one in quotes after "greet", or one made of `name` and what the agent helps with.

        `name` is used where the instructions give none, `offer` where they name no role.
        """
        quoted = None if _EVERY.search(self.instructions) else _GREETING.search(self.instructions)
        if quoted:
            return self.manner(quoted.group(1).strip())
        called = self.name or name
        role = self.role or offer
        hello = f"Hello, this is {called}." if called else "Hello!"
        return self.manner(f"{hello} I can help you with {role}." if role else f"{hello} How can I help you?")

    def manner(self, text: str) -> str:
        """Return `text` as this persona says it."""
        for found in _EVERY.finditer(self.instructions):
            where, phrase = found.group(1).lower(), found.group(2).strip()
            text = f"{phrase} {text}" if where in ("begin", "start") else f"{text} {phrase}"
        if re.search(r"\bpirate\b", self.instructions, re.IGNORECASE):
            text = f"Arr! {text.rstrip('.!')}, matey!" if not text.endswith("?") else f"Arr! {text[:-1]}, matey?"
        return text
