"""`SipCallServer` against a provider in memory: who is answered, what is sent, and how calls and the server end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from jackfield import RealtimeAgent, RealtimeSession, ToolContext, function_tool
from jackfield.errors import ConfigurationError, ConnectRefusedError
from jackfield.testing.conformance import no_leaks
from jackfield_transports.sip import (
    Hangup,
    IncomingCall,
    Leash,
    PhoneCall,
    Refer,
    SipCallServer,
    Webhooks,
    build_initial_config,
)
from support.call_provider import BASE, CALL_ID, KEY
from support.clock import advance, settle, timeless
from support.memory_wire import call_turn, output, spoken_turn
from support.phone_provider import EPOCH, SECRET, PhoneProvider, webhook


@function_tool
async def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"sunny in {city}"


@function_tool
async def hang_up(context: ToolContext[PhoneCall]) -> str:
    """End the call."""
    await context.context.say_then(Hangup())
    return "say goodbye"


@function_tool
async def transfer(context: ToolContext[PhoneCall], extension: str) -> str:
    """Transfer the call."""
    await context.context.say_then(Refer(f"sip:{extension}@shop.example"))
    return "say that you transfer the call"


AGENT = RealtimeAgent(
    "Shop", instructions="You answer for a shop.", voice="cedar", tools=[get_weather, hang_up, transfer]
)


class Server:
    """A server at /webhook, and the provider that calls it."""

    def __init__(self, agent: Any = AGENT, provider: PhoneProvider | None = None, **options: Any) -> None:
        self.provider = provider or PhoneProvider()
        self.ended: list[PhoneCall] = []
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.server = SipCallServer(
            agent,
            **{
                "webhooks": Webhooks(SECRET, clock=lambda: EPOCH + loop.time() - started),
                "api_key": KEY,
                "base_url": BASE,
                "http": self.provider.http,
                "socket": {"open_connection": self.provider.open_connection},
                "on_end": self.ended.append,
                **options,
            },
        )
        app = Starlette(routes=[Route("/webhook", self.server)])
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")

    async def deliver(self, body: bytes, headers: dict[str, str]) -> int:
        response = await self.http.post("/webhook", content=body, headers=headers)
        assert SECRET not in response.text
        return response.status_code

    async def ring(self, call_id: str = CALL_ID, **options: Any) -> int:
        """Have a call ring, and the server told; return what it answered."""
        self.provider.rings(call_id)
        return await self.deliver(*webhook(call_id, **{"webhook_id": f"wh_{call_id}", **options}))

    @property
    def ends(self) -> list[str]:
        return [call.end.reason for call in self.ended if call.end is not None]

    def asked(self, what: str) -> list[Any]:
        return [json.loads(request.body or b"null") for request in self.provider.of(what)]


@contextlib.asynccontextmanager
async def serving(agent: Any = AGENT, **options: Any) -> AsyncIterator[Server]:
    server = Server(agent, **{"drain_seconds": 0, "farewell": None, **options})
    async with no_leaks(), server.http:
        yield server
        closing = asyncio.create_task(server.server.aclose())
        await advance(60)
        assert closing.done()
        assert server.server.calls == ()


@contextlib.asynccontextmanager
async def answered(agent: Any = AGENT, **options: Any) -> AsyncIterator[tuple[Server, Any]]:
    """A server with one call that its agent has joined, and the provider's side of the sideband."""
    async with serving(agent, **options) as server:
        assert await server.ring() == 200
        await settle()
        yield server, server.provider.far_end()


