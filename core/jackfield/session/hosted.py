"""Hosted MCP in a session: which tools there are, who approves a call, and what became of it.

The far end calls the tools by itself. It doesn't go on by itself with what they brought: an answer is asked for, unless
the run's settings say otherwise.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from jackfield.errors import ListenerError, TransportError, redact
from jackfield.hosted_mcp import HostedMCPTool
from jackfield.invoke import call_inline, is_being_cancelled
from jackfield.transport.events import McpApprovalRequest, McpToolCallCompleted, McpToolsListed

from .approvals import Approvals, Decision
from .events import RealtimeError, RealtimeMcpToolsChanged, RealtimeToolApprovalRequired
from .settings import PreparedAgent
from .shared import Shared

__all__ = ["HostedTools"]

logger = logging.getLogger("jackfield.session")

_REMEMBERED = 256


class HostedTools:
    """The hosted MCP servers of one session."""

    def __init__(self, shared: Shared, approvals: Approvals, current: Callable[[], PreparedAgent]) -> None:
        self._shared = shared
        self._approvals = approvals
        self._current = current
        self._listed: dict[str, tuple[Mapping[str, Any], ...]] = {}
        self._asked: dict[str, None] = {}
        self._told: list[tuple[str, str]] = []

    @property
    def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The tools that the current agent may use, as their servers describe them, with their `server_label`."""
        return tuple(
            {**tool, "server_label": server.server_label}
            for server in self._current().hosted
            for tool in self._listed.get(server.server_label, ())
            if server.allows(str(tool.get("name")))
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
        if self._shared.settings.respond_to_mcp_calls:
            self._shared.scope.spawn(self._request_response(), name="request_response")

    async def _request_response(self) -> None:
        try:
            await self._shared.transport.request_response()
        except TransportError as error:
            logger.debug("the answer to a hosted call could not be asked for: %s", error)

    def approval_requested(self, request: McpApprovalRequest) -> None:
        """The far end asks whether it may make a call."""
        if request.item_id in self._asked:
            return
        self._asked[request.item_id] = None
        while len(self._asked) > _REMEMBERED:
            del self._asked[next(iter(self._asked))]
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
            try:
                await self._shared.transport.send_mcp_response(request, decision.approved, decision.message)
            except TransportError as error:
                if self._shared.over:
                    return
                self._shared.stream.tell(RealtimeError(error, self._shared.info))
                decision = None  # it can be decided again
            else:
                return

    async def _by_function(self, server: HostedMCPTool | None, request: McpApprovalRequest) -> Decision | None:
        if server is None or server.on_approval_request is None:
            return None
        try:
            return Decision(bool(await call_inline(server.on_approval_request, request)))
        except (Exception, asyncio.CancelledError) as error:
            if isinstance(error, asyncio.CancelledError) and (self._shared.over or is_being_cancelled()):
                raise
            # Whatever it raises, it did not say that the call may run.
            failure = ListenerError(
                f"on_approval_request of {server.server_label!r} raised {type(error).__name__}: {redact(str(error))}."
                " The session asks for approval instead.",
                event_type="mcp_approval_request",
            )
            failure.__cause__ = error
            self._shared.stream.tell(RealtimeError(failure, self._shared.info))
            return None

    def _tell_required(self, request: McpApprovalRequest, server: HostedMCPTool | None, owner: PreparedAgent) -> None:
        self._shared.stream.tell(
            RealtimeToolApprovalRequired(
                owner.agent, server, request.item_id, request.arguments, self._shared.info, request.name
            )
        )
