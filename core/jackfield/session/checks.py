"""What a session is given, against what it can be given: found before anything is sent, and said in words that help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jackfield.agent import RealtimeAgent
from jackfield.config import check_model_config
from jackfield.errors import ConfigurationError, UnsupportedByTransportError
from jackfield.hooks import RealtimeRunHooks
from jackfield.transport.layer import RealtimeTransportLayer

from .run_settings import RunSettings
from .settings import PreparedAgent
from .state import SessionState

__all__ = ["check_agent_fits", "check_arguments", "check_takeover", "check_transport_fits"]


def check_arguments(
    agent: object, transport: object, model: object, hooks: object, dialling: Mapping[str, Any]
) -> None:
    """Raise `ConfigurationError` for arguments of a session that are of another kind than they must be."""
    if not isinstance(agent, RealtimeAgent):
        raise ConfigurationError(f"a session starts with a RealtimeAgent, not with {type(agent).__name__}")
    if not isinstance(transport, str | RealtimeTransportLayer):
        raise ConfigurationError(
            f"transport is a transport's name, or a transport (see jackfield.transport), not {transport!r:.80}"
        )
    if model is not None and (not isinstance(model, str) or not model):
        raise ConfigurationError(f"model is a model's name, such as 'gpt-realtime', not {model!r:.80}")
    if hooks is not None and not isinstance(hooks, RealtimeRunHooks):
        raise ConfigurationError(
            f"the hooks of a run are RealtimeRunHooks, not {type(hooks).__name__}; an agent has its own (hooks=)"
        )
    check_model_config(dialling)


def check_transport_fits(transport: RealtimeTransportLayer, run: RunSettings, state: SessionState | None) -> None:
    """Raise `ConfigurationError` where the transport can't do what the run's settings, or the state, ask of it."""
    capabilities = transport.capabilities
    if run.hold_back_ms is not None and (capabilities.playback != "client" or not capabilities.audio_out):
        raise ConfigurationError(
            f"hold_back_ms needs a transport whose audio the application plays: {transport.name} does so at the far end"
        )
    if run.budget is not None and run.budget.farewell is not None and not capabilities.response_overrides:
        raise ConfigurationError(
            f"the {transport.name} transport can't ask for one answer with words of its own:"
            " give the budget farewell=None"
        )
    if state is not None and state.history and not capabilities.history:
        raise ConfigurationError(f"the {transport.name} transport can't be told an earlier conversation (state=)")


def check_agent_fits(transport: RealtimeTransportLayer, prepared: PreparedAgent) -> None:
    """Raise `ConfigurationError` where an agent has what the transport's far end can't do."""
    if prepared.hosted and not transport.capabilities.hosted_mcp:
        labels = ", ".join(tool.server_label for tool in prepared.hosted)
        raise ConfigurationError(
            f"agent {prepared.agent.name!r} has hosted MCP servers ({labels}), and the far end of the"
            f" {transport.name} transport calls none: connect them as local servers (jackfield.mcp)"
        )


def check_takeover(transport: RealtimeTransportLayer, agent: object) -> None:
    """Raise where no other agent, or no such one, can take over."""
    if not isinstance(agent, RealtimeAgent):
        raise ConfigurationError(f"a RealtimeAgent takes over, not {type(agent).__name__}")
    if not transport.capabilities.session_update:
        raise UnsupportedByTransportError(
            f"the {transport.name} transport can't change a session: no other agent can take over"
        )
