"""What can become of something that is asked of a call over HTTP, as typed errors.

::

    TransportError
    ├── ConnectRefusedError
    │   ├── CallGoneError              404: there is no such call, or no more
    │   └── CallTakenError             409: the call is in no state for that, such as answered by somebody else
    └── CallOutcomeUnknownError        the request may have been carried out: its answer was lost
"""

from __future__ import annotations

from jackfield.transport import ConnectRefusedError, TransportError

__all__ = ["CallGoneError", "CallOutcomeUnknownError", "CallTakenError"]


class CallGoneError(ConnectRefusedError):
    """The provider knows no such call, or no more: the caller hung up, or somebody else dealt with it."""

    classification = "fatal"


class CallTakenError(ConnectRefusedError):
    """The call is in no state for what was asked: as a rule somebody else has answered it."""

    classification = "fatal"


class CallOutcomeUnknownError(TransportError):
    """What was asked may have been done or not: the answer was lost, and asking again could do it twice."""
