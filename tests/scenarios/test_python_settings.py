"""A session's settings, as programs written for the Python agents SDK expect them: A23 to A41.

Where jackfield does better than that SDK, the test is of what jackfield does. What of A33 needs a socket (pings, sizes)
is in `tests/wire/test_websocket_options.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from jackfield import (
    RealtimeAgent,
    RealtimePlaybackTracker,
    RealtimeRunner,
    RealtimeSession,
    RealtimeTransportLayer,
    RunContextWrapper,
    create_transport,
    function_tool,
    realtime_handoff,
)
from jackfield.audio import UnknownAudioFormatError
from jackfield.errors import AuthenticationError, ConfigurationError, ConnectTimeoutError
from jackfield.transport import ConnectOptions
from support.clock import advance, timeless
from support.memory_wire import FarEnd, MemoryWire, call_turn, memory_transport, open_session, read_until

KEY = "sk-canary-77aa"


@function_tool
def ping() -> str:
    """Answer."""
    return "pong"


async def first_update(agent: RealtimeAgent | None = None, **options: Any) -> dict[str, Any]:
    """Return the session object of a session's first event."""
    async with open_session(agent, **options) as (_, far):
        session = far.frames[0]["session"]
        assert isinstance(session, dict)
        return session


async def first_update_with(**settings: Any) -> dict[str, Any]:
    """Return the session object that these model settings amount to."""
    return await first_update(config={"model_settings": settings})


def websocket(wire: MemoryWire, **options: Any) -> RealtimeTransportLayer:
    """Return the `websocket` transport, whose connections `wire` opens: url and headers are seen there."""

    async def open_connection(url: str, headers: Mapping[str, str]) -> Any:
        return await wire.open(ConnectOptions(url=url, headers=headers))

    return create_transport("websocket", open_connection=open_connection, **options)


async def dialled_with(**model_config: Any) -> ConnectOptions:
    """Return the url and the headers that a session over `websocket` dials with."""
    wire = MemoryWire()
    runner = RealtimeRunner(RealtimeAgent("A"), transport=lambda: websocket(wire))
    async with await runner.run(model_config=model_config):
        return wire.far_ends[0].options


async def hand_over(far: FarEnd) -> dict[str, Any]:
    """Have the model hand over to the agent B; return the session object of the update that follows."""
    far.send(*call_turn("resp_1", ("call_1", "transfer_to_b", "{}")))
    session = (await far.received("session.update"))["session"]
    assert isinstance(session, dict)
    return session


class TestLayers:
    async def test_a23_this_runs_settings_win_over_the_configs_and_stay_across_a_handoff(self) -> None:
        settings = {
            "config": {"model_settings": {"voice": "cedar", "speed": 1.1, "max_output_tokens": 100}},
            "initial_model_settings": {"voice": "ash"},
        }
        async with open_session(RealtimeAgent("A", handoffs=[RealtimeAgent("B", voice="marin")]), **settings) as (
            _,
            far,
        ):
            told = far.frames[0]["session"]
            assert told["audio"]["output"] == {"voice": "ash", "speed": 1.1}
            assert told["max_output_tokens"] == 100
            # Not told again: what an update doesn't name stays, and a voice can't change once it was heard.
            assert set(await hand_over(far)) == {"type", "instructions", "tools"}

    async def test_a23_instructions_the_agents_win_over_the_configs_and_this_runs_over_both(self) -> None:
        agent = RealtimeAgent("A", instructions="The agent's.")
        config = {"model_settings": {"instructions": "The config's."}}
        assert (await first_update(RealtimeAgent("A"), config=config))["instructions"] == "The config's."
        assert (await first_update(agent, config=config))["instructions"] == "The agent's."
        mine = {"instructions": "This run's."}
        assert (await first_update(agent, config=config, initial_model_settings=mine))["instructions"] == "This run's."

    async def test_a23_a_prompt_is_not_overridden_by_instructions_that_nobody_gave(self) -> None:
        prompt = {"id": "pmpt_1"}
        for session in (
            await first_update(RealtimeAgent("A", prompt=prompt)),
            await first_update_with(prompt=prompt),
            await first_update(initial_model_settings={"prompt": prompt}),
        ):
            assert session["prompt"] == prompt
            assert "instructions" not in session

    @pytest.mark.parametrize("key", ["voice", "audio"])
    async def test_a24_a_custom_voice_is_told_as_it_is_and_stays(self, key: str) -> None:
        voice = {"id": "voice_1234"}
        settings = {"voice": voice} if key == "voice" else {"audio": {"output": {"voice": voice}}}
        agent = RealtimeAgent("A", handoffs=[RealtimeAgent("B")])
        async with open_session(agent, config={"model_settings": settings}) as (_, far):
            assert far.frames[0]["session"]["audio"]["output"] == {"voice": voice}
            assert "audio" not in await hand_over(far)

    async def test_a38_tools_of_this_run_are_both_told_and_called(self) -> None:
        @function_tool(name_override="ping")
        def other() -> str:
            """Answer otherwise."""
            return "not pong"

        @function_tool(is_enabled=False)
        def hidden() -> None:
            """Never seen."""

        agent = RealtimeAgent("A", tools=[ping], handoffs=[RealtimeAgent("B")])
        settings = {"tools": [other, hidden], "handoffs": [RealtimeAgent("C")]}
        async with open_session(agent, initial_model_settings=settings) as (session, far):
            tools = far.frames[0]["session"]["tools"]
            assert [tool["name"] for tool in tools] == ["ping", "transfer_to_c"]
            assert tools[0]["description"] == "Answer otherwise."
            far.send(*call_turn("resp_1", ("call_1", "ping", "{}")))
            assert (await read_until(session, "tool_end"))[-1].tool is other
            assert (await far.received("conversation.item.create"))["item"]["output"] == "not pong"
            far.send(*call_turn("resp_2", ("call_2", "transfer_to_c", "{}")))
            assert (await read_until(session, "handoff"))[-1].to_agent.name == "C"

    async def test_a39_each_is_enabled_is_asked_once(self) -> None:
        asked: list[str] = []

        def on(context: RunContextWrapper[Any], agent: Any) -> bool:
            asked.append(agent.name)
            return True

        agent = RealtimeAgent("A", handoffs=[realtime_handoff(RealtimeAgent("B"), is_enabled=on)])
        async with open_session(agent, initial_model_settings={"voice": "ash"}) as (_, far):
            assert [tool["name"] for tool in far.frames[0]["session"]["tools"]] == ["transfer_to_b"]
            assert asked == ["A"]


