"""What the provider's close means. It has no error messages: whatever goes wrong is a close code, and a text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from jackfield.transport import (
    AuthenticationError,
    ConnectRefusedError,
    RemoteClosedError,
    TransportError,
    redact,
)

__all__ = ["close_error", "resumable"]

_CREDENTIALS: Final = ("api key", "api_key", "token", "unauthenticated", "permission", "credential")
_QUOTA: Final = ("quota", "billing", "resource_exhausted", "resource has been exhausted")

_ADVICE: Final[Mapping[int, str]] = {
    1007: "something that was sent is not as the model wants it: check the model, its voice, modalities and tools; "
    "older models take no changes in mid-session (contextUpdate), and no handle twice",
    1008: "check that the model's name is one of a Live model, and that your project and region may use it",
    1009: "the message was too large",
    1011: "the provider is in trouble, or a limit is reached: wait, then connect again",
}
_FATAL: Final = frozenset({1002, 1003, 1007, 1008, 1009, 1010})


def resumable(code: int | None, *, leaving: bool) -> bool:
    """Return whether a session may outlive a close with `code`; `leaving`: the provider had said that it goes away."""
    if leaving:
        return code != 1007
    return code not in _FATAL and code != 1000


def close_error(
    code: int | None, reason: str, *, opening: bool, leaving: bool = False, secrets: Iterable[str] = ()
) -> TransportError | None:
    """Return the error that a remote close amounts to; None where the far end ended the conversation normally.

    `opening`: it had not acknowledged the setup. `leaving`: it had announced its going away.
    """
    reason = redact(reason, *secrets)
    how = "the connection was lost" if code == 1006 else "the far end closed the connection"
    told = f"{how} with code {code}" + (f" ({reason})" if reason else "")
    said = reason.lower()
    if code in {1007, 1008} and any(word in said for word in _CREDENTIALS):
        return AuthenticationError(f"{told}: check the api_key or token, and that it belongs to this endpoint")
    if code == 1000 and not opening and not leaving:
        return None
    fatal = (code in _FATAL and not leaving) or any(word in said for word in _QUOTA)
    advice = "check the plan and its limits" if any(word in said for word in _QUOTA) else _ADVICE.get(code or 1006)
    if opening and fatal:
        refused = ConnectRefusedError(f"{told} before the session began: {advice}")
        refused.classification = "fatal"
        return refused
    closed = RemoteClosedError(f"{told}: {advice or 'connect again to go on'}", code=code, reason=reason)
    closed.classification = "fatal" if fatal else "reconnect"
    return closed
