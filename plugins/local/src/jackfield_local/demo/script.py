"""The conversation: who the agents are, what the caller says and when, and what is to come of it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from jackfield import RealtimeAgent, function_tool

__all__ = ["AGENT_VOICE", "CALLER_VOICE", "CONVERSATION", "Line", "make_agents"]

CALLER_VOICE = "verse"
AGENT_VOICE = "marin"


@frozen(kw_only=True)
class Line:
    """One line of the caller.

    It is said once he has heard the agent out and a pause of `pause_ms` has passed, or, with `cuts_in_after_ms`, when
    he has heard that much of the answer. The rest is what is expected of the far end: a tool that is called with some
    arguments, an agent that takes over, words of the answer.
    """

    text: str = field(kw_only=False)
    pause_ms: float = 700.0
    cuts_in_after_ms: float | None = None
    tool: str | None = None
    arguments: Mapping[str, str] = field(factory=dict)
    hands_over_to: str | None = None
    answer_has: str = ""


CONVERSATION = (
    Line("Hello.", pause_ms=500.0),
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
    Line("Thank you, goodbye."),
)


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


def make_agents() -> RealtimeAgent:
    """Return the agent that starts, who can hand over to another one."""
    billing = RealtimeAgent(
        name="Billing",
        instructions="You are the billing desk. Greet the caller and help with bills and refunds.",
        handoff_description="Answers questions about bills, invoices and refunds.",
    )
    return RealtimeAgent(
        name="Reception",
        instructions="You are the reception of a hotel. Greet the caller, and answer in a sentence or two.",
        tools=[get_weather, opening_hours],
        handoffs=[billing],
        voice=AGENT_VOICE,
    )