class TestShapes:
    async def test_a25_none_switches_off_and_what_is_not_said_is_not_told(self) -> None:
        told = (await first_update_with(turn_detection=None))["audio"]["input"]
        assert told["turn_detection"] is None
        assert "noise_reduction" not in told
        assert (await first_update_with(input_audio_noise_reduction=None))["audio"]["input"]["noise_reduction"] is None
        far_field = {"type": "far_field"}
        told = (await first_update_with(input_audio_noise_reduction=far_field))["audio"]["input"]
        assert told["noise_reduction"] == far_field

    async def test_a26_camel_case_becomes_snake_case_and_snake_case_wins(self) -> None:
        detection = {
            "type": "server_vad",
            "createResponse": True,
            "interruptResponse": False,
            "prefixPaddingMs": 100,
            "silenceDurationMs": 200,
            "idleTimeoutMs": 6000,
            "threshold": 0.4,
            "silence_duration_ms": 300,
        }
        for settings in ({"turn_detection": detection}, {"audio": {"input": {"turnDetection": detection}}}):
            told = (await first_update_with(**settings))["audio"]["input"]["turn_detection"]
            assert told == {
                "type": "server_vad",
                "create_response": True,
                "interrupt_response": False,
                "prefix_padding_ms": 100,
                "silence_duration_ms": 300,
                "idle_timeout_ms": 6000,
                "threshold": 0.4,
            }

    async def test_a27_nested_keys_win_over_flat_ones_and_output_modalities_over_modalities(self) -> None:
        session = await first_update_with(
            audio={"input": {"format": "g711_ulaw"}, "output": {"voice": "ash"}},
            input_audio_format="pcm16",
            output_audio_format="g711_alaw",
            voice="cedar",
            speed=1.1,
            output_modalities=["text"],
            modalities=["audio"],
        )
        assert session["audio"]["input"]["format"] == {"type": "audio/pcmu"}
        assert session["audio"]["output"] == {"voice": "ash", "speed": 1.1, "format": {"type": "audio/pcma"}}
        assert session["output_modalities"] == ["text"]
        assert "modalities" not in session
        assert (await first_update_with(modalities=["text"]))["output_modalities"] == ["text"]

    @pytest.mark.parametrize("side", ["input", "output"])
    async def test_a28_a_side_of_the_audio_that_is_none_says_nothing(self, side: str) -> None:
        assert await first_update_with(audio={side: None}) == await first_update()
        assert await first_update_with(audio={side: None}, voice="ash") == await first_update_with(voice="ash")

    async def test_a35_a_rate_is_told_as_it_is_and_not_rewritten(self) -> None:
        session = await first_update_with(input_audio_format={"type": "audio/pcm", "rate": 16000})
        assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 16000}
        assert (await first_update_with(output_audio_format=None)).get("audio", {}).get("output", {}) == {}

    async def test_a35_a_format_that_nobody_knows_is_refused_before_anything_is_sent(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        wire = MemoryWire()
        for value in ("opus-48k", 16000, {"type": "audio/pcm", "rate": float("nan")}, {"rate": 24000}):
            config = {"model_settings": {"input_audio_format": value}}
            with pytest.raises(UnknownAudioFormatError, match="input_audio_format"):
                RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire), config=config)
        assert wire.far_ends == []
        assert "opus" not in caplog.text
        # One that is written as the API writes it may be newer than this version.
        newer = {"type": "audio/opus", "rate": 48000}
        assert (await first_update_with(input_audio_format=newer))["audio"]["input"]["format"] == newer


