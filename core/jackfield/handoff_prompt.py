"""Words for the instructions of agents that hand over to one another."""

from __future__ import annotations

__all__ = ["RECOMMENDED_PROMPT_PREFIX", "prompt_with_handoff_instructions"]

RECOMMENDED_PROMPT_PREFIX = (
    "# How you work together\n"
    "You are one of several agents who share a conversation with one user. Each agent has instructions and tools of its"
    " own. A tool whose name begins with `transfer_to_` gives the conversation to another agent: call it when that"
    " agent is the right one for what the user wants. Say nothing about it: for the user it is one conversation.\n"
)
"""Tells a model what handoffs are. Put it before an agent's own instructions."""


def prompt_with_handoff_instructions(prompt: str) -> str:
    """Return an agent's instructions with the words about handoffs before them."""
    return f"{RECOMMENDED_PROMPT_PREFIX}\n{prompt}"
