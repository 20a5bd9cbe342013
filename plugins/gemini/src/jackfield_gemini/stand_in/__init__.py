"""A stand-in for Gemini Live that converses: its protocol in front of a server of the OpenAI Realtime API.

With `jackfield-local` (extra `local`) nothing else is needed, no key and no internet::

    async with stand_in() as connect:
        session = RealtimeSession(agent, transport="gemini", **connect)

Each connection is translated, both ways, to one of the server behind it. Sessions can't be taken up again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from jackfield.transport import ConfigurationError
from jackfield_gemini.testing import GeminiConnectionEnd, GeminiServer

from .bridge import Bridge

__all__ = ["stand_in"]


@contextlib.asynccontextmanager
async def stand_in(url: str | None = None, api_key: str = "any") -> AsyncIterator[dict[str, Any]]:
    """Serve Gemini Live on loopback; yield what `connect()` needs to be told.

    `url` is the WebSocket address of the server behind it, and `api_key` that one's key, which is also the stand-in's;
    without a `url` a `jackfield_local.LocalServer` is started. Raises `ConfigurationError` where that isn't installed.
    """
    async with contextlib.AsyncExitStack() as stack:
        if url is None:
            url = await _local_server(stack, api_key)
        address = url if "?" in url else f"{url}?model=gpt-realtime"

        async def script(connection: GeminiConnectionEnd) -> None:
            await Bridge(connection, address, api_key).run()

        server = await stack.enter_async_context(GeminiServer(script, api_key=api_key))
        yield server.connect_options


async def _local_server(stack: contextlib.AsyncExitStack, api_key: str) -> str:
    try:
        from jackfield_local import LocalServer
    except ImportError as error:
        raise ConfigurationError(
            "the stand-in has no server behind it: give a url, or pip install 'jackfield-gemini[local]'"
        ) from error
    server = await stack.enter_async_context(LocalServer(api_key=api_key))
    return str(server.url)
