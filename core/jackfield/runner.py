"""`RealtimeRunner`: the other front to a session, an agent with configuration dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .agent import RealtimeAgent
from .config import check_model_config
from .errors import ConfigurationError
from .hooks import RealtimeRunHooks
from .observers import SessionObserver
from .session import RealtimeSession
from .session.state import SessionState
from .transport.layer import RealtimeTransportLayer

__all__ = ["RealtimeRunner"]


class RealtimeRunner:
    """Makes sessions that start with `starting_agent`, each with a transport of its own.

    `transport` is a transport's name, or a function that makes one. `config`, `hooks` and `observers` are as for
    `RealtimeSession`.
    """

    def __init__(
        self,
        starting_agent: RealtimeAgent[Any],
        *,
        config: Mapping[str, Any] | None = None,
        transport: str | Callable[[], RealtimeTransportLayer] = "websocket",
        hooks: RealtimeRunHooks[Any] | None = None,
        observers: Iterable[SessionObserver] | None = None,
    ) -> None:
        if not isinstance(transport, str) and not callable(transport):
            raise ConfigurationError(
                "a runner makes a fresh transport for every run: give a transport's name, or a function that makes one"
            )
        self._starting_agent = starting_agent
        self._config = config
        self._transport = transport
        self._hooks = hooks
        self._observers = None if observers is None else tuple(observers)

    async def run(
        self,
        *,
        context: Any = None,
        model_config: Mapping[str, Any] | None = None,
        state: SessionState | Mapping[str, Any] | None = None,
    ) -> RealtimeSession:
        """Return a session, not yet connected: enter it with `async with`.

        `model_config` may have api_key, url, headers, call_id, initial_model_settings and playback_tracker
        (`jackfield.config.RealtimeModelConfig`). `state` takes up a conversation that was left.
        """
        check_model_config(model_config)
        return RealtimeSession(
            self._starting_agent,
            transport=self._transport if isinstance(self._transport, str) else self._transport(),
            config=self._config,
            context=context,
            state=state,
            hooks=self._hooks,
            observers=self._observers,
            **(model_config or {}),
        )
