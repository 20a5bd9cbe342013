"""The browser relay against a provider in memory: what it asks, answers, joins, hangs up, and tells."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Mount

from jackfield import RealtimeAgent, RealtimeSession, function_tool
from jackfield.errors import ConfigurationError, ConnectRefusedError
from jackfield.testing.conformance import no_leaks, settled
from jackfield_transports.relay import BrowserCall, BrowserOffer, Leash
from support.call_provider import ANSWER, BASE, CALL_ID, KEY, OFFER, CallProvider
from support.clock import advance, settle, timeless
from support.memory_wire import call_turn, output, response_done, speaking, spoken_turn

SDP = {"content-type": "application/sdp"}


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"sunny in {city}"


AGENT = RealtimeAgent("Shop", instructions="You answer for a shop.", tools=[get_weather])


class Relay:
    """A relay, mounted at /call, with the provider behind it and a browser's HTTP client before it."""

    def __init__(self, agent: Any = AGENT, **options: Any) -> None:
        self.provider = CallProvider()
        self.ended: list[BrowserCall] = []
        self.offer = BrowserOffer(
            agent,
            **{
                "api_key": KEY,
                "base_url": BASE,
                "http": self.provider.http,
                "socket": {"open_connection": self.provider.open_connection},
                "on_end": self.ended.append,
                **options,
            },
        )
        app = Starlette(routes=[Mount("/call", self.offer)])
        self.browser = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")

    async def call(self, offer: bytes = OFFER, **options: Any) -> httpx.Response:
        return await self.browser.post("/call/", content=offer, headers={**SDP, **options.pop("headers", {})})

    @property
    def ends(self) -> list[str]:
        return [call.end.reason for call in self.ended if call.end is not None]


@contextlib.asynccontextmanager
async def relayed(agent: Any = AGENT, **options: Any) -> AsyncIterator[Relay]:
    relay = Relay(agent, **options)
    async with no_leaks(), relay.browser, relay.provider.http, relay.offer:
        yield relay


@contextlib.asynccontextmanager
async def joined(agent: Any = AGENT, **options: Any) -> AsyncIterator[tuple[Relay, Any]]:
    """A relay with one call, which the agent has joined."""
    async with relayed(agent, **options) as relay:
        relay.provider.connect()
        assert (await relay.call()).status_code == 201
        [call] = relay.offer.calls
        assert await settled(lambda: call.end is not None or call.session.status == "connected")
        yield relay, await relay.provider.sideband()


