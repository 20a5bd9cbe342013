"""Connections that the application opens itself, for runtimes that have no sockets of their own.

An edge worker, for example, upgrades a `fetch` and is handed an open socket. `open_connection(url, headers)` returns
any object with `send(text)`, `receive()` and `close()`, each sync or async. `receive()` returns the next text; None,
or StopAsyncIteration, says that the far end has closed normally; any other exception, that the connection was lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from jackfield.transport import ConfigurationError, JackfieldError, RemoteClosedError, redact
from jackfield.wire import WireConnection
from jackfield.wire.address import Address, unreachable

from .wire import SocketOptions

__all__ = ["ForeignDialer", "OpenConnection"]

OpenConnection: TypeAlias = Callable[[str, Mapping[str, str]], Any | Awaitable[Any]]


class ForeignDialer:
    """Dials by asking the application for an open connection."""

    def __init__(self, open_connection: OpenConnection) -> None:
        self._open_connection = open_connection

    async def __call__(self, address: Address, options: SocketOptions) -> WireConnection:
        """Dial; but for open_timeout, the socket's options are the application's own business."""
        try:
            opened = await _settled(self._open_connection(address.url, dict(address.headers)))
        except (JackfieldError, OSError):
            raise
        except Exception as error:
            raise unreachable(address, error) from error
        missing = [name for name in ("send", "receive", "close") if not callable(getattr(opened, name, None))]
        if missing:
            raise ConfigurationError(
                f"open_connection returned {type(opened).__name__}, which has no {' and no '.join(missing)}: it must "
                "return an object with send(text), receive() and close()"
            )
        return _ForeignConnection(opened, address.secrets)


class _ForeignConnection:
    def __init__(self, opened: Any, secrets: Sequence[str]) -> None:
        self._opened = opened
        self.secrets = secrets

    async def send(self, frame: bytes) -> None:
        try:
            await _settled(self._opened.send(frame.decode()))
        except JackfieldError:
            raise
        except Exception as error:
            raise self._lost(error) from error

    async def receive(self) -> bytes | str:
        try:
            frame = await _settled(self._opened.receive())
        except StopAsyncIteration:
            frame = None
        except JackfieldError:
            raise
        except Exception as error:
            raise self._lost(error) from error
        if frame is None:
            raise RemoteClosedError("the far end closed", code=1000, reason="", clean=True)
        if not isinstance(frame, str | bytes):
            raise RemoteClosedError(
                f"receive() returned {type(frame).__name__}: it must return text, or None at the end",
                code=1006,
                reason="",
            )
        return frame

    async def close(self) -> None:
        await _settled(self._opened.close())

    def _lost(self, error: Exception) -> RemoteClosedError:
        told = redact(repr(error), *self.secrets)
        return RemoteClosedError(f"the connection was lost: {told}", code=1006, reason="")


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
