"""What is to happen after an utterance: `Hangup()` or `Refer(...)`, once, when that was heard or is taken for over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from jackfield.task_scope import TaskScope
from jackfield.transport import JackfieldError, TransportError
from jackfield_transports.sideband.calls import checked_target

from .utterances import Progress

__all__ = ["Action", "Afterwards", "Hangup", "Refer"]

logger = logging.getLogger("jackfield.sip")

_TAIL_SECONDS: Final = 0.3
"""The far end has sent the last of an utterance: so long it is still on its way to the caller's ear."""


@frozen
class Hangup:
    """End the call."""


@frozen
class Refer:
    """Transfer the call to `tel:+441234567890` or `sip:desk@example.com`."""

    target_uri: str = field(repr=False, converter=checked_target)


Action: TypeAlias = Hangup | Refer


class Afterwards:
    """An `action` that waits for its utterance. `act` does it, `tell` is told where that fails.

    It is done once: when the utterance was played out or cut, or `limit` seconds after it was asked for, where nothing
    is heard until then; and no later than `limit` seconds after the utterance began to be heard.
    """

    def __init__(
        self,
        action: Action,
        act: Callable[[Action], Any],
        tell: Callable[[JackfieldError], None],
        scope: TaskScope,
        limit: float,
    ) -> None:
        self.action = action
        self._act = act
        self._tell = tell
        self._scope = scope
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waits = True
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._timer = self._loop.call_later(limit, self._give_up)

    @property
    def waits(self) -> bool:
        """Whether it can still be cancelled: the action has neither begun nor been cancelled."""
        return self._waits

    def cancel(self) -> None:
        """Don't do it. Too late, it does nothing."""
        if self._waits:
            self._waits = False
            self._timer.cancel()
            self._over.cancel()

    async def wait(self) -> None:
        """Return when it has been done; raise what kept it from being done, or CancelledError if it was cancelled."""
        await asyncio.shield(self._over)

    def progress(self, progress: Progress) -> None:
        """Take note of how the utterance gets on."""
        if not self._waits:
            return
        if progress == "cut":
            self._begin()
            return
        self._timer.cancel()
        if progress == "begun":
            self._timer = self._loop.call_later(self._limit, self._give_up)
        else:
            self._timer = self._loop.call_later(_TAIL_SECONDS, self._begin)

    def _give_up(self) -> None:
        logger.warning("%r was to follow an utterance that did not end within %g s", self.action, self._limit)
        self._begin()

    def _begin(self) -> None:
        self._waits = False
        self._timer.cancel()
        if self._scope.spawn(self._do(), name="jackfield sip: after an utterance") is None:
            self._over.cancel()  # the call is over

    async def _do(self) -> None:
        try:
            await self._act(self.action)
        except JackfieldError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 - an HTTP client of the application's may raise anything
            failed = TransportError(f"{self.action!r} failed: {type(error).__name__}")
            failed.__cause__ = error
            self._fail(failed)
        except BaseException:
            self._over.cancel()
            raise
        else:
            if not self._over.done():
                self._over.set_result(None)

    def _fail(self, error: JackfieldError) -> None:
        if not self._over.done():
            self._over.set_exception(error)
            self._over.exception()  # it is told as an event: nobody needs to wait for it
        self._tell(error)
