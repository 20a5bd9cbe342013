"""Every error that jackfield raises, in one tree.

::

    JackfieldError
    ├── ConfigurationError (ValueError)      bad input, found before anything was sent
    ├── TransportError                       something about one connection
    │   ├── AuthenticationError              the far end refused the credentials
    │   ├── ConnectTimeoutError (TimeoutError)
    │   ├── ConnectRefusedError              the far end, or the path to it, said no
    │   ├── ConnectAbortedError              close() was called while connect() was under way
    │   ├── AlreadyConnectedError
    │   ├── NotConnectedError
    │   ├── RemoteClosedError                the far end closed; carries code and reason
    │   ├── ProtocolError                    the far end broke the protocol
    │   ├── UnsupportedByTransportError      not among the transport's capabilities
    │   ├── ProviderError                    an error that the far end reported, classified
    │   ├── ResponseLostError                a response was asked for and never came
    │   └── ListenerError                    one of the application's listeners raised
    ├── RegistryError                        about finding transports by name
    │   ├── UnknownTransportError (LookupError)
    │   ├── TransportUnavailableError (ImportError)
    │   ├── DuplicateTransportError
    │   └── IncompatibleTransportError
    └── AgentError                           about agents, tools and handoffs
        ├── ToolError                        a tool could not run, or failed
        │   ├── ToolTimeoutError (TimeoutError)
        │   ├── ToolInputGuardrailTripwireTriggered
        │   └── ToolOutputGuardrailTripwireTriggered
        └── SessionStateError                the session is not in a state for that

`jackfield.testing` adds `ScriptError` (also an `AssertionError`): a test's expectation was not met.

Each message says what happened, why, and what to do. No message holds a credential: text that comes from outside
goes through `redact`.
"""

from __future__ import annotations

import re
from typing import Any, Literal

__all__ = [
    "AgentError",
    "AlreadyConnectedError",
    "AuthenticationError",
    "Classification",
    "ConfigurationError",
    "ConnectAbortedError",
    "ConnectRefusedError",
    "ConnectTimeoutError",
    "DuplicateTransportError",
    "IncompatibleTransportError",
    "JackfieldError",
    "ListenerError",
    "NotConnectedError",
    "ProtocolError",
    "ProviderError",
    "RegistryError",
    "RemoteClosedError",
    "ResponseLostError",
    "SessionStateError",
    "ToolError",
    "ToolInputGuardrailTripwireTriggered",
    "ToolOutputGuardrailTripwireTriggered",
    "ToolTimeoutError",
    "TransportError",
    "TransportUnavailableError",
    "UnknownTransportError",
    "UnsupportedByTransportError",
    "redact",
]

Classification = Literal["benign", "rejected", "retry_turn", "reconnect", "fatal"]
"""What an error means for the session.

`benign`: a race that needs nothing. `rejected`: one request was refused, the session goes on. `retry_turn`: this turn
failed, the next may work. `reconnect`: the connection is over, a new one may work. `fatal`: trying again won't help.
"""

_SECRETS = re.compile(
    r"(?P<kept>\bbearer\s+|api[-_]?key[\"']?\s*[=:]\s*[\"']?|insecure-api-key\.)[^\s\"'&,;]+"
    r"|\b(?:sk|ek|rk|whsec)[-_][A-Za-z0-9_\-*.]{3,}",
    re.IGNORECASE,
)


