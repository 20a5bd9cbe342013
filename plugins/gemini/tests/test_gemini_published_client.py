"""The server against the published client, `google-genai`: what that sends is understood, what it is sent it parses.

So that what our own dialect is tested with isn't our own idea of the protocol.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jackfield.transport import create_transport
from jackfield_gemini.testing import AUDIO, GeminiConnectionEnd, GeminiServer, Script, accepting, polite
from jackfield_gemini.testing.validation import normalized

if not os.environ.get("CI"):
    pytest.importorskip("google.genai", reason="the published client is not installed: pip install google-genai")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from google import genai
from google.genai import errors, types

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore:The SDK's ephemeral token")

MODEL = "gemini-live-2.5-flash-preview"
WEATHER = types.FunctionDeclaration(
    name="get_weather",
    description="Weather in a city.",
    parameters=types.Schema(
        type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)}, required=["city"]
    ),
)


@pytest.fixture(scope="module", autouse=True)
def tls(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A certificate for 127.0.0.1: the published client dials nothing but wss://."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now, day = datetime.datetime.now(datetime.UTC), datetime.timedelta(days=1)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - day, now + day)
        .add_extension(address, critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(private + made.public_bytes(pem))
    Tls.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    Tls.server.load_cert_chain(file)
    Tls.client = ssl.create_default_context(cafile=str(file))


class Tls:
    server: ssl.SSLContext
    client: ssl.SSLContext


@asynccontextmanager
async def connected(
    server: GeminiServer, api_key: str = "AIzaTest", version: str = "v1beta", **config: Any
) -> AsyncIterator[Any]:
    options = types.HttpOptions(base_url=server.base_url, api_version=version, async_client_args={"ssl": Tls.client})
    client = genai.Client(api_key=api_key, http_options=options)
    async with client.aio.live.connect(model=MODEL, config=types.LiveConnectConfig(**config)) as session:
        yield session


@asynccontextmanager
async def pair(script: Script = polite, **config: Any) -> AsyncIterator[tuple[Any, GeminiConnectionEnd]]:
    async with GeminiServer(script, ssl=Tls.server) as server, connected(server, **config) as session:
        yield session, await server.connection()


def spoken(messages: list[Any]) -> bytes:
    return b"".join(message.data or b"" for message in messages)


async def test_a_written_turn() -> None:
    async with pair(response_modalities=["TEXT"]) as (session, far):
        await session.send_client_content(
            turns=types.Content(role="user", parts=[types.Part(text="Hello?")]), turn_complete=True
        )
        messages = [message async for message in session.receive()]
        assert "".join(message.text or "" for message in messages) == "Hello."
        assert messages[-1].server_content.turn_complete
        assert messages[-1].usage_metadata.total_token_count == 120
        assert messages[-1].usage_metadata.response_tokens_details[0].modality == types.MediaModality.AUDIO
        assert far.messages == ["Hello?"] and far.requests == 1


async def test_a_spoken_turn() -> None:
    async with pair(accepting, response_modalities=["AUDIO"], output_audio_transcription={}) as (session, far):
        await session.send_realtime_input(audio=types.Blob(data=AUDIO, mime_type="audio/pcm;rate=16000"))
        assert await far.until_heard(len(AUDIO)) == AUDIO
        await session.send_realtime_input(audio_stream_end=True)
        await far.until_committed()
        await far.transcribe("What is it?")
        await far.say("It is this.", AUDIO)
        messages = [message async for message in session.receive()]
        assert spoken(messages) == AUDIO
        contents = [message.server_content for message in messages if message.server_content]
        assert [c.input_transcription.text for c in contents if c.input_transcription] == ["What is it?"]
        assert [c.output_transcription.text for c in contents if c.output_transcription] == ["It is this."]
        assert [bool(c.generation_complete) for c in contents][-2:] == [True, False]


async def test_a_function_call() -> None:
    async with pair(accepting, tools=[types.Tool(function_declarations=[WEATHER])]) as (session, far):
        assert far.tools == ["get_weather"]
        await far.call("get_weather", {"city": "Paris"}, "call-1")
        message = await anext(session.receive())
        [call] = message.tool_call.function_calls
        assert (call.id, call.name, call.args) == ("call-1", "get_weather", {"city": "Paris"})
        await session.send_tool_response(
            function_responses=[types.FunctionResponse(id=call.id, name=call.name, response={"output": "sunny"})]
        )
        assert await far.until_answered("call-1") == {"call-1": "sunny"}
        await far.cancel_calls("call-2")
        assert (await anext(session.receive())).tool_call_cancellation.ids == ["call-2"]


async def test_an_interruption() -> None:
    async with pair(accepting) as (session, far):
        await far.speak()
        await far.user_interrupts()
        await far.finish(interrupted=True)
        messages = [message async for message in session.receive()]
        told = [message.server_content for message in messages if message.server_content]
        assert any(content.interrupted for content in told)
        assert told[-1].turn_complete and not any(content.generation_complete for content in told)


async def test_going_away_and_being_taken_up() -> None:
    async with GeminiServer(accepting, ssl=Tls.server) as server:
        async with connected(server, session_resumption=types.SessionResumptionConfig()) as session:
            far = await server.connection()
            handle = await far.resumable()
            await far.go_away("9.5s")
            messages = session.receive()
            update = (await anext(messages)).session_resumption_update
            assert (update.new_handle, update.resumable) == (handle, True)
            assert (await anext(messages)).go_away.time_left == "9.5s"
        async with connected(server, session_resumption=types.SessionResumptionConfig(handle=handle)):
            again = await server.connection(1)
            assert (await again.until_set_up())["sessionResumption"] == {"handle": handle}


async def test_by_hand_with_voice_activity_and_an_update() -> None:
    config = types.RealtimeInputConfig(automatic_activity_detection=types.AutomaticActivityDetection(disabled=True))
    async with pair(accepting, realtime_input_config=config) as (session, far):
        await session.send_realtime_input(activity_start=types.ActivityStart())
        await session.send_realtime_input(activity_end=types.ActivityEnd())
        await far.until_committed()
        await session.send_context_update(
            system_instruction="Second", tools=[types.Tool(function_declarations=[WEATHER])]
        )
        await far.until(lambda: far.instructions == ["Second"] and far.tools == ["get_weather"], "the update")
        await far.user_starts_speaking("1.5s")
        activity = (await anext(session.receive())).voice_activity
        assert activity.voice_activity_type == types.VoiceActivityType.ACTIVITY_START
        assert activity.audio_offset == "1.5s"


async def test_a_wrong_key_is_refused_by_a_close() -> None:
    async with GeminiServer(api_key="AIzaRight", ssl=Tls.server) as server:
        with pytest.raises(errors.APIError, match="API key not valid"):
            async with connected(server, api_key="AIzaWrong"):
                raise AssertionError("it was let in")


async def test_an_ephemeral_token() -> None:
    async with GeminiServer(ssl=Tls.server) as server, connected(server, api_key="auth_tokens/abc", version="v1alpha"):
        far = await server.connection()
        assert far.headers["Authorization"] == "Token auth_tokens/abc"
        ours = create_transport("gemini", base_url=server.base_url, ssl=Tls.client)
        await ours.connect(api_key="auth_tokens/abc")
        mine = await server.connection(1)
        assert (mine.path, mine.headers["Authorization"]) == (far.path, far.headers["Authorization"])
        await ours.close()


class TestBothSayTheSame:
    """What our dialect sends, beside what the published client sends for the same."""

    @asynccontextmanager
    async def both(
        self, config: dict[str, Any], theirs: dict[str, Any]
    ) -> AsyncIterator[tuple[Any, GeminiConnectionEnd, Any, GeminiConnectionEnd]]:
        async with GeminiServer(accepting, ssl=Tls.server) as server:
            transport = create_transport("gemini", base_url=server.base_url, ssl=Tls.client, resume=False)
            await transport.connect(api_key="AIzaTest", model=MODEL, initial_session_config=config)
            async with connected(server, **theirs) as session:
                yield transport, await server.connection(0), session, await server.connection(1)
            await transport.close()

    async def test_setup(self) -> None:
        tool = {
            "type": "function",
            "name": "get_weather",
            "description": "Weather in a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        }
        config = {
            "instructions": "Be brief.",
            "voice": "Puck",
            "tools": [tool],
            "max_response_output_tokens": 200,
            "temperature": 0.5,
            "turn_detection": {
                "type": "server_vad",
                "threshold": 0.8,
                "prefix_padding_ms": 100,
                "silence_duration_ms": 400,
                "interrupt_response": False,
            },
            "input_audio_transcription": {"model": "whisper-1", "language": "de"},
            "truncation": "auto",
        }
        theirs = {
            "response_modalities": ["AUDIO"],
            "system_instruction": types.Content(parts=[types.Part(text="Be brief.")]),
            "speech_config": types.SpeechConfig(
                voice_config=types.VoiceConfig(prebuilt_voice_config=types.PrebuiltVoiceConfig(voice_name="Puck"))
            ),
            "tools": [types.Tool(function_declarations=[WEATHER])],
            "max_output_tokens": 200,
            "temperature": 0.5,
            "realtime_input_config": types.RealtimeInputConfig(
                automatic_activity_detection=types.AutomaticActivityDetection(
                    start_of_speech_sensitivity=types.StartSensitivity.START_SENSITIVITY_LOW,
                    prefix_padding_ms=100,
                    silence_duration_ms=400,
                ),
                activity_handling=types.ActivityHandling.NO_INTERRUPTION,
            ),
            "input_audio_transcription": types.AudioTranscriptionConfig(language_codes=["de"]),
            "output_audio_transcription": types.AudioTranscriptionConfig(),
            "context_window_compression": types.ContextWindowCompressionConfig(sliding_window=types.SlidingWindow()),
        }
        async with self.both(config, theirs) as (_, ours, __, other):
            assert ours.setup == other.setup
            assert ours.headers["x-goog-api-key"] == other.headers["x-goog-api-key"]
            assert ours.path == other.path

    async def test_messages(self) -> None:
        async with self.both({}, {"response_modalities": ["AUDIO"]}) as (transport, ours, session, other):
            await transport.send_message("Hello?")
            await transport.update_session_config({"instructions": "Second", "tools": [{"googleSearch": {}}]})
            await ours.call("get_weather", {"city": "Paris"}, "call-1")
            call = await anext(event async for event in transport.events() if event.type == "function_call")
            await transport.send_function_call_output(call, "sunny")
            await transport.send_audio(AUDIO)
            await transport.commit_audio()
            await ours.until_committed()

            await session.send_client_content(
                turns=types.Content(role="user", parts=[types.Part(text="Hello?")]), turn_complete=True
            )
            await session.send_context_update(
                system_instruction=types.Content(parts=[types.Part(text="Second")]),
                tools=[types.Tool(google_search=types.GoogleSearch())],
            )
            await session.send_tool_response(
                function_responses=types.FunctionResponse(id="call-1", name="get_weather", response={"output": "sunny"})
            )
            await session.send_realtime_input(audio=types.Blob(data=ours.heard, mime_type="audio/pcm;rate=16000"))
            await session.send_realtime_input(audio_stream_end=True)
            await other.until_committed()
            assert other.heard == ours.heard
            mine, theirs = ([_shape(message) for message in end.received[1:]] for end in (ours, other))
            assert [message for message in mine if "audio" not in message.get("realtimeInput", {})] == [
                message for message in theirs if "audio" not in message.get("realtimeInput", {})
            ]
            assert {type_of_audio(message) for message in (*mine, *theirs)} == {None, "audio/pcm;rate=16000"}


def _shape(message: Any) -> Any:
    return normalized(message)


def type_of_audio(message: Any) -> Any:
    return message.get("realtimeInput", {}).get("audio", {}).get("mimeType")
