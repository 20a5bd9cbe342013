"""The `openai` client's other operations, which no spoken turn needs: each is understood, and answered in its types.

What is spoken with these servers are tones: nothing here depends on words.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from attrs import define
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection

from jackfield_local import LocalServer, Reply, ResponseContext, Say

from .frames import faults_of

MODEL = "gpt-realtime"
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5E"
    "rkJggg=="
)


class Echo:
    """Says what the user wrote, and without a question a long greeting."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return ["hello"]

    async def respond(self, context: ResponseContext) -> Reply:
        wrote = [part.get("text") for item in context.items[-1:] for part in item.get("content", [])]
        return [Say(f"You wrote {wrote[0]}." if wrote and wrote[0] else "Hello there, and welcome. " * 20)]


@define
class Line:
    """A connection of the official client."""

    server: LocalServer
    connection: AsyncRealtimeConnection

    async def until(self, kind: str) -> Any:
        """Read on to the next event of `kind`; an error that isn't waited for fails."""
        async with asyncio.timeout(20):
            async for event in self.connection:
                if event.type == kind:
                    return event
                assert event.type != "error", event
        raise AssertionError(f"the connection ended without {kind}")

    async def write(self, *content: Any) -> str:
        """Add a message of the user and return its id."""
        await self.connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
        return str((await self.until("conversation.item.done")).item.id)


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    """A connection with manual turns; all that the server sends on it is judged at the end."""
    async with LocalServer(responder=Echo(), recognizer=None, synthesizer=None) as server:
        async with (
            AsyncOpenAI(base_url=server.http_url, api_key="a-key") as client,
            client.realtime.connect(model=MODEL) as connection,
        ):
            line = Line(server, connection)
            audio: Any = {"input": {"turn_detection": None, "transcription": {"model": "whisper-1"}}}
            await connection.session.update(session={"type": "realtime", "audio": audio})
            await line.until("session.updated")
            yield line
        (wire,) = server.connections
        assert [fault for event in wire.sent for fault in faults_of(event)] == []


async def test_written_turn(line: Line) -> None:
    await line.write({"type": "input_text", "text": "good morning"})
    await line.connection.response.create(response={"output_modalities": ["text"]})
    assert (await line.until("response.output_text.done")).text == "You wrote good morning."
    response = (await line.until("response.done")).response
    assert (response.status, response.output_modalities) == ("completed", ["text"])
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (await line.until("rate_limits.updated")).rate_limits[0].name == "tokens"


async def test_audio_that_is_committed_by_hand(line: Line) -> None:
    await line.connection.input_audio_buffer.append(audio=base64.b64encode(bytes(48_000)).decode())
    await line.connection.input_audio_buffer.clear()
    await line.until("input_audio_buffer.cleared")
    await line.connection.input_audio_buffer.append(audio=base64.b64encode(bytes(24_000)).decode())
    await line.connection.input_audio_buffer.commit()
    item_id = (await line.until("input_audio_buffer.committed")).item_id
    transcribed = await line.until("conversation.item.input_audio_transcription.completed")
    assert (transcribed.item_id, transcribed.transcript) == (item_id, "Hello")


async def test_items_are_retrieved_truncated_and_deleted(line: Line) -> None:
    user_id = await line.write({"type": "input_text", "text": "good morning"})
    await line.connection.response.create()
    answer_id = (await line.until("response.done")).response.output[0].id
    items = line.connection.conversation.item
    await items.retrieve(item_id=user_id)
    assert (await line.until("conversation.item.retrieved")).item.content[0].text == "good morning"
    await items.truncate(item_id=answer_id, content_index=0, audio_end_ms=100)
    assert (await line.until("conversation.item.truncated")).audio_end_ms == 100
    await items.retrieve(item_id=answer_id)
    part = (await line.until("conversation.item.retrieved")).item.content[0]
    assert not part.transcript
    assert len(base64.b64decode(part.audio)) == 4_800
    await items.delete(item_id=user_id)
    assert (await line.until("conversation.item.deleted")).item_id == user_id


async def test_images(line: Line) -> None:
    await line.write({"type": "input_text", "text": "this"}, {"type": "input_image", "image_url": PIXEL})
    await line.connection.response.create()
    response = (await line.until("response.done")).response
    assert response.usage.input_token_details.image_tokens > 0


async def test_out_of_band_response(line: Line) -> None:
    await line.connection.response.create(
        response={"conversation": "none", "output_modalities": ["text"], "metadata": {"topic": "greeting"}, "input": []}
    )
    response = (await line.until("response.done")).response
    assert (response.conversation_id, response.metadata) == (None, {"topic": "greeting"})
    assert not [event for event in line.server.connections[0].sent if event["type"].startswith("conversation.item")]


async def test_answer_that_hits_its_limit(line: Line) -> None:
    await line.connection.response.create(response={"max_output_tokens": 40})
    response = (await line.until("response.done")).response
    assert (response.status, response.status_details.reason) == ("incomplete", "max_output_tokens")


async def test_cancelled_answer(line: Line) -> None:
    await line.connection.response.create()
    await line.until("response.created")
    await line.connection.response.cancel()
    response = (await line.until("response.done")).response
    assert (response.status, response.status_details.reason) == ("cancelled", "client_cancelled")


async def test_refused_requests_are_told_with_their_event_id(line: Line) -> None:
    await line.connection.response.cancel(event_id="mine")
    error = (await line.until("error")).error
    assert (error.code, error.event_id) == ("response_cancel_not_active", "mine")


async def test_client_secret_opens_a_session_with_its_settings() -> None:
    async with LocalServer(responder=Echo(), recognizer=None, synthesizer=None, api_key="the-key") as server:
        async with AsyncOpenAI(base_url=server.http_url, api_key="the-key") as client:
            secret = await client.realtime.client_secrets.create(
                session={"type": "realtime", "model": MODEL, "instructions": "Be brief."}
            )
        assert secret.value.startswith("ek_")
        async with (
            AsyncOpenAI(base_url=server.http_url, api_key=secret.value) as client,
            client.realtime.connect(model=MODEL) as connection,
        ):
            created = await asyncio.wait_for(connection.recv(), 20)
        assert created.type == "session.created"
        assert created.session.type == "realtime"
        assert created.session.instructions == "Be brief."
