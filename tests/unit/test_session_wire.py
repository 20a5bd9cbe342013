"""What a session tells the far end: its settings from their layers, at the start and when another agent takes over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jackfield import RealtimeAgent, RealtimeSession, RunContextWrapper, function_tool
from jackfield.errors import ConfigurationError, TransportError
from support.memory_wire import MemoryWire, memory_transport, open_session, read_until, text_turn

DEFAULTS = {
    "type": "realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
        }
    },
    "tools": [],
    "instructions": "",
}


@function_tool
def ping() -> str:
    """Answer."""
    return "pong"


async def first_update(agent: RealtimeAgent | None = None, **options: Any) -> dict[str, Any]:
    """Return the session object of a session's first event."""
    async with open_session(agent, **options) as (_, far):
        (update,) = far.frames
        assert update["type"] == "session.update"
        session = update["session"]
        assert isinstance(session, dict)
        return session


async def dialled_with(**options: Any) -> Any:
    wire = MemoryWire()
    async with RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire), **options):
        return wire.far_ends[0].options


class TestInitialSettings:
    async def test_of_an_agent_that_says_nothing(self) -> None:
        assert await first_update() == DEFAULTS

    async def test_of_an_agent_that_says_all(self) -> None:
        agent = RealtimeAgent(
            "A",
            instructions="Be kind.",
            tools=[ping],
            handoffs=[RealtimeAgent("B")],
            prompt={"id": "pmpt_1", "version": "2"},
            voice="marin",
        )
        session = await first_update(agent)
        assert session["instructions"] == "Be kind."
        assert [tool["name"] for tool in session["tools"]] == ["ping", "transfer_to_b"]
        assert session["tools"][0] == ping.to_wire()
        assert session["prompt"] == {"id": "pmpt_1", "version": "2"}
        assert session["audio"]["output"] == {"voice": "marin"}

    async def test_a_prompt_brings_its_own_instructions(self) -> None:
        assert "instructions" not in await first_update(RealtimeAgent("A", prompt={"id": "pmpt_1"}))

    async def test_instructions_from_a_function_of_context_and_agent(self) -> None:
        async def instructions(context: RunContextWrapper[dict[str, str]], agent: RealtimeAgent) -> str:
            return f"You are {agent.name}; the user is {context.context['name']}."

        agent = RealtimeAgent("Ann", instructions=instructions)
        session = await first_update(agent, context={"name": "Bob"})
        assert session["instructions"] == "You are Ann; the user is Bob."

    async def test_a_turn_detection_of_another_type_shares_nothing_with_the_default(self) -> None:
        session = await first_update(
            config={"model_settings": {"turn_detection": {"type": "server_vad", "threshold": 0.4}}}
        )
        assert session["audio"]["input"]["turn_detection"] == {"type": "server_vad", "threshold": 0.4}
        assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}

    async def test_a_setting_of_the_same_type_is_merged_key_by_key(self) -> None:
        session = await first_update(config={"model_settings": {"turn_detection": {"interruptResponse": False}}})
        assert session["audio"]["input"]["turn_detection"] == {"type": "semantic_vad", "interrupt_response": False}

    async def test_none_switches_off_and_is_told(self) -> None:
        session = await first_update(
            config={"model_settings": {"turn_detection": None, "input_audio_transcription": None}}
        )
        assert session["audio"]["input"] == {"turn_detection": None, "transcription": None}

    async def test_later_layers_win_over_earlier_ones(self) -> None:
        session = await first_update(
            RealtimeAgent("A", instructions="The agent's."),
            config={"model_settings": {"speed": 1.1, "max_output_tokens": 100, "modalities": ["text"]}},
            initial_model_settings={"speed": 1.2, "instructions": "The run's.", "output_modalities": ["audio"]},
        )
        assert session["audio"]["output"] == {"speed": 1.2}
        assert session["max_output_tokens"] == 100
        assert session["output_modalities"] == ["audio"]
        assert session["instructions"] == "The run's."

    @pytest.mark.parametrize(
        ("layers", "voice"),
        [
            ({}, "marin"),
            ({"config": {"model_settings": {"voice": "cedar"}}}, "cedar"),
            ({"config": {"model_settings": {"audio": {"output": {"voice": "cedar"}}}}}, "cedar"),
            (
                {
                    "config": {"model_settings": {"voice": "cedar"}},
                    "initial_model_settings": {"audio": {"output": {"voice": "ash"}}},
                },
                "ash",
            ),
            ({"initial_model_settings": {"voice": {"id": "voice_1"}}}, {"id": "voice_1"}),
        ],
    )
    async def test_a_sessions_voice_wins_over_its_agents(self, layers: dict[str, Any], voice: Any) -> None:
        session = await first_update(RealtimeAgent("A", voice="marin"), **layers)
        assert session["audio"]["output"]["voice"] == voice

    async def test_a_call_that_is_joined_keeps_its_own(self) -> None:
        session = await first_update(RealtimeAgent("A", instructions="Be kind.", tools=[ping]), call_id="rtc_1")
        assert session == {"type": "realtime", "instructions": "Be kind.", "tools": [ping.to_wire()]}
        told = await first_update(call_id="rtc_1", config={"model_settings": {"speed": 1.1}})
        assert told["audio"] == {"output": {"speed": 1.1}}

    async def test_nothing_of_the_users_is_changed(self) -> None:
        config = {"model_settings": {"voice": "cedar", "turn_detection": {"type": "server_vad", "threshold": 0.4}}}
        initial = {"audio": {"output": {"speed": 1.1}}}
        await first_update(config=config, initial_model_settings=initial)
        detection = {"type": "server_vad", "threshold": 0.4}
        assert config == {"model_settings": {"voice": "cedar", "turn_detection": detection}}
        assert initial == {"audio": {"output": {"speed": 1.1}}}

    @pytest.mark.parametrize(
        ("config", "words"),
        [
            ({"model_setings": {}}, "did you mean 'model_settings'"),
            ({"zzz": {}}, "known are model_settings"),
            ({"model_settings": {"temperature": 0.8}}, "temperature"),
        ],
    )
    async def test_what_is_no_setting(self, config: dict[str, Any], words: str) -> None:
        wire = MemoryWire()
        with pytest.raises(ConfigurationError, match=words):
            await RealtimeSession(RealtimeAgent("A"), transport=memory_transport(wire), config=config).enter()
        assert wire.far_ends == []


