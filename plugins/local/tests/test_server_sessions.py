"""Whole sessions over real sockets: turns, interruption, tools, out of band, G.711, expiry, and how they end."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from openai import AsyncOpenAI

from jackfield.audio import g711
from jackfield.audio.resample import resample
from jackfield_local import (
    Call,
    ConnectionEndedError,
    LocalServer,
    LocalServerError,
    Reply,
    ResponseContext,
    Say,
    serve_in_thread,
)
from jackfield_local.engine.engine import Engine
from jackfield_local.engine.outbox import Effect, WatchIdle
from jackfield_local.session import Services, Session
from jackfield_local.tones import PhraseRecognizer, ToneSynthesizer

MODEL = "?model=gpt-realtime"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "Weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
STORY = " ".join(["Once upon a time there was a telephone that rang and rang."] * 20)


class TestTurns:
    async def test_a_spoken_turn(self, local_server: Any, dial: Any, kinds: Any, speech: Any, silence: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}})
            await client.say(silence(300) + speech(700) + silence(400))
            done = (await client.until("response.done"))["response"]
            assert (await client.next())["type"] == "rate_limits.updated"
        assert done["status"] == "completed"
        words = "Hello there. How can I help you today?"
        assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": words}]
        assert "".join(e["delta"] for e in client.of("response.output_audio_transcript.delta")) == words
        (heard,) = client.of("conversation.item.input_audio_transcription.completed")
        assert heard["transcript"] == "What is the weather in Paris"
        expected = b"".join(
            ToneSynthesizer().synthesize(sentence, voice="alloy", speed=1.0)
            for sentence in ("Hello there. ", "How can I help you today?")
        )
        assert client.audio() == expected
        sizes = [len(base64.b64decode(e["delta"])) for e in client.of("response.output_audio.delta")]
        assert sizes[0] == 1920
        assert max(sizes) == 4800
        order = kinds(client.events)
        first_audio = order.index("response.output_audio.delta")
        assert order[first_audio - 1] == "response.output_audio_transcript.delta"

    async def test_the_responder_hears_what_was_said(
        self, local_server: Any, dial: Any, StubResponder: Any, speech: Any, silence: Any
    ) -> None:
        responder = StubResponder()
        async with local_server(responder=responder) as server, dial(server.url + MODEL) as client:
            await client.update(instructions="Be kind.")
            await client.say(speech(500) + silence(400))
            await client.until("response.done")
        (context,) = responder.contexts
        assert context.instructions == "Be kind."
        assert context.items[0]["content"][0]["transcript"] == "What is the weather in Paris"

    async def test_a_manual_turn(self, local_server: Any, dial: Any, speech: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"turn_detection": None}})
            await client.say(speech(500))
            await client.send("input_audio_buffer.commit")
            await client.send("response.create")
            await client.until("response.done")
            assert not client.of("input_audio_buffer.speech_started")

    async def test_a_text_turn(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        async with local_server(responder=StubResponder("Two words")) as server, dial(server.url + MODEL) as client:
            await client.update(output_modalities=["text"])
            await client.text("Hi")
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            assert done["output"][0]["content"] == [{"type": "output_text", "text": "Two words"}]
            assert [e["delta"] for e in client.of("response.output_text.delta")] == ["Two", " words"]

    async def test_a_tool_call_and_its_answer(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        responder = StubResponder("It is sunny.")
        async with local_server(responder=responder) as server, dial(server.url + MODEL) as client:
            await client.update(tools=[WEATHER])
            await client.text("What is the weather in Paris?")
            await client.send("response.create")
            call = (await client.until("response.done"))["response"]["output"][0]
            assert (call["name"], call["arguments"]) == ("get_weather", '{"city":"Paris"}')
            output = {"type": "function_call_output", "call_id": call["call_id"], "output": "Sunny"}
            await client.send("conversation.item.create", item=output)
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            assert done["output"][0]["content"][0]["transcript"] == "It is sunny."
            assert responder.contexts[1].items[-1]["output"] == "Sunny"

    @pytest.mark.parametrize(("law", "name"), [("ulaw", "audio/pcmu"), ("alaw", "audio/pcma")])
    async def test_g711_both_ways(
        self, local_server: Any, dial: Any, speech: Any, silence: Any, law: Any, name: str
    ) -> None:
        async with local_server() as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"format": {"type": name}}, "output": {"format": {"type": name}}})
            coded = g711.encode(resample(speech(600) + silence(400), 24000, 8000), law)
            await client.say(coded, chunk=160)
            await client.until("response.done")
        spoken = ToneSynthesizer().synthesize("Hello there. How can I help you today?", voice="alloy", speed=1.0)
        assert abs(len(client.audio()) - len(spoken) / 6) <= 8

    async def test_out_of_band_beside_a_spoken_answer(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        async with (
            local_server(responder=StubResponder(STORY, "greeting"), pace=1) as server,
            dial(server.url + MODEL) as client,
        ):
            await client.text("Tell me a story")
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            aside = {"conversation": "none", "metadata": {"for": "me"}, "output_modalities": ["text"], "input": []}
            await client.send("response.create", response=aside)
            done = (await client.until("response.done"))["response"]
            assert (done["metadata"], done["conversation_id"]) == ({"for": "me"}, None)
            await client.send("response.cancel")
            done = (await client.until("response.done"))["response"]
            assert done["status_details"]["reason"] == "client_cancelled"

    async def test_max_output_tokens(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        async with local_server(responder=StubResponder(STORY)) as server, dial(server.url + MODEL) as client:
            await client.send("response.create", response={"max_output_tokens": 40})
            done = (await client.until("response.done"))["response"]
            assert done["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
            assert 20 < done["usage"]["output_tokens"] <= 40

    async def test_images_reach_the_responder(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        responder = StubResponder()
        image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "low"}
        async with local_server(responder=responder) as server, dial(server.url + MODEL) as client:
            item = {"type": "message", "role": "user", "content": [image]}
            await client.send("conversation.item.create", item=item)
            await client.send("response.create")
            usage = (await client.until("response.done"))["response"]["usage"]
            assert usage["input_token_details"]["image_tokens"] > 0
            assert responder.contexts[0].items[0]["content"] == [image]


class TestInterruption:
    async def test_the_user_speaks_over_the_answer(
        self, local_server: Any, dial: Any, StubResponder: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(STORY, "Yes?"), pace=4) as server,
            dial(server.url + MODEL) as client,
        ):
            await client.text("Tell me a story")
            await client.send("response.create")
            for _ in range(3):
                await client.until("response.output_audio.delta")
            start = len(client.events)
            await client.say(speech(300))
            done = (await client.until("response.done"))["response"]
            assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
            tail = [kind for kind in kinds(client.events[start:]) if not kind.endswith(".delta")]
            assert tail[0] == "input_audio_buffer.speech_started"
            sent_ms = len(client.audio()) / 48
            item_id = done["output"][0]["id"]
            fields = {"item_id": item_id, "content_index": 0}
            await client.send("conversation.item.truncate", **fields, audio_end_ms=int(sent_ms) + 1)
            assert (await client.until("error"))["error"]["code"] == "invalid_value"
            await client.send("conversation.item.truncate", **fields, audio_end_ms=120)
            assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 120
            await client.say(silence(400))
            done = (await client.until("response.done"))["response"]
            assert done["output"][0]["content"][0]["transcript"] == "Yes?"
            # Nothing of the cut answer came after its end.
            assert all(e["response_id"] == done["id"] for e in client.events[-1:] if "response_id" in e)

    async def test_the_answer_is_cut_where_it_was(
        self, local_server: Any, dial: Any, StubResponder: Any, speech: Any
    ) -> None:
        async with local_server(responder=StubResponder(STORY), pace=4) as server, dial(server.url + MODEL) as client:
            await client.send("response.create")
            await client.until("response.output_audio.delta")
            await client.say(speech(300))
            done = (await client.until("response.done"))["response"]
            said = done["output"][0]["content"][0]["transcript"]
            assert 0 < len(said) < len(STORY)
            assert STORY.startswith(said)
            assert said == "".join(e["delta"] for e in client.of("response.output_audio_transcript.delta"))


class TestTheEnd:
    async def test_expiry(self, local_server: Any, dial: Any) -> None:
        async with local_server(session_seconds=0.3) as server, dial(server.url + MODEL) as client:
            events = await client.rest()
            assert events[-1]["error"]["code"] == "session_expired"
            assert client.socket.close_code == 1001
            assert client.socket.close_reason == events[-1]["error"]["message"]

    async def test_expires_at(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL) as first:
            created = (await first.next())["session"]["expires_at"]
        async with local_server(session_seconds=60) as server, dial(server.url + MODEL) as second:
            assert (await second.next())["session"]["expires_at"] < created

    async def test_the_client_s_close_is_echoed_and_recorded(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            async with dial(server.url + MODEL) as client:
                await client.next()
                await client.socket.close(1000, "bye")
            record = await server.connection()
            assert await record.wait_closed() == 1000
            assert (client.socket.close_code, record.close_reason) == (1000, "bye")
            with pytest.raises(ConnectionEndedError, match="0 of 1"):
                await record.received_event("response.create")
            with pytest.raises(ConnectionEndedError):
                await record.inject({"type": "error"})

    async def test_nothing_outlives_a_session(self, local_server: Any, dial: Any, StubResponder: Any) -> None:
        async with local_server(responder=StubResponder(STORY), pace=1) as server:
            before = asyncio.all_tasks()
            async with dial(server.url + MODEL) as client:
                await client.send("response.create")
                await client.until("response.output_audio.delta")
                client.socket.transport.abort()
            assert await (await server.connection()).wait_closed() == 1006
            async with asyncio.timeout(10):
                while asyncio.all_tasks() - before:
                    await asyncio.sleep(0)

    async def test_sessions_do_not_disturb_one_another(
        self, local_server: Any, dial: Any, speech: Any, silence: Any
    ) -> None:
        async with local_server() as server:

            async def converse(number: int) -> int:
                async with dial(server.url + MODEL) as client:
                    await client.update(instructions=f"Session {number}.")
                    for _ in range(3):
                        await client.say(speech(400) + silence(400))
                        await client.until("rate_limits.updated")
                    assert client.events[0]["session"]["id"] == client.of("session.updated")[0]["session"]["id"]
                    return len(client.audio())

            lengths = await asyncio.gather(*(converse(number) for number in range(8)))
        assert len(set(lengths)) == 1
        assert len(server.connections) == 8


class Broken:
    """Parts that fail, to see what a client is told."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        raise ConnectionRefusedError("no idea")

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        raise OSError("deaf")


