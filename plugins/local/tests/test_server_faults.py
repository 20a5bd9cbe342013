"""Misbehaviour on command: each fault as a client meets it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from jackfield_local import FaultError
from jackfield_local.faults import FAULTS, Faults, make_fault

MODEL = "?model=gpt-realtime"


async def turn(client: Any) -> None:
    """Ask for a response, and let the connection do what it does."""
    await client.send("session.update", session={"type": "realtime", "output_modalities": ["text"]})
    await client.send("response.create")


class TestConnections:
    async def test_drop_after_a_number_of_events(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("drop:2")
            async with dial(server.url + MODEL) as client:
                await turn(client)
                assert len(await client.rest()) == 2
                assert client.socket.close_code == 1006
            assert server.connections[0].close_code == 1006

    async def test_drop_after_a_type(self, local_server: Any, dial: Any, kinds: Any) -> None:
        async with local_server() as server:
            server.faults.add("drop:response.created")
            async with dial(server.url + MODEL) as client:
                await turn(client)
                assert kinds(await client.rest())[-1] == "response.created"

    async def test_close_with_a_code(self, local_server: Any, dial: Any, kinds: Any) -> None:
        async with local_server() as server:
            server.faults.add("close:1011:response.created")
            async with dial(server.url + MODEL) as client:
                await turn(client)
                assert kinds(await client.rest())[-1] == "response.created"
                assert client.socket.close_code == 1011

    async def test_half_close(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("half-close:1")
            async with dial(server.url + MODEL) as client:
                assert len(await client.rest()) == 1
                assert client.socket.close_code == 1006

    async def test_stall(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("stall:session.updated")
            async with dial(server.url + MODEL) as client:
                await turn(client)
                record = await server.connection()
                await record.received_event("response.create")
                await client.until("session.updated")
                # The connection is alive, it only says nothing.
                await (await client.socket.ping())
                assert not record.closed
                await record.drop()

    async def test_http_status_once(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("http:429", connections=1)
            with pytest.raises(InvalidStatus) as refused:
                async with dial(server.url + MODEL):
                    pass
            response = refused.value.response
            assert (response.status_code, response.headers["retry-after"]) == (429, "1")
            assert json.loads(response.body or b"")["error"]["code"] == "rate_limit_exceeded"
            async with dial(server.url + MODEL) as client:
                assert (await client.next())["type"] == "session.created"

    async def test_azure_s_door_misbehaves_too(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("http:503")
            with pytest.raises(InvalidStatus, match="503"):
                async with dial(server.azure_endpoint.replace("http", "ws") + "/openai/v1/realtime?model=d"):
                    pass

    async def test_expiry(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("expire:0.2")
            async with dial(server.url + MODEL) as client:
                assert (await client.rest())[-1]["error"]["code"] == "session_expired"
                assert client.socket.close_code == 1001


class TestEvents:
    async def play(self, local_server: Any, dial: Any, fault: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return what a client gets in a turn, as events, and what the server says that it sent."""
        async with local_server() as server:
            server.faults.add(fault)
            async with dial(server.url + MODEL) as client:
                await turn(client)
                frames = []
                while not frames or frames[-1].get("type") != "rate_limits.updated":
                    frames.append(json.loads(await client.socket.recv()))
            return frames, server.connections[0].sent

    async def test_lost_events(self, local_server: Any, dial: Any, kinds: Any) -> None:
        for kind in ("response.created", "response.done"):
            frames, sent = await self.play(local_server, dial, f"lose:{kind}")
            assert kind not in kinds(frames)
            assert frames == sent

    async def test_duplicates(self, local_server: Any, dial: Any, kinds: Any) -> None:
        frames, _ = await self.play(local_server, dial, "duplicate:response.done")
        assert kinds(frames).count("response.done") == 2
        assert kinds(frames).count("response.created") == 1

    async def test_reordered(self, local_server: Any, dial: Any, kinds: Any) -> None:
        frames, _ = await self.play(local_server, dial, "reorder:response.created")
        order = kinds(frames)
        assert order.index("response.created") == order.index("response.output_item.added") + 1

    async def test_unknown_events(self, local_server: Any, dial: Any, kinds: Any) -> None:
        frames, _ = await self.play(local_server, dial, "unknown:session.updated")
        assert {"session.mood.updated", "response.hologram.delta"} < set(kinds(frames))

    async def test_extra_fields(self, local_server: Any, dial: Any) -> None:
        frames, _ = await self.play(local_server, dial, "extra")
        assert all("x_unexpected" in frame for frame in frames)

    async def test_renamed_fields(self, local_server: Any, dial: Any) -> None:
        frames, _ = await self.play(local_server, dial, "rename:item_id=item")
        assert not [frame for frame in frames if "item_id" in frame]

    @pytest.mark.parametrize("fault", ["slow:200", "slow-bytes:100000"])
    async def test_slow(self, local_server: Any, dial: Any, kinds: Any, fault: str) -> None:
        frames, _ = await self.play(local_server, dial, fault)
        assert "response.done" in kinds(frames)

    async def test_the_beta_dialect(self, local_server: Any, dial: Any, kinds: Any) -> None:
        frames, _ = await self.play(local_server, dial, "beta")
        order = kinds(frames)
        assert {"conversation.item.created", "response.text.delta", "response.text.done"} < set(order)
        assert not [kind for kind in order if "output_text" in kind or kind.startswith("conversation.item.done")]
        session = frames[0]["session"]
        assert (session["input_audio_format"], session["modalities"]) == ("pcm16", ["audio", "text"])
        assert "audio" not in session
        done = next(frame for frame in frames if frame["type"] == "response.done")["response"]
        assert done["modalities"] == ["text"]
        assert done["output"][0]["content"][0]["type"] == "text"

    async def test_junk(self, local_server: Any, dial: Any) -> None:
        async with local_server() as server:
            server.faults.add("junk:1")
            async with dial(server.url + MODEL) as client:
                frames = [await client.socket.recv() for _ in range(7)]
                assert frames[1] == "{not json"
                assert isinstance(frames[5], bytes)
                await turn(client)
                await client.until("response.done")

    async def test_late_transcription(
        self, local_server: Any, dial: Any, kinds: Any, speech: Any, silence: Any
    ) -> None:
        async with local_server() as server:
            server.faults.add("late-transcription")
            async with dial(server.url + MODEL) as client:
                await client.update(audio={"input": {"transcription": {"model": "whisper-1"}}})
                await client.say(speech(400) + silence(400))
                await client.until("conversation.item.input_audio_transcription.completed")
                order = kinds(client.events)
                assert order.index("response.done") < order.index(
                    "conversation.item.input_audio_transcription.completed"
                )

    async def test_several_at_once(self, local_server: Any, dial: Any, kinds: Any) -> None:
        async with local_server() as server:
            server.faults.add("beta")
            server.faults.add("duplicate:response.text.done")
            server.faults.add("drop:response.done")
            async with dial(server.url + MODEL) as client:
                await turn(client)
                order = kinds(await client.rest())
                assert order.count("response.text.done") == 2
                assert order[-1] == "response.done"


class TestAsking:
    def test_names_and_arguments_are_checked(self) -> None:
        with pytest.raises(FaultError, match="Use one of: drop, half-close"):
            make_fault("explode")
        with pytest.raises(FaultError, match="400 to 599"):
            make_fault("http:200")
        with pytest.raises(FaultError, match="OLD=NEW"):
            make_fault("rename:x")
        with pytest.raises(FaultError, match="slow:N"):
            make_fault("slow:none")
        with pytest.raises(FaultError, match="wrong argument"):
            make_fault("lose")

    def test_every_fault_tells_how_to_ask_for_it(self) -> None:
        for name, make in FAULTS.items():
            assert make.__doc__ is not None
            assert make.__doc__.startswith(f"`{name}")

    def test_faults_come_and_go(self) -> None:
        faults = Faults()
        kept, once = faults.add("drop:1"), faults.add("http", connections=1)
        assert faults.for_connection() == [kept, once]
        assert faults.for_connection() == [kept]
        faults.remove(kept)
        faults.remove(kept)
        assert faults.for_connection() == []
        faults.add("beta")
        faults.clear()
        assert faults.for_connection() == []
