"""Handoffs: a front desk gives the conversation to a specialist, with a reason, and gets it back.

python docs/examples/handoffs.py
"""

import asyncio

from pydantic import BaseModel

from jackfield import (
    HandoffInputData,
    RealtimeAgent,
    RealtimeItem,
    RealtimeSession,
    RunContextWrapper,
    function_tool,
    prompt_with_handoff_instructions,
    realtime_handoff,
)


@function_tool
def get_balance(month: str) -> str:
    """Balance of the bill of a month."""
    return f"The bill of {month} is 42 euros"


class Reason(BaseModel):
    reason: str


def note(context: RunContextWrapper[list[str]], given: Reason) -> None:
    context.context.append(given.reason)


def newest_only(data: HandoffInputData) -> list[RealtimeItem]:
    """What the next agent gets to know: the last question, and none of what came before."""
    questions = [item for item in data.history if item.type == "message" and item.role == "user"]
    return questions[-1:]


billing = RealtimeAgent(
    name="Billing",
    instructions=prompt_with_handoff_instructions("You answer questions about bills."),
    handoff_description="Bills and payments.",
    tools=[get_balance],
)
front = RealtimeAgent(
    name="Front desk",
    instructions=prompt_with_handoff_instructions("You find out what it is about."),
    handoffs=[realtime_handoff(billing, on_handoff=note, input_type=Reason, input_filter=newest_only)],
)
billing.handoffs.append(front)  # they know each other in a circle


async def ask(session: RealtimeSession, question: str) -> None:
    print(f"> {question}")
    await session.send_message(question)
    async for event in session:
        if event.type == "handoff":
            print(f"  {event.from_agent.name} -> {event.to_agent.name}")
        elif event.type == "agent_end" and event.output:
            print(f"  {event.agent.name}: {event.output}")
            return


async def main() -> None:
    reasons: list[str] = []
    async with RealtimeSession(front, context=reasons) as session:
        await ask(session, "Hello")
        await ask(session, "Please connect me to billing, the reason is a wrong bill")
        await ask(session, "What is the balance of May?")
        await ask(session, "Please connect me to the front desk")
        print(f"reasons: {reasons}; now: {session.current_agent.name}")


asyncio.run(main())