class TestAnswering:
    @timeless
    async def test_a_call_is_accepted_joined_and_greeted(self) -> None:
        async with answered(model="gpt-realtime-mini") as (server, far):
            [accepted] = server.asked("accept")
            assert (accepted["type"], accepted["model"]) == ("realtime", "gpt-realtime-mini")
            assert accepted["instructions"] == "You answer for a shop."
            assert accepted["audio"]["output"] == {"voice": "cedar"}
            assert "format" not in accepted["audio"]["input"]
            [(url, headers)] = server.provider.handshakes
            assert url == f"ws://provider.test/v1/realtime?call_id={CALL_ID}"
            assert headers == {"Authorization": f"Bearer {KEY}"}
            assert far.types == ["response.create"]
            assert not server.ended

    @timeless
    async def test_the_accept_is_what_build_initial_config_builds(self) -> None:
        config = {"model_settings": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000}}}
        async with answered(config=config, model="gpt-realtime") as (server, _):
            built = await build_initial_config(AGENT, config=config, model="gpt-realtime")
            assert server.asked("accept") == [built]

    @timeless
    async def test_the_agent_may_greet_otherwise_or_not_at_all(self) -> None:
        async with answered(greeting="Say good evening.") as (_, far):
            assert far.frames[0]["response"] == {"instructions": "Say good evening."}
        async with answered(greeting=False) as (_, far):
            assert far.frames == []

    @timeless
    async def test_the_agent_is_chosen_by_the_callers_headers(self) -> None:
        async def agent_for(call: IncomingCall) -> RealtimeAgent:
            assert (call.caller.user, call.called.user) == ("+441234567890", "+15550100")
            return RealtimeAgent(call.headers["x-account"], instructions=f"Greet {call.caller.display_name}.")

        async with answered(agent_for) as (server, _):
            assert server.asked("accept")[0]["instructions"] == "Greet Ada."

    @timeless
    async def test_a_call_may_be_declined(self) -> None:
        async with serving(lambda call: None) as server:
            await server.ring()
            await settle()
            assert server.asked("reject") == [{"status_code": 603}]
            assert (server.ends, server.asked("accept")) == (["declined"], [])

    @timeless
    async def test_tools_have_the_call_or_what_you_make_of_it(self) -> None:
        @function_tool
        async def who(context: ToolContext[Any]) -> str:
            """Who calls."""
            return str(context.context["number"])

        agent = RealtimeAgent("Shop", tools=[who])
        async with answered(agent, context=lambda call: {"number": call.incoming.caller.user}) as (_, far):
            far.send(*call_turn("resp_1", ("call_1", "who", "{}")))
            assert await output(far) == "+441234567890"

    @timeless
    async def test_the_session_is_handed_over(self) -> None:
        digits: list[str] = []

        async def on_session(session: RealtimeSession) -> None:
            digits.extend([event.digit async for event in session if event.type == "dtmf_received"])

        async with answered(on_session=on_session) as (server, far):
            far.send({"type": "input_audio_buffer.dtmf_event_received", "event": "9", "received_at": 1_763_605_109})
            server.provider.caller_hangs_up()
            await settle()
            assert (digits, server.ends) == (["9"], ["remote"])

    @timeless
    async def test_it_runs_as_an_application_of_its_own_or_mounted(self) -> None:
        async with serving() as server:
            for app, path in ((server.server, "/"), (Starlette(routes=[Mount("/phone", server.server)]), "/phone/x")):
                http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop.test")  # type: ignore[arg-type]
                async with http:
                    assert (await http.post(path, content=b"{}")).status_code == 400
                    assert (await http.get(path)).status_code == 405


class TestWebhooks:
    @timeless
    async def test_what_is_not_genuine_is_refused(self) -> None:
        async with serving() as server:
            server.provider.rings()
            body, headers = webhook()
            for wrong in (
                webhook(secret="whsec_b3RoZXI="),
                (body + b" ", headers),
                (body, {**headers, "webhook-id": "wh_2"}),
                (body, {**headers, "webhook-timestamp": str(EPOCH + 1)}),
                (body, {**headers, "webhook-signature": "v1,bm8= junk v2,x"}),
            ):
                assert await server.deliver(*wrong) == 401
            assert await server.deliver(body, {}) == 400
            await settle()
            assert server.provider.requests == []

    @timeless
    async def test_what_is_late_or_early_is_refused(self) -> None:
        async with serving() as server:
            for timestamp in (EPOCH - 301, EPOCH + 301):
                assert await server.ring(timestamp=timestamp) == 401
            assert await server.ring(timestamp=EPOCH - 299) == 200
            await settle()
            assert len(server.provider.of("accept")) == 1

    @timeless
    async def test_what_comes_twice_makes_one_call(self) -> None:
        async with answered() as (server, _):
            assert await server.ring() == 200  # the same delivery
            assert await server.ring(webhook_id="wh_again") == 200  # the same call, announced anew
            await settle()
            assert len(server.provider.of("accept")) == 1
            assert len(server.provider.sidebands) == len(server.server.calls) == 1

    @timeless
    async def test_what_comes_again_after_the_call_makes_none(self) -> None:
        async with answered() as (server, _):
            server.provider.caller_hangs_up()
            await settle()
            assert server.server.calls == ()
            await advance(400)
            replayed = webhook()
            assert await server.deliver(*replayed) == 401  # its time is over
            assert await server.deliver(*webhook(webhook_id="wh_3", timestamp=EPOCH + 400)) == 200
            await settle()
            assert (len(server.provider.of("accept")), server.ends) == (1, ["remote"])

    @timeless
    async def test_they_may_come_out_of_order(self) -> None:
        async with serving() as server:
            assert await server.ring("rtc_2", timestamp=EPOCH) == 200
            assert await server.ring("rtc_1", timestamp=EPOCH - 60) == 200
            await settle()
            assert server.provider.live == {"rtc_1", "rtc_2"}

    @timeless
    async def test_other_events_are_none_of_its_business(self) -> None:
        async with serving() as server:
            assert await server.deliver(*webhook(event={"type": "response.completed", "data": {}})) == 200
            assert await server.deliver(*webhook(event={"type": "realtime.call.incoming"}, webhook_id="wh_2")) == 400
            assert await server.deliver(b"x" * 300_000, {}) == 413
            assert server.server.calls == ()


