"""The calls of hosted tools: with the client's approval or without, and what follows when all of a response's are over.

A call that needs no approval is part of its response. One that waits for the client outlives it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define

from jackfield_local.engine.conversation import Conversation, Item
from jackfield_local.engine.errors import ApiError
from jackfield_local.engine.hosted import HostedServers
from jackfield_local.engine.mcp_tools import McpServer
from jackfield_local.engine.outbox import CallTool, Outbox
from jackfield_local.engine.response import Response, emit_mcp_call
from jackfield_local.interfaces import Call

__all__ = ["McpCalls"]

_INVALID_PARAMS: Final = -32602
"""JSON-RPC's code, which MCP uses for unknown tools."""


@define(eq=False)
class _Call:
    """A call that isn't over; `approval_request_id` is the request's that the client answers, or has answered."""

    response: Response
    item: Item
    output_index: int
    server: McpServer
    arguments: Mapping[str, Any]
    approval_request_id: str | None = None

    @property
    def request(self) -> CallTool:
        """What is to be done to make the call."""
        return CallTool(self.server, self.item.id, self.item.wire["name"], self.arguments)


class McpCalls:
    """Makes the calls of one session. `answered` is told when a response has ended and its calls have as well."""

    def __init__(
        self,
        outbox: Outbox,
        conversation: Conversation,
        servers: HostedServers,
        answered: Callable[[], None],
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._servers = servers
        self._answered = answered
        self._calls: dict[str, _Call] = {}
        self._asked: dict[str, _Call] = {}

    def call(self, response: Response, call: Call) -> CallTool | None:
        """Write a call into a response, and return what the response has to wait for, if anything.

        Raises `OutputLimitReached`.
        """
        arguments = dict(call.arguments)
        target = self._servers.target(response.settings["tools"], call)
        if target is None:
            response.call_function(call.name, arguments)
            return None
        item = response.open_mcp_call(target.server_label, call.name, arguments)
        if target.server is None:
            message = f"Unknown tool: {call.name}"
            response.close_mcp_call(item, error={"type": "protocol_error", "code": _INVALID_PARAMS, "message": message})
            return None
        running = _Call(response, item, len(response.output) - 1, target.server, arguments)
        self._calls[item.id] = running
        if target.needs_approval:
            running.approval_request_id = response.request_approval(item)
            self._asked[running.approval_request_id] = running
            return None
        response.start_mcp_call(item)
        return running.request

    def called(self, item_id: str, *, output: str | None = None, error: dict[str, Any] | None = None) -> None:
        """Take the outcome of a `CallTool`; nothing happens where its response was cut short in the meantime."""
        call = self._calls.pop(item_id, None)
        if call is None:
            return
        if call.approval_request_id is None:
            call.response.close_mcp_call(call.item, output=output, error=error)
            return
        state = "completed" if error is None else "failed"
        emit_mcp_call(self._outbox.emit, state, call.item, call.output_index)
        self._close(call, output, error)

    def check_approval(self, wire: Mapping[str, Any]) -> None:
        """Raise `ApiError` where an `mcp_approval_response` answers nothing that was asked."""
        request_id = wire["approval_request_id"]
        if request_id not in self._asked:
            message = f"There is no MCP approval request '{request_id}' that waits for a response."
            raise ApiError(message, code="invalid_value", param="item.approval_request_id")

    def decide(self, wire: Mapping[str, Any]) -> None:
        """Go by an `mcp_approval_response` that was checked: make the call, or tell the model why there is none."""
        call = self._asked.pop(wire["approval_request_id"])
        if wire["approve"]:
            emit_mcp_call(self._outbox.emit, "in_progress", call.item, call.output_index)
            self._outbox.effect(call.request)
            return
        del self._calls[call.item.id]
        reason = f": {wire['reason']}" if wire.get("reason") else "."
        self._close(call, None, {"type": "tool_execution_error", "message": f"The call was not approved{reason}"})

    def response_ended(self, response: Response) -> None:
        """Learn that a response has ended, however it did."""
        unfinished = [call for call in self._calls.values() if call.response is response]
        for call in unfinished:
            if call.approval_request_id is None:
                del self._calls[call.item.id]
        if any(item.wire["type"] == "mcp_call" for item in response.output):
            self._tell(response)

    def _close(self, call: _Call, output: str | None, error: dict[str, Any] | None) -> None:
        call.item.wire.update(output=output, error=error)
        if call.response.default:
            previous = self._conversation.before(call.item)
            self._outbox.emit("conversation.item.done", previous_item_id=previous, item=call.item.to_wire())
        self._tell(call.response)

    def _tell(self, response: Response) -> None:
        if response.status != "completed" or not response.default:
            return
        # Where functions were called as well, their outputs come from the client, and so does what follows them.
        waits = any(item.wire["type"] == "function_call" for item in response.output)
        if not waits and not any(call.response is response for call in self._calls.values()):
            self._answered()
