"""Ending calls: what has to be done whatever happens, and how it is told."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import Any

from jackfield.transport import JackfieldError

__all__ = ["tried", "words"]

logger = logging.getLogger("jackfield.sideband")


async def tried(what: str, work: Awaitable[Any]) -> None:
    """Do the `work`; where it fails that is told, since the call is over for us and others have to end too."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 - whatever it was, nothing more can be done about it
        logger.error("%s failed, and the call may go on: %s", what, words(error))


def words(error: BaseException) -> str:
    """Return what may be told of an error: our own are fit for it; of others it is the kind."""
    return str(error) if isinstance(error, JackfieldError) else type(error).__name__