class TestCalls:
    async def test_a29_of_a_call_that_is_joined_only_what_was_said_is_told(self) -> None:
        assert await first_update(RealtimeAgent("A"), call_id="rtc_1") == {"type": "realtime", "tools": []}
        session = await first_update(
            RealtimeAgent("A", instructions="Be kind."),
            call_id="rtc_1",
            config={"model_settings": {"input_audio_format": "g711_ulaw"}},
        )
        assert session == {
            "type": "realtime",
            "tools": [],
            "instructions": "Be kind.",
            "audio": {"input": {"format": {"type": "audio/pcmu"}}},
        }

    async def test_a29_an_agent_with_a_prompt_and_no_instructions_joins_a_call(self) -> None:
        session = await first_update(RealtimeAgent("A", prompt={"id": "pmpt_1"}), call_id="rtc_1")
        assert session == {"type": "realtime", "tools": [], "prompt": {"id": "pmpt_1"}}

    @pytest.mark.parametrize("where", ["config", "initial_model_settings", "model"])
    async def test_a30_a_call_has_its_model_already(self, where: str) -> None:
        settings = {"model_name": "gpt-realtime"}
        options: dict[str, Any] = {
            "config": {"config": {"model_settings": settings}},
            "initial_model_settings": {"initial_model_settings": settings},
            "model": {"model": "gpt-realtime"},
        }[where]
        wire = MemoryWire()
        session = RealtimeSession(
            RealtimeAgent("A"), transport=websocket(wire), call_id="rtc_1", api_key=KEY, **options
        )
        with pytest.raises(ConfigurationError, match="leave out model"):
            await session.enter()
        assert wire.far_ends == []

    async def test_a30_a_call_is_joined_by_its_id(self) -> None:
        options = await dialled_with(call_id="rtc_1", api_key=KEY)
        assert options.url == "wss://api.openai.com/v1/realtime?call_id=rtc_1"


