"""What a transport claims it keeps, and what it doesn't claim it refuses before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield.testing.conformance.check import area, claims, lacks
from jackfield.testing.conformance.far_end import FarConnection
from jackfield.testing.conformance.sound import SOUND, likeness
from jackfield.testing.conformance.subject import Subject
from jackfield.transport import (
    RealtimeTransportLayer,
    UnsupportedByTransportError,
    available_transports,
    events,
    items,
)

from .watching import all_told, first

__all__ = ["TestClaims", "TestPlugin", "TestRefusals"]

IMAGE = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


@area("plugin")
class TestPlugin:
    async def test_keeps_the_shape_of_the_contract(self, subject: Subject) -> None:
        transport = subject.make(None)
        assert isinstance(transport, RealtimeTransportLayer)
        assert transport.name == subject.transport
        assert transport.status == "disconnected"
        assert transport.muted is (False if transport.capabilities.mute else None)

    async def test_claims_in_its_plugin_what_it_claims(self, subject: Subject) -> None:
        info = available_transports().get(subject.transport)
        if info is None:
            pytest.skip("it is no installed plugin")
        assert info.installed, info.problem
        assert info.spec is not None
        assert info.spec.capabilities == subject.capabilities
        assert info.notice is None, info.notice
        assert info.spec.summary

    async def test_its_claims_stay_the_same(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            before = transport.capabilities
            await transport.connect(**subject.where(far_end))
            assert transport.capabilities == before
            await transport.close()
            assert transport.capabilities == before


@area("capabilities")
class TestClaims:
    @claims("mute")
    async def test_muting_sends_silence(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            await transport.mute(True)
            assert transport.muted is True
            await transport.send_audio(SOUND)
            await transport.send_message("after", trigger_response=False)
            await far.until(lambda: far.messages, "a message")
            assert likeness(far.heard, SOUND) < 0.3, "it was heard although it was muted"
            await transport.mute(False)
            assert transport.muted is False
            await transport.send_audio(SOUND, commit=True)
            await far.until(lambda: far.commits == 1, "the end of the turn")
            assert likeness(far.heard, SOUND) > 0.9

    @claims("images")
    async def test_images_are_shown(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            await transport.add_image(IMAGE, trigger_response=False)
            await far.until(lambda: far.images == 1, "an image")
            content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": IMAGE}]
            await transport.send_message({"type": "message", "role": "user", "content": content})
            await far.until(lambda: far.images == 2 and far.requests == 1, "an image in a message")
            assert list(far.messages)[-1] == "What is this?"

    @claims("history")
    async def test_the_history_is_edited(self, subject: Subject) -> None:
        old = [message("item_a", "one"), message("item_b", "two"), message("item_c", "three")]
        new = [message("item_d", "new"), old[1], message("item_c", "third")]
        async with subject.pair() as (transport, far):
            await transport.reset_history([], old)
            await far.until(lambda: len(far.conversation) == 3, "three items")
            assert list(far.conversation) == ["one", "two", "three"]
            await transport.reset_history(old, new)
            await far.until(lambda: "third" in far.conversation, "the edited history")
            assert list(far.conversation) == ["new", "two", "third"]
            assert far.requests == 0

    @claims("session_update")
    async def test_the_session_is_changed(self, subject: Subject) -> None:
        tool = {"type": "function", "name": "get_time", "description": "The time.", "parameters": {"type": "object"}}
        async with subject.pair(initial_session_config={"instructions": "First"}) as (transport, far):
            await transport.update_session_config({"instructions": "Second", "tools": [tool]})
            await far.until(lambda: far.instructions[-1:] == ["Second"], "the new instructions")
            assert list(far.tools) == ["get_time"]
            await all_told(transport, far)
            assert transport.status == "connected"

    @claims("hosted_mcp")
    async def test_approvals_are_asked_for_and_given(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            stream = transport.events()
            for number, approved in enumerate((True, False)):
                await far.ask_approval(f"mcpr_{number}")
                request = await first(stream, "mcp_approval_request")
                assert request.item_id == f"mcpr_{number}" and request.name
                await transport.send_mcp_response(request, approved, None if approved else "not today")
            await far.until(lambda: len(far.approvals) == 2, "both answers")
            assert dict(far.approvals) == {"mcpr_0": True, "mcpr_1": False}

    @claims("dtmf")
    async def test_keys_are_heard(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            stream = transport.events()
            for digit in "5#":
                await far.press(digit)
                assert (await first(stream, "dtmf_received")).digit == digit

    @claims("attach_by_call_id")
    async def test_a_call_is_joined(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            with subject.joining(far_end, "rtc_joined") as options:
                await transport.connect(**options)
            far: FarConnection = await far_end.connection()
            assert far.call_id == "rtc_joined"
            await transport.close()

    @claims("local_media")
    async def test_audio_of_its_own_is_heard(self, subject: Subject) -> None:
        assert subject.capturing is not None, "Subject.capturing doesn't say how, so that the claim can't be proven"
        async with subject.far_end() as far_end:
            transport = subject.make(far_end, **subject.capturing(SOUND))
            await transport.connect(**subject.where(far_end))
            far = await far_end.connection()
            await far.until(lambda: len(far.heard) >= len(SOUND) // 2, "what the transport captures")
            await transport.close()

    @claims("clear_audio")
    async def test_audio_is_dropped(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            if subject.capabilities.audio_in:
                await transport.send_audio(SOUND[:960])
            await transport.clear_audio()
            await far.until(lambda: far.clears == 1, "audio to be dropped")

    @claims("response_overrides")
    async def test_one_response_has_settings_of_its_own(self, subject: Subject) -> None:
        async with subject.pair() as (transport, far):
            stream = transport.events()
            await transport.request_response({"instructions": "Sing."})
            await first(stream, "turn_done")
            assert [dict(one).get("instructions") for one in far.overrides] == ["Sing."]


@area("capabilities")
class TestRefusals:
    """One for each capability that somebody may ask for although it isn't claimed."""

    async def refuses(self, subject: Subject, capability: str, ask: Any) -> None:
        async with subject.pair() as (transport, far):
            before = len(far.received)
            with pytest.raises(UnsupportedByTransportError, match=capability):
                await ask(transport)
            await all_told(transport, far)
            assert len(far.received) == before, "it was refused, and something was sent all the same"
            assert transport.status == "connected"

    @lacks("mute")
    async def test_mute(self, subject: Subject) -> None:
        await self.refuses(subject, "mute", lambda transport: transport.mute(True))
        assert subject.make(None).muted is None

    @lacks("images")
    async def test_images(self, subject: Subject) -> None:
        shown = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": IMAGE}]}
        await self.refuses(subject, "images", lambda transport: transport.add_image(IMAGE))
        await self.refuses(subject, "images", lambda transport: transport.send_message(shown))

    @lacks("history")
    async def test_history(self, subject: Subject) -> None:
        item = message("item_a", "one")
        await self.refuses(subject, "history", lambda transport: transport.reset_history([], [item]))

    @lacks("session_update")
    async def test_session_update(self, subject: Subject) -> None:
        config = {"instructions": "Second"}
        await self.refuses(subject, "session_update", lambda transport: transport.update_session_config(config))

    @lacks("hosted_mcp")
    async def test_hosted_mcp(self, subject: Subject) -> None:
        request = events.McpApprovalRequest(item_id="mcpr_1", server_label="docs", name="search", arguments="{}")
        await self.refuses(subject, "hosted_mcp", lambda transport: transport.send_mcp_response(request, True))

    @lacks("clear_audio")
    async def test_clear_audio(self, subject: Subject) -> None:
        await self.refuses(subject, "clear_audio", lambda transport: transport.clear_audio())

    @lacks("response_overrides")
    async def test_response_overrides(self, subject: Subject) -> None:
        settings = {"instructions": "Sing."}
        await self.refuses(subject, "response_overrides", lambda transport: transport.request_response(settings))

    @lacks("attach_by_call_id")
    async def test_attach_by_call_id(self, subject: Subject) -> None:
        async with subject.far_end() as far_end:
            transport = subject.make(far_end)
            with pytest.raises(UnsupportedByTransportError, match="call_id"):
                await transport.connect(**subject.where(far_end, call_id="rtc_1"))
            assert transport.status == "disconnected"
            assert far_end.connections == []


def message(item_id: str, text: str) -> items.UserMessageItem:
    return items.UserMessageItem(item_id=item_id, content=(items.InputText(text=text),), status="completed")