class TestOneOwner:
    @timeless
    async def test_of_two_servers_one_has_the_call(self) -> None:
        provider = PhoneProvider()
        async with no_leaks():
            servers = [Server(provider=provider, drain_seconds=0, farewell=None) for _ in range(2)]
            provider.rings()
            delivery = webhook()
            assert [await server.deliver(*delivery) for server in servers] == [200, 200]
            await settle()
            assert len(provider.of("accept")) == 2
            assert sum(len(server.server.calls) for server in servers) == 1
            [loser] = [server for server in servers if not server.server.calls]
            assert loser.ends == ["taken"]
            await loser.server.aclose()
            await advance(60)
            assert (provider.of("hangup"), provider.of("reject")) == ([], [])
            assert provider.live == {CALL_ID}
            provider.caller_hangs_up()
            await settle()
            for server in servers:
                await server.server.aclose()
                await server.http.aclose()

    @timeless
    async def test_the_caller_went_before_it_was_accepted(self) -> None:
        async with serving() as server:
            assert await server.deliver(*webhook()) == 200
            await settle()
            assert server.ends == ["gone"]
            assert [request.path.rpartition("/")[2] for request in server.provider.requests] == ["accept"]

    @timeless
    async def test_an_accept_whose_answer_is_lost_is_asked_once_more(self) -> None:
        async with serving() as server:
            server.provider.refusals["accept"] = [httpx.ReadTimeout("slow")]
            await server.ring()
            await settle()
            assert server.provider.live == {CALL_ID}
            assert not server.ended

    @timeless
    async def test_one_that_may_be_anybodys_is_left_to_itself(self) -> None:
        async with serving() as server:
            server.provider.refusals["accept"] = [httpx.ReadError("cut"), httpx.Response(409)]
            await server.ring()
            await settle()
            assert server.ends == ["unknown"]
            assert (server.provider.of("hangup"), server.provider.of("reject")) == ([], [])


class TestAdmission:
    @timeless
    async def test_a_caller_too_many_hears_that_it_is_busy(self) -> None:
        async with serving(max_calls=1) as server:
            await server.ring("rtc_1")
            assert await server.ring("rtc_2") == 200
            await settle()
            assert server.asked("reject") == [{"status_code": 486}]
            assert server.provider.of("reject")[0].path.endswith("/rtc_2/reject")
            server.provider.caller_hangs_up("rtc_1")
            await settle()
            await server.ring("rtc_3")
            await settle()
            assert server.provider.live == {"rtc_3"}

    @timeless
    async def test_a_slot_is_taken_before_anything_is_awaited(self) -> None:
        async with serving(max_calls=2, busy_status=503) as server:
            for number in range(5):
                await server.ring(f"rtc_{number}")
            await settle()
            assert len(server.provider.of("accept")) == 2
            assert server.asked("reject") == [{"status_code": 503}] * 3

    TROUBLE: ClassVar[Any] = {
        "the agent function raises": ({"agent": lambda call: 1 / 0}, {}, "refused", ["reject"]),
        "the context raises": ({"context": lambda call: 1 / 0}, {}, "refused", ["reject"]),
        "the agent is none": ({"agent": lambda call: "nobody"}, {}, "refused", ["reject"]),
        "the accept is refused": ({}, {"accept": [httpx.Response(400, text="no")]}, "refused", ["accept", "reject"]),
        "the key is wrong": ({}, {"accept": [httpx.Response(401)]}, "refused", ["accept", "reject"]),
        "the caller went": ({}, {"accept": [httpx.Response(404)]}, "gone", ["accept"]),
        "somebody else has it": ({}, {"accept": [httpx.Response(409)]}, "taken", ["accept"]),
        "the provider is away": ({}, {"accept": [httpx.ConnectError("x")] * 9}, "refused", ["accept", "reject"]),
        "the accept fails": ({}, {"accept": [httpx.Response(500)] * 2}, "unknown", ["accept"]),
        "it can't be joined": ({}, {}, "unattached", ["accept", "hangup"]),
        "on_session raises": ({"on_session": lambda session: 1 / 0}, {}, "failed", ["accept", "hangup"]),
    }

    @pytest.mark.parametrize("what", TROUBLE)
    def test_every_failure_gives_its_slot_back(self, what: str) -> None:
        options, refusals, reason, asked = self.TROUBLE[what]

        @timeless
        async def test() -> None:
            async with serving(**{"max_calls": 1, **options}) as server:
                server.provider.refusals |= refusals
                server.provider.joinable = reason != "unattached"
                await server.ring()
                await advance(20)
                assert (server.ends, server.server.calls) == ([reason], ())
                done = [request.path.rpartition("/")[2] for request in server.provider.requests]
                assert list(dict.fromkeys(done)) == asked
                if "hangup" in asked:
                    assert server.provider.live == set()

        test()

    @timeless
    async def test_what_is_done_at_the_end_may_fail(self) -> None:
        def on_end(call: PhoneCall) -> None:
            raise RuntimeError("no database")

        async with answered(on_end=on_end, max_calls=1) as (server, _):
            server.provider.refusals["hangup"] = [httpx.Response(401)]
            session = server.server.calls[0].session
            assert session is not None
            await session.close()
            await settle()
            assert server.server.calls == ()


