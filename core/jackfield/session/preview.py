"""What a session would tell the far end first, for those who have to tell it themselves, such as a call's accept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackfield.agent import RealtimeAgent
from jackfield.run_context import RunContextWrapper

from .run_settings import RunSettings
from .settings import ModelSettings, initial_config, prepare_agent

__all__ = ["initial_session_config"]


async def initial_session_config(
    agent: RealtimeAgent[Any],
    *,
    model: str | None = None,
    config: Mapping[str, Any] | None = None,
    initial_model_settings: Mapping[str, Any] | None = None,
    context: Any = None,
) -> dict[str, Any]:
    """Return the config that `RealtimeSession` would begin with, given the same; `model` is in it where it is known.

    Raises `ConfigurationError` for whatever the session would refuse.
    """
    run = RunSettings.of(config)
    settings = ModelSettings.of((config or {}).get("model_settings"), initial_model_settings)
    prepared = await prepare_agent(
        agent, RunContextWrapper(context), settings=settings, guardrails=run.output_guardrails
    )
    told = initial_config(prepared, settings, traces=not run.tracing_disabled)
    known = model or settings.model
    return told if known is None else {**told, "model": known}
