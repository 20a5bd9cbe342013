"""The conversation: who the agents are, what the caller says and when, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from jackfield import FunctionTool, RealtimeAgent, function_tool

__all__ = [
    "AGENT_VOICE",
    "CALLER_VOICE",
    "CONVERSATION",
    "DESK",
    "DESK_LINE",
    "DESK_VOICE",
    "PHONE_CALL",
    "PHONE_SETTINGS",
    "SETTINGS",
    "Line",
    "make_agents",
]

CALLER_VOICE = "verse"
AGENT_VOICE = "marin"
DESK_VOICE = "ash"

PHONE_SETTINGS: Mapping[str, Any] = {
    "audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": True}}},
}
"""The model settings of the session, as far as a phone call is accepted with them."""
SETTINGS: Mapping[str, Any] = {
    "audio": {
        "input": {
            "turn_detection": {"type": "server_vad", "silence_duration_ms": 500, "interrupt_response": True},
        },
    },
}
"""The model settings of the session."""


@frozen(kw_only=True)
class Line:
    """One line of the caller.

    It is said once he has heard the agent out and a pause of `pause_ms` has passed, or, with `cuts_in_after_ms`, when
    he has heard that much of the answer. The rest is what is expected of the far end: a tool that is called with some
    arguments, an agent that takes over, words of the answer, somebody to whom the call is put through.
    """

    text: str = field(kw_only=False)
    pause_ms: float = 700.0
    cuts_in_after_ms: float | None = None
    tool: str | None = None
    arguments: Mapping[str, str] = field(factory=dict)
    hands_over_to: str | None = None
    answer_has: str = ""
    put_through_to: str | None = None


_TALK = (
    Line(
        "What is the weather in Paris?",
        tool="get_weather",
        arguments={"city": "Paris"},
        answer_has="sunny",
    ),
    Line(
        "What are the opening hours of the museum?",
        tool="opening_hours",
        arguments={"place": "museum"},
        answer_has="nine",
    ),
    Line("Tell me about the history of the telephone."),
    Line("Stop, please.", cuts_in_after_ms=4500.0),
    Line("I have a question about my bill.", hands_over_to="Billing"),
)
CONVERSATION = (Line("Hello.", pause_ms=500.0), *_TALK, Line("Thank you, goodbye."))

DESK = "Front desk"
DESK_LINE = "Good evening, this is Ada at the front desk, and I am a human being. What can I do for you?"
"""What is said by the human being to whom a call is put through."""

PHONE_CALL = (
    *_TALK,
    Line(
        "Let me talk to a human.",
        tool="transfer_to_human",
        answer_has="put you through",
        put_through_to=DESK,
    ),
)
"""The conversation on the phone, where it is the agent who begins."""


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city, today.

    Args:
        city: Name of the city.

    """
    return f"It is sunny in {city}, with twenty two degrees."


@function_tool
def opening_hours(place: str) -> str:
    """The opening hours of a place in town.

    Args:
        place: The place, such as museum, library or pool.

    """
    return f"The {place} is open from nine to five, every day but Monday."


def make_agents(billing_tools: Sequence[FunctionTool] = ()) -> RealtimeAgent:
    """Return the agent that starts, who can hand over to another one, who has `billing_tools`."""
    billing = RealtimeAgent(
        name="Billing",
        instructions="You are the billing desk. Greet the caller and help with bills and refunds.",
        handoff_description="Answers questions about bills, invoices and refunds.",
        tools=[*billing_tools],
    )
    return RealtimeAgent(
        name="Reception",
        instructions="You are the reception of a hotel. Greet the caller, and answer in a sentence or two.",
        tools=[get_weather, opening_hours],
        handoffs=[billing],
        voice=AGENT_VOICE,
    )
