"""An agent that answers the phone, looks things up, transfers, and says goodbye before it hangs up.

    export OPENAI_API_KEY=...  OPENAI_WEBHOOK_SECRET=...    # and OPENAI_BASE_URL where it isn't OpenAI
    python sip_agent.py --port 8080

Point the provider's webhook `realtime.call.incoming` at it, and call (docs/telephony.md says how). Without this file's
last lines, `jackfield serve-calls sip_agent:agent_for` does the same.

Needs `pip install 'jackfield[sip]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket

import uvicorn

from jackfield import RealtimeAgent, RealtimeSession, ToolContext, function_tool
from jackfield_transports.sip import Hangup, IncomingCall, Leash, PhoneCall, Refer, SipCallServer

DESKS = {"sales": "sip:sales@shop.example", "repairs": "sip:repairs@shop.example"}


@function_tool
async def opening_hours(day: str) -> str:
    """Say when the shop is open on a day of the week."""
    return "closed" if day.lower() == "sunday" else "open from nine to six"


@function_tool
async def transfer(context: ToolContext[PhoneCall], desk: str) -> str:
    """Transfer the caller to a desk: sales or repairs."""
    if desk not in DESKS:
        return f"There is no such desk: choose from {', '.join(DESKS)}."
    await context.context.say_then(Refer(DESKS[desk]))
    return "Say in one short sentence that you connect the caller now."


@function_tool
async def end_call(context: ToolContext[PhoneCall]) -> str:
    """End the call, once the caller has nothing more to ask."""
    await context.context.say_then(Hangup())
    return "Say goodbye in one short sentence."


def agent_for(call: IncomingCall) -> RealtimeAgent:
    """Return the agent for a call; here it is the same for all, and for some it could be another."""
    language = call.headers.get("X-Language", "English")
    return RealtimeAgent(
        name="Shop",
        instructions=f"You answer the phone of a bicycle shop, in {language}. One or two short sentences at a time.",
        tools=[opening_hours, transfer, end_call],
    )


async def watch(session: RealtimeSession) -> None:
    """Print what happens; the session can be used here like any other."""
    print("answered", flush=True)
    async for event in session:
        if event.type == "tool_end":
            print(f"{event.tool.name} -> {event.output}", flush=True)
        elif event.type == "dtmf_received":
            print(f"key {event.digit}", flush=True)


def ended(call: PhoneCall) -> None:
    """Print how a call ended."""
    if call.end is not None:
        print(f"ended ({call.end.reason}): {call.end.detail}", flush=True)


async def main() -> None:
    """Read the arguments and serve until interrupted."""
    parser = argparse.ArgumentParser(description="An agent that answers the phone.")
    parser.add_argument("--port", type=int, default=8080)
    arguments = parser.parse_args()
    calls = SipCallServer(
        agent_for,
        greeting="Greet the caller in one sentence, and ask what you can do.",
        leash=Leash(max_seconds=600, idle_seconds=60),
        on_session=watch,
        on_end=ended,
    )
    server = uvicorn.Server(uvicorn.Config(calls, log_level="warning"))
    with socket.create_server(("127.0.0.1", arguments.port)) as listener:
        print(f"webhooks go to http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        await server.serve(sockets=[listener])


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