class TestInTheCall:
    @timeless
    async def test_a_tool_hangs_up_after_its_goodbye(self) -> None:
        async with answered(greeting=False) as (server, far):
            far.send(*call_turn("resp_1", ("call_1", "hang_up", "{}")))
            assert await output(far) == "say goodbye"
            await far.received("response.create")
            far.send(*spoken_turn("resp_2", "item_2"))
            far.send({"type": "output_audio_buffer.started", "response_id": "resp_2"})
            await advance(3)
            assert not server.provider.of("hangup")
            far.send({"type": "output_audio_buffer.stopped", "response_id": "resp_2"})
            await advance(1)
            assert len(server.provider.of("hangup")) == 1
            assert (server.ends, server.provider.live) == (["remote"], set())

    @timeless
    async def test_a_tool_transfers_the_call_though_the_caller_speaks(self) -> None:
        async with answered(greeting=False) as (server, far):
            far.send(*call_turn("resp_1", ("call_1", "transfer", '{"extension": "desk"}')))
            await output(far)
            far.send(*spoken_turn("resp_2", "item_2"))
            far.send({"type": "output_audio_buffer.started", "response_id": "resp_2"})
            far.send({"type": "input_audio_buffer.speech_started", "item_id": "item_3", "audio_start_ms": 0})
            far.send({"type": "output_audio_buffer.cleared", "response_id": "resp_2"})
            await advance(1)
            assert server.asked("refer") == [{"target_uri": "sip:desk@shop.example"}]
            assert not server.ended

    @timeless
    async def test_the_session_ends(self) -> None:
        async with answered() as (server, _):
            [call] = server.server.calls
            assert call.session is not None
            await call.session.close()
            await settle()
            assert (server.ends, len(server.provider.of("hangup"))) == (["application"], 1)

    @timeless
    async def test_a_sideband_that_is_lost_is_joined_again(self) -> None:
        async with answered() as (server, far):
            far.lose()
            await advance(1)
            assert len(server.provider.sidebands) == 2
            assert not server.ended
            server.provider.caller_hangs_up()
            await settle()
            assert server.ends == ["remote"]

    @timeless
    async def test_one_that_can_not_be_joined_again_is_hung_up(self) -> None:
        async with answered(rejoin_seconds=5) as (server, far):
            server.provider.trouble = ConnectRefusedError("no route")
            far.lose()
            await advance(4)
            assert not server.ended
            await advance(2)
            assert (server.ends, server.provider.live) == (["lost"], set())

    @timeless
    async def test_the_leash(self) -> None:
        async with answered(leash=Leash(idle_seconds=30)) as (server, _):
            await advance(60)
            assert (server.ends, len(server.provider.of("hangup"))) == (["leash"], 1)


