"""What `connect()` takes, checked before anything is sent."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

from attrs import evolve, field, fields, frozen

from jackfield.audio.tracker import RealtimePlaybackTracker
from jackfield.errors import ConfigurationError
from jackfield.naming import check_names

__all__ = ["ApiKey", "BargeIn", "ConnectOptions", "Ready", "resolve_api_key"]

ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A key, or a function that returns one (or an awaitable of one); it is called at every dial."""

Ready: TypeAlias = Literal["updated", "open"]

BargeIn: TypeAlias = Literal["auto", "always", "never"]
"""Whether the user's speech interrupts the model. `auto`: as turn detection's interrupt_response says."""


def _positive(_: ConnectOptions, attribute: Any, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise ConfigurationError(f"{attribute.name}={value!r} is not a time limit: give seconds above 0")


def _known_ready(_: ConnectOptions, __: Any, value: str) -> None:
    if value not in {"updated", "open"}:
        raise ConfigurationError(f'ready={value!r} is not a ready rule: give "updated" or "open"')


def _known_barge_in(_: ConnectOptions, __: Any, value: str) -> None:
    if value not in {"auto", "always", "never"}:
        raise ConfigurationError(f'barge_in={value!r} is not a policy: give "auto", "always" or "never"')


@frozen(kw_only=True)
class ConnectOptions:
    """How to reach the far end, and what it is told first. Every field is optional; a transport fills the rest.

    No field that may hold a credential is part of the repr.
    """

    api_key: ApiKey | None = field(default=None, repr=False)
    """The key, or a sync or async function that is asked for it at every dial."""

    model: str | None = None
    """The model, or on Azure the deployment."""

    url: str | None = field(default=None, repr=False)
    """Where to connect, used as given."""

    headers: Mapping[str, str] | None = field(default=None, repr=False)
    """Headers of the handshake. When given, even empty, no Authorization header is added."""

    call_id: str | None = None
    """An existing call to join, instead of a new session."""

    initial_session_config: Mapping[str, Any] | None = field(default=None, repr=False)
    """What the model is told before anything else: flat legacy keys or the API's nested shape."""

    timeout: float = field(default=15.0, validator=_positive)
    """Seconds for the whole of `connect()`."""

    ready: Ready = field(default="updated", validator=_known_ready)
    """When `connect()` resolves: `updated`, once the far end acknowledged the initial session config (or, without one,
    the session); `open`, once the wire is open and the config is written."""

    playback_tracker: RealtimePlaybackTracker | None = field(default=None, repr=False)
    """Where the application reports what it played. Without one, playback is taken to run in real time."""

    barge_in: BargeIn = field(default="auto", validator=_known_barge_in)
    """Whether the user's speech interrupts the model."""

    @classmethod
    def of(cls, options: ConnectOptions | None, changes: Mapping[str, Any]) -> ConnectOptions:
        """Return `options` with `changes`; raise `ConfigurationError` for a name that is no option."""
        check_names("connect() has no option", changes, [attribute.name for attribute in fields(cls)])
        if options is None:
            return cls(**changes)
        return evolve(options, **changes) if changes else options


async def resolve_api_key(api_key: ApiKey | None) -> str | None:
    """Return the key itself: a string as it is, a function's result, awaited if need be."""
    if api_key is None or isinstance(api_key, str):
        return api_key
    key = api_key()
    if inspect.isawaitable(key):
        key = await key
    if not isinstance(key, str):
        raise ConfigurationError(f"the api_key function returned {type(key).__name__}: it must return a str")
    return key
