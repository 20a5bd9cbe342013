"""OpenAI's own Agents SDK over WebRTC: its agents, tools, handoffs and session, and one argument that is jackfield's.

    python docs/examples/agents_sdk.py webrtc      # or websocket

It needs `jackfield-openai-agents`, and talks to OPENAI_BASE_URL with OPENAI_API_KEY; `jackfield serve` prints both for
the local server.
"""

import asyncio
import sys

from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner, RealtimeSession

from jackfield_openai_agents import TransportModel


@function_tool
def get_balance(month: str) -> str:
    """Balance of the bill of a month."""
    return f"The bill of {month} is 42 euros"


billing = RealtimeAgent(
    name="Billing",
    instructions="You answer questions about bills.",
    handoff_description="Bills and payments.",
    tools=[get_balance],
)
front = RealtimeAgent(name="Front desk", instructions="You find out what it is about.", handoffs=[billing])


async def ask(session: RealtimeSession, question: str) -> None:
    print(f"> {question}")
    await session.send_message(question)
    heard = 0
    async for event in session:
        if event.type == "handoff":
            print(f"  {event.from_agent.name} -> {event.to_agent.name}")
        elif event.type == "tool_end":
            print(f"  {event.tool.name}({event.arguments}): {event.output}")
        elif event.type == "audio":
            heard += len(event.audio.data)
        elif event.type == "raw_model_event" and event.data.type == "transcript_delta":
            print(event.data.delta, end="", flush=True)
        elif event.type == "audio_end":  # over WebRTC: it was heard out, and not merely generated
            print(f" ({heard / 48_000:.1f} s of speech)")
            return
        elif event.type == "error":
            raise SystemExit(f"an error was told: {event.error}")


async def main(transport: str) -> None:
    runner = RealtimeRunner(front, model=TransportModel(transport))
    async with await runner.run() as session:
        await ask(session, "Please connect me to billing")
        await ask(session, "What is the balance of May?")


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "webrtc"))
