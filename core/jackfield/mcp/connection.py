"""One connection to an MCP server, from its first byte to its last.

The mcp package's context managers hold cancel scopes, which the task that entered them must leave. So a connection is a
task of its own that enters them, waits, and leaves them; whoever opens, uses and closes it may be any other task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from attrs import frozen

from jackfield.errors import ToolError, ToolTimeoutError, redact

if TYPE_CHECKING:
    import httpx2
    from mcp import Client
    from mcp.client import IncomingMessage

__all__ = ["Connection", "Transport", "note_refusal"]

logger = logging.getLogger("jackfield.mcp")

T = TypeVar("T")

Transport: TypeAlias = AbstractAsyncContextManager[Any]
"""One of the mcp package's: its value is a stream to read and one to write."""

_CLOSE_TIMEOUT = 2.0
"""Seconds in which a server may take its leave. A program is then killed, in seconds that the mcp package counts."""

_LISTEN_AGAIN = 2.0
"""Seconds until a subscription that was lost is asked for again."""

_refusals: ContextVar[list[int]] = ContextVar("jackfield_mcp_refusals")
"""The HTTP statuses that refused the current request: the mcp package doesn't tell them."""


async def note_refusal(response: httpx2.Response) -> None:
    """Remember that a request was refused, for the words of its error. A response hook of the HTTP client."""
    if response.status_code >= 400 and (refusals := _refusals.get(None)) is not None:
        refusals.append(response.status_code)