class TestCreating:
    async def test_the_offer_goes_to_the_provider_byte_for_byte(self) -> None:
        async with relayed() as relay:
            await relay.call(OFFER)
            [created] = relay.provider.of("calls")
        assert created.parts()["sdp"] == ("application/sdp", OFFER)
        assert created.headers["authorization"] == f"Bearer {KEY}"

    async def test_the_call_begins_with_the_agents_configuration(self) -> None:
        async with relayed(model="gpt-realtime-mini", config={"model_settings": {"voice": "cedar"}}) as relay:
            await relay.call()
            session = relay.provider.of("calls")[0].session()
        assert relay.provider.of("calls")[0].parts()["session"][0] == "application/json"
        assert (session["type"], session["model"]) == ("realtime", "gpt-realtime-mini")
        assert session["instructions"] == "You answer for a shop."
        assert [tool["name"] for tool in session["tools"]] == ["get_weather"]
        assert session["audio"]["output"] == {"voice": "cedar"}
        assert session["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
        assert "format" not in session["audio"]["input"]

    async def test_the_browser_gets_the_answer_and_a_place_of_ours(self) -> None:
        async with relayed() as relay:
            response = await relay.call()
        assert (response.status_code, response.content) == (201, ANSWER)
        assert response.headers["content-type"] == "application/sdp"
        assert response.headers["location"].startswith("/call/")
        assert CALL_ID not in str(response.headers)

    async def test_an_agent_and_a_context_can_be_made_for_each_request(self) -> None:
        def agent_for(request: Request) -> RealtimeAgent:
            return RealtimeAgent(request.headers["x-user"], instructions=lambda context, _: context.context["greeting"])

        async def context_for(request: Request) -> dict[str, str]:
            return {"greeting": f"Greet {request.headers['x-user']}."}

        async with relayed(agent_for, context=context_for) as relay:
            await relay.call(headers={"x-user": "Ada"})
            assert relay.provider.of("calls")[0].session()["instructions"] == "Greet Ada."

    @pytest.mark.parametrize(
        "location", [f"/v1/realtime/calls/{CALL_ID}", f"https://proxy.test/eu/calls/{CALL_ID}/?a=b"]
    )
    async def test_the_calls_id_is_found_in_the_location(self, location: str) -> None:
        async with relayed() as relay:
            relay.provider.location = location
            relay.provider.connect()
            await relay.call()
            assert (await relay.provider.sideband()).options.call_id == CALL_ID

    async def test_a_call_without_an_id_is_given_to_nobody(self) -> None:
        async with relayed() as relay:
            relay.provider.location = "/v1/realtime/calls"
            assert (await relay.call()).status_code == 502
        assert relay.ends == ["refused"]


class TestRefusing:
    @pytest.mark.parametrize(
        ("offer", "headers", "status"),
        [
            (OFFER, {"content-type": "text/plain"}, 415),
            (b"hello", {}, 400),
            (b"", {}, 400),
            (b"v=0\r\n" + b"a" * 70_000, {}, 413),
        ],
    )
    async def test_what_is_no_offer(self, offer: bytes, headers: dict[str, str], status: int) -> None:
        async with relayed() as relay:
            response = await relay.call(offer, headers=headers)
            assert response.status_code == status
            assert response.json()["error"]["message"]
            assert not relay.provider.requests

    async def test_who_may_not_call(self) -> None:
        async def authorize(request: Request) -> bool:
            if "cookie" not in request.headers:
                raise HTTPException(401)
            return request.headers["cookie"] == "session=ada"

        async with relayed(authorize=authorize) as relay:
            assert (await relay.call()).status_code == 401
            assert (await relay.call(headers={"cookie": "session=eve"})).status_code == 403
            assert not relay.provider.requests
            assert (await relay.call(headers={"cookie": "session=ada"})).status_code == 201

    async def test_what_the_provider_says_of_the_offer_is_passed_on(self) -> None:
        error = {"message": f"Invalid SDP offer for {KEY}.", "type": "invalid_request_error", "code": "invalid_offer"}
        async with relayed() as relay:
            relay.provider.refusals["calls"] = [httpx.Response(400, json={"error": error})]
            response = await relay.call()
        assert response.status_code == 400
        told = {"message": "Invalid SDP offer for ***.", "type": "invalid_request_error", "param": None}
        assert response.json() == {"error": {**told, "code": "invalid_offer"}}
        assert relay.ends == ["refused"]

    @pytest.mark.parametrize(
        ("answer", "status"),
        [
            (httpx.Response(401, json={"error": {"message": f"Incorrect API key provided: {KEY}"}}), 502),
            (httpx.Response(404), 502),
            (httpx.Response(429, json={"error": {"message": "Slow down", "code": "rate_limit_exceeded"}}), 429),
            (httpx.Response(500, text="<html>"), 502),
            (httpx.ConnectError("no route"), 502),
            (httpx.ReadTimeout("slow"), 504),
        ],
    )
    async def test_what_else_the_provider_may_do(
        self, answer: Any, status: int, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        async with relayed() as relay:
            relay.provider.refusals["calls"] = [answer]
            response = await relay.call()
            assert response.status_code == status
            assert await gone(relay)
        assert KEY not in response.text + caplog.text + repr(relay.ended[0].end)
        assert not relay.provider.of("hangup")

    async def test_an_agent_that_cannot_be(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(context: Any, agent: Any) -> str:
            raise RuntimeError(f"the database with {KEY} is away")

        async with relayed(RealtimeAgent("Broken", instructions=broken)) as relay:
            response = await relay.call()
        assert (response.status_code, relay.ends) == (500, ["refused"])
        assert KEY not in response.text

    async def test_too_many_calls(self) -> None:
        async with relayed(max_calls=1) as relay:
            relay.provider.connect()
            first = await relay.call()
            refused = await relay.call()
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
            await relay.browser.delete(first.headers["location"])
            assert (await relay.call()).status_code == 201

    def test_options_that_cannot_be(self) -> None:
        for options in (
            {"agent": "Shop"},
            {"agent": AGENT, "base_url": "file:///v1"},
            {"agent": AGENT, "max_calls": 0},
        ):
            with pytest.raises(ConfigurationError):
                BrowserOffer(**options)  # type: ignore[arg-type]
        for limit in (0, -1, True, "1"):
            with pytest.raises(ConfigurationError, match="idle_seconds"):
                Leash(idle_seconds=limit)  # type: ignore[arg-type]

    async def test_pages_of_other_origins(self) -> None:
        preflight = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
        async with relayed(allow_origins=["https://shop.test"]) as relay:
            for origin, allowed in (("https://shop.test", True), ("https://evil.test", False)):
                answer = await relay.browser.options("/call/", headers={"origin": origin, **preflight})
                assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


class TestJoining:
    @timeless
    async def test_the_browser_need_not_have_got_through_yet(self) -> None:
        async with relayed() as relay:
            assert (await relay.call()).status_code == 201
            await advance(3)
            assert relay.provider.dials > 3
            relay.provider.connect()
            await advance(1)
            [(url, headers)] = relay.provider.handshakes
            assert url == f"ws://provider.test/v1/realtime?call_id={CALL_ID}"
            assert headers == {"Authorization": f"Bearer {KEY}"}
            assert relay.offer.calls[0].session is not None
            assert relay.offer.calls[0].session.status == "connected"

    async def test_nothing_that_the_call_began_with_is_sent_again(self) -> None:
        sessions: asyncio.Queue[RealtimeSession] = asyncio.Queue()
        async with joined(on_session=sessions.put) as (_, far):
            session = await sessions.get()
            assert far.frames == []
            await session.update_agent(RealtimeAgent("Other", instructions="Now another."))
            assert (await far.received("session.update"))["session"]["instructions"] == "Now another."

    async def test_the_agents_tool_runs_here(self) -> None:
        async with joined() as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "get_weather", '{"city": "Paris"}')))
            assert await output(far) == "sunny in Paris"
            await far.received("response.create")

    async def test_an_interruption_clears_what_the_far_end_plays(self) -> None:
        sessions: asyncio.Queue[RealtimeSession] = asyncio.Queue()
        async with joined(on_session=sessions.put) as (_, far):
            session = await sessions.get()
            far.send(*speaking("resp_1", "item_1"))
            far.send({"type": "output_audio_buffer.started", "response_id": "resp_1"})
            await far.heard()
            await session.interrupt()
            assert far.types == ["response.cancel", "output_audio_buffer.clear"]

    @timeless
    async def test_a_call_that_cannot_be_joined_is_hung_up(self) -> None:
        async with relayed(attach_seconds=4) as relay:
            await relay.call()
            await advance(3.9)
            assert not relay.ended
            await advance(0.2)
            assert relay.ends == ["unattached"]
            assert relay.offer.calls == ()
            [hangup] = relay.provider.of("hangup")
            assert hangup.path == f"/v1/realtime/calls/{CALL_ID}/hangup"
            assert hangup.headers["authorization"] == f"Bearer {KEY}"

    @timeless
    async def test_a_browser_that_gets_through_too_late_is_hung_up_then(self) -> None:
        async with relayed(attach_seconds=4) as relay:
            unknown = httpx.Response(404, json={"error": {"message": "No session found", "code": "call_id_not_found"}})
            relay.provider.refusals["hangup"] = [unknown, unknown, unknown]
            await relay.call()
            await advance(4.1)
            assert relay.ends == ["unattached"]
            await advance(20)
            assert len(relay.provider.of("hangup")) == 4

    async def test_a_sideband_that_refuses_us_is_not_asked_again(self) -> None:
        async def open_connection(url: str, headers: Any) -> Any:
            refused = ConnectRefusedError("no", status=400)
            refused.classification = "fatal"
            raise refused

        async with relayed(socket={"open_connection": open_connection}) as relay:
            assert (await relay.call()).status_code == 201
            await relay.provider.hung_up()
        assert relay.ends == ["unattached"]


