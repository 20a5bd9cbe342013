"""What goes wrong on the way to the far end and at the end of the way, as typed errors. Every dialer tells it alike."""

from __future__ import annotations

from jackfield.transport import ConnectTimeoutError, RemoteClosedError
from jackfield.wire.address import Address

__all__ = ["broken", "closed", "lost", "silent", "too_slow"]


def too_slow(address: Address, seconds: float | None) -> ConnectTimeoutError:
    """Return the error for an opening that took longer than `open_timeout`."""
    limit = "the system allows" if seconds is None else f"open_timeout={seconds:g} s"
    return ConnectTimeoutError(
        f"opening the connection to {address.place} took longer than {limit}. Check the url and the network, or give a "
        "larger open_timeout.",
        stage="opening the connection",
    )


def closed(code: int, reason: str) -> RemoteClosedError:
    """Return what a close frame of the far end amounts to."""
    return RemoteClosedError(f"the far end closed with {code}", code=code, reason=reason, clean=True)


def lost() -> RemoteClosedError:
    """Return what the end of a connection without a close frame amounts to."""
    return RemoteClosedError("the connection was lost without a close frame", code=1006, reason="")


def silent(seconds: float | None) -> RemoteClosedError:
    """Return what a ping without an answer amounts to."""
    limit = "" if seconds is None else f" within {seconds:g} s"
    return RemoteClosedError(
        f"the far end did not answer a ping{limit}; the connection was given up",
        code=1006,
        reason="no answer to a ping",
    )


def broken(code: int, reason: str) -> RemoteClosedError:
    """Return what it amounts to that we closed, with `code`, because the far end broke the rules."""
    if code == 1009:
        told = "the far end sent a message larger than max_size"
        return RemoteClosedError(f"{told}: give a larger max_size, if that is to be", code=code, reason=told)
    return RemoteClosedError(f"the far end broke the WebSocket protocol: {reason}", code=code, reason=reason)
