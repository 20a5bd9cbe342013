"""Tools: sync and async ones, a result with structure, one that takes too long, and one that goes wrong.

python docs/examples/tools.py
"""

import asyncio
import logging

from attrs import frozen

from jackfield import RealtimeAgent, RealtimeSession, RunContextWrapper, function_tool

logging.getLogger("jackfield").setLevel(logging.ERROR)  # this program wants its tools to fail, and knows


@frozen
class Weather:
    city: str
    sky: str
    celsius: int


@function_tool
def get_weather(context: RunContextWrapper[dict[str, str]], city: str) -> Weather:
    """Weather in a city."""
    # A plain function runs on a thread: it may block. The context is yours, and no part of what the model sees.
    return Weather(city, context.context["sky"], 21)


@function_tool(timeout=0.05)
async def get_traffic(city: str) -> str:
    """Traffic in a city."""
    await asyncio.Event().wait()  # whatever it waits for doesn't come
    return "never told"


@function_tool
async def get_tide(harbour: str) -> str:
    """Tide in a harbour."""
    raise RuntimeError("the tide table is not there")


agent = RealtimeAgent(name="Guide", tools=[get_weather, get_traffic, get_tide])


async def ask(session: RealtimeSession, question: str) -> None:
    print(f"> {question}")
    await session.send_message(question)
    async for event in session:
        if event.type == "tool_end":
            print(f"  {event.tool.name}({event.arguments}) -> {event.output}")
        elif event.type == "agent_end" and event.output:
            print(f"  {event.output}")
            return


async def main() -> None:
    async with RealtimeSession(agent, context={"sky": "clear"}) as session:
        await ask(session, "What is the weather in Paris?")
        await ask(session, "What is the traffic in London?")
        await ask(session, "What is the tide in Dover?")
        calls = [item for item in session.history if item.type == "function_call"]
        print(f"{len(calls)} calls, {sum(item.output is not None for item in calls)} answered")


asyncio.run(main())
