"""Scenarios A112 and J79: phone calls that are announced twice, and what a call can't be accepted with."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from jackfield import RealtimeAgent
from jackfield.errors import ConfigurationError
from jackfield_transports.sip import SipCallServer, Webhooks, build_initial_config
from support.call_provider import BASE, KEY
from support.clock import settle, timeless
from support.phone_provider import EPOCH, SECRET, PhoneProvider, webhook

AGENT = RealtimeAgent("Desk", instructions="Answer the phone.")


@timeless
async def test_a112_a_call_that_is_announced_twice_has_one_observer() -> None:
    provider = PhoneProvider()
    server = SipCallServer(
        AGENT,
        webhooks=Webhooks(SECRET, clock=lambda: EPOCH),
        api_key=KEY,
        base_url=BASE,
        http=provider.http,
        socket={"open_connection": provider.open_connection},
        farewell=None,
        drain_seconds=0,
    )
    transport = httpx.ASGITransport(server)  # type: ignore[arg-type] - ASGI applications are typed in two ways
    async with server, httpx.AsyncClient(transport=transport, base_url="http://desk.test") as http:
        provider.rings("rtc_1")
        deliveries = [webhook("rtc_1"), webhook("rtc_1"), webhook("rtc_1", webhook_id="wh_2")]
        answers = await asyncio.gather(*(http.post("/", content=body, headers=headers) for body, headers in deliveries))
        await settle()
        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert len(server.calls) == len(provider.sidebands) == len(provider.of("accept")) == 1


@pytest.mark.parametrize(
    "turn_detection",
    [
        {"threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500},
        {"threshold": 0.5, "prefixPaddingMs": 300, "silenceDurationMs": 500},
    ],
)
async def test_j79_an_accept_with_unsupported_turn_detection_is_refused_at_home(turn_detection: object) -> None:
    for settings in (
        {"turn_detection": turn_detection},
        {"audio": {"input": {"turn_detection": turn_detection}}},
    ):
        with pytest.raises(ConfigurationError) as refused:
            await build_initial_config(AGENT, config={"model_settings": settings})
        for name in ("threshold", "prefix_padding_ms", "silence_duration_ms"):
            assert f"turn_detection.{name}" in str(refused.value)


async def test_j79_what_is_supported_passes() -> None:
    supported = {
        "type": "server_vad",
        "idle_timeout_ms": 6000,
        "interrupt_response": True,
        "create_response": True,
    }
    payload = await build_initial_config(
        RealtimeAgent("Desk", instructions="Answer the phone.", voice="cedar"),
        model="gpt-realtime-mini",
        config={"model_settings": {"turn_detection": supported, "input_audio_format": "g711_ulaw"}},
        overrides={"max_output_tokens": 200},
    )
    assert payload == {
        "type": "realtime",
        "model": "gpt-realtime-mini",
        "instructions": "Answer the phone.",
        "tools": [],
        "output_modalities": ["audio"],
        "max_output_tokens": 200,
        "audio": {
            "input": {"turn_detection": supported, "transcription": {"model": "gpt-4o-mini-transcribe"}},
            "output": {"voice": "cedar"},
        },
    }
