"""Function calls: those of one `toolCall` are answered together, for the model waits for all of them.

Answers are kept until the last one is there, or until somebody asks for the response. A call that the provider took
back is over: what is said to it later is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from attrs import define, field, frozen

from jackfield.transport import ProviderError
from jackfield.transport.events import FunctionCall
from jackfield.transport.items import RealtimeToolCallItem

from .fields import trim

__all__ = ["CallState", "Calls", "dropped_answer"]

CallState: TypeAlias = Literal["open", "kept", "answered", "cancelled", "lost"]
_OVER: frozenset[CallState] = frozenset({"answered", "cancelled", "lost"})

_REMEMBERED = 512


@define(eq=False)
class _Call:
    item: RealtimeToolCallItem
    batch: int
    named: bool
    """Whether the id is the provider's own."""
    state: CallState = "open"
    output: str = ""


@frozen
class Calls:
    """The calls of one connection's session, over all its sockets."""

    _calls: dict[str, _Call] = field(factory=dict)

    def add(self, items: Iterable[tuple[RealtimeToolCallItem, bool]], batch: int, *, over: bool = False) -> None:
        """Note the calls of one message, which is the `batch`; with `over` nobody is to answer them."""
        for item, named in items:
            self._calls[item.call_id] = _Call(item, batch, named, "cancelled" if over else "open")
        trim(self._calls, _REMEMBERED)

    def knows(self, call_id: str) -> bool:
        """Return whether a call was told."""
        return call_id in self._calls

    def state(self, call_id: str) -> CallState | None:
        """Return what became of a call; None for one that was never told."""
        call = self._calls.get(call_id)
        return None if call is None else call.state

    def item(self, call_id: str) -> RealtimeToolCallItem:
        """Return a call's item."""
        return self._calls[call_id].item

    @property
    def waiting(self) -> bool:
        """Whether the model waits for an answer."""
        return any(call.state in ("open", "kept") for call in self._calls.values())

    def keep(self, call_id: str, output: str) -> bool:
        """Keep an answer; return whether it is the last one of its batch."""
        call = self._calls[call_id]
        call.state, call.output = "kept", output
        return self.complete(call_id)

    def complete(self, call_id: str) -> bool:
        """Return whether nothing of a call's batch is open any more, and something of it is kept."""
        batch = self._calls[call_id].batch
        states = {call.state for call in self._calls.values() if call.batch == batch}
        return "open" not in states and "kept" in states

    def flush(self) -> list[dict[str, Any]]:
        """Return, once, what is kept, as the provider's `functionResponses`."""
        responses: list[dict[str, Any]] = []
        for call in self._calls.values():
            if call.state == "kept":
                name = {"id": call.item.call_id} if call.named else {}
                responses.append({**name, "name": call.item.name, "response": {"output": call.output}})
                call.state, call.output = "answered", ""
        return responses

    def end(self, call_id: str, state: Literal["cancelled", "lost"]) -> RealtimeToolCallItem | None:
        """End a call that is open; return its item, or None where it isn't."""
        call = self._calls.get(call_id)
        if call is None or call.state in _OVER:
            return None
        call.state, call.output = state, ""
        return call.item

    def end_all(self) -> list[RealtimeToolCallItem]:
        """End all that is open, for what the model had asked for is lost."""
        ended = (self.end(call_id, "lost") for call_id in list(self._calls))
        return [item for item in ended if item is not None]


def dropped_answer(call: FunctionCall, state: CallState) -> ProviderError:
    """Return what is told of an answer to a call that is over."""
    why = "took the call back" if state == "cancelled" else "lost the call with the connection"
    return ProviderError(
        f"the answer to {call.name!r} ({call.call_id}) was dropped: Gemini {why}",
        code=f"tool_call_{state}",
        classification="benign",
    )