class TestConnectOptions:
    async def test_are_handed_on(self) -> None:
        options = await dialled_with(
            api_key="key", model="m", url="ws://x", headers={"a": "b"}, timeout=3.0, ready="open"
        )
        assert (options.api_key, options.model, options.url, options.headers) == ("key", "m", "ws://x", {"a": "b"})
        assert (options.timeout, options.ready) == (3.0, "open")

    @pytest.mark.parametrize(
        ("given", "model"),
        [
            ({}, None),
            ({"config": {"model_settings": {"model_name": "from-config"}}}, "from-config"),
            ({"config": {"model_settings": {"model": "from-config"}}}, "from-config"),
            (
                {
                    "config": {"model_settings": {"model_name": "from-config"}},
                    "initial_model_settings": {"model_name": "from-run"},
                },
                "from-run",
            ),
            ({"model": "given", "initial_model_settings": {"model_name": "from-run"}}, "given"),
        ],
    )
    async def test_the_model_that_is_named_closest(self, given: dict[str, Any], model: str | None) -> None:
        assert (await dialled_with(**given)).model == model

    async def test_the_model_is_no_part_of_an_update(self) -> None:
        assert "model" not in await first_update(config={"model_settings": {"model_name": "m"}})


class TestUpdateAgent:
    async def test_tells_what_the_agent_owns_and_nothing_else(self) -> None:
        agent = RealtimeAgent("A", tools=[ping], instructions="Old.")
        async with open_session(agent, config={"model_settings": {"voice": "cedar"}}) as (session, far):
            new = RealtimeAgent("B", instructions="New.", tools=[ping], voice="marin")
            await session.update_agent(new)
            update = await far.received("session.update")
            assert update["session"] == {"type": "realtime", "instructions": "New.", "tools": [ping.to_wire()]}
            assert session.current_agent is new

    async def test_nothing_of_the_last_agent_stays(self) -> None:
        agent = RealtimeAgent("A", tools=[ping], instructions="Old.", prompt={"id": "pmpt_1"})
        async with open_session(agent) as (session, far):
            await session.update_agent(RealtimeAgent("B"))
            update = await far.received("session.update")
            assert update["session"] == {"type": "realtime", "instructions": "", "tools": [], "prompt": None}

    async def test_speaks_from_the_next_response_on(self) -> None:
        one, two = RealtimeAgent("One"), RealtimeAgent("Two")
        async with open_session(one) as (session, far):
            turn = text_turn("resp_1", "item_1")
            far.send(*turn[:-1])
            await read_until(session, "agent_start")
            await session.update_agent(two)
            far.send(turn[-1], *text_turn("resp_2", "item_2", previous="item_1"))
            assert (await read_until(session, "agent_end"))[-1].agent is one
            told = await read_until(session, "agent_end")
            assert [event.agent for event in told if hasattr(event, "agent")] == [two, two]

    async def test_one_that_is_not_valid_changes_and_sends_nothing(self) -> None:
        agent = RealtimeAgent("A")
        broken = RealtimeAgent("B", tools=[ping, ping])

        def failing(context: RunContextWrapper[Any], agent: RealtimeAgent) -> str:
            raise LookupError("no instructions")

        async with open_session(agent) as (session, far):
            with pytest.raises(ConfigurationError, match="ping names more than one"):
                await session.update_agent(broken)
            with pytest.raises(LookupError):
                await session.update_agent(RealtimeAgent("C", instructions=failing))
            with pytest.raises(ConfigurationError, match="not str"):
                await session.update_agent("D")  # type: ignore[arg-type]
            assert session.current_agent is agent
            await session.send_audio(b"\0\0")
            assert far.types == ["session.update", "input_audio_buffer.append"]

    async def test_one_after_the_other_under_backpressure(self) -> None:
        agents = [RealtimeAgent(f"Agent {number}", instructions=str(number)) for number in range(5)]
        async with open_session() as (session, far):
            far.stall()
            updates = [asyncio.create_task(session.update_agent(agent)) for agent in agents]
            await asyncio.sleep(0)
            far.flow()
            await asyncio.gather(*updates)
            told = [frame["session"]["instructions"] for frame in far.frames[1:]]
            assert sorted(told) == [str(number) for number in range(5)]
            assert session.current_agent.instructions == told[-1]

    async def test_where_it_can_not_be_sent_the_agent_stays(self) -> None:
        agent = RealtimeAgent("A")
        async with open_session(agent) as (session, far):
            far.stall()
            update = asyncio.create_task(session.update_agent(RealtimeAgent("B")))
            await asyncio.sleep(0)
            far.lose()
            with pytest.raises(TransportError):
                await update
            assert session.current_agent is agent


