"""The conversation's items: messages, function calls and their outputs, MCP.

Each handler is named after the event that it takes; the table in this package says which.
"""

from __future__ import annotations

from attrs import evolve

from jackfield.bounded import remember
from jackfield.errors import ProtocolError
from jackfield.openai.state import ConnectionState
from jackfield.openai.wire_items import item_from_wire, text_of
from jackfield.transport import events as ev
from jackfield.transport.items import (
    ItemStatus,
    McpApprovalRequestItem,
    McpCallItem,
    McpListToolsItem,
    RealtimeToolCallItem,
)

from .fields import NOTHING, Events, Message, integer_of, mapping_of

__all__ = [
    "function_call",
    "item_added",
    "item_deleted",
    "item_done",
    "item_retrieved",
    "item_truncated",
    "list_tools_failed",
    "mcp_call_failed",
    "output_item_added",
    "output_item_done",
]


def output_item_added(state: ConnectionState, message: Message) -> Events:
    return _output_item(state, message, "in_progress")


def output_item_done(state: ConnectionState, message: Message) -> Events:
    return _output_item(state, message, "completed")


def _output_item(state: ConnectionState, message: Message, status: ItemStatus) -> Events:
    wire_item = mapping_of(message, "item")
    response_id = text_of(message, "response_id")
    if wire_item.get("type") == "function_call":
        return function_call(state, wire_item, response_id, status)
    if response_id in state.out_of_band:
        return NOTHING  # its items don't enter the conversation; `turn_done` has them
    item = item_from_wire(wire_item, status, response_id)
    return NOTHING if item is None else (ev.ItemUpdate(item=item),)


def function_call(
    state: ConnectionState, wire_item: Message, response_id: str, status: ItemStatus = "completed"
) -> list[ev.TransportEvent]:
    """A call is visible in several events; it is told once, when it is complete."""
    item = item_from_wire(wire_item, status, response_id)
    if not isinstance(item, RealtimeToolCallItem) or item.status != "completed":
        return []
    known = state.calls.get(item.call_id)
    if known is not None:
        if (known.name, known.arguments) == (item.name, item.arguments):
            return []
        changed = f"the call {item.call_id!r} came again with another function or other arguments; it was ignored"
        return [ev.Error(ProtocolError(changed))]
    item = evolve(item, status="in_progress")  # until its output is known
    state.remember_call(item)
    call = ev.FunctionCall(
        name=item.name,
        arguments=item.arguments,
        call_id=item.call_id,
        item_id=item.item_id,
        response_id=response_id,
    )
    return [call] if response_id in state.out_of_band else [ev.ItemUpdate(item=item), call]


def item_added(state: ConnectionState, message: Message) -> Events:
    return _conversation_item(state, message, "in_progress")


def item_done(state: ConnectionState, message: Message) -> Events:
    events = _conversation_item(state, message, "completed")
    return [inner for event in events for inner in (event, *_mcp(event))]


def item_retrieved(state: ConnectionState, message: Message) -> Events:
    return _conversation_item(state, message, "completed")


def _conversation_item(state: ConnectionState, message: Message, status: ItemStatus) -> Events:
    wire_item = mapping_of(message, "item")
    after = message.get("previous_item_id", "")
    if isinstance(after, str):
        after = state.aliases.get(after, after)
    elif after is not None:
        after = ""
    if wire_item.get("type") == "function_call_output":
        return _call_output(state, wire_item)
    if wire_item.get("type") == "mcp_approval_response":
        return _approval(state, wire_item)
    item = item_from_wire(wire_item, status)
    if item is None:
        return NOTHING
    if isinstance(item, RealtimeToolCallItem):
        known = state.calls.get(item.call_id)
        item = known if known is not None else evolve(item, status="in_progress")
    if isinstance(item, McpApprovalRequestItem):
        asked = state.approval_requests.get(item.item_id)
        item = evolve(item, approved=None if asked is None else asked.approved)
        remember(state.approval_requests, item.item_id, item)
    return (ev.ItemUpdate(item=item, after=after),)


def _mcp(event: ev.TransportEvent) -> list[ev.TransportEvent]:
    match event.item if isinstance(event, ev.ItemUpdate) else None:
        case McpListToolsItem() as item:
            return [ev.McpToolsListed(item.server_label, item.tools, item.item_id)]
        case McpApprovalRequestItem() as item:
            request = ev.McpApprovalRequest(
                item_id=item.item_id, server_label=item.server_label, name=item.name, arguments=item.arguments
            )
            return [request]
        case McpCallItem() as item if item.output is not None or item.error is not None:
            return [ev.McpToolCallCompleted(item)]
    return []


def _approval(state: ConnectionState, wire_item: Message) -> Events:
    """The answer to an approval request, ours or another writer's: it belongs to the request's item."""
    request_id, approved = text_of(wire_item, "approval_request_id"), wire_item.get("approve")
    state.remember_follower(text_of(wire_item, "id"), request_id)
    request = state.approval_requests.get(request_id)
    if request is None or not isinstance(approved, bool) or request.approved is approved:
        return NOTHING
    request = evolve(request, approved=approved)
    remember(state.approval_requests, request_id, request)
    return (ev.ItemUpdate(item=request),)


def _call_output(state: ConnectionState, wire_item: Message) -> Events:
    """Our own output comes back, or another writer's arrives: either way it belongs to the call's item."""
    call = state.calls.get(text_of(wire_item, "call_id"))
    if call is None:
        return NOTHING
    state.remember_follower(text_of(wire_item, "id"), call.item_id)
    output = text_of(wire_item, "output")
    if call.output == output:
        return NOTHING
    call = evolve(call, output=output, status="completed")
    state.remember_call(call)
    return (ev.ItemUpdate(item=call),)


def item_deleted(state: ConnectionState, message: Message) -> Events:
    item_id = text_of(message, "item_id")
    if state.parted(item_id):
        return NOTHING  # it was no item of its own
    return (ev.ItemDeleted(item_id),)


def item_truncated(state: ConnectionState, message: Message) -> Events:
    if state.capabilities.truncate == "server":
        item_id, index = text_of(message, "item_id"), integer_of(message, "content_index")
        state.ledger.truncated(item_id, index, integer_of(message, "audio_end_ms"))
    return NOTHING


def list_tools_failed(state: ConnectionState, message: Message) -> Events:
    return (ev.McpFailed("list_tools", text_of(message, "item_id")),)


def mcp_call_failed(state: ConnectionState, message: Message) -> Events:
    return (ev.McpFailed("call", text_of(message, "item_id")),)