class TestDialling:
    async def test_a31_headers_are_used_as_given_and_no_key_is_wanted(self) -> None:
        assert (await dialled_with(headers={"X-Mine": "1"})).headers == {"X-Mine": "1"}
        assert (await dialled_with(headers={}, api_key=KEY)).headers == {}
        assert (await dialled_with(api_key=KEY)).headers == {"Authorization": f"Bearer {KEY}"}

    async def test_a31_neither_headers_nor_a_key(self) -> None:
        wire = MemoryWire()
        with pytest.raises(AuthenticationError, match="no API key"):
            await RealtimeSession(RealtimeAgent("A"), transport=websocket(wire)).enter()
        assert wire.far_ends == []

    @pytest.mark.parametrize(
        "wrong",
        [
            {"url": 5},
            {"headers": [("X-Mine", "1")]},
            {"headers": {"X-Mine": 1}},
            {"api_key": 5},
            {"call_id": 5},
            {"model": 5},
            {"playback_tracker": RealtimePlaybackTracker},
            {"timeout": 0},
            {"transport": None},
        ],
        ids=str,
    )
    async def test_a31_what_can_not_be_dialled_with_is_refused_at_once(self, wrong: dict[str, Any]) -> None:
        options: dict[str, Any] = {"transport": websocket(MemoryWire()), "api_key": KEY} | wrong
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            RealtimeSession(RealtimeAgent("A"), **options)

    async def test_a32_a_key_may_be_a_function_that_is_asked_at_every_dial(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keys = iter(["sk-1111", "sk-2222"])

        async def fetch_key() -> str:
            await asyncio.sleep(0)
            return next(keys)

        authorizations = [
            (await dialled_with(api_key=key)).headers for key in (KEY, lambda: "sk-0000", fetch_key, fetch_key)
        ]
        assert authorizations == [{"Authorization": f"Bearer {key}"} for key in (KEY, "sk-0000", "sk-1111", "sk-2222")]
        monkeypatch.setenv("OPENAI_API_KEY", "sk-3333")
        assert (await dialled_with()).headers == {"Authorization": "Bearer sk-3333"}

    async def test_a33_the_sockets_options_are_the_transports_and_a_wrong_name_is_told(self) -> None:
        options = {"ping_interval": None, "ping_timeout": 3.0, "open_timeout": 5.0, "max_size": None}
        for given in ({}, options):
            wire = MemoryWire()
            async with RealtimeSession(RealtimeAgent("A"), transport=websocket(wire, **given), api_key=KEY) as session:
                assert session.status == "connected"
        with pytest.raises(ConfigurationError, match="did you mean 'ping_interval'"):
            create_transport("websocket", ping_intervall=3.0)

    @timeless
    async def test_a34_an_opening_that_is_slower_than_open_timeout(self) -> None:
        wire = MemoryWire()

        async def open_connection(url: str, headers: Mapping[str, str]) -> Any:
            await asyncio.sleep(2)
            return await wire.open(ConnectOptions(url=url, headers=headers))

        def session(open_timeout: float) -> RealtimeSession:
            transport = create_transport("websocket", open_connection=open_connection, open_timeout=open_timeout)
            return RealtimeSession(RealtimeAgent("A"), transport=transport, api_key=KEY)

        too_slow, fast_enough = session(1.9), session(2.1)
        entering = [asyncio.create_task(one.enter()) for one in (too_slow, fast_enough)]
        await advance(3)
        with pytest.raises(ConnectTimeoutError, match=r"open_timeout=1\.9 s"):
            await entering[0]
        await entering[1]
        assert fast_enough.status == "connected"
        await fast_enough.close()


class TestTools:
    async def test_a36_an_is_enabled_that_raises_cancels_the_others_and_is_raised(self) -> None:
        asked = asyncio.Event()
        ended: list[str] = []

        async def waits(context: RunContextWrapper[Any], agent: Any) -> bool:
            asked.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("cancelled")
            return True

        async def raises(context: RunContextWrapper[Any], agent: Any) -> bool:
            await asked.wait()
            raise LookupError("no such flag")

        @function_tool(is_enabled=waits)
        def slow() -> None:
            """Slow to say whether it is there."""

        agent = RealtimeAgent("A", tools=[slow], handoffs=[realtime_handoff(RealtimeAgent("B"), is_enabled=raises)])
        wire = MemoryWire()
        with pytest.raises(LookupError, match="no such flag"):
            await RealtimeSession(agent, transport=memory_transport(wire)).enter()
        assert ended == ["cancelled"]
        assert wire.far_ends == []

    async def test_a37_a_handoff_that_is_off_conflicts_with_nothing(self) -> None:
        def make(is_enabled: bool) -> RealtimeAgent:
            handoff = realtime_handoff(RealtimeAgent("B"), tool_name_override="ping", is_enabled=is_enabled)
            return RealtimeAgent("A", tools=[ping], handoffs=[handoff])

        assert (await first_update(make(False)))["tools"] == [ping.to_wire()]
        with pytest.raises(ConfigurationError, match="ping names more than one"):
            await first_update(make(True))

    async def test_a41_a_clone_has_lists_of_its_own(self) -> None:
        agent = RealtimeAgent("A", tools=[ping], handoffs=[RealtimeAgent("B")])
        clone = agent.clone(name="C", handoffs=[])
        clone.tools.clear()
        clone.handoffs.append(RealtimeAgent("D"))
        assert agent.tools == [ping]
        assert [way.name for way in agent.handoffs if isinstance(way, RealtimeAgent)] == ["B"]
        assert (await first_update(agent))["tools"][0] == ping.to_wire()


class TestTracing:
    async def test_a40_it_is_asked_for_only_where_the_application_does(self) -> None:
        assert "tracing" not in await first_update()
        assert (await first_update_with(tracing="auto"))["tracing"] == "auto"
        named = {"workflow_name": "support", "group_id": "g1", "metadata": {"tier": "gold"}}
        assert (await first_update_with(tracing=named))["tracing"] == named

    async def test_a40_where_it_is_disabled_the_far_end_is_told_so(self) -> None:
        config = {"tracing_disabled": True, "model_settings": {"tracing": "auto"}}
        assert (await first_update(config=config))["tracing"] is None
