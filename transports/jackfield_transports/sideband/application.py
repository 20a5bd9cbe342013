"""What the applications that take calls have in common, whatever calls they take: a life, and bodies that they read."""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

from attrs import frozen
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

__all__ = ["BodyRefused", "CallApplication", "read_body"]


class CallApplication(ABC):
    """An ASGI application with a life: `async with`, `lifespan`, or `aclose()` at the end."""

    _app: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, as ASGI has it."""
        await self._app(scope, receive, send)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.aclose()

    @contextlib.asynccontextmanager
    async def lifespan(self, _: object) -> AsyncIterator[None]:
        """Its life, as an application that it is mounted in has it: `Starlette(..., lifespan=this.lifespan)`.

        Nobody tells a mounted application of its end.
        """
        async with self:
            yield

    @abstractmethod
    async def aclose(self) -> None:
        """Take no more calls, and end those that there are. Bounded, and idempotent."""


@frozen
class BodyRefused(Exception):  # noqa: N818 - the answer to a request, and no fault of ours
    """A body is not taken: the HTTP status, and why, in words that go behind "the offer" or "the webhook"."""

    status: int
    reason: str


async def read_body(request: Request, *, largest: int, seconds: float) -> bytes:
    """Read a body as it is, byte for byte. Raises `BodyRefused`: 413 too large, 408 too slow, 400 not whole."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > largest:
                    raise BodyRefused(413, f"has more than {largest} bytes")
    except TimeoutError as error:
        raise BodyRefused(408, f"did not come within {seconds:g} s") from error
    except ClientDisconnect as error:
        raise BodyRefused(400, "did not come whole") from error
    return bytes(body)