class Connection:
    """A task that is connected. `open()` it once; it ends with `close()`, or when the server goes away."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        timeout: float | None,
        secrets: tuple[str, ...],
        tools_changed: Callable[[], None],
        subscribe: bool,
    ) -> None:
        """`transport` is one of the mcp package's; `timeout` is for each request, in seconds.

        `tools_changed` is called when the server says so, and when it may have said so unheard. `subscribe` asks for
        it where the protocol's version wants to be asked.
        """
        import anyio

        self._name = name
        self._timeout = timeout
        self._secrets = secrets
        self._tools_changed = tools_changed
        self._subscribe = subscribe
        self._settled = asyncio.Event()
        self._over = asyncio.Event()
        self._closed = False
        self._client: Client | None = None
        self._failure: ToolError | None = None
        self._scope = anyio.CancelScope()
        # No TaskScope: it would cancel the task itself, and a program's end is shielded from cancelled scopes only.
        self._task = asyncio.get_running_loop().create_task(self._run(transport), name=f"mcp server {name}")

    @property
    def over(self) -> bool:
        """Whether it takes no more requests, and is ending or has ended."""
        return self._over.is_set()

    async def open(self) -> None:
        """Wait until the server has answered. Where that fails or is cancelled, nothing is left. Raises `ToolError`."""
        try:
            await self.opened()
        except BaseException:
            await self.close()
            raise

    async def opened(self) -> None:
        """Wait for the `open()` of another task, and leave it to that to end what fails. Raises `ToolError`."""
        await self._settled.wait()
        if self._client is None:
            raise self._failure or ToolError(f"the connection to MCP server {self._name!r} ended before it was ready")

    async def close(self) -> None:
        """End it, and wait for the end."""
        self._closed = True
        self._end()
        if not self._settled.is_set():
            self._scope.cancel()
        await self.ended()

    async def ended(self) -> None:
        """Wait until nothing of it is left."""
        await asyncio.wait({self._task})

    async def request(self, what: str, send: Callable[[Client], Awaitable[T]]) -> T:
        """Return what `send` returns. `what` is the verb of the `ToolError` that anything else becomes."""
        if self._client is None:
            raise ToolError(f"MCP server {self._name!r} is no longer connected: connect() it again") from self._failure
        token = _refusals.set([])
        try:
            return await send(self._client)
        except Exception as error:  # noqa: BLE001 - see `_run`
            failure = self._error(f"could not {what}", error)
            raise failure from failure.__cause__
        finally:
            _refusals.reset(token)

    async def _run(self, transport: Transport) -> None:
        _refusals.set([])
        try:
            with self._scope:
                await self._live(transport)
        except Exception as error:  # noqa: BLE001 - what an MCP server does to the mcp package is anything
            self._failure = self._error("has no connection" if self._settled.is_set() else "can't be connected", error)
        finally:
            lost = self._settled.is_set() and not self._closed
            self._end()
            self._settled.set()
        if lost:
            logger.warning("%s", self._failure or f"MCP server {self._name!r} went away")

    async def _live(self, transport: Transport) -> None:
        """Be connected, until it is over."""
        import anyio
        from mcp import Client

        async with (
            Client(
                _watched(transport, self._end),
                cache=None,
                message_handler=self._hear,
                read_timeout_seconds=self._timeout,
            ) as client,
            anyio.create_task_group() as beside,
        ):
            tools = client.server_capabilities.tools
            if self._subscribe and tools is not None and tools.list_changed:
                listening = asyncio.Event()
                beside.start_soon(self._listen, client, listening)
                await listening.wait()
            if not self._over.is_set():
                self._client = client
            self._settled.set()
            try:
                await self._over.wait()
            finally:
                self._end()  # a service that can't be reached any more cancels this
            self._scope.deadline = anyio.current_time() + _CLOSE_TIMEOUT
            beside.cancel_scope.cancel()

    def _end(self) -> None:
        self._client = None
        self._tools_changed()
        self._over.set()

    async def _listen(self, client: Client, listening: asyncio.Event) -> None:
        """Hear of changes where the protocol's version (2026-07-28 and later) wants to be asked for them."""
        from mcp import MCPError, types
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        while True:
            try:
                async with client.listen(tools_list_changed=True) as changes:
                    if listening.is_set():
                        self._tools_changed()  # there was nobody to hear of it
                    listening.set()
                    async for _ in changes:
                        pass  # `_hear` is told as well
            except ListenNotSupportedError:
                return  # an older version, in which it tells unasked
            except (MCPError, SubscriptionLost, TimeoutError) as error:
                if isinstance(error, MCPError) and error.code == types.METHOD_NOT_FOUND:
                    return
                logger.debug("MCP server %s: no subscription to changes: %s", self._name, type(error).__name__)
            finally:
                listening.set()
            self._tools_changed()
            await asyncio.sleep(_LISTEN_AGAIN)

    async def _hear(self, message: IncomingMessage) -> None:
        from mcp.types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._tools_changed()

    def _error(self, what: str, error: Exception) -> ToolError:
        """Return the `ToolError` that says what went wrong, without the Python and without a credential."""
        import httpx2
        from mcp import MCPError, types

        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        kind, words = ToolError, str(error) or type(error).__name__
        cause: Exception | None = error
        status = f"HTTP status {refusals[-1]}" if (refusals := _refusals.get([])) else ""
        match error:
            case MCPError(code=types.REQUEST_TIMEOUT):
                kind, words = ToolTimeoutError, f"it did not answer within {self._timeout} s"
            case MCPError(code=types.CONNECTION_CLOSED):
                words = "the connection ended"
            case MCPError() if status:
                words = f"{words} ({status})"
            case httpx2.HTTPStatusError():
                words, cause = status, None  # its own words hold the url, with what may be in its query
            case httpx2.TimeoutException() | TimeoutError():
                kind = ToolTimeoutError
        failure = kind(f"MCP server {self._name!r} {what}: {redact(words, *self._secrets)}")
        failure.__cause__ = cause
        return failure


@asynccontextmanager
async def _watched(transport: Transport, ended: Callable[[], None]) -> AsyncIterator[Any]:
    """Be `transport`, and call `ended` when the server will say no more: nothing else tells of it."""
    async with transport as (read, write):
        yield _Watched(read, ended), write


@frozen(eq=False)
class _Watched:
    """A server's messages, as the mcp package reads them."""

    _stream: Any
    _ended: Callable[[], None]

    @property
    def last_context(self) -> Any:
        return getattr(self._stream, "last_context", None)

    async def receive(self) -> Any:
        return await self._stream.receive()

    async def aclose(self) -> None:
        await self._stream.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._stream)
        except StopAsyncIteration:
            self._ended()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()
