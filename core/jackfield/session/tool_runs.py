"""One call of a function tool, from the model's wish to the words that it gets back.

Is it there, may it run, what do the guardrails say, how did it end: each of these has an answer for the model, and so
every call gets one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Coroutine
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from typing import Any, Literal

from attrs import frozen

from jackfield.agent import RealtimeAgent, enabled
from jackfield.errors import (
    NotConnectedError,
    ToolError,
    ToolInputGuardrailTripwireTriggered,
    ToolOutputGuardrailTripwireTriggered,
    ToolTimeoutError,
)
from jackfield.invoke import call_inline
from jackfield.run_context import ToolContext
from jackfield.tool_guardrails import ToolInputGuardrailData, ToolOutputGuardrailData
from jackfield.tools import (
    BackgroundResult,
    FunctionTool,
    ToolErrorFormatterArgs,
    default_tool_error_function,
    tool_output_text,
)
from jackfield.transport.events import FunctionCall

from .approvals import Approvals, Decision
from .events import RealtimeToolApprovalRequired, RealtimeToolStart
from .hook_calls import HookCalls
from .shared import Shared

__all__ = ["Answer", "ToolRuns"]

logger = logging.getLogger("jackfield.session")

_REJECTED = "Tool execution was not approved."


@frozen
class Answer:
    """What a call came to: `text` for the model, `result` for the application."""

    text: str
    result: Any = None
    tool: FunctionTool | None = None
    """The tool that ran, or was kept from running; None where there is none, or it was a handoff."""
    respond: bool = True
    """Whether the model is to go on with it."""
    error: Exception | None = None
    """What is to be told beside the answer."""
    fatal: bool = False
    """Whether `error` ends the session: the application asked for that."""
    failure: Exception | None = None
    """What the tool raised, whoever is told of it."""


class _GuardedError(Exception):
    """A guardrail replaced the output by its message."""


class ToolRuns:
    """Runs the function tools of one session, `max_concurrency` at a time."""

    def __init__(self, shared: Shared, hooks: HookCalls, approvals: Approvals) -> None:
        self._shared = shared
        self._hooks = hooks
        self._approvals = approvals

    async def run(self, tool: FunctionTool, call: FunctionCall, call_id: str, agent: RealtimeAgent) -> Answer:
        """Run a call; return its answer, whatever happens. Only the end of the session cancels it."""
        context: ToolContext[Any] = ToolContext(
            run_context=self._shared.context,
            tool_name=call.name,
            tool_call_id=call_id,
            tool_arguments=call.arguments,
            agent=agent,
            response_id=call.response_id,
        )
        return await self._answered(tool, context, self._run(tool, call, context, agent))

    @cached_property
    def _places(self) -> asyncio.Semaphore:
        """How many may run beside each other; who waits gets a place in the order of the calls."""
        settings = self._shared.settings
        return asyncio.Semaphore(settings.max_concurrency if settings.async_tool_calls else 1)

    def in_turn(self) -> AbstractAsyncContextManager[Any]:
        """Return what keeps calls in their order, where they are not to run beside each other."""
        return contextlib.nullcontext() if self._shared.settings.async_tool_calls else self._places

    async def not_found(self, call: FunctionCall, call_id: str, why: str) -> Answer:
        """Return the answer to a call of a tool that isn't there. With a new response the model might call it again."""
        text = await self._worded("not_found", call.name, call_id, f"Tool {call.name} not found")
        return Answer(text, respond=False, error=ToolError(why))

    async def _run(
        self, tool: FunctionTool, call: FunctionCall, context: ToolContext[Any], agent: RealtimeAgent
    ) -> Answer:
        async with self._places:
            if not await enabled(tool.is_enabled, self._shared.context, agent):
                why = f"tool {call.name!r} is not enabled any more"
                return await self.not_found(call, context.tool_call_id, why)
            decision = await self._decision(tool, context, agent)
            if decision is not None:
                return await self._decided(decision, tool, context, agent)
        decision = await self._asked(tool, context, agent)  # others run while somebody makes up their mind
        async with self._places:
            return await self._decided(decision, tool, context, agent)

    async def _answered(
        self, tool: FunctionTool, context: ToolContext[Any], work: Coroutine[Any, Any, Answer]
    ) -> Answer:
        """Return what `work` returns or, where it fails, an answer all the same."""
        try:
            return await work
        except _GuardedError as guarded:
            return Answer(str(guarded), str(guarded), tool)
        except (ToolInputGuardrailTripwireTriggered, ToolOutputGuardrailTripwireTriggered) as tripped:
            return Answer(f"The tool {tool.name} was stopped.", None, tool, False, tripped, fatal=True, failure=tripped)
        except asyncio.CancelledError as error:
            if self._shared.ends(error):
                raise
            # Something that the tool awaited was cancelled, and not the tool.
            return await self._failed(tool, context, ToolError("it was cancelled"))
        except Exception as error:
            if self._shared.over:
                raise
            return await self._failed(tool, context, error)  # it may raise anything, and every call gets an output

    # May it run?

    async def _decision(self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent) -> Decision | None:
        """Return what is decided about a call; None where somebody has to be asked."""
        if tool.needs_approval is False:
            return Decision(approved=True)
        given = self._approvals.for_good(agent, tool.name)
        if given is None and not await self._needs_approval(tool, context):
            given = Decision(approved=True)
        given = self._approvals.for_good(agent, tool.name) or given
        if given is None and self._shared.settings.pre_approval_tool_input_guardrails:
            await self._judge_input(tool, context, agent)
            given = self._approvals.for_good(agent, tool.name)
        return given

    async def _asked(self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent) -> Decision:
        waiting = self._approvals.ask(context.tool_call_id, agent, tool.name)
        self._shared.stream.tell(
            RealtimeToolApprovalRequired(
                agent,
                tool,
                context.tool_call_id,
                context.tool_arguments,
                self._shared.info,
                tool.name,
                context.response_id,
            )
        )
        return await waiting

    async def _decided(
        self, decision: Decision, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent
    ) -> Answer:
        if decision.approved:
            return await self._execute(tool, context, agent)
        text = decision.message
        if text is None:
            text = await self._worded("approval_rejected", tool.name, context.tool_call_id, _REJECTED)
        return Answer(text, text, tool)

    async def _needs_approval(self, tool: FunctionTool, context: ToolContext[Any]) -> bool:
        if isinstance(tool.needs_approval, bool):
            return tool.needs_approval
        arguments = _object_of(context.tool_arguments)
        if arguments is None:
            return True  # what nobody can read, nobody can wave through
        try:
            return bool(await call_inline(tool.needs_approval, self._shared.context, arguments, context.tool_call_id))
        except Exception as error:  # noqa: BLE001 - whatever it raises, it did not say that the call may run
            failure = ToolError(
                f"needs_approval of tool {tool.name!r} raised {type(error).__name__}: approval is asked for"
            )
            failure.__cause__ = error
            self._shared.tell_error(failure)
            return True

    # Running

    async def _execute(self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent) -> Answer:
        await self._judge_input(tool, context, agent)
        shared = self._shared
        if shared.over:
            raise NotConnectedError("the connection ended before the tool ran")
        shared.stream.tell(
            RealtimeToolStart(
                agent, tool, context.tool_arguments, shared.info, context.tool_call_id, context.response_id
            )
        )
        if shared.stream.emitter.listens("tool_start"):
            await asyncio.sleep(0)  # a coroutine listener begins only now
        if shared.over:  # a listener closed the session
            raise NotConnectedError("the session was closed before the tool ran")
        await self._hooks.tool_starts(context, agent, tool)
        answer = await self._answered(tool, context, self._invoked(tool, context, agent))
        await self._hooks.tool_ended(context, agent, tool, answer.result)
        return answer

    async def _invoked(self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent) -> Answer:
        limit = asyncio.timeout(tool.timeout)
        try:
            async with limit:
                result = await tool.on_invoke_tool(context, context.tool_arguments)
        except TimeoutError:
            if not limit.expired():
                raise
            return await self._timed_out(tool, context)
        return await self._succeeded(tool, context, agent, result)

    async def _succeeded(
        self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent, result: Any
    ) -> Answer:
        respond = not isinstance(result, BackgroundResult)
        result = result.output if isinstance(result, BackgroundResult) else result
        for guardrail in tool.tool_output_guardrails:
            verdict = await guardrail.run(ToolOutputGuardrailData(context, agent, result))
            if verdict.behavior == "raise_exception":
                raise ToolOutputGuardrailTripwireTriggered(
                    f"guardrail {guardrail.get_name()!r} stopped the output of tool {tool.name!r}"
                )
            if verdict.behavior == "reject_content":
                result = verdict.message
        return Answer(tool_output_text(result), result, tool, respond)

    async def _judge_input(self, tool: FunctionTool, context: ToolContext[Any], agent: RealtimeAgent) -> None:
        for guardrail in tool.tool_input_guardrails:
            verdict = await guardrail.run(ToolInputGuardrailData(context, agent))
            if verdict.behavior == "raise_exception":
                raise ToolInputGuardrailTripwireTriggered(
                    f"guardrail {guardrail.get_name()!r} stopped the call of tool {tool.name!r}"
                )
            if verdict.behavior == "reject_content":
                raise _GuardedError(verdict.message)

    # Coming to nothing

    async def _timed_out(self, tool: FunctionTool, context: ToolContext[Any]) -> Answer:
        error = ToolTimeoutError(f"Tool '{tool.name}' timed out after {tool.timeout:g} seconds.")
        self._log(tool, context, error)
        if tool.timeout_behavior == "raise_exception":
            return Answer(str(error), None, tool, False, error, fatal=True, failure=error)
        if tool.timeout_error_function is not None:
            text = await call_inline(tool.timeout_error_function, context, error)
        else:
            text = await self._worded("timeout", tool.name, context.tool_call_id, str(error))
        return Answer(text, text, tool, failure=error)

    async def _failed(self, tool: FunctionTool, context: ToolContext[Any], error: Exception) -> Answer:
        self._log(tool, context, error)
        if tool.failure_error_function is None:
            return Answer(f"The tool {tool.name} failed.", None, tool, False, error, fatal=True, failure=error)
        default = default_tool_error_function(context, error)
        if tool.failure_error_function is default_tool_error_function:
            text = await self._worded("failure", tool.name, context.tool_call_id, default)
            return Answer(text, text, tool, failure=error)
        try:
            text = await call_inline(tool.failure_error_function, context, error)
        except Exception as failure:  # noqa: BLE001 - the call is answered all the same
            logger.warning("failure_error_function of %s failed: %s", tool.name, type(failure).__name__)
            text = default
        return Answer(text, text, tool, failure=error)

    async def _worded(
        self,
        kind: Literal["approval_rejected", "not_found", "timeout", "failure"],
        name: str,
        call_id: str,
        default: str,
    ) -> str:
        """Return the formatter's words for what happened, or the default ones where it has none."""
        formatter = self._shared.settings.tool_error_formatter
        if formatter is None:
            return default
        given = ToolErrorFormatterArgs(kind, "function", name, call_id, default, self._shared.context)
        try:
            words = await call_inline(formatter, given)
        except Exception as error:  # noqa: BLE001 - the call is answered all the same
            logger.warning("tool_error_formatter failed: %s", type(error).__name__, extra=self._shared.log(tool=name))
            return default
        return words if isinstance(words, str) else default

    def _log(self, tool: FunctionTool, context: ToolContext[Any], error: Exception) -> None:
        extra = self._shared.log(tool=tool.name, call_id=context.tool_call_id)
        logger.warning("tool %s failed: %s", tool.name, type(error).__name__, extra=extra)


def _object_of(arguments: str) -> dict[str, Any] | None:
    """Return the JSON object in `arguments`; None where there is none, or it holds numbers that JSON doesn't know."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        parsed = json.loads(arguments, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
