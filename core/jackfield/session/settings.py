"""A session's settings, from their layers: defaults, the run's config, the agent.

The transport owns the audio formats, the session the voice, the agent its instructions and tools. How a run behaves
(guardrails, tools, budget) is in `run_settings`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from attrs import evolve, field, frozen

from jackfield.agent import RealtimeAgent, Tool, enabled
from jackfield.config import check_model_settings
from jackfield.errors import ConfigurationError
from jackfield.guardrails import OutputGuardrail
from jackfield.handoffs import Handoff, realtime_handoff
from jackfield.hosted_mcp import HostedMCPTool
from jackfield.invoke import concurrently
from jackfield.run_context import RunContextWrapper
from jackfield.tools import FunctionTool
from jackfield.transport.session_config import merge_session_config, normalize_session_config

__all__ = [
    "DEFAULT_MODEL_SETTINGS",
    "ModelSettings",
    "PreparedAgent",
    "initial_config",
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

_OURS = ("tools", "handoffs", "provider_data")
"""Settings that hold objects of ours, or go around the merge: no layer of the wire's configuration."""


@frozen
class ModelSettings:
    """What the user said of the model: the run's layer, and that of this connection, which wins."""

    run: Mapping[str, Any] = field(factory=dict)
    initial: Mapping[str, Any] = field(factory=dict)
    tools: Sequence[Tool] | None = None
    """What the starting agent has in place of its own tools."""
    handoffs: Sequence[RealtimeAgent | Handoff] | None = None
    """What the starting agent has in place of its own handoffs."""
    provider_data: Mapping[str, Any] = field(factory=dict)
    """What goes into the session as it is, over everything else."""
    model: str | None = None

    @classmethod
    def of(cls, run: Mapping[str, Any] | None, initial: Mapping[str, Any] | None) -> ModelSettings:
        """Check both layers and take them apart; raise `ConfigurationError`."""
        check_model_settings(run, "model_settings")
        check_model_settings(initial, "initial_model_settings")
        layers = [normalize_session_config(layer or {}) for layer in (run, initial)]
        given: dict[str, Any] = {}
        for layer in layers:
            for key in _OURS:
                value = layer.pop(key, None)
                if value is not None:
                    given[key] = {**given.get(key, {}), **value} if key == "provider_data" else value
        if "tools" in given:
            given["tools"] = [_tool(tool) for tool in given["tools"]]
        names = (layer.get("model") for layer in reversed(layers))
        given["model"] = next((name for name in names if isinstance(name, str)), None)
        return cls(run=layers[0], initial=layers[1], **given)

    def of_another_agent(self) -> ModelSettings:
        """Return them for an agent that isn't the one which they were given for: without what that has of its own."""
        kept = {key: value for key, value in self.initial.items() if key not in ("instructions", "prompt")}
        return evolve(self, tools=None, handoffs=None, initial=kept)


@frozen
class PreparedAgent:
    """An agent as one stretch of conversation knows it: its texts resolved, its tools by name."""

    agent: RealtimeAgent
    instructions: str | None
    prompt: Mapping[str, Any] | None = None
    tools: Mapping[str, FunctionTool] = field(factory=dict)
    hosted: tuple[HostedMCPTool, ...] = ()
    handoffs: Mapping[str, Handoff] = field(factory=dict)
    guardrails: tuple[OutputGuardrail, ...] = ()

    def wire_tools(self) -> list[dict[str, Any]]:
        """Return tools and handoffs as sessions declare them."""
        declared: tuple[Tool | Handoff, ...] = (*self.tools.values(), *self.hosted, *self.handoffs.values())
        return [tool.to_wire() for tool in declared]


