"""The `gemini` transport: Gemini Live over a WebSocket."""

from __future__ import annotations

import asyncio
import math
import ssl as ssl_module
from collections.abc import Mapping
from typing import Any, Literal

from jackfield.transport import ConfigurationError, ConnectOptions
from jackfield.wire import WireConnection, WireTransport

from .address import Place
from .dialect import GeminiDialect
from .plugin import CAPABILITIES
from .session_setup import Defaults, Settings
from .socket import SocketOptions
from .wire import GeminiConnection, GeminiWire

__all__ = ["GeminiTransport"]


class GeminiTransport(WireTransport[GeminiDialect]):
    """Gemini Live. Which model, and with which key, is told to `connect()`.

    `voice` is for sessions that name none, and `voices` maps the names that agents use to the provider's. `setup` holds
    keys of the provider's own for every session. With `resume` a session is taken up on another socket where one is
    lost or the far end goes away; that is tried for `rejoin_seconds`. With `project` and `location` it goes to Vertex
    AI. The rest are the options of the socket, see `SocketOptions`.
    """

    def __init__(
        self,
        *,
        voice: str | None = None,
        voices: Mapping[str, str] | None = None,
        setup: Mapping[str, Any] | None = None,
        resume: bool = True,
        rejoin_seconds: float = 30.0,
        base_url: str | None = None,
        api_version: str = "v1beta",
        project: str | None = None,
        location: str = "us-central1",
        open_timeout: float | None = 10.0,
        ping_interval: float | None = 30.0,
        ping_timeout: float | None = 90.0,
        close_timeout: float = 1.0,
        max_size: int | None = 32 * 1024 * 1024,
        proxy: str | Literal[True] | None = True,
        ssl: ssl_module.SSLContext | None = None,
    ) -> None:
        if isinstance(rejoin_seconds, bool) or not 0 <= rejoin_seconds < math.inf:
            raise ConfigurationError(f"rejoin_seconds={rejoin_seconds!r}: give seconds from 0, or resume=False")
        place = Place(base_url=base_url, api_version=api_version, project=project, location=location)
        defaults = Defaults(voice, dict(voices or {}), dict(setup or {}), resume)

        def settings(options: ConnectOptions) -> Settings:
            config = options.initial_session_config
            return Settings.of(config, place.model(_model(options)), defaults, options.barge_in)

        def new_dialect(options: ConnectOptions, connection: WireConnection) -> GeminiDialect:
            dialect = GeminiDialect(
                settings=settings(options),
                clock=asyncio.get_running_loop().time,
                playback_tracker=options.playback_tracker,
                secrets=connection.secrets,
            )
            if isinstance(connection, GeminiConnection):
                connection.resume_with(dialect)
            return dialect

        wire = GeminiWire(
            place,
            SocketOptions(
                open_timeout=open_timeout,
                ping_interval=ping_interval,
                ping_timeout=ping_timeout,
                close_timeout=close_timeout,
                max_size=max_size,
                proxy=proxy,
                ssl=ssl,
            ),
            rejoin_seconds=rejoin_seconds if resume else 0.0,
            check=settings,
        )
        super().__init__(wire, new_dialect, name="gemini", capabilities=CAPABILITIES)


def _model(options: ConnectOptions) -> str | None:
    config = options.initial_session_config or {}
    given = options.model or config.get("model") or config.get("model_name")
    if given is not None and not isinstance(given, str):
        raise ConfigurationError(f"model is a model's name, not {given!r:.80}")
    return given
