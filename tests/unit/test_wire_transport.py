"""`jackfield.wire`: what a transport does for every dialect, whatever wire it goes over."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from jackfield import Budget, RealtimeAgent, RealtimeSession
from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.transport import ConfigurationError, TransportCapabilities, UnsupportedByTransportError
from jackfield.wire import WireTransport
from support.memory_wire import MemoryWire, memory_transport

IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}


class TestWhatIsNotClaimed:
    @pytest.mark.parametrize(
        ("capability", "ask"),
        [
            ("audio_in", lambda transport: transport.send_audio(b"\0\0")),
            ("mute", lambda transport: transport.mute(True)),
            ("images", lambda transport: transport.add_image("data:image/png;base64,AAAA")),
            ("images", lambda transport: transport.send_message({"content": [IMAGE]})),
            ("history", lambda transport: transport.reset_history([], [])),
            ("session_update", lambda transport: transport.update_session_config({"instructions": "x"})),
            ("clear_audio", lambda transport: transport.clear_audio()),
            ("response_overrides", lambda transport: transport.request_response({"instructions": "x"})),
        ],
    )
    async def test_is_refused_before_anything_is_sent(
        self, capability: str, ask: Callable[[Any], Coroutine[Any, Any, None]]
    ) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire, **{capability: False})
        await transport.connect()
        with pytest.raises(UnsupportedByTransportError, match=capability):
            await ask(transport)
        assert (await wire.dialled()).frames == []
        await transport.close()

    def test_is_known_to_a_session_before_it_connects(self) -> None:
        transport = memory_transport(MemoryWire(), response_overrides=False)
        with pytest.raises(ConfigurationError, match="farewell"):
            RealtimeSession(RealtimeAgent("Greeter"), transport=transport, config={"budget": Budget(max_seconds=5)})


class TestADialectThatCannotBeMade:
    async def test_leaves_no_wire_behind(self) -> None:
        wire = MemoryWire()

        def fail(*_: object) -> OpenAIRealtimeProtocol:
            raise ZeroDivisionError("oops")

        transport = WireTransport(wire, fail, name="broken", capabilities=TransportCapabilities())
        with pytest.raises(ZeroDivisionError):
            await transport.connect()
        assert transport.status == "disconnected" and transport.dialect is None
        assert (await wire.dialled()).gone.is_set()
