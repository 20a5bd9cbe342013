"""What is heard on a call, both ways, and what the client is told of it: protocol sections 1.7 h and 3."""

from __future__ import annotations

import asyncio
from typing import Any

WORDS = "aaaaaaaaaaaaaaaaaaaa"
"""A second of humming."""

STORY = " ".join([WORDS] * 60)


class TestTurns:
    async def test_a_spoken_turn(
        self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any, kinds: Any, speech: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(WORDS), synthesizer=Hum()) as server,
            caller(server) as client,
        ):
            await client.mic.say(speech(500))
            await client.until("output_audio_buffer.stopped")
            await client.hear_silence()
        order = kinds(client.events)
        assert [kind for kind in order if kind.startswith(("input_audio_buffer.", "output_audio_buffer."))] == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "output_audio_buffer.started",
            "output_audio_buffer.stopped",
        ]
        assert order.index("response.content_part.added") < order.index("output_audio_buffer.started")
        assert order.index("response.done") < order.index("output_audio_buffer.stopped")
        assert "response.output_audio.delta" not in order
        assert "response.output_audio.done" in order
        assert "".join(event["delta"] for event in client.of("response.output_audio_transcript.delta")) == WORDS
        # All of it was heard, and a little of the codec's own.
        assert 1000 <= client.loud_ms <= 1040

    async def test_it_is_spoken_in_real_time(
        self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(WORDS), synthesizer=Hum()) as server,
            caller(server) as client,
        ):
            await client.send("response.create")
            clock = asyncio.get_running_loop().time
            await client.until("output_audio_buffer.started")
            began = clock()
            await client.until("output_audio_buffer.stopped")
            assert clock() - began > 0.5

    async def test_a_text_turn_is_silent(self, local_server: Any, caller: Any, kinds: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.send("response.create", response={"output_modalities": ["text"]})
            await client.until("rate_limits.updated")
            await client.listen_until(lambda: len(client.levels) > 10)
        assert client.loud_ms == 0
        assert not [kind for kind in kinds(client.events) if kind.startswith("output_audio_buffer.")]

    async def test_a_long_answer_does_not_run_away(
        self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(". ".join([STORY] * 3)), synthesizer=Hum()) as server,
            caller(server) as client,
        ):
            await client.send("response.create")
            await client.until("output_audio_buffer.started")
            await client.listen_until(lambda: client.loud_ms > 500)
            await client.send("response.cancel")
            done = (await client.until("response.done"))["response"]
            assert done["status"] == "cancelled"
            # It is produced as fast as possible, and yet a minute ahead at most.
            assert 59_000 < done["usage"]["output_token_details"]["audio_tokens"] * 50 < 70_000


class TestInterruption:
    async def test_the_server_knows_what_was_heard(
        self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any, kinds: Any, speech: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(STORY, WORDS), synthesizer=Hum()) as server,
            caller(server) as client,
        ):
            await client.send("response.create")
            await client.until("output_audio_buffer.started")
            await client.listen_until(lambda: client.loud_ms > 300)
            # The second answer would disturb the measurement.
            await client.send(
                "session.update",
                session={"type": "realtime", "audio": {"input": {"turn_detection": {"create_response": False}}}},
            )
            await client.mic.say(speech(300))
            cut = await client.until("conversation.item.truncated")
            order = kinds(client.events)
            assert order[-3:-1] == ["input_audio_buffer.speech_started", "output_audio_buffer.cleared"]
            await client.hear_silence()
            # Neither more nor less, but for the edge that the codec blurs.
            assert abs(client.loud_ms - cut["audio_end_ms"]) <= 40
            await client.send("conversation.item.retrieve", item_id=cut["item_id"])
            (part,) = (await client.until("conversation.item.retrieved"))["item"]["content"]
            assert part["transcript"] is None
            assert len(part["audio"]) == cut["audio_end_ms"] * 48 * 4 // 3

    async def test_while_it_is_being_made(
        self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any, speech: Any
    ) -> None:
        async with (
            local_server(responder=StubResponder(STORY), synthesizer=Hum(), pace=2) as server,
            caller(server) as client,
        ):
            await client.send("response.create")
            await client.until("output_audio_buffer.started")
            await client.mic.say(speech(300))
            done = (await client.until("response.done"))["response"]
            assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
            assert len(client.of("output_audio_buffer.cleared")) == 1
            (cut,) = client.of("conversation.item.truncated")
            assert cut["item_id"] == done["output"][0]["id"]

    async def test_the_client_clears(self, local_server: Any, caller: Any, StubResponder: Any, Hum: Any) -> None:
        async with (
            local_server(responder=StubResponder(STORY), synthesizer=Hum()) as server,
            caller(server) as client,
        ):
            await client.send("response.create")
            await client.until("output_audio_buffer.started")
            await client.listen_until(lambda: client.loud_ms > 200)
            await client.send("response.cancel")
            await client.send("output_audio_buffer.clear")
            cut = await client.until("conversation.item.truncated")
            await client.hear_silence()
            assert abs(client.loud_ms - cut["audio_end_ms"]) <= 40


class TestSilence:
    async def test_a_caller_who_sends_no_audio_is_a_silent_one(
        self, local_server: Any, caller: Any, b64: Any, speech: Any
    ) -> None:
        async with local_server() as server, caller(server, microphone=False) as client:
            await client.next()
            # What a client appends is heard as well; the silence after it is the server's own.
            for _ in range(4):
                await client.send("input_audio_buffer.append", audio=b64(speech(100)))
            await client.until("input_audio_buffer.speech_stopped")
            await client.until("response.done")

    async def test_a_caller_who_stops_sending_in_the_middle_of_a_word(
        self, local_server: Any, caller: Any, speech: Any
    ) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            await client.mic.say(speech(500))
            client.mic.mute()
            await client.until("input_audio_buffer.speech_stopped")
            await client.until("response.done")

    async def test_time_goes_on(self, local_server: Any, caller: Any, speech: Any) -> None:
        async with local_server() as server, caller(server) as client:
            await client.next()
            client.mic.mute()
            await client.send("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            # Less than 100 ms can't be committed: so the commit succeeds once the silence was put in.
            while (await self.commit(client))["type"] == "error":
                pass

    async def commit(self, client: Any) -> dict[str, Any]:
        await client.send("input_audio_buffer.commit")
        return await client.next()  # type: ignore[no-any-return]
