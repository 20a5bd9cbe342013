"""Hosted MCP in a session: which tools there are, who approves a call, and what became of it.

The far end calls the tools by itself. It doesn't go on by itself with what they brought: an answer is asked for, unless
the run's settings say otherwise. There is one for all calls of a response, ours as well, once the last of them ended:
also those that wait for approval.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from jackfield.bounded import remember
from jackfield.errors import ListenerError, ToolError, TransportError
from jackfield.hosted_mcp import HostedMCPTool
from jackfield.invoke import call_inline
from jackfield.transport.events import McpApprovalRequest, McpToolCallCompleted, McpToolsListed, TurnDone
from jackfield.transport.items import McpApprovalRequestItem, McpCallItem, RealtimeItem

from .approvals import Approvals, Decision
from .events import RealtimeMcpToolsChanged, RealtimeToolApprovalRequired
from .settings import PreparedAgent
from .shared import Shared
from .turns import Turn, Turns

__all__ = ["HostedTools"]

_REMEMBERED = 256


class HostedTools:
    """The hosted MCP servers of one session."""

    def __init__(
        self,
        shared: Shared,
        approvals: Approvals,
        current: Callable[[], PreparedAgent],
        turns: Turns,
        settle: Callable[[Turn], None],
    ) -> None:
        self._shared = shared
        self._approvals = approvals
        self._current = current
        self._turns = turns
        self._settle = settle
        self._waiting: dict[str, Turn] = {}
        """Calls that were not over when their responses were."""
        self._ended: dict[str, None] = {}
        self._listed: dict[str, tuple[Mapping[str, Any], ...]] = {}
        self._asked: dict[str, McpApprovalRequest] = {}
        self._told: list[tuple[str, str]] = []

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The tools that the current agent may use, as their servers describe them, with their `server_label`."""
        return tuple(
            {**tool, "server_label": server.server_label}
            for server in self._current().hosted
            for tool in self._listed.get(server.server_label, ())
            if server.allows(tool)
        )

    def listed(self, event: McpToolsListed) -> None:
        """A server's tools are known."""
        self._listed[event.server_label] = event.tools
        self._shared.stream.tell(event)
        self.refresh()

    def refresh(self) -> None:
        """Tell the tools where they changed: a server listed them, or another agent took over."""
        if not self._listed:
            return
        tools = self.tools
        names = sorted((str(tool["server_label"]), str(tool.get("name"))) for tool in tools)
        if names != self._told:
            self._told = names
            self._shared.stream.tell(RealtimeMcpToolsChanged(tools, self._shared.info))

    def completed(self, event: McpToolCallCompleted) -> None:
        """A call ended."""
        self._shared.stream.tell(event)
        if not self._over(_key(event.item)):
            self._ask_for_answer()

    def turn_done(self, turn: Turn, event: TurnDone) -> None:
        """A response ended. What was cancelled isn't answered: whoever interrupts says what comes next."""
        settings = self._shared.settings
        if event.status == "cancelled" or not settings.respond_to_mcp_calls:
            return
        if settings.join == "call":
            if turn.hosted_calls:
                self._ask_for_answer()
            return
        turn.answer = turn.answer or turn.hosted_calls
        if event.status != "completed":
            return  # calls of it may have been cut short, and never end
        open_calls = {_key(item) for item in event.output if _is_open(item)}
        for key in open_calls - self._ended.keys():
            turn.open_calls += 1
            self._waiting[key] = turn
        while len(self._waiting) > _REMEMBERED:
            self._let_go(next(iter(self._waiting)))

    def _over(self, key: str) -> bool:
        """Note that a call ended; return whether its answer is taken care of."""
        if not self._shared.settings.respond_to_mcp_calls or key in self._ended:
            return True
        remember(self._ended, key, None, _REMEMBERED)
        if key in self._waiting:
            self._waiting[key].answer = True
            self._let_go(key)
            return True
        turn = self._turns.active
        if turn is not None:
            turn.hosted_calls = True
        return turn is not None

    def _rejected(self, key: str) -> None:
        """Note that a call won't be made: whether its item tells so is the far end's affair."""
        if key in self._waiting or self._turns.active is not None:
            self._over(key)

    def _let_go(self, key: str) -> None:
        turn = self._waiting.pop(key)
        turn.open_calls -= 1
        self._settle(turn)

    def _ask_for_answer(self) -> None:
        self._shared.scope.spawn(self._shared.request_response(), name="request_response")

    def approval_requested(self, request: McpApprovalRequest) -> None:
        """The far end asks whether it may make a call."""
        known = self._asked.get(request.item_id)
        if known is not None:
            if known != request:
                changed = f"the approval request {request.item_id!r} came again for another call; it was ignored"
                self._shared.tell_error(ToolError(changed))
            return
        remember(self._asked, request.item_id, request, _REMEMBERED)
        self._shared.scope.spawn(self._answer(request, self._current()), name="mcp approval")

    async def _answer(self, request: McpApprovalRequest, owner: PreparedAgent) -> None:
        server = next((tool for tool in owner.hosted if tool.server_label == request.server_label), None)
        name = f"{request.server_label}.{request.name}"
        decision = self._approvals.for_good(owner.agent, name) or await self._by_function(server, request)
        while not self._shared.over:
            if decision is None:
                waiting = self._approvals.reopen(request.item_id, owner.agent, name)
                self._tell_required(request, server, owner)
                decision = await waiting
                if self._shared.over:
                    return
            try:
                await self._shared.transport.send_mcp_response(request, decision.approved, decision.message)
            except TransportError as error:
                if self._shared.over:
                    return
                self._shared.tell_error(error)
                decision = None  # it can be decided again
            else:
                if not decision.approved:
                    self._rejected(request.item_id)
                return

    async def _by_function(self, server: HostedMCPTool | None, request: McpApprovalRequest) -> Decision | None:
        if server is None or server.on_approval_request is None:
            return None
        try:
            return Decision(bool(await call_inline(server.on_approval_request, request)))
        except (Exception, asyncio.CancelledError) as error:
            if self._shared.ends(error):
                raise
            # Whatever it raises, it did not say that the call may run.
            what, so = f"on_approval_request of {server.server_label!r}", "The session asks for approval instead."
            self._shared.tell_error(ListenerError.of(what, error, so, event_type="mcp_approval_request"))
            return None

    def _tell_required(self, request: McpApprovalRequest, server: HostedMCPTool | None, owner: PreparedAgent) -> None:
        self._shared.stream.tell(
            RealtimeToolApprovalRequired(
                owner.agent, server, request.item_id, request.arguments, self._shared.info, request.name
            )
        )


def _key(item: RealtimeItem) -> str:
    """What a call goes by: the request for its approval, or its own item. Its item may come before or after that."""
    return (isinstance(item, McpCallItem) and item.approval_request_id) or item.item_id


def _is_open(item: RealtimeItem) -> bool:
    return isinstance(item, McpApprovalRequestItem) or (isinstance(item, McpCallItem) and item.status == "in_progress")
