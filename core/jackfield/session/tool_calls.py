"""Tool calls: each runs once, with the agent that owned its response, and each gets exactly one output.

The outputs of one response are sent as they come, and one answer is asked for when the last of them is out and the
response has ended: so the model sees all of them at once. A handoff is a call too: the new agent's settings go out
first, then the output, then the request. How a tool is run is in `tool_runs`, how a handoff is taken in `handovers`.
"""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Literal

from attrs import define

from jackfield.errors import JackfieldError, NotConnectedError, ToolError
from jackfield.tools import tool_output_text
from jackfield.transport.events import FunctionCall

from .events import RealtimeToolEnd
from .handovers import Handovers
from .shared import Shared
from .tool_runs import Answer, ToolRuns
from .turns import Turn, Turns

__all__ = ["ToolCalls"]

logger = logging.getLogger("jackfield.session")

_REMEMBERED_CALLS = 512


@define(eq=False)
class _Call:
    """One call, by its id: what it asked for, and what became of it."""

    fingerprint: bytes
    state: Literal["open", "unsent", "answered"] = "open"
    answer: Answer | None = None
    """What could not be sent: it goes out when the model asks again, and the tool isn't run again."""


class ToolCalls:
    """The tool calls of one session."""

    def __init__(self, shared: Shared, turns: Turns, runs: ToolRuns, handovers: Handovers) -> None:
        self._shared = shared
        self._turns = turns
        self._runs = runs
        self._handovers = handovers
        self._calls: dict[str, _Call] = {}

    def turn_done(self, turn: Turn) -> None:
        """Note that a response ended: no more calls of it will come."""
        turn.done = True
        self.settle(turn)

    def call(self, call: FunctionCall) -> None:
        """Run a call, on a task of its own. One that was told before is not run again."""
        call_id = call.call_id or call.item_id
        if not call_id:
            self._shared.tell_error(
                ToolError(f"the model called {call.name!r} without a call id: it can't be answered")
            )
            return
        fingerprint = _fingerprint(call)
        known = self._calls.get(call_id)
        if known is None:
            known = self._calls[call_id] = _Call(fingerprint)
            self._forget_old_calls()
        elif known.fingerprint != fingerprint:
            changed = f"the call {call_id!r} came again with another function or other arguments; it was not run"
            self._shared.tell_error(ToolError(changed))
            return
        elif known.state != "unsent":
            return
        known.state = "open"
        turn = self._turns.of(call.response_id)
        tool = turn.owner.tools.get(call.name)
        waited_for = not (tool is not None and tool.background)
        turn.open_calls += waited_for
        self._shared.scope.spawn(self._run(call, call_id, known, turn, waited_for), name=f"tool {call.name}")

    def settle(self, turn: Turn) -> None:
        """Ask for the answer to a response's calls, once all that belongs to it is over."""
        if not turn.done or turn.open_calls:
            return
        self._turns.forget(turn)
        if turn.answer:
            turn.answer = False
            self._shared.scope.spawn(self._shared.request_response(), name="request_response")

    async def _run(self, call: FunctionCall, call_id: str, known: _Call, turn: Turn, waited_for: bool) -> None:
        self._shared.use_threads()
        respond = False
        try:
            answer = known.answer or await self._answer(call, call_id, turn)
            known.answer = answer
            await self._send(call, tool_output_text(answer.text))
            known.state, known.answer = "answered", None
            respond = answer.respond
            self._tell_end(call, call_id, turn, answer)
        except Exception as error:  # noqa: BLE001 - a wire of the application's may raise anything
            if self._shared.over or isinstance(error, NotConnectedError):
                logger.debug("the connection ended before the output of %s was sent", call.name)
            else:
                self._tell_error(error)
                if known.answer is not None and known.answer.fatal and known.answer.error is not None:
                    self._shared.fail(known.answer.error)
        finally:
            if known.state == "open":
                known.state = "unsent" if known.answer is not None else "answered"
            turn.open_calls -= waited_for
            at_once = not waited_for or self._shared.settings.join == "call" or not turn.response_id
            if respond and at_once:
                await self._shared.request_response()
            turn.answer = turn.answer or (respond and not at_once)
            self.settle(turn)

    async def _answer(self, call: FunctionCall, call_id: str, turn: Turn) -> Answer:
        owner = turn.owner
        if (handoff := owner.handoffs.get(call.name)) is not None:
            async with self._runs.in_turn():
                return await self._handovers.take(handoff, call, turn)
        if (tool := owner.tools.get(call.name)) is not None:
            return await self._runs.run(tool, call, call_id, owner.agent)
        known = ", ".join([*owner.tools, *owner.handoffs]) or "none"
        why = f"the model called {call.name!r}, which agent {owner.agent.name!r} has not: it has {known}"
        return await self._runs.not_found(call, call_id, why)

    async def _send(self, call: FunctionCall, output: str) -> None:
        if self._shared.over:
            # The transport may carry another session by now.
            raise NotConnectedError("the session was closed before the tool ended")
        await self._shared.transport.send_function_call_output(call, output, start_response=False)

    def _tell_end(self, call: FunctionCall, call_id: str, turn: Turn, answer: Answer) -> None:
        shared = self._shared
        if answer.tool is not None:
            agent = turn.owner.agent
            result, failure = answer.result, answer.failure
            shared.stream.tell(
                RealtimeToolEnd(
                    agent, answer.tool, call.arguments, result, shared.info, call_id, call.response_id, failure
                )
            )
        if answer.fatal and answer.error is not None:
            shared.fail(answer.error)
        elif answer.error is not None:
            self._tell_error(answer.error)

    def _tell_error(self, error: Exception) -> None:
        told = error if isinstance(error, JackfieldError) else ToolError(str(error) or type(error).__name__)
        self._shared.tell_error(told)

    def _forget_old_calls(self) -> None:
        while len(self._calls) > _REMEMBERED_CALLS:
            oldest = next((key for key, call in self._calls.items() if call.state == "answered"), None)
            if oldest is None:
                return
            del self._calls[oldest]


def _fingerprint(call: FunctionCall) -> bytes:
    """What a call asks for: its function and its arguments, however they are written."""
    try:
        arguments = json.dumps(json.loads(call.arguments), sort_keys=True)
    except (ValueError, RecursionError):
        arguments = call.arguments
    return hashlib.blake2b(f"{call.name}\0{arguments}".encode("utf-8", "surrogatepass"), digest_size=16).digest()