class TestDraining:
    @timeless
    async def test_calls_have_time_to_end(self) -> None:
        async with answered(drain_seconds=15) as (server, _):
            closing = asyncio.create_task(server.server.aclose())
            await advance(10)
            assert (closing.done(), server.ended) == (False, [])
            server.provider.caller_hangs_up()
            await settle()
            assert (closing.done(), server.ends) == (True, ["remote"])

    @timeless
    async def test_nobody_is_admitted_meanwhile_and_the_webhook_may_come_again(self) -> None:
        async with answered(drain_seconds=15) as (server, _):
            closing = asyncio.create_task(server.server.aclose())
            await advance(1)
            assert await server.ring("rtc_2") == 503
            assert await server.ring("rtc_2") == 503
            server.provider.caller_hangs_up()
            await settle()
            assert closing.done()
            assert server.provider.ringing == {"rtc_2"}

    @timeless
    async def test_then_the_agent_says_goodbye(self) -> None:
        async with answered(greeting=False, drain_seconds=5, farewell="Say goodbye.", farewell_seconds=8) as (
            server,
            far,
        ):
            closing = asyncio.create_task(server.server.aclose())
            await advance(5.1)
            response = (await far.received("response.create"))["response"]
            assert response["instructions"] == "Say goodbye."
            turn = spoken_turn("resp_1", "item_1")
            turn[0]["response"]["metadata"] = response["metadata"]
            far.send(*turn)
            far.send({"type": "output_audio_buffer.started", "response_id": "resp_1"})
            await advance(2)
            assert not server.ended
            far.send({"type": "output_audio_buffer.stopped", "response_id": "resp_1"})
            await advance(1)
            assert (closing.done(), server.ends, server.provider.live) == (True, ["remote"], set())

    @timeless
    async def test_a_goodbye_that_is_never_said_does_not_hold_it_up(self) -> None:
        async with answered(drain_seconds=5, farewell="Say goodbye.", farewell_seconds=8) as (server, _):
            closing = asyncio.create_task(server.server.aclose())
            await advance(14)
            assert (closing.done(), server.provider.live) == (True, set())

    @timeless
    async def test_an_accept_that_is_under_way_is_seen_through(self) -> None:
        async with serving(drain_seconds=5) as server:
            held: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
            server.provider.refusals["accept"] = [held]
            await server.ring()
            await settle()
            closing = asyncio.create_task(server.server.aclose())
            await advance(6)
            server.provider.live.add(CALL_ID)
            held.set_result(httpx.Response(200))
            await advance(1)
            assert closing.done()
            assert (server.ends, server.provider.live) == (["shutdown"], set())

    @timeless
    async def test_an_accept_that_comes_too_late_turns_nobody_elses_call_away(self) -> None:
        async with serving() as server:
            held: asyncio.Future[httpx.Response] = asyncio.get_running_loop().create_future()
            server.provider.refusals["accept"] = [held]
            await server.ring()
            await settle()
            closing = asyncio.create_task(server.server.aclose())
            await advance(1)
            held.set_result(httpx.Response(409))
            await advance(1)
            assert (closing.done(), server.ends) == (True, ["shutdown"])
            assert (server.provider.of("reject"), server.provider.of("hangup")) == ([], [])

    @timeless
    async def test_what_on_session_does_afterwards_has_its_time(self) -> None:
        saved: list[str] = []

        async def on_session(session: RealtimeSession) -> None:
            async for _ in session:
                pass
            await asyncio.sleep(3)
            saved.append("the transcript")

        async with answered(on_session=on_session, max_calls=1) as (server, _):
            server.provider.caller_hangs_up()
            await settle()
            assert server.server.calls == ()
            await advance(4)
            assert saved == ["the transcript"]


class TestSecrets:
    def test_none_is_told(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)

        @timeless
        async def test() -> None:
            async with answered() as (server, far):
                [call] = server.server.calls
                far.send({"type": "error", "error": {"message": f"bad key {KEY}", "code": "server_error"}})
                await settle()
                far.close(4000, f"no {KEY}")
                await settle()
                await server.deliver(*webhook(secret="whsec_b3RoZXI="))
                told = repr((server.server, call, call.incoming, call.end, Webhooks(SECRET))) + caplog.text
                for secret in (KEY, SECRET, SECRET.removeprefix("whsec_"), "canary-secret", "+441234567890", "Ada"):
                    assert secret not in told

        test()

    def test_without_them_there_is_no_server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("OPENAI_WEBHOOK_SECRET", raising=False)
        with pytest.raises(ConfigurationError, match="OPENAI_WEBHOOK_SECRET"):
            SipCallServer(AGENT)
        monkeypatch.setenv("OPENAI_WEBHOOK_SECRET", SECRET)
        for options in ({"max_calls": 0}, {"drain_seconds": -1}, {"farewell_seconds": 0}, {"agent": "Shop"}):
            with pytest.raises(ConfigurationError):
                SipCallServer(**{"agent": AGENT, **options})  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=r"turn_detection\.threshold"):
            SipCallServer(AGENT, config={"model_settings": {"turn_detection": {"threshold": 0.5}}})
