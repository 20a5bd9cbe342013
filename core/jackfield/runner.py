"""`RealtimeRunner`: the other front to a session, an agent with configuration dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .agent import RealtimeAgent
from .errors import ConfigurationError
from .naming import check_names
from .session import RealtimeSession
from .transport.layer import RealtimeTransportLayer

__all__ = ["RealtimeRunner"]

_MODEL_CONFIG_KEYS = ("api_key", "url", "headers", "call_id", "initial_model_settings", "playback_tracker")


class RealtimeRunner:
    """Makes sessions that start with `starting_agent`, each with a transport of its own.

    `transport` is a transport's name, or a function that makes one. `config` is as for `RealtimeSession`.
    """

    def __init__(
        self,
        starting_agent: RealtimeAgent,
        *,
        config: Mapping[str, Any] | None = None,
        transport: str | Callable[[], RealtimeTransportLayer] = "websocket",
    ) -> None:
        if not isinstance(transport, str) and not callable(transport):
            raise ConfigurationError(
                "a runner makes a fresh transport for every run: give a transport's name, or a function that makes one"
            )
        self._starting_agent = starting_agent
        self._config = config
        self._transport = transport

    async def run(self, *, context: Any = None, model_config: Mapping[str, Any] | None = None) -> RealtimeSession:
        """Return a session, not yet connected: enter it with `async with`.

        `model_config` may have api_key, url, headers, call_id, initial_model_settings and playback_tracker.
        """
        check_names("model_config has no key", model_config or {}, _MODEL_CONFIG_KEYS)
        return RealtimeSession(
            self._starting_agent,
            transport=self._transport if isinstance(self._transport, str) else self._transport(),
            config=self._config,
            context=context,
            **(model_config or {}),
        )
