"""Handoffs: how one agent gives the conversation to another, told to the model as a tool."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from .agent import RealtimeAgent
from .errors import ConfigurationError
from .run_context import RunContextWrapper
from .tools import IsEnabled, check_tool_name
from .transport.items import RealtimeItem

__all__ = ["Handoff", "HandoffInputData", "HandoffInputFilter", "realtime_handoff"]

_NO_INPUT: Mapping[str, Any] = {"type": "object", "properties": {}, "additionalProperties": False}


@frozen(kw_only=True)
class HandoffInputData:
    """What an input filter is given: the conversation that the next agent would get, and who hands over to whom."""

    history: Sequence[RealtimeItem]
    input: Any
    context: RunContextWrapper[Any] = field(repr=False)
    from_agent: RealtimeAgent
    to_agent: RealtimeAgent


HandoffInputFilter: TypeAlias = Callable[[HandoffInputData], Iterable[RealtimeItem] | Awaitable[Iterable[RealtimeItem]]]
"""Returns the items that the next agent is to know: of those in `history`, some, all, or new ones between them."""

OnHandoff: TypeAlias = Callable[..., object]
"""Called with the context, and with the input where the handoff has an input type. May be a coroutine function."""


def _check_agent(_: object, __: object, agent: object) -> None:
    if not isinstance(agent, RealtimeAgent):
        raise ConfigurationError(f"a handoff goes to a RealtimeAgent, not to {type(agent).__name__}")


@frozen(kw_only=True, eq=False)
class Handoff:
    """A way to another agent. The model takes it by calling the tool `tool_name`. Made by `realtime_handoff`."""

    agent: RealtimeAgent = field(validator=_check_agent)
    tool_name: str = field(validator=check_tool_name)
    tool_description: str
    input_json_schema: Mapping[str, Any] = field(default=_NO_INPUT, repr=False)
    on_handoff: OnHandoff | None = field(default=None, repr=False)
    is_enabled: IsEnabled = field(default=True, repr=False)
    input_filter: HandoffInputFilter | None = field(default=None, repr=False)
    _parse: Callable[[str], Any] | None = field(default=None, repr=False)

    @property
    def takes_input(self) -> bool:
        """Whether the model gives it arguments of a type."""
        return self._parse is not None

    def parse_input(self, arguments: str) -> Any:
        """Return the model's arguments as the input type; None where the handoff takes none.

        Raises `ToolError`, in words that help the model to do better, where they don't fit.
        """
        return None if self._parse is None else self._parse(arguments)

    def to_wire(self) -> dict[str, Any]:
        """Return the handoff as sessions declare it: a function."""
        return {
            "type": "function",
            "name": self.tool_name,
            "description": self.tool_description,
            "parameters": dict(self.input_json_schema),
        }

    def get_transfer_message(self) -> str:
        """Return what the model is told when the handoff is done."""
        return json.dumps({"assistant": self.agent.name}, ensure_ascii=False)


def realtime_handoff(
    agent: RealtimeAgent,
    *,
    tool_name_override: str | None = None,
    tool_description_override: str | None = None,
    on_handoff: OnHandoff | None = None,
    input_type: Any = None,
    is_enabled: IsEnabled = True,
    input_filter: HandoffInputFilter | None = None,
) -> Handoff:
    """Make a handoff to `agent`, where its bare mention in `handoffs` won't do.

    With `input_type` (whatever pydantic can validate) the model gives arguments; they are validated strictly and handed
    to `on_handoff(context, input)`. Without it `on_handoff(context)` is called. `is_enabled` is a bool or a function of
    context and agent. `input_filter` edits the conversation that the next agent gets. Raises `ConfigurationError`.
    """
    _check_agent(None, None, agent)
    name = "transfer_to_" + re.sub(r"\W", "_", agent.name, flags=re.ASCII).lower()
    described = f"Handoff to the {agent.name} agent to handle the request. {agent.handoff_description or ''}".strip()
    tool_name = tool_name_override or name[:64]
    if input_type is not None and on_handoff is None:
        raise ConfigurationError(f"handoff {tool_name!r}: input_type needs an on_handoff to give the input to")
    if on_handoff is not None:
        _check_arity(tool_name, on_handoff, 1 if input_type is None else 2)
    schema, parse = (_NO_INPUT, None) if input_type is None else _typed_input(tool_name, input_type)
    return Handoff(
        agent=agent,
        tool_name=tool_name,
        tool_description=tool_description_override or described,
        input_json_schema=schema,
        on_handoff=on_handoff,
        is_enabled=is_enabled,
        input_filter=input_filter,
        parse=parse,
    )


def _check_arity(tool_name: str, function: OnHandoff, wanted: int) -> None:
    arguments = "context, input" if wanted == 2 else "context"
    if not callable(function):
        raise ConfigurationError(f"handoff {tool_name!r}: on_handoff is a function of {arguments}, not {function!r}")
    try:
        inspect.signature(function).bind(*range(wanted))
    except TypeError:
        raise ConfigurationError(
            f"handoff {tool_name!r}: on_handoff is called with ({arguments})"
            f" {'because' if wanted == 2 else 'unless'} there is an input_type; it takes {inspect.signature(function)}"
        ) from None
    except ValueError:
        return  # some callables written in C have no signature; they complain for themselves


def _typed_input(tool_name: str, input_type: Any) -> tuple[dict[str, Any], Callable[[str], Any]]:
    from .tool_schema import typed_arguments  # pydantic: loaded with the first handoff that needs it

    return typed_arguments(tool_name, input_type)
