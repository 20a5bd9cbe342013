"""The process of the agent: a `SipCallServer` that answers every call, and notes when it has joined it.

Run as `python -m bench.sip.agent SECRET`; it tells its webhook's URL, and answers once it is told of the door.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from typing import Any, TextIO

import uvicorn

from bench.commands import cost, live, take_commands
from jackfield import RealtimeAgent, RealtimeSession
from jackfield_transports.sip import PhoneCall, SipCallServer, Webhooks

_MOST_CALLS = 1_000


class Agent:
    """The server, and when it joined which call."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._joined: dict[str, int] = {}
        self._serving: asyncio.Task[None] | None = None
        self._server: SipCallServer | None = None

    async def obey(self, do: str, **command: Any) -> dict[str, Any]:
        if do == "serve":
            self._serve(**command)
        elif do == "joined":
            return {"joined": self._joined}
        elif do == "forget":
            self._joined = {}
        return cost() | {"calls": len(self._server.calls) if self._server else 0}

    def _serve(self, base_url: str) -> None:
        self._server = SipCallServer(
            RealtimeAgent(name="bench", instructions="You never say a word."),
            webhooks=Webhooks(sys.argv[1]),
            api_key="bench",
            base_url=base_url,
            greeting=False,
            max_calls=_MOST_CALLS,
            on_session=self._note,
        )
        config = uvicorn.Config(self._server, log_config=None, access_log=False)
        self._serving = asyncio.create_task(uvicorn.Server(config).serve(sockets=[self._listener]))

    async def _note(self, session: RealtimeSession) -> None:
        call = session.context.context
        assert isinstance(call, PhoneCall)
        self._joined[call.incoming.sip_call_id] = time.monotonic_ns()


async def main(answers: TextIO) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    await take_commands(Agent(listener).obey, answers, {"url": url})


if __name__ == "__main__":
    live(main)
