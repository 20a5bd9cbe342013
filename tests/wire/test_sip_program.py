"""The example that answers the phone, as a program, against a provider of calls on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from support.memory_wire import call_turn, spoken_turn
from support.phone_provider import SECRET, PhoneProvider, webhook
from support.programs import running_program

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "sip_agent.py"


class Provider:
    """`PhoneProvider` on a port of this machine; a call's sideband plays one conversation."""

    def __init__(self) -> None:
        self.phone = PhoneProvider()
        self.refused_once = False
        self.app = Starlette(
            routes=[
                Route("/v1/realtime/calls/{call_id}/{what}", self._ask, methods=["POST"]),
                WebSocketRoute("/v1/realtime", self._sideband),
            ]
        )
        self._over = asyncio.Event()

    async def _ask(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer sk-1"
        what = request.path_params["what"]
        answer = self.phone.answer(request.path_params["call_id"], what)
        if what == "hangup":
            self._over.set()
        return Response(answer.content, answer.status_code)

    async def _sideband(self, far: WebSocket) -> None:
        if not self.refused_once:
            self.refused_once = True
            await far.send_denial_response(Response(status_code=404))
            return
        assert self.phone.is_live(far.query_params["call_id"])
        await far.accept()
        await far.send_json({"type": "session.created", "session": {"id": "sess_1", "type": "realtime"}})
        greeting = await self._received(far, "response.create")
        assert "Greet the caller" in greeting["response"]["instructions"]
        for event in (
            *spoken_turn("resp_1", "item_1"),
            {"type": "output_audio_buffer.started", "response_id": "resp_1"},
            {"type": "output_audio_buffer.stopped", "response_id": "resp_1"},
            {"type": "input_audio_buffer.dtmf_event_received", "event": "5", "received_at": 1},
            *call_turn("resp_2", ("call_1", "end_call", "{}")),
        ):
            await far.send_json(event)
        await self._received(far, "response.create")
        for event in (
            *spoken_turn("resp_3", "item_3"),
            {"type": "output_audio_buffer.started", "response_id": "resp_3"},
            {"type": "output_audio_buffer.stopped", "response_id": "resp_3"},
        ):
            await far.send_json(event)
        await self._over.wait()
        await far.close()

    async def _received(self, far: WebSocket, kind: str) -> Any:
        while (event := await far.receive_json())["type"] != kind:
            pass
        return event


@contextlib.asynccontextmanager
async def serving(app: Starlette) -> AsyncIterator[int]:
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio", lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


async def test_it_answers_and_hangs_up_after_its_goodbye() -> None:
    provider = Provider()
    provider.phone.rings("rtc_1")
    async with serving(provider.app) as port:
        environment = {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_WEBHOOK_SECRET": SECRET,
            "PYTHONWARNINGS": "error",
        }
        async with running_program(sys.executable, EXAMPLE, "--port", "0", environment=environment) as program:
            await program.expect("webhooks go to ")
            address = program.printed.split()[-1]
            async with httpx.AsyncClient(trust_env=False) as http:
                body, headers = webhook("rtc_1", timestamp=int(time.time()))
                assert (await http.post(address, content=body, headers=headers)).status_code == 200
            for words in ("answered", "key 5", "end_call -> Say goodbye", "ended (remote)"):
                await program.expect(words)
            assert await program.interrupt() == 0
            assert SECRET not in program.printed
    assert provider.phone.live == set()
