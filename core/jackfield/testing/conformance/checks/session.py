"""A session over the transport: the agent, its tools, handoffs and guardrails know nothing of what carries them."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import GuardrailFunctionOutput, RealtimeAgent, RealtimeSession, function_tool, output_guardrail
from jackfield.testing.conformance.check import area
from jackfield.testing.conformance.far_end import answering
from jackfield.testing.conformance.subject import Subject

from .watching import everything, in_time, up_to

__all__ = ["TestSession"]


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


SUNNY = "It is sunny."


@area("session")
class TestSession:
    async def test_an_agent_calls_its_tool_and_answers(self, subject: Subject) -> None:
        agent = RealtimeAgent("Greeter", instructions="Greet the user.", tools=[get_weather])
        async with (
            subject.far_end(answering(("call_1", "get_weather", '{"city": "Paris"}'), text=SUNNY)) as far_end,
            self.session(subject, far_end, agent) as session,
        ):
            far = await far_end.connection()
            assert far.instructions[0].endswith("Greet the user.")
            assert list(far.tools) == ["get_weather"]
            await session.send_message("What is the weather in Paris?")
            seen = await up_to(session, "tool_end")
            assert seen[-1].output == "Sunny in Paris"
            await far.until(lambda: far.outputs, "the tool's output")
            assert dict(far.outputs) == {"call_1": "Sunny in Paris"}
            await up_to(session, "agent_end")
            await far.until(lambda: far.requests == 2, "the request for the answer")

    async def test_an_agent_hands_over(self, subject: Subject) -> None:
        billing = RealtimeAgent("Billing", instructions="You are the billing desk.")
        agent = RealtimeAgent("Reception", instructions="You are the reception.", handoffs=[billing])
        if not subject.capabilities.session_update:
            pytest.skip("it can't change a session")
        async with (
            subject.far_end(answering(("call_1", "transfer_to_billing", "{}"), text=SUNNY)) as far_end,
            self.session(subject, far_end, agent) as session,
        ):
            far = await far_end.connection()
            await session.send_message("I have a question about my bill.")
            handoff = (await up_to(session, "handoff"))[-1]
            assert (handoff.from_agent.name, handoff.to_agent.name) == ("Reception", "Billing")
            await far.until(lambda: len(far.instructions) == 2, "the other agent's instructions")
            assert far.instructions[-1].endswith("You are the billing desk.")
            await far.until(lambda: far.requests == 2, "the other agent's turn")
            assert session.current_agent.name == "Billing"

    async def test_a_guardrail_stops_an_answer(self, subject: Subject) -> None:
        @output_guardrail
        def no_sun(_: Any, __: Any, output: str) -> GuardrailFunctionOutput:
            return GuardrailFunctionOutput(output_info=None, tripwire_triggered="sunny" in output)

        agent = RealtimeAgent("Greeter", output_guardrails=[no_sun])
        async with subject.far_end(answering(text=SUNNY)) as far_end, self.session(subject, far_end, agent) as session:
            await session.send_message("What is the weather in Paris?")
            await up_to(session, "guardrail_tripped")
            assert session.status == "connected"

    async def test_the_history_has_both_sides(self, subject: Subject) -> None:
        async with (
            subject.far_end(answering(text=SUNNY)) as far_end,
            self.session(subject, far_end, RealtimeAgent("Greeter")) as session,
        ):
            await session.send_message("Hello?")
            await up_to(session, "agent_end")
            said = [item for item in session.history if getattr(item, "role", "") == "assistant"]
            assert len(said) == 1

    async def test_it_ends_with_its_transport(self, subject: Subject) -> None:
        async with subject.far_end() as far_end, self.session(subject, far_end, RealtimeAgent("Greeter")) as session:
            await (await far_end.connection()).close(1000, "bye")
            told = await in_time("the session to end", everything(session))
            assert "connection_change" in [event.type for event in told]

    def session(self, subject: Subject, far_end: Any, agent: RealtimeAgent) -> RealtimeSession:
        return RealtimeSession(agent, transport=subject.make(far_end), **subject.where(far_end))
