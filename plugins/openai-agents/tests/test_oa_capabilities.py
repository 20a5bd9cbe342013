"""What a transport can't do is refused in words, and a call that is joined is left as it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import function_tool
from agents.exceptions import UserError
from agents.realtime import (
    RealtimeAgent,
    RealtimeModelSendAudio,
    RealtimeModelSendInterrupt,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendUserInput,
    realtime_handoff,
)

from jackfield.testing import Say, ScriptedTransport, Turn
from jackfield.transport import ConfigurationError, TransportCapabilities, UnsupportedByTransportError
from jackfield_openai_agents import TransportModel

Connect = Callable[..., Awaitable[Any]]

PHONE = TransportCapabilities(
    audio_in=False, audio_out=False, playback="server", truncate="server", attach_by_call_id=True
)


def phone() -> ScriptedTransport:
    return ScriptedTransport(capabilities=PHONE, strict=False)


class TestAudioThatPassesElsewhere:
    async def test_cannot_be_sent(self, connect: Connect) -> None:
        line = await connect(phone(), call_id="rtc_1")
        with pytest.raises(UnsupportedByTransportError, match="audio_in"):
            await line.model.send_event(RealtimeModelSendAudio(b"\0\0"))

    async def test_is_not_told_but_the_words_are(self, connect: Connect) -> None:
        line = await connect(phone(), call_id="rtc_1")
        kinds = {event.type for event in await line.emit(Say("Hello."))}
        assert "audio" not in kinds
        assert {"transcript_delta", "turn_ended"} <= kinds

    async def test_is_known_by_its_words(self, connect: Connect) -> None:
        """What was said of it is the far end's to play on."""
        line = await connect(phone(), call_id="rtc_1")
        await line.emit(Turn([Say("Hello.")], done=False))
        await line.model.send_event(RealtimeModelSendInterrupt(response_id="resp_1", cancel_response_only=True))
        assert [call.method for call in line.far_end.calls][1:] == ["send_event"]


class TestCalls:
    async def test_are_joined_with_what_was_set(self, connect: Connect) -> None:
        @function_tool
        def hang_up() -> None: ...

        given = {"instructions": "Be kind.", "tools": [hang_up], "voice": "marin", "turn_detection": None}
        line = await connect(phone(), call_id="rtc_1", initial_model_settings=given)
        [call] = line.calls("connect")
        assert (call["call_id"], call["model"]) == ("rtc_1", None)
        config = call["initial_session_config"]
        assert [tool["name"] for tool in config.pop("tools")] == ["hang_up"]
        assert config == {
            "instructions": "Be kind.",
            "audio": {"output": {"voice": "marin"}, "input": {"turn_detection": None}},
        }

    async def test_are_not_told_to_forget_their_instructions(self, connect: Connect) -> None:
        line = await connect(phone(), call_id="rtc_1", initial_model_settings={"instructions": ""})
        assert line.calls("connect")[0]["initial_session_config"] == {"tools": []}
        # Another agent without any is another matter.
        await line.model.send_event(RealtimeModelSendSessionUpdate({"instructions": ""}))
        assert line.calls("update_session_config")[0]["config"] == {"instructions": "", "tools": []}

    async def test_have_their_model(self, connect: Connect) -> None:
        with pytest.raises(UserError, match="not both"):
            await connect(phone(), call_id="rtc_1", initial_model_settings={"model_name": "gpt-realtime"})

    async def test_cannot_be_joined_by_everyone(self) -> None:
        model = TransportModel("webrtc")
        with pytest.raises(UnsupportedByTransportError, match="webrtc transport can't join a call"):
            await model.connect({"api_key": "sk-local", "call_id": "rtc_1"})

    async def test_are_needed_on_a_phone(self) -> None:
        model = TransportModel("sip")
        with pytest.raises(ConfigurationError, match="call_id"):
            await model.connect({"api_key": "sk-local"})


class TestOthers:
    async def test_handoffs_need_a_session_that_can_be_changed(self, connect: Connect) -> None:
        fixed = ScriptedTransport(capabilities=TransportCapabilities(session_update=False), strict=False)
        handoff = realtime_handoff(RealtimeAgent(name="Billing"))
        with pytest.raises(UnsupportedByTransportError, match="session_update"):
            await connect(fixed, initial_model_settings={"handoffs": [handoff]})
        assert fixed.calls == ()

    async def test_images_are_refused(self, connect: Connect) -> None:
        blind = ScriptedTransport(capabilities=TransportCapabilities(images=False), strict=False)
        line = await connect(blind)
        part: Any = {"type": "input_image", "image_url": "https://example.com/a.png"}
        message: Any = {"type": "message", "role": "user", "content": [part]}
        with pytest.raises(UnsupportedByTransportError, match="images"):
            await line.model.send_event(RealtimeModelSendUserInput(message))