class TestUserInput:
    async def test_messages(self) -> None:
        async with open_session() as (session, far):
            await session.send_message("Hello")
            item = (await far.received("conversation.item.create"))["item"]
            assert item == {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
            await far.received("response.create")
            await session.send_message({"role": "system", "content": "Be brief."}, trigger_response=False)
            assert (await far.received("conversation.item.create"))["item"]["role"] == "system"
            assert far.types.count("response.create") == 1

    async def test_audio_is_sent_as_it_is(self) -> None:
        async with open_session() as (session, far):
            await session.send_audio(b"\1\2\3\4")
            await session.send_audio(b"", commit=True)
            assert (await far.received("input_audio_buffer.append"))["audio"] == "AQIDBA=="
            assert far.types[1:] == ["input_audio_buffer.append", "input_audio_buffer.commit"]

    async def test_a_slow_wire_slows_its_sender(self) -> None:
        async with open_session() as (session, far):
            far.stall()
            sending = asyncio.create_task(session.send_audio(b"\0\0"))
            await far.heard()
            assert not sending.done()
            far.flow()
            await sending

    async def test_inputs_during_a_response_ask_for_one_answer_after_it(self) -> None:
        async with open_session() as (session, far):
            turn = text_turn("resp_1", "item_1")
            await session.send_message("one")
            await far.received("response.create")
            far.send(*turn[:-1])
            await far.heard()
            await session.send_message("two")
            await session.send_message("three")
            assert far.types.count("response.create") == 1
            far.send(turn[-1])
            await far.received("response.create")
            assert far.types[-1] == "response.create"
            assert far.types.count("conversation.item.create") == 3
