"""The transport on a real socket: how it connects, is refused, ends, and outlives its sockets."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from jackfield.transport import (
    AuthenticationError,
    ConfigurationError,
    ConnectAbortedError,
    ConnectRefusedError,
    ConnectTimeoutError,
    NotConnectedError,
    RemoteClosedError,
    UnsupportedByTransportError,
    available_transports,
    create_transport,
)
from jackfield_gemini.plugin import CAPABILITIES
from jackfield_gemini.testing import AUDIO, PATIENCE, GeminiConnectionEnd, GeminiServer, Script, accepting, silent

CANARY = "AIza-canary-4f1d9c"


@asynccontextmanager
async def pair(
    script: Script = accepting, options: dict[str, Any] | None = None, binary: bool = True, **connect: Any
) -> AsyncIterator[tuple[Any, GeminiConnectionEnd]]:
    async with GeminiServer(script, binary=binary) as server:
        transport = create_transport("gemini", **(options or {}))
        await transport.connect(**{**server.connect_options, **connect})
        try:
            yield transport, await server.connection()
        finally:
            await transport.close()


async def soon(awaitable: Any) -> Any:
    async with asyncio.timeout(PATIENCE):
        return await awaitable


class TestPlugin:
    def test_is_found_by_its_name(self) -> None:
        info = available_transports()["gemini"]
        assert info.installed and info.spec is not None and info.spec.capabilities == CAPABILITIES
        assert create_transport("gemini").capabilities == CAPABILITIES

    @pytest.mark.parametrize(
        "options", [{"location": "no where"}, {"api_version": "1"}, {"rejoin_seconds": -1}, {"rejoin_seconds": True}]
    )
    def test_options_that_cannot_be(self, options: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError):
            create_transport("gemini", **options)


class TestConnecting:
    @pytest.mark.parametrize("binary", [True, False])
    async def test_frames_of_both_kinds(self, watch: Any, binary: bool) -> None:
        async with pair(binary=binary) as (transport, far):
            events, raw = transport.events(), []
            transport.on("*", raw.append)
            await far.say("Hello.")
            told = await watch.up_to(events, "turn_done")
            assert b"".join(event.data for event in told if event.type == "audio") == AUDIO
            assert raw[0] == {"serverContent": {"outputTranscription": {"text": "Hello."}}}

    async def test_open_is_before_the_setup_is_complete_and_what_is_sent_waits(self) -> None:
        gate = asyncio.Event()

        async def script(connection: GeminiConnectionEnd) -> None:
            await connection.receive()
            await gate.wait()
            await accepting(connection)

        async with pair(script, ready="open") as (transport, far):
            sending = asyncio.create_task(transport.send_message("Hello?"))
            asking = asyncio.create_task(transport.send_audio(AUDIO * 10))
            await far.until_set_up()
            assert len(far.received) == 1 and not sending.done() and not asking.done()
            gate.set()
            await soon(asyncio.gather(sending, asking))
            await far.until_heard(1)
            assert [next(iter(message)) for message in far.received[:2]] == ["setup", "clientContent"]

    @pytest.mark.parametrize(
        ("status", "kind", "classification"),
        [
            (401, AuthenticationError, "fatal"),
            (403, AuthenticationError, "fatal"),
            (404, ConnectRefusedError, "fatal"),
            (429, ConnectRefusedError, "reconnect"),
            (503, ConnectRefusedError, "reconnect"),
        ],
    )
    async def test_is_refused_by_a_status(self, status: int, kind: type[Exception], classification: str) -> None:
        async with GeminiServer(status=status, body=f"no, {CANARY}") as server:
            with pytest.raises(kind, match=str(status)) as caught:
                await create_transport("gemini").connect(url=server.url, api_key=CANARY)
            assert caught.value.classification == classification  # type: ignore[attr-defined]
            assert CANARY not in str(caught.value) and "no, ***" in str(caught.value)
            assert getattr(caught.value, "status", status) == status

    async def test_a_wrong_key_is_told_by_a_close(self) -> None:
        async with GeminiServer(api_key="AIzaRight") as server:
            with pytest.raises(AuthenticationError, match="API key not valid"):
                await create_transport("gemini").connect(url=server.url, api_key="AIzaWrong")

    async def test_a_setup_that_is_refused(self) -> None:
        async with GeminiServer() as server:
            transport = create_transport("gemini")
            with pytest.raises(ConnectRefusedError, match="Cannot find field") as caught:
                await transport.connect(
                    **server.connect_options, initial_session_config={"gemini": {"proactivity": {"odd": 1}}}
                )
            assert caught.value.classification == "fatal"
            await transport.connect(**server.connect_options)
            await transport.close()

    async def test_what_cannot_be_configured_is_refused_before_anything_is_dialled(self) -> None:
        async with GeminiServer() as server:
            transport = create_transport("gemini")
            with pytest.raises(ConfigurationError, match="speed"):
                await transport.connect(**server.connect_options, initial_session_config={"speed": 2})
            with pytest.raises(UnsupportedByTransportError, match="call_id"):
                await transport.connect(**server.connect_options, call_id="rtc_1")
            assert server.connections == []

    async def test_nobody_listens(self) -> None:
        async with GeminiServer() as server:
            options = server.connect_options
        with pytest.raises(ConnectRefusedError, match="no connection"):
            await create_transport("gemini").connect(**options)

    async def test_the_setup_is_never_complete(self) -> None:
        async with GeminiServer(silent) as server:
            with pytest.raises(ConnectTimeoutError) as caught:
                await create_transport("gemini").connect(**server.connect_options, timeout=0.2)
            assert "acknowledge" in caught.value.stage
            await soon((await server.connection()).finished.wait())

    @pytest.mark.parametrize("how", ["cancel", "close"])
    async def test_is_given_up_meanwhile(self, how: str) -> None:
        async with GeminiServer(silent) as server:
            transport = create_transport("gemini")
            connecting = asyncio.create_task(transport.connect(**server.connect_options))
            far = await server.connection()
            await far.until_set_up()
            if how == "cancel":
                connecting.cancel()
            else:
                await transport.close()
            with pytest.raises(asyncio.CancelledError if how == "cancel" else ConnectAbortedError):
                await connecting
            assert transport.status == "disconnected"
            await soon(far.finished.wait())

    @pytest.mark.parametrize("how", ["close", "reset"])
    async def test_the_far_end_goes_away_meanwhile(self, how: str) -> None:
        async def script(connection: GeminiConnectionEnd) -> None:
            await connection.receive()
            if how == "close":
                await connection.close(1000)
            else:
                connection.reset()

        async with GeminiServer(script) as server:
            with pytest.raises(RemoteClosedError) as caught:
                await create_transport("gemini").connect(**server.connect_options)
            assert caught.value.code == (1000 if how == "close" else 1006)

    async def test_it_connects_again(self) -> None:
        async with GeminiServer() as server:
            transport = create_transport("gemini")
            for number in range(3):
                await transport.connect(**server.connect_options)
                await transport.close()
                assert (await server.connection(number)).close_code == 1000


class TestAddresses:
    async def address(self, options: dict[str, Any], **connect: Any) -> GeminiConnectionEnd:
        async with GeminiServer() as server:
            transport = create_transport("gemini", base_url=server.base_url, **options)
            await transport.connect(**connect)
            await transport.close()
            return server.connections[0]

    async def test_the_gemini_api(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GEMINI_API_KEY", "AIzaOfTheEnvironment")
        far = await self.address({}, model="gemini-next")
        assert far.path == "/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
        assert far.headers["x-goog-api-key"] == "AIzaOfTheEnvironment"
        assert far.setup is not None and far.setup["model"] == "models/gemini-next"

    async def test_an_ephemeral_token(self) -> None:
        far = await self.address({}, api_key="auth_tokens/abc")
        assert far.path.endswith("v1alpha.GenerativeService.BidiGenerateContentConstrained")
        assert far.headers["Authorization"] == "Token auth_tokens/abc"

    async def test_vertex(self) -> None:
        async def token() -> str:
            return "ya29.token"

        far = await self.address({"project": "p", "location": "europe-west4"}, api_key=token, model="gemini-next")
        assert far.path.endswith("v1beta1.LlmBidiService/BidiGenerateContent")
        assert far.headers["Authorization"] == "Bearer ya29.token"
        assert far.setup is not None
        assert far.setup["model"] == "projects/p/locations/europe-west4/publishers/google/models/gemini-next"

    async def test_headers_as_given(self) -> None:
        far = await self.address({}, headers={"Authorization": "Bearer mine"})
        assert far.headers["Authorization"] == "Bearer mine" and "x-goog-api-key" not in far.headers

    async def test_no_key(self) -> None:
        with pytest.raises(AuthenticationError, match="GEMINI_API_KEY"):
            await create_transport("gemini").connect()

    async def test_a_function_that_raises(self) -> None:
        def broken() -> str:
            raise RuntimeError("the vault is sealed")

        with pytest.raises(AuthenticationError) as caught:
            await create_transport("gemini").connect(api_key=broken)
        assert "sealed" in str(caught.value.__cause__)

    @pytest.mark.parametrize(
        "url", ["https://example.com", "ws://", "wss://u:p@example.com/", "wss://example.com/#x", "ws://[::1"]
    )
    async def test_no_address(self, url: str) -> None:
        with pytest.raises(ConfigurationError):
            await create_transport("gemini").connect(url=url, api_key="k")

    async def test_a_key_that_no_header_can_hold(self) -> None:
        with pytest.raises(ConfigurationError, match="line break"):
            await create_transport("gemini").connect(api_key="AIza\n")


class TestSecrets:
    async def test_are_in_no_log_no_error_and_no_event(self, caplog: pytest.LogCaptureFixture, watch: Any) -> None:
        caplog.set_level(logging.DEBUG)

        async def script(connection: GeminiConnectionEnd) -> None:
            await connection.accept()
            await connection.receive()
            await connection.receive()
            await connection.close(1008, f"The API key {CANARY} has expired")

        async with GeminiServer(script) as server:
            transport = create_transport("gemini")
            events = transport.events()
            await transport.connect(url=f"{server.url}?key={CANARY}&alt=json", headers={})
            await transport.send_message("Hello?")
            told = [event async for event in events]
            assert told[-1].status == "disconnected" and isinstance(told[-1].error, AuthenticationError)
        said = " ".join(map(repr, told)) + " ".join(str(getattr(event, "error", "")) for event in told)
        assert "***" in said and CANARY not in said
        assert CANARY not in "".join(record.getMessage() for record in caplog.records)

    async def test_are_not_in_the_error_of_a_refused_url(self) -> None:
        async with GeminiServer() as server:
            url = f"{server.base_url.replace('http', 'ws')}/elsewhere?key={CANARY}"
            with pytest.raises(ConnectRefusedError) as caught:
                await create_transport("gemini").connect(url=url, headers={})
            assert CANARY not in str(caught.value)


class TestEnds:
    @pytest.mark.parametrize(
        ("code", "classification"), [(1000, None), (1007, "fatal"), (1008, "fatal"), (1011, "reconnect")]
    )
    async def test_by_a_close(self, watch: Any, code: int, classification: str | None) -> None:
        async with pair() as (transport, far):
            events = transport.events()
            await far.say()
            await far.close(code, "so it is")
            told = [event async for event in events]
            last = told[-1]
            assert (last.status, last.code, last.reason, last.initiated_by) == (
                "disconnected",
                code,
                "so it is",
                "remote",
            )
            assert getattr(last.error, "classification", None) == classification
            assert "turn_done" in [event.type for event in told]
            with pytest.raises(NotConnectedError):
                await transport.send_message("Hello?")

    async def test_by_a_reset_that_nothing_outlives(self) -> None:
        async with pair() as (transport, far):
            events = transport.events()
            far.reset()
            last = [event async for event in events][-1]
            assert last.code == 1006 and last.error.classification == "reconnect"

    async def test_close_does_not_wait_for_one_who_does_not_answer(self) -> None:
        async with pair(options={"close_timeout": 0.05}) as (transport, far):
            far.stall()
            await soon(transport.close())
            assert transport.status == "disconnected"

    async def test_a_far_end_that_does_not_read_slows_its_sender(self) -> None:
        async with pair() as (transport, far):
            far.stall()

            async def flood() -> None:
                while True:
                    await transport.send_message("x" * 1_000_000, trigger_response=False)

            flooding = asyncio.create_task(flood())
            events = transport.events()
            await far.say()
            async for event in events:
                if event.type == "turn_done":
                    break
            assert not flooding.done()
            await transport.close()
            with pytest.raises(NotConnectedError):
                await soon(flooding)

    async def test_an_announced_end_is_no_normal_one(self) -> None:
        async with pair(options={"resume": False}) as (transport, far):
            events = transport.events()
            await far.go_away()
            await far.close(1000)
            last = [event async for event in events][-1]
            assert last.error.classification == "reconnect"


class TestAudio:
    async def test_goes_out_at_16_khz_and_whole(self) -> None:
        async with pair() as (transport, far):
            for start in range(0, len(AUDIO), 1001):
                await transport.send_audio(AUDIO[start : start + 1001])
            await transport.commit_audio()
            await far.until_committed()
            assert abs(len(far.heard) - len(AUDIO) * 2 // 3) <= 2

    async def test_by_hand(self, watch: Any) -> None:
        async with pair(initial_session_config={"turn_detection": None}) as (transport, far):
            events = transport.events()
            await transport.send_audio(AUDIO, commit=True)
            await far.until_committed()
            assert far.activities == 1
            await far.transcribe("What is it?", finished=False)
            await far.say()
            told = await watch.up_to(events, "turn_done")
            [said] = [event for event in told if event.type == "input_audio_transcription_completed"]
            assert said.transcript == "What is it?"
            await transport.request_response()
            await far.until_requested(2)


class TestRefusals:
    async def test_what_is_not_claimed(self) -> None:
        async with pair() as (transport, far):
            before = len(far.received)
            for refused in (
                transport.clear_audio(),
                transport.mute(True),
                transport.reset_history([], []),
                transport.request_response({"instructions": "Sing."}),
            ):
                with pytest.raises(UnsupportedByTransportError):
                    await refused
            with pytest.raises(ConfigurationError, match="data URI"):
                await transport.add_image("https://example.com/cat.png")
            await transport.send_message("after", trigger_response=False)
            await far.until_message()
            assert len(far.received) == before + 1


class TestOutlivingSockets:
    async def test_a_lost_one(self, watch: Any) -> None:
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini")
            changes: list[Any] = []
            transport.on("connection_change", changes.append)
            await transport.connect(**server.connect_options, initial_session_config={"instructions": "First"})
            events = transport.events()
            far = await server.connection()
            handle = await far.resumable()
            await transport.update_session_config({"instructions": "Second"})
            await far.until(lambda: far.instructions == ["First", "Second"], "the update")
            first = [await far.say(), *await watch.up_to(events, "turn_done")][-1]
            await watch.all_told(transport, far)
            far.reset()
            again = await server.connection(1)
            setup = await again.until_set_up()
            assert setup["sessionResumption"] == {"handle": handle}
            assert again.instructions == ["Second"]
            await transport.send_message("Still there?")
            assert await again.until_message() == "Still there?"
            await again.say("Yes.")
            second = (await watch.up_to(events, "turn_done"))[-1]
            assert second.response_id != first.response_id
            assert [change.status for change in changes] == ["connecting", "connected", "connecting", "connected"]
            assert changes[2].code == 1006 and changes[2].error.classification == "reconnect"
            await transport.close()
            assert changes[-1].status == "disconnected" and changes[-1].initiated_by == "local"

    async def test_one_that_goes_away_is_left_when_nothing_is_under_way(self, watch: Any) -> None:
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini")
            await transport.connect(**server.connect_options)
            events = transport.events()
            far = await server.connection()
            await far.resumable()
            await far.speak()
            await far.go_away()
            await watch.all_told(transport, far)
            assert len(server.connections) == 1
            await far.finish()
            await watch.up_to(events, "turn_done")
            change = await watch.first(events, "connection_change")
            assert (change.status, change.reason) == ("connecting", "goAway")
            again = await server.connection(1)
            assert "handle" in (await again.until_set_up())["sessionResumption"]
            await soon(far.finished.wait())
            assert far.close_code == 1000
            assert (await watch.first(events, "connection_change")).status == "connected"
            await transport.close()

    async def test_senders_wait_meanwhile(self, watch: Any) -> None:
        gate = asyncio.Event()

        async def script(connection: GeminiConnectionEnd) -> None:
            if len(server.connections) > 1:
                await connection.receive()
                await gate.wait()
            await accepting(connection)

        async with GeminiServer(script) as server:
            transport = create_transport("gemini")
            await transport.connect(**server.connect_options)
            events = transport.events()
            far = await server.connection()
            await far.resumable()
            await watch.all_told(transport, far)
            far.reset()
            await watch.first(events, "connection_change", lambda change: change.status == "connecting")
            sending = asyncio.create_task(transport.send_message("Hello?"))
            again = await server.connection(1)
            await again.until_set_up()
            assert not sending.done() and len(again.received) == 1
            gate.set()
            await soon(sending)
            assert await again.until_message() == "Hello?"
            await transport.close()

    async def test_close_ends_the_dialling(self, watch: Any) -> None:
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini")
            await transport.connect(**server.connect_options)
            events = transport.events()
            far = await server.connection()
            await far.resumable()
            await watch.all_told(transport, far)
            server.script = silent
            far.reset()
            again = await server.connection(1)
            await again.until_set_up()
            speaking = asyncio.create_task(transport.send_audio(AUDIO * 10))
            await asyncio.sleep(0)
            waiting = asyncio.create_task(transport.send_message("Hello?"))
            await asyncio.sleep(0)
            assert not speaking.done() and not waiting.done()
            await soon(transport.close())
            for sender in (speaking, waiting):
                with pytest.raises(NotConnectedError):
                    await soon(sender)
            await soon(again.finished.wait())
            assert [event async for event in events][-1].initiated_by == "local"

    async def test_it_is_given_up_in_the_end(self, watch: Any) -> None:
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini", rejoin_seconds=0.3)
            await transport.connect(**server.connect_options)
            events = transport.events()
            far = await server.connection()
            await far.resumable()
            await watch.all_told(transport, far)
            server.status = 503
            far.reset()
            last = [event async for event in events][-1]
            assert (last.status, last.code) == ("disconnected", 1006)
            assert last.error.classification == "reconnect"
            assert isinstance(last.error.__cause__, ConnectRefusedError)

    async def test_a_handle_that_is_refused_ends_it(self, watch: Any) -> None:
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini")
            await transport.connect(**server.connect_options)
            events = transport.events()
            far = await server.connection()
            await far.resumable()
            await watch.all_told(transport, far)
            server.handles.clear()
            far.reset()
            last = [event async for event in events][-1]
            assert last.status == "disconnected"
            assert isinstance(last.error.__cause__, RemoteClosedError) and last.error.__cause__.code == 1007

    async def test_without_a_handle_or_with_resume_off_the_end_is_the_end(self, watch: Any) -> None:
        for options in ({}, {"resume": False}):
            async with GeminiServer(accepting) as server:
                transport = create_transport("gemini", **options)
                await transport.connect(**server.connect_options)
                events = transport.events()
                far = await server.connection()
                assert ("sessionResumption" in (far.setup or {})) is not bool(options)
                if options:
                    await far.resumable()
                    await watch.all_told(transport, far)
                await far.close(1011, "the time is up")
                last = [event async for event in events][-1]
                assert (last.status, last.error.classification) == ("disconnected", "reconnect")
                assert len(server.connections) == 1

    async def test_the_key_is_asked_for_anew(self, watch: Any) -> None:
        keys = iter(["AIzaFirst", "AIzaSecond"])
        async with GeminiServer(accepting) as server:
            transport = create_transport("gemini")
            await transport.connect(url=server.url, api_key=lambda: next(keys))
            far = await server.connection()
            await far.resumable()
            await watch.all_told(transport, far)
            far.reset()
            again = await server.connection(1)
            assert again.headers["x-goog-api-key"] == "AIzaSecond"
            events = transport.events()
            await again.until_set_up()
            await watch.first(events, "connection_change", lambda change: change.status == "connected")
            await again.close(1008, "AIzaFirst and AIzaSecond")
            last = [event async for event in events][-1]
            assert "AIza" not in last.reason and "AIza" not in str(last.error)

    async def test_junk_is_an_error_and_no_end(self, watch: Any) -> None:
        async with pair() as (transport, far):
            errors: list[Any] = []
            transport.on("error", errors.append)
            for junk in ("", "nonsense", "[1, 2]", "null", '{"broken": ', b"\xff\xfe"):
                await far.send_raw(junk)
            for strange in ({"serverContent": []}, {"toolCall": {"functionCalls": "x"}}, {"goAway": None}, {}):
                await far.send_raw(json.dumps(strange))
            await watch.all_told(transport, far)
            assert len(errors) == 6 and transport.status == "connected"


def test_listing_it_loads_nothing_of_it() -> None:
    heavy = ("websockets", "numpy", "jackfield.wire", "jackfield_gemini.transport")
    code = f"import sys, jackfield_gemini.plugin; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