async def prepare_agent(
    agent: RealtimeAgent,
    context: RunContextWrapper[Any],
    *,
    settings: ModelSettings | None = None,
    guardrails: Iterable[OutputGuardrail] = (),
) -> PreparedAgent:
    """Resolve an agent's texts, tools and handoffs, all at the same time.

    Tools and handoffs of `settings` take the place of its own; `guardrails` are the run's. Raises `ConfigurationError`
    where two tools or handoffs have one name, or something is neither, before anything is sent.
    """
    agent.check()
    given_tools = None if settings is None else settings.tools
    given_handoffs = None if settings is None else settings.handoffs
    work = (
        agent.get_system_prompt(context),
        agent.get_prompt(context),
        agent.get_all_tools(context) if given_tools is None else _on(given_tools, context, agent),
        _handoffs(agent.handoffs if given_handoffs is None else given_handoffs, context, agent),
    )
    found: list[Any] = await concurrently(work)
    instructions, prompt, tools, handoffs = found
    functions = [tool for tool in tools if isinstance(tool, FunctionTool)]
    hosted = tuple(tool for tool in tools if isinstance(tool, HostedMCPTool))
    _check_unique(
        agent, [tool.name for tool in functions] + [handoff.tool_name for handoff in handoffs], "tool or handoff"
    )
    _check_unique(agent, [tool.server_label for tool in hosted], "hosted MCP server")
    return PreparedAgent(
        agent,
        instructions,
        prompt,
        {tool.name: tool for tool in functions},
        hosted,
        {handoff.tool_name: handoff for handoff in handoffs},
        tuple(dict.fromkeys((*agent.output_guardrails, *guardrails))),
    )


def initial_config(
    prepared: PreparedAgent, settings: ModelSettings, *, joins_call: bool = False, traces: bool = True
) -> dict[str, Any]:
    """Return what a new session is told first.

    The agent wins over the run's settings, and this connection's settings over both; a session's voice wins over its
    agent's. Without `traces` the far end is told to keep none.
    """
    agent = prepared.agent
    # Which voice a call has was settled when it was accepted: from the first word on no other is taken.
    voice = {"audio": {"output": {"voice": agent.voice}}} if agent.voice and not joins_call else {}
    own = _agent_config(prepared, settings)
    has_prompt = any(layer.get("prompt") for layer in (settings.run, settings.initial))
    if (joins_call or has_prompt) and not own.get("instructions"):
        own.pop("instructions", None)  # those that the call was accepted with stay, and so do the prompt's
    config = merge_session_config(
        {} if joins_call else DEFAULT_MODEL_SETTINGS,
        voice,
        settings.run,
        own,
        settings.initial,
        {} if traces else {"tracing": None},
    )
    check_model_settings(config, "model_settings")  # what is right in each layer can be wrong in sum
    return merge_session_config(config, settings.provider_data)


def takeover_config(prepared: PreparedAgent, previous: PreparedAgent, settings: ModelSettings) -> dict[str, Any]:
    """Return what changes when another agent takes over: what the agent owns, and nothing else."""
    config = _agent_config(prepared, settings)
    if previous.prompt is not None:
        config.setdefault("prompt", settings.run.get("prompt"))
    return config


def _agent_config(prepared: PreparedAgent, settings: ModelSettings) -> dict[str, Any]:
    config: dict[str, Any] = {"tools": prepared.wire_tools()}
    if prepared.instructions is not None:
        config["instructions"] = prepared.instructions
    elif prepared.prompt is None:
        config["instructions"] = settings.run.get("instructions") or ""  # the last agent's must not stay
    if prepared.prompt is not None:
        config["prompt"] = dict(prepared.prompt)
    return config


async def _on(tools: Sequence[Tool], context: RunContextWrapper[Any], agent: RealtimeAgent) -> list[Any]:
    on = await concurrently(enabled(getattr(tool, "is_enabled", True), context, agent) for tool in tools)
    return [tool for tool, is_on in zip(tools, on, strict=True) if is_on]


async def _handoffs(
    ways: Sequence[RealtimeAgent | Handoff], context: RunContextWrapper[Any], agent: RealtimeAgent
) -> list[Any]:
    handoffs = [way if isinstance(way, Handoff) else realtime_handoff(way) for way in ways]
    on = await concurrently(enabled(handoff.is_enabled, context, agent) for handoff in handoffs)
    return [handoff for handoff, is_on in zip(handoffs, on, strict=True) if is_on]


def _tool(given: object) -> Tool:
    if isinstance(given, FunctionTool | HostedMCPTool):
        return given
    if isinstance(given, Mapping) and given.get("type") == "mcp":
        return HostedMCPTool(given)
    hint = "decorate the function with @function_tool" if callable(given) else "give FunctionTool or HostedMCPTool"
    raise ConfigurationError(f"model_settings.tools holds a {type(given).__name__}, which is no tool: {hint}")


def _check_unique(agent: RealtimeAgent, names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigurationError(
            f"agent {agent.name!r}: {', '.join(twice)} names more than one {what}; give each its own name"
        )
