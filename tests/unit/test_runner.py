"""`RealtimeRunner`: sessions from an agent and configuration dictionaries."""

from __future__ import annotations

from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimePlaybackTracker, RealtimeRunner
from jackfield.errors import ConfigurationError, UnknownTransportError
from support.memory_wire import MemoryWire, memory_transport, read_until, text_turn


class TestRun:
    async def test_sessions_of_their_own(self) -> None:
        wire = MemoryWire()
        agent = RealtimeAgent("A", instructions="Be kind.")
        runner = RealtimeRunner(starting_agent=agent, transport=lambda: memory_transport(wire))
        one, two = await runner.run(context=1), await runner.run(context=2)
        assert wire.far_ends == []
        async with one, two:
            assert one.transport is not two.transport
            assert (one.context.context, two.context.context) == (1, 2)
            wire.far_ends[0].send(*text_turn("resp_1", "item_1"))
            await read_until(one, "agent_end")
            assert two.history == []
            await one.close()
            assert two.status == "connected"

    async def test_by_name(self) -> None:
        session = await RealtimeRunner(RealtimeAgent("A")).run()
        assert session.transport.name == "websocket"
        again = await RealtimeRunner(RealtimeAgent("A"), transport="websocket").run()
        assert again.transport is not session.transport

    async def test_configuration_of_runner_and_run(self) -> None:
        wire = MemoryWire()
        tracker = RealtimePlaybackTracker()
        runner = RealtimeRunner(
            RealtimeAgent("A"),
            config={"model_settings": {"model_name": "m1", "voice": "cedar", "speed": 1.1}},
            transport=lambda: memory_transport(wire),
        )
        model_config = {
            "api_key": "key",
            "url": "ws://x",
            "headers": {"a": "b"},
            "initial_model_settings": {"model_name": "m2", "voice": "ash"},
            "playback_tracker": tracker,
        }
        async with await runner.run(model_config=model_config):
            (far,) = wire.far_ends
            options = far.options
            assert (options.api_key, options.url, options.headers) == ("key", "ws://x", {"a": "b"})
            assert (options.model, options.playback_tracker) == ("m2", tracker)
            assert far.frames[0]["session"]["audio"]["output"] == {"voice": "ash", "speed": 1.1}

    async def test_a_call_to_join(self) -> None:
        wire = MemoryWire()
        runner = RealtimeRunner(RealtimeAgent("A"), transport=lambda: memory_transport(wire))
        async with await runner.run(model_config={"call_id": "rtc_1"}):
            assert wire.far_ends[0].options.call_id == "rtc_1"
            assert "audio" not in wire.far_ends[0].frames[0]["session"]


class TestErrors:
    def test_a_transport_that_exists_already_would_be_shared(self) -> None:
        with pytest.raises(ConfigurationError, match="a function that makes one"):
            RealtimeRunner(RealtimeAgent("A"), transport=memory_transport(MemoryWire()))  # type: ignore[arg-type]

    @pytest.mark.parametrize(("key", "words"), [("api_kee", "did you mean 'api_key'"), ("zzz", "known are api_key, ")])
    async def test_an_unknown_key(self, key: str, words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            await RealtimeRunner(RealtimeAgent("A")).run(model_config={key: 1})

    async def test_an_unknown_transport(self) -> None:
        with pytest.raises(UnknownTransportError, match="websocket"):
            await RealtimeRunner(RealtimeAgent("A"), transport="websockett").run()

    async def test_an_unknown_setting_of_the_runner(self) -> None:
        config: dict[str, Any] = {"model_setting": {}}
        with pytest.raises(ConfigurationError, match="model_settings"):
            await RealtimeRunner(RealtimeAgent("A"), config=config).run()
