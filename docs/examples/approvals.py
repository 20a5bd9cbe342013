"""Approvals: a tool that waits for somebody's word, and is told yes, no, or yes from now on.

python docs/examples/approvals.py
"""

import asyncio
from typing import Any

from jackfield import RealtimeAgent, RealtimeSession, RunContextWrapper, function_tool


def is_large(context: RunContextWrapper, arguments: dict[str, Any], call_id: str) -> bool:
    return int(arguments["euros"]) > 20


@function_tool(needs_approval=is_large)
def pay(euros: int) -> str:
    """Pay an amount of euros."""
    return f"Paid {euros} euros"


agent = RealtimeAgent(name="Cashier", tools=[pay])


async def ask(session: RealtimeSession, question: str, *, approve: bool, always: bool = False) -> None:
    print(f"> {question}")
    await session.send_message(question)
    async for event in session:
        if event.type == "tool_approval_required":
            print(f"  {event.tool.name}({event.arguments}) waits: {'yes' if approve else 'no'}")
            if approve:
                await session.approve_tool_call(event.call_id, always=always)
            else:
                await session.reject_tool_call(event.call_id, rejection_message="The boss said no")
        elif event.type == "agent_end" and event.output:
            print(f"  {event.output}")
            return


async def main() -> None:
    async with RealtimeSession(agent) as session:
        await ask(session, "Please pay 5 euros", approve=False)  # nobody is asked
        await ask(session, "Please pay 500 euros", approve=False)
        await ask(session, "Please pay 50 euros", approve=True, always=True)
        await ask(session, "Please pay 100 euros", approve=False)  # nobody is asked any more


asyncio.run(main())
