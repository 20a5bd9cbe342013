"""A session's settings, from their layers: defaults, the run's config, the agent.

The transport owns the audio formats, the session the voice, the agent its instructions and tools.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from jackfield.agent import RealtimeAgent
from jackfield.errors import ConfigurationError
from jackfield.handoffs import Handoff, realtime_handoff
from jackfield.naming import check_names
from jackfield.run_context import RunContextWrapper
from jackfield.tools import FunctionTool
from jackfield.transport.session_config import merge_session_config, normalize_session_config

__all__ = [
    "DEFAULT_MODEL_SETTINGS",
    "PreparedAgent",
    "initial_config",
    "model_name",
    "model_settings",
    "prepare_agent",
    "takeover_config",
]

DEFAULT_MODEL_SETTINGS: Mapping[str, Any] = {
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        },
    },
}
"""What a new session is told where the user says nothing. A call that is joined has its own settings and keeps them."""


@frozen
class PreparedAgent:
    """An agent as one stretch of conversation knows it: its texts resolved, its tools by name."""

    agent: RealtimeAgent
    instructions: str | None
    tools: Mapping[str, FunctionTool]
    handoffs: Mapping[str, Handoff] = field(factory=dict)

    def wire_tools(self) -> list[dict[str, Any]]:
        """Return tools and handoffs as sessions declare them."""
        return [tool.to_wire() for tool in self.tools.values()] + [way.to_wire() for way in self.handoffs.values()]


def model_settings(config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings in a run's configuration; raise `ConfigurationError` for a key that isn't known."""
    check_names("config has no key", config or {}, ["model_settings"])
    return dict((config or {}).get("model_settings") or {})


def model_name(*layers: Mapping[str, Any]) -> str | None:
    """Return the model that the first of `layers` to have one names."""
    names = (layer.get("model_name") or layer.get("model") for layer in layers)
    return next((name for name in names if isinstance(name, str)), None)


async def prepare_agent(agent: RealtimeAgent, context: RunContextWrapper[Any]) -> PreparedAgent:
    """Resolve an agent's instructions and tools.

    Raises `ConfigurationError` where two tools or handoffs have one name, or something is neither, before anything is
    sent.
    """
    agent.check_tools()
    instructions = await agent.get_system_prompt(context)
    handoffs = [way if isinstance(way, Handoff) else realtime_handoff(way) for way in agent.handoffs]
    names = [tool.name for tool in agent.tools] + [handoff.tool_name for handoff in handoffs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"agent {agent.name!r}: {', '.join(twice)} names more than one tool or handoff; give each its own name"
        )
    return PreparedAgent(
        agent,
        instructions,
        {tool.name: tool for tool in agent.tools},
        {handoff.tool_name: handoff for handoff in handoffs},
    )


def initial_config(prepared: PreparedAgent, *layers: Mapping[str, Any], joins_call: bool = False) -> dict[str, Any]:
    """Return what a new session is told first. Later `layers` win; a session's voice wins over its agent's."""
    agent = prepared.agent
    voice = {"audio": {"output": {"voice": agent.voice}}} if agent.voice else {}
    return merge_session_config(
        {} if joins_call else DEFAULT_MODEL_SETTINGS,
        voice,
        _agent_config(prepared),
        *(normalize_session_config(layer) for layer in layers),
    )


def takeover_config(prepared: PreparedAgent, previous: PreparedAgent) -> dict[str, Any]:
    """Return what changes when another agent takes over: what the agent owns, and nothing else."""
    config = _agent_config(prepared)
    if previous.agent.prompt is not None:
        config.setdefault("prompt", None)
    return config


def _agent_config(prepared: PreparedAgent) -> dict[str, Any]:
    config: dict[str, Any] = {"tools": prepared.wire_tools()}
    if prepared.instructions is not None:
        config["instructions"] = prepared.instructions
    elif prepared.agent.prompt is None:
        config["instructions"] = ""  # the last agent's must not stay
    if prepared.agent.prompt is not None:
        config["prompt"] = dict(prepared.agent.prompt)
    return config
