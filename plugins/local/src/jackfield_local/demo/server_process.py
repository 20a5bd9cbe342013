"""The local server in a process of its own, so that the agent shares neither its loop nor its interpreter.

The child ends when its standard input does: whatever becomes of the parent, no server stays behind. Parent and child
exchange lines of JSON.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import secrets
import socket
import sys
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any

from attrs import field, frozen

from jackfield_local.demo.errors import DemoError

__all__ = ["Door", "RunningServer", "WebhookAddress", "run_server", "webhook_address"]

_START_SECONDS = 60.0
_END_SECONDS = 3.0
_CREDENTIAL_HEADERS = ("api-key", "authorization")


@frozen
class Door:
    """How a client came in: the path, its query, and the header that its credentials were in."""

    path: str
    query: str
    credential: str


@frozen
class WebhookAddress:
    """Where the server tells of phone calls: a socket that listens already, and the secret that signs what comes."""

    listener: socket.socket
    secret: str = field(repr=False)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/"


@contextlib.contextmanager
def webhook_address() -> Iterator[WebhookAddress]:
    """Have an address for webhooks, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield WebhookAddress(listener, f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}")


@frozen
class RunningServer:
    """A server that accepts connections with one key only: its addresses, and a way to ask who came in.

    `sip_uri` is empty where it takes no phone calls.
    """

    url: str
    azure_endpoint: str
    sip_uri: str
    _process: asyncio.subprocess.Process

    async def doors(self) -> list[Door]:
        """Return how each client came in, in order."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"doors\n")
        await self._process.stdin.drain()
        return [Door(**door) for door in await _line(self._process)]


@contextlib.asynccontextmanager
async def run_server(
    *, api_key: str, pace: float, webhook: WebhookAddress | None = None
) -> AsyncIterator[RunningServer]:
    """Run a server that accepts `api_key` only; `pace` is as for `LocalServer`. Raises `DemoError` if it won't run.

    With a `webhook` it takes phone calls, and tells of them there.
    """
    options: dict[str, Any] = {"api_key": api_key, "pace": pace}
    if webhook is not None:
        options |= {"sip": True, "webhook_url": webhook.url, "webhook_secret": webhook.secret}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # Ctrl-C is the parent's: it closes the connection first, and the server then.
        start_new_session=True,
    )
    last_words: deque[str] = deque(maxlen=20)
    listening = asyncio.create_task(_listen(process, last_words))
    try:
        assert process.stdin is not None
        # Not among the arguments, which every user of the machine can read.
        process.stdin.write(json.dumps(options).encode() + b"\n")
        try:
            async with asyncio.timeout(_START_SECONDS):
                told = await _line(process)
        except (DemoError, TimeoutError, ConnectionError) as error:
            await _end(process)
            await listening
            reason = "\n".join(last_words) or "it said nothing"
            raise DemoError(f"the local server could not be started: {reason}") from error
        yield RunningServer(told["url"], told["azure_endpoint"], told["sip_uri"], process)
    finally:
        await _end(process)
        await listening


async def _line(process: asyncio.subprocess.Process) -> Any:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise DemoError("the local server has ended")
    return json.loads(line)


async def _listen(process: asyncio.subprocess.Process, last_words: deque[str]) -> None:
    assert process.stderr is not None
    while line := await process.stderr.readline():
        last_words.append(line.decode(errors="replace").rstrip())


async def _end(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    process.stdin.close()
    for stop in (process.terminate, process.kill):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS):
                await process.wait()
                return
        with contextlib.suppress(ProcessLookupError):
            stop()
    await process.wait()


async def _serve() -> None:
    from jackfield_local.server import LocalServer

    options = json.loads(await asyncio.to_thread(sys.stdin.readline))
    async with LocalServer(**options) as server:
        sip_uri = server.sip_uri if server.takes_phone_calls else ""
        _say({"url": server.url, "azure_endpoint": server.azure_endpoint, "sip_uri": sip_uri})
        while await asyncio.to_thread(sys.stdin.readline):
            _say(
                [
                    {
                        "path": connection.path,
                        "query": "&".join(f"{name}={value}" for name, value in connection.query.items()),
                        "credential": next(
                            (name for name in _CREDENTIAL_HEADERS if name in connection.request_headers), ""
                        ),
                    }
                    for connection in server.connections
                ]
            )


def _say(message: Any) -> None:
    print(json.dumps(message), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
