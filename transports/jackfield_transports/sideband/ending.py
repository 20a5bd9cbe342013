"""What calls do with functions of the application, and how they end: what is to be done whatever happens."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol

from jackfield import RealtimeSession
from jackfield.transport import JackfieldError, TransportError

__all__ = ["Endable", "converse", "settled", "tell_end", "tried", "words"]

logger = logging.getLogger("jackfield.sideband")


class Endable(Protocol):
    """A call that can be ended."""

    @property
    def end(self) -> Any:
        """How it ended; None while it goes on."""

    def finish(self, reason: Literal["failed"], detail: str, error: BaseException | None = None) -> None:
        """End it; the first reason counts."""


async def converse(
    call: Endable, session: RealtimeSession, on_session: Callable[[RealtimeSession], Awaitable[object]] | None
) -> None:
    """Leave a session that has joined its call to `on_session`, and then to itself; what is raised ends the call."""
    try:
        if on_session is not None:
            await on_session(session)
        async for _ in session:
            pass  # or unread events would pile up
    except Exception as error:
        if call.end is None:
            call.finish("failed", f"on_session raised {words(error)}", error)
            logger.exception("call of session %s: on_session failed", session.id)
        elif not isinstance(error, TransportError):  # that the connection is over is how the call ended
            logger.exception("call of session %s: on_session failed after the call", session.id)


async def tell_end(call: Any, on_end: Callable[[Any], object] | None) -> None:
    """Tell the application that a call has ended."""
    if on_end is None:
        return
    try:
        await settled(on_end(call))
    except Exception:
        logger.exception("on_end raised")


async def tried(what: str, work: Awaitable[Any]) -> None:
    """Do the `work`; where it fails that is told, since the call is over for us and others have to end too."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever it was, nothing more can be done about it
        logger.error("%s failed, and the call may go on: %s", what, words(error))


def words(error: BaseException) -> str:
    """Return what may be told of an error: our own are fit for it; of others it is the kind."""
    return str(error) if isinstance(error, JackfieldError) else type(error).__name__


async def settled(value: Any) -> Any:
    """Return what a function of the application returned, awaited where it wants that."""
    return await value if inspect.isawaitable(value) else value