class Slow:
    """A recogniser that a test lets go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> str:
        assert self.go.wait(20)
        return "at last"


class Unsound:
    """A recogniser that doesn't keep to its protocol."""

    def transcribe(self, pcm: bytes, phrases: Sequence[str]) -> Any:
        return 7


class Pondering:
    """A responder that never comes to an answer."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.given_up = asyncio.Event()

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.given_up.set()
        return []


class Counting(ToneSynthesizer):
    """Counts the sentences that it was asked for."""

    sentences = 0

    def synthesize(self, text: str, *, voice: str, speed: float) -> bytes:
        self.sentences += 1
        return super().synthesize(text, voice=voice, speed=speed)


class Both:
    """Speaks and calls in one answer."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return []

    async def respond(self, context: ResponseContext) -> Reply:
        return [Say("One moment."), Call("a", {}), Call("b", {"x": [1]})]


class TestParts:
    async def test_a_failing_responder_fails_the_response(self, local_server: Any, dial: Any) -> None:
        async with local_server(responder=Broken()) as server, dial(server.url + MODEL) as client:
            await client.send("response.create")
            done = (await client.until("response.done"))["response"]
            assert done["status"] == "failed"
            assert done["status_details"]["error"]["code"] == "server_error"
            await client.update(instructions="Still there.")

    async def test_a_failing_recogniser_fails_the_transcription_only(
        self, local_server: Any, dial: Any, speech: Any, silence: Any
    ) -> None:
        async with local_server(recognizer=Broken()) as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
            await client.say(speech(400) + silence(400))
            done = (await client.until("response.done"))["response"]
            assert done["status"] == "completed"
            assert client.of("conversation.item.input_audio_transcription.failed")

    async def test_an_answer_waits_until_the_question_was_heard(
        self, local_server: Any, dial: Any, StubResponder: Any, speech: Any, silence: Any
    ) -> None:
        slow, responder = Slow(), StubResponder()
        async with local_server(recognizer=slow, responder=responder) as server, dial(server.url + MODEL) as client:
            await client.say(speech(400) + silence(400))
            await client.until("response.created")
            # While it is still being recognised, the session is awake.
            await client.update(instructions="Meanwhile.")
            assert not responder.contexts
            slow.go.set()
            await client.until("response.done")
        assert responder.contexts[0].items[0]["content"][0]["transcript"] == "at last"

    async def test_a_cancelled_responder_is_stopped(self, local_server: Any, dial: Any) -> None:
        responder = Pondering()
        async with local_server(responder=responder) as server, dial(server.url + MODEL) as client:
            await client.send("response.create")
            await responder.began.wait()
            await client.send("response.cancel")
            assert (await client.until("response.done"))["response"]["status"] == "cancelled"
            async with asyncio.timeout(20):
                await responder.given_up.wait()

    async def test_a_part_that_breaks_its_protocol_ends_the_session_audibly(
        self, local_server: Any, dial: Any, speech: Any, silence: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with local_server(recognizer=Unsound()) as server, dial(server.url + MODEL) as client:
            await client.update(audio={"input": {"transcription": {"model": "gpt-4o-transcribe"}}})
            await client.say(speech(400) + silence(400))
            assert (await client.rest())[-1]["error"]["code"] == "server_error"
            assert client.socket.close_code == 1011
        assert "A session failed" in caplog.text

    async def test_a_client_that_does_not_read_stops_the_answer(self, StubResponder: Any) -> None:
        voice = Counting()
        channel = Script([{"type": "response.create"}], until="response.output_audio.delta")
        with ThreadPoolExecutor(1) as executor:
            services = Services(StubResponder("Yes. " * 500), PhraseRecognizer(), voice, executor, 0)
            session = asyncio.create_task(Session(Engine(), Clogged(channel), services, seconds=60).run())
            await channel.over.wait()
            for _ in range(300):
                # The only thread is free again, so whatever was to be spoken by now has been.
                await asyncio.get_running_loop().run_in_executor(executor, bool)
            assert voice.sentences < 100
            session.cancel()
            with pytest.raises(asyncio.CancelledError):
                await session

    async def test_several_items_in_one_answer(self, local_server: Any, dial: Any) -> None:
        async with local_server(responder=Both()) as server, dial(server.url + MODEL) as client:
            await client.send("response.create")
            output = (await client.until("response.done"))["response"]["output"]
            assert [item["type"] for item in output] == ["message", "function_call", "function_call"]
            assert [item.get("arguments") for item in output] == [None, "{}", '{"x":[1]}']

    async def test_the_idle_timeout_speaks_up(self, StubResponder: Any) -> None:
        frames = [
            {"type": "session.update", "session": IDLE_SESSION},
            {"type": "response.create", "response": {"output_modalities": ["text"]}},
        ]
        channel = Script(frames, until="input_audio_buffer.timeout_triggered")
        with ThreadPoolExecutor(1) as executor:
            services = Services(StubResponder(), PhraseRecognizer(), ToneSynthesizer(), executor, 0)
            async with asyncio.timeout(20):
                await Session(Hasty(), channel, services, seconds=60).run()


IDLE_SESSION = {"type": "realtime", "audio": {"input": {"turn_detection": {"idle_timeout_ms": 5000}}}}


class Hasty(Engine):
    """An engine whose idle timer runs a hundred times faster."""

    def take_effects(self) -> list[Effect]:
        return [
            WatchIdle(effect.seconds / 100) if isinstance(effect, WatchIdle) and effect.seconds else effect
            for effect in super().take_effects()
        ]


class Script:
    """A channel without a socket: it sends its frames, and hangs up when it has got an event of type `until`."""

    def __init__(self, frames: Sequence[dict[str, Any]], until: str) -> None:
        self.frames = [json.dumps(frame) for frame in frames]
        self.until = until
        self.over = asyncio.Event()

    async def receive(self) -> str | bytes | None:
        if self.frames:
            return self.frames.pop(0)
        await self.over.wait()
        return None

    def heard(self, event: dict[str, Any]) -> None:
        pass

    async def send(self, event: dict[str, Any]) -> None:
        if event["type"] == self.until:
            self.over.set()

    async def close(self, code: int, reason: str) -> None:
        raise AssertionError("the session hung up")


class Clogged:
    """A channel that takes no more once the script's event was sent."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.heard = script.heard
        self.close = script.close

    async def receive(self) -> str | bytes | None:
        if self.script.frames:
            return await self.script.receive()
        await asyncio.Event().wait()
        return None

    async def send(self, event: dict[str, Any]) -> None:
        await self.script.send(event)
        if self.script.over.is_set():
            await asyncio.Event().wait()


class TestOfficialClient:
    async def test_a_turn(self, local_server: Any, speech: Any, silence: Any) -> None:
        async with local_server() as server:
            client = AsyncOpenAI(base_url=server.http_url, api_key="x")
            async with client.realtime.connect(model="gpt-realtime") as connection:
                await connection.session.update(session={"type": "realtime", "instructions": "Hello."})
                pcm = speech(500) + silence(400)
                for start in range(0, len(pcm), 4800):
                    audio = base64.b64encode(pcm[start : start + 4800]).decode()
                    await connection.input_audio_buffer.append(audio=audio)
                seen = []
                async with asyncio.timeout(20):
                    async for event in connection:
                        seen.append(event.type)
                        if event.type == "response.done":
                            assert event.response.status == "completed"
                            break
            assert "response.output_audio.delta" in seen
            await client.close()

    async def test_client_secrets(self, local_server: Any) -> None:
        async with local_server(api_key="right") as server:
            async with AsyncOpenAI(base_url=server.http_url, api_key="right") as client:
                secret = await client.realtime.client_secrets.create(session={"type": "realtime"})
            assert secret.value.startswith("ek_")
            async with (
                AsyncOpenAI(base_url=server.http_url, api_key=secret.value) as browser,
                browser.realtime.connect(model="gpt-realtime") as connection,
            ):
                assert (await connection.recv()).type == "session.created"


class TestInThread:
    def test_a_server_beside_a_program_without_an_event_loop(self, StubResponder: Any) -> None:
        with serve_in_thread(responder=StubResponder(), recognizer=None, synthesizer=None) as server:
            url = f"{server.http_url}/realtime/client_secrets"
            answer = httpx.post(url, headers={"Authorization": "Bearer x"}, json={})
            assert answer.status_code == 200
        with pytest.raises(httpx.ConnectError):
            httpx.post(url, json={})

    def test_a_failure_to_start_is_raised(self, StubResponder: Any) -> None:
        options = {"responder": StubResponder(), "recognizer": None, "synthesizer": None}
        with (
            serve_in_thread(**options) as server,
            pytest.raises(LocalServerError, match="Cannot listen"),
            serve_in_thread(**options, port=server.port),
        ):
            pass


class TestRecord:
    async def test_a_test_sees_and_drives_the_connection(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server, dial(server.url + MODEL + "&x=1") as client:
            record = await server.connection()
            await client.send("response.cancel", event_id="c1")
            assert (await record.received_event("response.cancel"))["event_id"] == "c1"
            assert (await record.sent_event("error"))["error"]["event_id"] == "c1"
            assert (record.path, record.query["x"]) == ("/v1/realtime", "1")
            limits = {"type": "rate_limits.updated", "rate_limits": []}
            await record.inject(limits)
            assert (await client.until("rate_limits.updated"))["rate_limits"] == []
            await record.close(1013, "later")
            await client.rest()
            assert (client.socket.close_code, client.socket.close_reason) == (1013, "later")

    async def test_without_records(self, local_server: Any, dial: Any) -> None:
        async with local_server(record=False) as server, dial(server.url + MODEL) as client:
            await client.next()
            assert server.connections == []

    async def test_two_servers_are_two(self, local_server: Any) -> None:
        first: LocalServer
        async with local_server() as first, local_server() as second:
            assert first.port != second.port
