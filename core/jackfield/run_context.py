"""What tools and instructions are handed: the application's context, and what is known of the run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from attrs import define, field

from .transport.events import Usage
from .transport.items import RealtimeItem

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from .agent import RealtimeAgent

    TContext = TypeVar("TContext", default=Any)
else:
    from typing import TypeVar

    TContext = TypeVar("TContext")

__all__ = ["RunContextWrapper", "TContext", "ToolContext"]


@define(eq=False)
class RunContextWrapper(Generic[TContext]):
    """The application's own `context`, and the tokens used so far. One for each session, shared by all its parts."""

    context: TContext
    usage: Usage = field(factory=Usage)
    _items: Callable[[], list[RealtimeItem]] = field(default=list, repr=False)

    @property
    def history(self) -> list[RealtimeItem]:
        """The conversation as it stands now, in order. A new list, yours."""
        return self._items()


@define(eq=False, kw_only=True)
class ToolContext(Generic[TContext]):
    """What a tool's first parameter gets, when it is annotated with it: the run's context, and the call itself."""

    run_context: RunContextWrapper[TContext]
    tool_name: str
    tool_call_id: str
    tool_arguments: str
    agent: RealtimeAgent | None = None
    response_id: str = ""
    """The response that made the call; "" where the far end didn't say."""

    @property
    def context(self) -> TContext:
        """The application's context."""
        return self.run_context.context

    @property
    def usage(self) -> Usage:
        """The tokens used so far."""
        return self.run_context.usage

    @property
    def history(self) -> list[RealtimeItem]:
        """The conversation as it stands now, in order. A new list, yours."""
        return self.run_context.history