class TestEnding:
    async def test_the_browser_goes(self) -> None:
        async with joined() as (relay, far):
            [call] = relay.offer.calls
            far.close()
            await far.gone.wait()
            assert await gone(relay)
            assert not relay.provider.of("hangup")
        assert relay.ends == ["remote"]
        assert call.session is not None and call.session.status == "disconnected"

    async def test_the_sideband_is_lost(self) -> None:
        async with joined() as (relay, far):
            far.lose()
            await relay.provider.hung_up()
        assert relay.ends == ["lost"]

    @pytest.mark.parametrize(("method", "suffix"), [("DELETE", ""), ("POST", "/hangup")])
    async def test_the_browser_hangs_up(self, method: str, suffix: str) -> None:
        async with relayed() as relay:
            relay.provider.connect()
            place = (await relay.call()).headers["location"]
            await relay.provider.sideband()
            assert (await relay.browser.request(method, place + suffix)).status_code == 204
            assert len(relay.provider.of("hangup")) == 1
            assert (await relay.browser.request(method, place + suffix)).status_code == 404
        assert relay.ends == ["browser"]

    async def test_the_agents_side_closes_the_session(self) -> None:
        async def on_session(session: RealtimeSession) -> None:
            await session.close()

        async with joined(on_session=on_session) as (relay, _):
            await relay.provider.hung_up()
        assert relay.ends == ["application"]

    async def test_what_watches_the_session_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        async def on_session(session: RealtimeSession) -> None:
            raise RuntimeError("oh no")

        async with joined(on_session=on_session) as (relay, _):
            await relay.provider.hung_up()
        assert relay.ends == ["failed"]
        assert "oh no" in caplog.text

    async def test_work_after_the_call_is_finished(self) -> None:
        saved: asyncio.Queue[list[str]] = asyncio.Queue()

        async def on_session(session: RealtimeSession) -> None:
            kinds = [event.type async for event in session]
            await saved.put(kinds)

        async with joined(on_session=on_session) as (_, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            far.close()
            kinds = await saved.get()
        assert "agent_end" in kinds
        assert kinds[-1] == "connection_change"

    async def test_the_relay_is_closed(self) -> None:
        async with joined() as (relay, far):
            await relay.offer.aclose()
            assert len(relay.provider.of("hangup")) == 1
            assert far.gone.is_set()
            refused = await relay.call()
            assert refused.status_code == 503
            await relay.offer.aclose()
        assert relay.ends == ["shutdown"]

    @timeless
    async def test_closing_the_relay_does_not_wait_for_ever(self) -> None:
        async with relayed() as relay:
            relay.provider.connect()
            await relay.call()
            await settle()
            relay.provider.refusals["hangup"] = [asyncio.get_running_loop().create_future()]
            closing = asyncio.create_task(relay.offer.aclose())
            await advance(20)
            assert closing.done()

    @timeless
    async def test_a_hang_up_is_tried_again(self) -> None:
        async with relayed() as relay:
            relay.provider.connect()
            relay.provider.refusals["hangup"] = [httpx.Response(503), httpx.ConnectError("away")]
            await relay.call()
            await settle()
            relay.offer.calls[0].finish("application", "enough")
            await advance(3)
            assert len(relay.provider.of("hangup")) == 3

    @timeless
    async def test_a_hang_up_that_fails_is_told(self) -> None:
        async with relayed() as relay:
            relay.provider.connect()
            relay.provider.refusals["hangup"] = [httpx.Response(401, text=KEY)]
            await relay.call()
            await settle()
            relay.offer.calls[0].finish("application", "enough")
            await settle()
            assert relay.ends == ["application"]

    async def test_whoever_is_told_of_the_end_may_fail(self, caplog: pytest.LogCaptureFixture) -> None:
        async def on_end(call: BrowserCall) -> None:
            raise RuntimeError("no database")

        async with joined(on_end=on_end) as (relay, far):
            far.close()
            assert await gone(relay)
        assert "no database" in caplog.text

    async def test_no_key_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        async with joined() as (relay, far):
            [call] = relay.offer.calls
            far.send({"type": "error", "error": {"message": f"bad key {KEY}", "code": "server_error"}})
            await far.heard()
            far.close(4000, f"no {KEY}")
            assert await gone(relay)
        assert KEY not in caplog.text
        assert KEY not in repr((call, call.end, relay.offer)) + str(call.end)


class TestLeash:
    @timeless
    async def test_seconds(self) -> None:
        async with joined_at_once(leash=Leash(max_seconds=60, idle_seconds=None)) as relay:
            await advance(59)
            assert not relay.ended
            await advance(2)
            assert relay.ends == ["leash"]
            assert relay.ended[0].end is not None and "60 s" in relay.ended[0].end.detail
            assert len(relay.provider.of("hangup")) == 1
            assert relay.provider.sidebands[0].frames == []

    @timeless
    async def test_tokens(self) -> None:
        async with joined_at_once(leash=Leash(max_tokens=100)) as relay:
            [far] = relay.provider.sidebands
            far.send(*spoken_turn("resp_1", "item_1", tokens=40))
            await settle()
            assert not relay.ended
            far.send(*spoken_turn("resp_2", "item_2", tokens=40))
            await settle()
            assert relay.ends == ["leash"]
            assert relay.ended[0].end is not None and "160 tokens" in relay.ended[0].end.detail

    @timeless
    async def test_idle_time(self) -> None:
        async with joined_at_once(leash=Leash(idle_seconds=30)) as relay:
            await advance(29)
            assert not relay.ended
            await advance(2)
            assert relay.ends == ["leash"]

    BUSY: ClassVar[dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]]] = {
        "the user speaks": (
            [{"type": "input_audio_buffer.speech_started", "item_id": "item_1", "audio_start_ms": 0}],
            [{"type": "input_audio_buffer.speech_stopped", "item_id": "item_1", "audio_end_ms": 9}],
        ),
        "the model answers": (
            [{"type": "response.created", "response": {"id": "resp_1", "status": "in_progress"}}],
            [response_done("resp_1")],
        ),
        "the answer is played": (
            [{"type": "output_audio_buffer.started", "response_id": "resp_1"}],
            [{"type": "output_audio_buffer.stopped", "response_id": "resp_1"}],
        ),
    }

    @pytest.mark.parametrize("what", BUSY)
    def test_it_is_not_idle_while(self, what: str) -> None:
        begins, ends = self.BUSY[what]

        @timeless
        async def test() -> None:
            async with joined_at_once(leash=Leash(idle_seconds=30)) as relay:
                [far] = relay.provider.sidebands
                far.send(*begins)
                await advance(50)
                assert not relay.ended
                far.send(*ends)
                await advance(29)
                assert not relay.ended
                await advance(2)
                assert relay.ends == ["leash"]

        test()

    @timeless
    async def test_it_is_not_idle_while_a_tool_runs(self) -> None:
        finished = asyncio.Event()

        @function_tool
        async def slow() -> str:
            """Take long."""
            await finished.wait()
            return "done"

        agent = RealtimeAgent("Slow", tools=[slow])
        async with joined_at_once(agent, leash=Leash(idle_seconds=30)) as relay:
            [far] = relay.provider.sidebands
            far.send(*call_turn("resp_1", ("call_1", "slow", "{}")))
            await advance(100)
            assert not relay.ended
            finished.set()
            await advance(31)
            assert relay.ends == ["leash"]


@contextlib.asynccontextmanager
async def joined_at_once(agent: Any = AGENT, **options: Any) -> AsyncIterator[Relay]:
    """The same as `joined`, where no time passes but what the test lets pass."""
    async with relayed(agent, **options) as relay:
        relay.provider.connect()
        await relay.call()
        await settle()
        assert len(relay.provider.sidebands) == 1
        yield relay


async def gone(relay: Relay) -> bool:
    """Wait until the relay has no calls."""
    return await settled(lambda: not relay.offer.calls)
