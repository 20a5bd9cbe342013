"""Hosted MCP: the provider calls a server's tools by itself, as soon as somebody has approved the call.

python docs/examples/hosted_mcp.py
"""

import asyncio

from jackfield import HostedMCPTool, RealtimeAgent, RealtimeSession

clock = HostedMCPTool(
    {
        "server_label": "clock",
        "server_url": "https://clock.example/mcp",  # `jackfield serve` has a clock there; the API wants a real address
        "require_approval": "always",
    }
)
agent = RealtimeAgent(name="Clerk", tools=[clock])


async def list_tools(session: RealtimeSession) -> None:
    async for event in session:
        if event.type == "mcp_tools_changed":
            for tool in event.tools:
                print(f"{tool['server_label']} has {tool['name']}: {tool['description']}")
            return
        if event.type == "mcp_failed":
            raise SystemExit("The server did not list its tools.")


async def ask(session: RealtimeSession, question: str, *, approve: bool) -> None:
    print(f"> {question}")
    await session.send_message(question)
    async for event in session:
        if event.type == "tool_approval_required":
            print(f"  {event.tool_name} of {event.tool.name} waits: {'yes' if approve else 'no'}")
            if approve:
                await session.approve_tool_call(event.call_id)
            else:
                await session.reject_tool_call(event.call_id, rejection_message="Look at your own watch.")
        elif event.type == "mcp_tool_call_completed" and event.item.output is not None:
            print(f"  it says {event.item.output}")
        elif event.type == "agent_end" and event.output:
            print(f"  {event.output}")
            return


async def main() -> None:
    async with RealtimeSession(agent) as session:
        await list_tools(session)
        await ask(session, "What time is it?", approve=True)
        await ask(session, "What time is it?", approve=False)


asyncio.run(main())
