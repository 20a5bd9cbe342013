"""Which responses are under way: at most one in the default conversation, any number out of band."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from jackfield_local.engine.config import override_for_response
from jackfield_local.engine.conversation import Conversation, Item
from jackfield_local.engine.errors import ApiError, unknown_item
from jackfield_local.engine.hosted import HostedServers
from jackfield_local.engine.mcp_tools import complete_tools
from jackfield_local.engine.outbox import Halt, Outbox, Respond
from jackfield_local.engine.playback import Playback
from jackfield_local.engine.response import Response, Status
from jackfield_local.engine.usage import Cost, Meter, text

__all__ = ["Responses"]


class Responses:
    """Starts, cancels and finishes the responses of one session.

    `servers` are the hosted ones that tools may name. `make_item` turns a client's item into an `Item`; `ended` is
    told of each response that has ended, however it did. `playback` is there where the server plays the audio.
    """

    def __init__(
        self,
        outbox: Outbox,
        conversation: Conversation,
        servers: HostedServers,
        make_item: Callable[[dict[str, Any]], Item],
        ended: Callable[[Response], None],
        playback: Playback | None,
    ) -> None:
        self._outbox = outbox
        self._conversation = conversation
        self._servers = servers
        self._make_item = make_item
        self._ended = ended
        self._playback = playback
        self._meter = Meter()
        self._active: dict[str, Response] = {}
        self._default: Response | None = None
        self.has_spoken = False

    @property
    def default(self) -> Response | None:
        """The response of the default conversation that is under way."""
        return self._default

    def create(self, session: Mapping[str, Any], change: Mapping[str, Any] | None) -> None:
        """Start a response with the session's settings and those of a `response.create`. Raises `ApiError`."""
        change = change or {}
        settings = override_for_response(session, change, known=self._servers.known)
        default = change.get("conversation", "auto") == "auto"
        if default and self._default is not None:
            raise ApiError(
                f"Conversation already has an active response in progress: {self._default.id}. "
                "Wait until the response is finished before creating a new one.",
                code="conversation_already_has_active_response",
            )
        response = Response(
            settings=settings,
            conversation=self._conversation if default else None,
            context=self._context(change.get("input")),
            emit=self._outbox.emit,
            ids=self._outbox.ids,
            player=self._playback,
        )
        self._active[response.id] = response
        if default:
            self._default = response
        response.start()
        self._outbox.effect(Respond(response))
        if "tools" in change:
            self._servers.use_in_response(complete_tools(change["tools"], self._servers.known, "response.tools"))

    def cancel(self, response_id: str | None) -> None:
        """Cancel a response at the client's wish. Raises `ApiError` where there is none to cancel."""
        response = self._default if not response_id else self._active.get(response_id)
        if response is None:
            raise ApiError("Cancellation failed: no active response found", code="response_cancel_not_active")
        self._halt(response, "client_cancelled")

    def interrupt(self) -> None:
        """Silence the default conversation and cancel its response, if there is one, because the user speaks."""
        if self._playback is not None:
            self._playback.clear(out_of_band=False)
        if self._default is not None:
            self._halt(self._default, "turn_detected")

    def finish(
        self,
        response: Response,
        status: Status,
        *,
        reason: str | None = None,
        error: dict[str, Any] | None = None,
    ) -> None:
        """End a response and report what it used; nothing happens where it has ended already."""
        if self._active.pop(response.id, None) is None:
            return
        if response is self._default:
            self._default = None
        self.has_spoken = self.has_spoken or response.audio_ms > 0
        produced = set(map(id, response.output))
        items = self._conversation if response.context is None else response.context
        costs = [item.cost() for item in items if id(item) not in produced]
        used = self._meter.response([_settings_cost(response), *costs], response.cost)
        response.finish(status, reason=reason, error=error, used=used)
        self._outbox.emit("rate_limits.updated", rate_limits=self._meter.rate_limits())
        self._ended(response)

    def _halt(self, response: Response, reason: str) -> None:
        self.finish(response, "cancelled", reason=reason)
        self._outbox.effect(Halt(response.id))

    def _context(self, given: list[dict[str, Any]] | None) -> list[Item] | None:
        if given is None:
            return None
        items = []
        for index, wire in enumerate(given):
            if wire["type"] != "item_reference":
                items.append(self._make_item(wire))
                continue
            item = self._conversation.get(wire["id"])
            if item is None:
                raise unknown_item("referencing", "reference", wire["id"], f"response.input[{index}].id")
            items.append(item)
        return items


def _settings_cost(response: Response) -> Cost:
    tools = response.settings["tools"]
    return text(response.settings["instructions"]) + text(str(tools) if tools else "")