def redact(text: str, *secrets: str) -> str:
    """Return `text` with `secrets`, and whatever else looks like a credential, replaced by `***`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return _SECRETS.sub(lambda match: (match["kept"] or "") + "***", text)


class JackfieldError(Exception):
    """Base of all errors raised by jackfield."""


class ConfigurationError(JackfieldError, ValueError):
    """An option, a setting or an argument is wrong. Raised before anything is sent."""


class TransportError(JackfieldError):
    """Base of all errors about one connection; `classification` says what it means for the session."""

    classification: Classification = "rejected"


class AuthenticationError(TransportError):
    """The far end refused the credentials, or none were given."""

    classification: Classification = "fatal"


class ConnectTimeoutError(TransportError, TimeoutError):
    """`connect()` ran out of time; `stage` names the step that was under way."""

    classification: Classification = "reconnect"

    def __init__(self, message: str, *, stage: str = "") -> None:
        super().__init__(message)
        self.stage = stage


class ConnectRefusedError(TransportError):
    """The connection could not be made: no route, no listener, a TLS failure, or an HTTP status that is no upgrade.

    `status` is the HTTP status where there was one.
    """

    classification: Classification = "reconnect"

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ConnectAbortedError(TransportError):
    """`close()` was called while `connect()` was under way."""


class AlreadyConnectedError(TransportError):
    """`connect()` was called on a transport that is connected or connecting; the live connection is untouched."""


class NotConnectedError(TransportError):
    """Something was sent on a transport that is not connected."""


class RemoteClosedError(TransportError):
    """The far end closed the connection.

    `code` is the WebSocket close code (1006: there was no close frame), `reason` its text, `clean` whether the
    far end ended it as one ends a conversation.
    """

    classification: Classification = "reconnect"

    def __init__(self, message: str, *, code: int | None, reason: str, clean: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.clean = clean


class ProtocolError(TransportError):
    """The far end sent something that is not of the protocol; the frame was ignored."""


class UnsupportedByTransportError(TransportError):
    """The transport doesn't do that; see its `capabilities`."""


class ProviderError(TransportError):
    """An error that the far end reported.

    `code`, `type`, `param` and `event_id` are the provider's own fields (API event `error`); `event_id` is that of the
    client event which caused it, where known. `payload` is the provider's whole error object.
    """

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        type: str | None = None,  # noqa: A002 - the provider's own field name
        param: str | None = None,
        event_id: str | None = None,
        classification: Classification = "rejected",
        payload: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.type = type
        self.param = param
        self.event_id = event_id
        self.classification = classification
        self.payload: dict[str, Any] = payload or {}


class ResponseLostError(TransportError):
    """A response was requested or cancelled, and the far end never said what became of it."""

    classification: Classification = "retry_turn"


class ListenerError(TransportError):
    """A listener raised; `__cause__` is what it raised, `event_type` what it listened to."""

    def __init__(self, message: str, *, event_type: str) -> None:
        super().__init__(message)
        self.event_type = event_type

    @classmethod
    def of(cls, what: str, error: BaseException, so: str, *, event_type: str) -> ListenerError:
        """Return the error about `what`, of the application's, which raised `error`; `so` says what follows."""
        failure = cls(f"{what} raised {type(error).__name__}: {redact(str(error))}. {so}", event_type=event_type)
        failure.__cause__ = error
        return failure


class RegistryError(JackfieldError):
    """Base of the errors about finding a transport, or a command, by name."""


class UnknownTransportError(RegistryError, LookupError):
    """No installed distribution offers a transport of that name."""


class TransportUnavailableError(RegistryError, ImportError):
    """The transport is known and can't be used: an extra is missing, its plugin is broken, or it isn't there yet."""


class DuplicateTransportError(RegistryError):
    """Two distributions offer a transport of the same name."""


class IncompatibleTransportError(RegistryError):
    """The plugin was written for another version of the contract, or what it makes is not a transport."""


class AgentError(JackfieldError):
    """Base of the errors about agents, tools and handoffs."""


class ToolError(AgentError):
    """A tool can't be run as asked: unknown, bad arguments, or it failed and says so."""


class ToolTimeoutError(ToolError, TimeoutError):
    """A tool did not finish within its time limit."""


class ToolInputGuardrailTripwireTriggered(ToolError):  # noqa: N818 - the name that users of agents SDKs catch
    """A tool's input guardrail asked for an exception; the tool did not run."""


class ToolOutputGuardrailTripwireTriggered(ToolError):  # noqa: N818
    """A tool's output guardrail asked for an exception; the model was not told what the tool returned."""


class SessionStateError(AgentError):
    """The session isn't in a state for that: not started, already used, or closed."""
