"""The SDK's send events as calls of a transport.

No send waits for the far end's answer: sessions send from within their listeners too, and the answer would come after
that.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from agents.exceptions import UserError
from agents.realtime import (
    RealtimeModelSendAudio,
    RealtimeModelSendEvent,
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)

from jackfield.transport import RealtimeTransportLayer
from jackfield.transport.events import FunctionCall

from .interrupts import interrupt
from .responses import Responses
from .settings import SessionSettings

__all__ = ["Sender"]


class Sender:
    """The sending half of one connection. `answered` is told of each tool call whose output was sent."""

    def __init__(
        self,
        transport: RealtimeTransportLayer,
        responses: Responses,
        settings: SessionSettings,
        answered: Callable[[RealtimeModelSendToolOutput], None],
    ) -> None:
        self._transport = transport
        self._responses = responses
        self._settings = settings
        self._answered = answered
        self._inputs = asyncio.Lock()
        self._asked = False
        """Whether a response was asked for, and none has begun since."""

    def turn_began(self) -> None:
        """Note that a response of the conversation began."""
        self._asked = False

    async def send(self, event: RealtimeModelSendEvent) -> None:
        """Send `event`. What the transport can't do it refuses (`UnsupportedByTransportError`)."""
        match event:
            case RealtimeModelSendAudio():
                await self._transport.send_audio(event.audio, commit=event.commit)
            case RealtimeModelSendUserInput():
                async with self._inputs:
                    await self._input(event)
            case RealtimeModelSendToolOutput():
                await self._output(event)
            case RealtimeModelSendInterrupt():
                await interrupt(self._transport, self._responses, event)
            case RealtimeModelSendSessionUpdate():
                await self._transport.update_session_config(self._settings.update(event.session_settings))
            case RealtimeModelSendRawMessage():
                await self._raw(_message_of(event))
            case _:
                raise UserError(f"{type(event).__name__} is none of the SDK's send events")

    async def send_if(self, event: RealtimeModelSendEvent, send_if: Callable[[], bool]) -> bool:
        """Send `event` where `send_if` says so in the very moment; return whether it was sent.

        A user's input isn't sent where a response is to come anyway: it would be answered by the wrong one.
        """
        async with self._inputs:
            # From here to where the transport takes it nothing else runs.
            if not isinstance(event, RealtimeModelSendUserInput):
                if not send_if():
                    return False
                await self.send(event)
                return True
            if self._asked or not send_if():
                return False
            await self._input(event)
            return True

    @contextlib.contextmanager
    def _asking(self, asks: bool = True) -> Iterator[None]:
        """From before it is sent, for it may be answered while its sender still waits; not where sending fails."""
        before = self._asked
        self._asked = before or asks
        try:
            yield
        except BaseException:
            self._asked = before
            raise

    async def _input(self, event: RealtimeModelSendUserInput) -> None:
        message: str | Mapping[str, Any] = event.user_input
        with self._asking():
            await self._transport.send_message(message)

    async def _output(self, event: RealtimeModelSendToolOutput) -> None:
        call = event.tool_call
        function_call = FunctionCall(
            name=call.name,
            arguments=call.arguments,
            call_id=call.call_id,
            item_id=call.id or call.call_id,
            response_id="",
        )
        with self._asking(event.start_response):
            await self._transport.send_function_call_output(
                function_call, event.output, start_response=event.start_response
            )
        self._answered(event)

    async def _raw(self, message: Mapping[str, Any]) -> None:
        """Where audio has a path of its own, messages don't reach the audio buffer: the transport's calls do."""
        kind, rest = message["type"], {key for key in message if key not in ("type", "event_id")}
        if kind == "input_audio_buffer.append" and rest == {"audio"}:
            await self._transport.send_audio(_decoded(message["audio"]))
        elif kind == "input_audio_buffer.commit" and not rest:
            await self._transport.commit_audio()
        elif kind == "input_audio_buffer.clear" and not rest:
            await self._transport.clear_audio()
        else:
            with self._asking(_asks(message)):
                await self._transport.send_event(message)


def _message_of(event: RealtimeModelSendRawMessage) -> dict[str, Any]:
    message = {"type": event.message.get("type"), **event.message.get("other_data", {})}
    if not isinstance(message["type"], str) or not message["type"]:
        raise UserError("a raw message needs a type, such as 'response.create'")
    return message


def _asks(message: Mapping[str, Any]) -> bool:
    """Tell whether a message asks for a response of the conversation."""
    response = message.get("response")
    beside = isinstance(response, Mapping) and response.get("conversation") == "none"
    return message["type"] == "response.create" and not beside


def _decoded(audio: Any) -> bytes:
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise UserError("the audio of input_audio_buffer.append is no base64") from None
