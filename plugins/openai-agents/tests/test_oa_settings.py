"""The SDK's settings as jackfield's session config: what a session begins with, and what a handoff changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents import FunctionTool, WebSearchTool, function_tool
from agents.exceptions import UserError
from agents.realtime import RealtimeAgent, RealtimeModelSendSessionUpdate, realtime_handoff
from openai.types.realtime.realtime_audio_formats import AudioPCM, AudioPCMU

from jackfield.openai import session_payload
from jackfield.transport import ConfigurationError

Connect = Callable[..., Awaitable[Any]]


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return "Sunny"


async def begun(connect: Connect, options: dict[str, Any] | None = None, **settings: Any) -> dict[str, Any]:
    """Connect with these settings, and return the config that the session began with."""
    line = await connect(None, options, initial_model_settings=settings)
    config: dict[str, Any] = line.calls("connect")[0]["initial_session_config"]
    return config


async def changed(line: Any, **settings: Any) -> dict[str, Any]:
    """Update a session, and return what was changed."""
    await line.model.send_event(RealtimeModelSendSessionUpdate(settings))  # type: ignore[arg-type]
    config: dict[str, Any] = line.calls("update_session_config")[-1]["config"]
    return config


class TestDefaults:
    async def test_are_those_of_the_sdk(self, connect: Connect) -> None:
        assert session_payload(await begun(connect)) == {
            "type": "realtime",
            "output_modalities": ["audio"],
            "tools": [],
            "tracing": "auto",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24000},
                    "transcription": {"model": "gpt-4o-mini-transcribe"},
                    "turn_detection": {"type": "semantic_vad", "interrupt_response": True},
                },
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "ash"},
            },
        }

    async def test_give_way_one_by_one_and_whole(self, connect: Connect) -> None:
        config = await begun(connect, voice="marin", turn_detection={"type": "semantic_vad", "eagerness": "low"})
        assert config["audio"]["output"]["voice"] == "marin"
        assert config["audio"]["input"]["turn_detection"] == {"type": "semantic_vad", "eagerness": "low"}
        assert config["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}

    async def test_may_be_others(self, connect: Connect) -> None:
        options = {"default_model_settings": {"voice": "Puck", "model_name": "a-model"}}
        line = await connect(None, options)
        [call] = line.calls("connect")
        assert call["model"] == "a-model"
        assert call["initial_session_config"] == {"audio": {"output": {"voice": "Puck"}}, "tools": []}

    async def test_may_be_none(self, connect: Connect) -> None:
        assert await begun(connect, {"default_model_settings": {}}) == {"tools": []}


class TestSettings:
    async def test_none_switches_off_what_can_be(self, connect: Connect) -> None:
        config = await begun(
            connect, turn_detection=None, input_audio_noise_reduction=None, input_audio_transcription=None
        )
        inputs = config["audio"]["input"]
        assert (inputs["turn_detection"], inputs["noise_reduction"], inputs["transcription"]) == (None, None, None)

    async def test_none_says_nothing_elsewhere(self, connect: Connect) -> None:
        audio = {"input": None, "output": {"voice": None, "format": None}}
        config = await begun(connect, voice=None, speed=None, parallel_tool_calls=None, audio=audio)
        assert config["audio"]["output"] == {"voice": "ash", "format": "pcm16"}
        assert "parallel_tool_calls" not in config

    async def test_nested_ones_win_over_flat_ones(self, connect: Connect) -> None:
        audio = {"input": {"turn_detection": {"type": "server_vad", "silenceDurationMs": 200}}}
        config = await begun(
            connect,
            audio=audio,
            turn_detection={"type": "semantic_vad"},
            modalities=["text", "audio"],
            output_modalities=["text"],
        )
        assert config["audio"]["input"]["turn_detection"] == {"type": "server_vad", "silence_duration_ms": 200}
        assert config["output_modalities"] == ["text"]

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("g711_ulaw", {"type": "audio/pcmu"}),
            ({"type": "audio/pcma"}, {"type": "audio/pcma"}),
            (AudioPCMU(type="audio/pcmu"), {"type": "audio/pcmu"}),
            (AudioPCM(type="audio/pcm", rate=24000), {"type": "audio/pcm", "rate": 24000}),
        ],
    )
    async def test_formats_in_every_spelling(self, connect: Connect, given: Any, expected: Any) -> None:
        config = await begun(connect, input_audio_format=given, audio={"output": {"format": given}})
        audio = session_payload(config)["audio"]
        assert (audio["input"]["format"], audio["output"]["format"]) == (expected, expected)

    async def test_a_format_that_is_none_is_refused(self, connect: Connect) -> None:
        with pytest.raises(ConfigurationError, match="'opus' is not an audio format"):
            await connect(initial_model_settings={"input_audio_format": "opus"})

    async def test_a_voice_of_ones_own(self, connect: Connect) -> None:
        config = await begun(connect, voice={"id": "voice_1"})
        assert config["audio"]["output"]["voice"] == {"id": "voice_1"}

    async def test_the_others_pass(self, connect: Connect) -> None:
        given = {
            "instructions": "Be kind.",
            "prompt": {"id": "pmpt_1", "variables": {"userName": "Ada"}},
            "tool_choice": "required",
            "max_output_tokens": "inf",
            "parallel_tool_calls": False,
            "reasoning": {"effort": "low"},
        }
        config = await begun(connect, **given)
        assert {key: config[key] for key in given} == given

    @pytest.mark.parametrize(
        ("tracing", "expected"),
        [
            (
                {"workflow_name": "shop", "metadata": {"aB": 1}, "group_id": None},
                {"workflow_name": "shop", "metadata": {"aB": 1}},
            ),
            (None, None),
        ],
    )
    async def test_tracing(self, connect: Connect, tracing: Any, expected: Any) -> None:
        assert (await begun(connect, tracing=tracing)).get("tracing") == expected


class TestModel:
    async def test_is_the_one_that_is_named(self, connect: Connect) -> None:
        line = await connect(initial_model_settings={"model_name": "gpt-realtime-mini"})
        assert line.calls("connect")[0]["model"] == "gpt-realtime-mini"
        assert "model" not in line.calls("connect")[0]["initial_session_config"]

    async def test_is_left_to_transports_that_lead_elsewhere(self, connect: Connect) -> None:
        assert (await connect()).calls("connect")[0]["model"] is None


class TestTools:
    async def test_and_handoffs_are_functions(self, connect: Connect) -> None:
        handoff = realtime_handoff(RealtimeAgent(name="Billing", handoff_description="Bills."))
        config = await begun(connect, tools=[get_weather], handoffs=[handoff])
        assert config["tools"] == [
            {
                "type": "function",
                "name": "get_weather",
                "description": "Weather in a city.",
                "parameters": get_weather.params_json_schema,
            },
            {
                "type": "function",
                "name": "transfer_to_billing",
                "description": handoff.tool_description,
                "parameters": handoff.input_json_schema,
            },
        ]

    async def test_that_are_off_are_left_out(self, connect: Connect) -> None:
        @function_tool(is_enabled=False)
        def hidden() -> None: ...

        off = realtime_handoff(RealtimeAgent(name="Billing"), is_enabled=False)
        assert (await begun(connect, tools=[hidden], handoffs=[off]))["tools"] == []

    async def test_of_one_name_are_refused(self, connect: Connect) -> None:
        @function_tool(name_override="transfer_to_billing")
        def pay() -> None: ...

        handoff = realtime_handoff(RealtimeAgent(name="Billing"))
        with pytest.raises(UserError, match="transfer_to_billing"):
            await connect(initial_model_settings={"tools": [pay], "handoffs": [handoff]})

    async def test_that_are_no_functions_are_refused(self, connect: Connect) -> None:
        with pytest.raises(UserError, match="'web_search' is a WebSearchTool"):
            await connect(initial_model_settings={"tools": [WebSearchTool()]})

    async def test_that_only_other_models_can_run_are_refused(self, connect: Connect) -> None:
        @function_tool(defer_loading=True)
        def later() -> None: ...

        with pytest.raises(UserError, match="later"):
            await connect(initial_model_settings={"tools": [later]})

    async def test_are_never_copied(self, connect: Connect) -> None:
        class Uncopied:
            """Like a database connection: can be neither copied nor encoded."""

            async def __call__(self, context: Any, arguments: str) -> str:
                return "Sunny"

            def __deepcopy__(self, memo: Any) -> Any:
                raise AssertionError("it was copied")

            __reduce_ex__ = __copy__ = __deepcopy__

        schema = {"type": "object", "properties": {}}
        tool = FunctionTool(name="f", description="", params_json_schema=schema, on_invoke_tool=Uncopied())
        line = await connect(initial_model_settings={"tools": [tool]})
        assert (await changed(line, tools=[tool]))["tools"][0]["name"] == "f"


class TestUpdates:
    async def test_leave_out_what_never_changed(self, connect: Connect) -> None:
        given: dict[str, Any] = {"voice": "marin", "model_name": "gpt-realtime", "instructions": "Be kind."}
        line = await connect(initial_model_settings=given)
        config = await changed(line, **{**given, "instructions": "Be exact.", "tools": [get_weather]})
        assert {"model", "audio", "tracing"} & set(config) == set()
        assert config["instructions"] == "Be exact."
        assert [tool["name"] for tool in config["tools"]] == ["get_weather"]

    async def test_send_what_changed_and_send_it_back(self, connect: Connect) -> None:
        line = await connect(initial_model_settings={"voice": "marin"})
        assert (await changed(line, voice="ash"))["audio"] == {"output": {"voice": "ash"}}
        assert (await changed(line, voice="marin"))["audio"] == {"output": {"voice": "marin"}}

    async def test_take_tools_away(self, connect: Connect) -> None:
        line = await connect(initial_model_settings={"tools": [get_weather]})
        assert (await changed(line, instructions=""))["tools"] == []
        assert (await changed(line, instructions=""))["instructions"] == ""

    async def test_of_tools_that_cannot_be_send_nothing(self, connect: Connect) -> None:
        line = await connect()
        with pytest.raises(UserError):
            await changed(line, tools=[WebSearchTool()])
        assert line.calls("update_session_config") == []
