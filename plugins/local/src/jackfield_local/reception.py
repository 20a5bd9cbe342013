"""What all doors have in common: who is let in to which session, with which faults.

How a door says no is its own affair: refusals are `ApiError`s here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import frozen
from starlette.responses import JSONResponse

from jackfield_local.auth import ClientSecret, Keyring
from jackfield_local.connection import Connection
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.errors import ApiError
from jackfield_local.faults import Fault, Faults, FrameFilter
from jackfield_local.session import Services

__all__ = ["Admission", "Reception", "admission_by_secret", "filters_of", "refusal_by_fault"]

_FAMILIES: Final = ("gpt-realtime", "gpt-audio")
_RETIRED: Final = ("gpt-4o-realtime", "gpt-4o-mini-realtime")


@frozen
class Admission:
    """What a client is let in to: a session of type `kind`, beginning with `config`."""

    kind: str
    model: str
    config: Mapping[str, Any] | None


@frozen(kw_only=True)
class Reception:
    """What the doors of one server go by.

    `models` are the model names that exist, None for the API's families of names; `deployments` are Azure's, None for
    any name. `services` makes what a session works with. `opened` is told of each connection.
    """

    keyring: Keyring
    faults: Faults
    opened: Callable[[Connection], None]
    services: Callable[[], Services]
    models: Collection[str] | None
    deployments: Collection[str] | None
    session_seconds: float
    mcp_follow_up: Literal["server", "client"]
    record: bool

    def check_model(self, model: str) -> None:
        """Raise `ApiError` for a model that there isn't."""
        if self.models is None and model.startswith(_RETIRED):
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise ApiError(message, code="model_not_found")
        if not (model.startswith(_FAMILIES) if self.models is None else model in self.models):
            message = f'Model "{model}" is not supported in realtime mode. Use one such as gpt-realtime.'
            raise ApiError(message, code="invalid_model")

    def seconds(self, faults: Sequence[Fault]) -> float:
        """Return how long a session may last."""
        return min([self.session_seconds, *(f.session_seconds for f in faults if f.session_seconds is not None)])

    def engine(
        self,
        admission: Admission,
        faults: Sequence[Fault],
        *,
        playback: Literal["client", "server"] = "client",
        media: str | None = None,
    ) -> Engine:
        """Return a new session's engine. Raises `ApiError` for a configuration that can't be."""
        return Engine(
            kind=admission.kind,
            model=admission.model,
            config=admission.config,
            session_seconds=self.seconds(faults),
            mcp_follow_up=self.mcp_follow_up,
            playback=playback,
            media=media,
        )


def admission_by_secret(model: str, secret: ClientSecret | None, kind: str = "realtime") -> Admission:
    """Return the admission to a session that begins as its client secret says, where there is one."""
    config = None if secret is None or secret.session["type"] != kind else secret.session
    return Admission(kind, model, config)


def filters_of(faults: Sequence[Fault]) -> list[FrameFilter]:
    """Return what changes the events of one connection."""
    return [fault.make_filter() for fault in faults if fault.make_filter is not None]


def refusal_by_fault(faults: Sequence[Fault]) -> JSONResponse | None:
    """Return the HTTP response that a fault has in place of what the client wants."""
    status = next((fault.http_status for fault in faults if fault.http_status is not None), None)
    if status is None:
        return None
    error = ApiError(
        f"Refused with status {status}, as this server was told to.",
        type="rate_limit_error" if status == 429 else "server_error",
        code="rate_limit_exceeded" if status == 429 else None,
    )
    return JSONResponse(error.to_body(), status, {"retry-after": "1"} if status in {429, 503} else None)
