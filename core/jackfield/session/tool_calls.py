"""Tool calls: each runs with the agent that owned its response, and each gets exactly one output.

The outputs of one response are sent as they come, and one answer is asked for when the last of them is out and the
response has ended: so the model sees all of them at once. A handoff is a call too: the new agent's settings go out
first, then the output, then the request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from attrs import define

from jackfield.agent import RealtimeAgent
from jackfield.errors import JackfieldError, NotConnectedError, ToolError, TransportError
from jackfield.handoffs import Handoff
from jackfield.run_context import RunContextWrapper, ToolContext
from jackfield.task_scope import TaskScope
from jackfield.tools import FunctionTool, tool_output_text, use_executor
from jackfield.transport.events import FunctionCall
from jackfield.transport.layer import RealtimeTransportLayer

from .events import RealtimeError, RealtimeEventInfo, RealtimeToolEnd, RealtimeToolStart
from .settings import PreparedAgent

__all__ = ["ToolCalls"]

logger = logging.getLogger("jackfield.session")

_SYNC_TOOL_THREADS = 8


@define(eq=False)
class _Turn:
    """One response: who gave it, and which of its calls are still open."""

    owner: PreparedAgent
    open_calls: int = 0
    answer: bool = False
    """Whether the model is to go on once all calls are answered."""
    done: bool = False


class ToolCalls:
    """The tool calls of one session."""

    def __init__(
        self,
        transport: RealtimeTransportLayer,
        context: RunContextWrapper[Any],
        scope: TaskScope,
        *,
        tell: Callable[[Any], None],
        current: Callable[[], PreparedAgent],
        hand_over: Callable[[RealtimeAgent], Awaitable[None]],
    ) -> None:
        self._transport = transport
        self._context = context
        self._scope = scope
        self._tell = tell
        self._info = RealtimeEventInfo(context)
        self._current = current
        self._hand_over = hand_over
        self._turns: dict[str, _Turn] = {}
        self._threads: ThreadPoolExecutor | None = None

    def owner(self, response_id: str) -> PreparedAgent:
        """Return the agent that gave, or gives, a response."""
        return self._turn(response_id).owner

    def turn_done(self, response_id: str) -> None:
        """Note that a response ended: no more calls of it will come."""
        turn = self._turn(response_id)
        turn.done = True
        self._settle(response_id, turn)

    def call(self, call: FunctionCall) -> None:
        """Run a call, on a task of its own."""
        turn = self._turn(call.response_id)
        turn.open_calls += 1
        self._scope.spawn(self._run(call, turn), name=f"tool {call.name}")

    def close(self) -> None:
        """Let go of the threads. What still runs on one finishes there, unheard."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _turn(self, response_id: str) -> _Turn:
        turn = self._turns.get(response_id)
        if turn is None:
            turn = self._turns[response_id] = _Turn(self._current())
        return turn

    async def _run(self, call: FunctionCall, turn: _Turn) -> None:
        try:
            await self._answer(call, turn.owner)
            turn.answer = True
        except NotConnectedError:
            logger.debug("the connection ended before the output of %s was sent", call.name)
        except JackfieldError as error:
            self._tell(RealtimeError(error, self._info))
        finally:
            turn.open_calls -= 1
            self._settle(call.response_id, turn)

    async def _answer(self, call: FunctionCall, owner: PreparedAgent) -> None:
        """Send the call's one output. Where it returns, the model is to go on."""
        if (handoff := owner.handoffs.get(call.name)) is not None:
            await self._send(call, await self._transfer(handoff))
            return
        tool = owner.tools.get(call.name)
        if tool is None:
            # Without an answer to this one the model can't go on; with a new response it might call it again.
            await self._send(call, f"Tool {call.name} not found")
            known = ", ".join([*owner.tools, *owner.handoffs]) or "none"
            raise ToolError(f"the model called {call.name!r}, which agent {owner.agent.name!r} has not: it has {known}")
        self._tell(RealtimeToolStart(owner.agent, tool, call.arguments, self._info, call.call_id))
        output = await self._invoke(tool, call, owner.agent)
        await self._send(call, tool_output_text(output))
        self._tell(RealtimeToolEnd(owner.agent, tool, call.arguments, output, self._info, call.call_id))

    async def _send(self, call: FunctionCall, output: str) -> None:
        if self._scope.closed:
            # The transport may carry another session by now.
            raise NotConnectedError("the session was closed before the tool ended")
        await self._transport.send_function_call_output(call, output, start_response=False)

    async def _transfer(self, handoff: Handoff) -> str:
        """Hand over; return what the model is told of it. Where it fails the agent stays, and the model can say so."""
        try:
            await self._hand_over(handoff.agent)
        except TransportError:
            raise
        except Exception as error:  # noqa: BLE001 - instructions are made by the application, which may raise anything
            failure = ToolError(f"the handoff to agent {handoff.agent.name!r} failed: {error}")
            failure.__cause__ = error
            self._tell(RealtimeError(failure, self._info))
            return f"An error occurred while handing over to {handoff.agent.name}. Please go on without."
        return handoff.transfer_message()

    async def _invoke(self, tool: FunctionTool, call: FunctionCall, agent: RealtimeAgent) -> Any:
        """Return the tool's result or, where it fails, words by which the model can tell the user."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_SYNC_TOOL_THREADS, thread_name_prefix="jackfield-tool")
        use_executor(self._threads)
        context: ToolContext[Any] = ToolContext(
            run_context=self._context,
            tool_name=call.name,
            tool_call_id=call.call_id,
            tool_arguments=call.arguments,
            agent=agent,
        )
        try:
            return await tool.on_invoke_tool(context, call.arguments)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._scope.closed or (task is not None and task.cancelling()):
                raise
            # Something that the tool awaited was cancelled, and not the tool.
            logger.warning("tool %s failed: CancelledError", tool.name)
            return _failure_text("it was cancelled")
        except Exception as error:  # noqa: BLE001 - a tool may raise anything, and every call gets an output
            logger.warning("tool %s failed: %s", tool.name, type(error).__name__)
            return _failure_text(error)

    def _settle(self, response_id: str, turn: _Turn) -> None:
        if not turn.done or turn.open_calls:
            return
        self._turns.pop(response_id, None)
        if turn.answer:
            self._scope.spawn(self._request_response(), name="request_response")

    async def _request_response(self) -> None:
        try:
            await self._transport.request_response()
        except TransportError as error:
            logger.debug("the answer to the tools' outputs could not be asked for: %s", error)


def _failure_text(error: object) -> str:
    return f"An error occurred while running the tool. Please try again. Error: {str(error) or type(error).__name__}"
