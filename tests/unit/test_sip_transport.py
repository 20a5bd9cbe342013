"""The transport `sip`: joining a call, what is told of it, losing the sideband, and what follows an utterance."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import httpx
import pytest

from jackfield import RealtimeAgent, RealtimeSession, create_transport, function_tool
from jackfield.errors import ConfigurationError, ConnectRefusedError, NotConnectedError, UnsupportedByTransportError
from jackfield.testing.conformance import no_leaks
from jackfield.transport import TransportCapabilities
from jackfield_transports.sip import CallGoneError, CallsClient, Hangup, Refer, SipTransport
from support.call_provider import BASE, CALL_ID, KEY
from support.clock import advance, settle, timeless
from support.memory_wire import call_turn, output, response_done, speaking, spoken_turn
from support.phone_provider import PhoneProvider


@function_tool
async def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"sunny in {city}"


AGENT = RealtimeAgent("Shop", instructions="You answer for a shop.", voice="cedar", tools=[get_weather])


class Phone:
    """A call that somebody accepted, and a transport to join it with."""

    def __init__(self, **options: Any) -> None:
        self.provider = PhoneProvider()
        self.provider.live.add(CALL_ID)
        calls = CallsClient(api_key=KEY, base_url=BASE, http=self.provider.http)
        self.transport = SipTransport(calls=calls, open_connection=self.provider.open_connection, **options)
        self.changes: list[str] = []
        self.errors: list[Exception] = []
        self.transport.on("connection_change", lambda event: self.changes.append(event.status))
        self.transport.on("error", lambda event: self.errors.append(event.error))

    @property
    def far(self) -> Any:
        return self.provider.far_end()

    def asked(self, what: str) -> list[Any]:
        return [json.loads(request.body or b"null") for request in self.provider.of(what)]

    def plays(self, response_id: str, how: str = "started") -> None:
        self.far.send(played(how, response_id))


def played(how: str, response_id: str = "resp_1") -> dict[str, Any]:
    return {"type": f"output_audio_buffer.{how}", "response_id": response_id}


@contextlib.asynccontextmanager
async def joined(**options: Any) -> AsyncIterator[Phone]:
    phone = Phone(**options)
    async with no_leaks():
        await phone.transport.connect(call_id=CALL_ID)
        yield phone
        await phone.transport.close()


class TestJoining:
    async def test_it_is_known_by_name(self) -> None:
        transport = create_transport("sip")
        assert isinstance(transport, SipTransport)
        expected = TransportCapabilities(
            audio_in=False, audio_out=False, playback="server", truncate="server", attach_by_call_id=True, dtmf=True
        )
        assert (transport.name, transport.capabilities) == ("sip", expected)
        with pytest.raises(ConfigurationError, match="attach_second"):
            create_transport("sip", attach_second=5)
        for options in ({"attach_seconds": 0}, {"rejoin_seconds": -1}):
            with pytest.raises(ConfigurationError):
                create_transport("sip", **options)

    @pytest.mark.parametrize("options", [{}, {"call_id": ""}, {"model": "gpt-realtime"}])
    async def test_a_call_it_must_be(self, options: dict[str, Any]) -> None:
        phone = Phone()
        with pytest.raises(ConfigurationError, match="call_id"):
            await phone.transport.connect(**options)
        assert (phone.provider.dials, phone.transport.status) == (0, "disconnected")

    @pytest.mark.parametrize(
        ("options", "url", "headers"),
        [
            ({}, "wss://api.openai.com/v1/realtime?call_id=rtc_1", {"Authorization": "Bearer sk-1"}),
            ({"url": "ws://h/v1/realtime"}, "ws://h/v1/realtime?call_id=rtc_1", {"Authorization": "Bearer sk-1"}),
            (
                {"url": "ws://h/v1/realtime?a=b"},
                "ws://h/v1/realtime?a=b&call_id=rtc_1",
                {"Authorization": "Bearer sk-1"},
            ),
            (
                {"url": "ws://h/realtime?call_id=rtc_1", "headers": {"x": "1"}},
                "ws://h/realtime?call_id=rtc_1",
                {"x": "1"},
            ),
            (
                {"model": "gpt-realtime"},
                "wss://api.openai.com/v1/realtime?call_id=rtc_1",
                {"Authorization": "Bearer sk-1"},
            ),
        ],
        ids=str,
    )
    async def test_where_it_is(self, options: dict[str, Any], url: str, headers: dict[str, str]) -> None:
        provider = PhoneProvider()
        provider.live.add("rtc_1")
        transport = create_transport("sip", open_connection=provider.open_connection)
        await transport.connect(call_id="rtc_1", api_key="sk-1", **options)
        assert provider.handshakes == [(url, headers)]
        assert transport.call_id == "rtc_1"
        await transport.close()

    async def test_the_url_is_of_this_call(self) -> None:
        with pytest.raises(ConfigurationError, match="another call"):
            await create_transport("sip").connect(call_id="rtc_1", api_key="k", url="ws://h/realtime?call_id=rtc_2")

    @timeless
    async def test_a_call_that_is_being_set_up_is_waited_for(self) -> None:
        phone = Phone(attach_seconds=5)
        phone.provider.joinable = False
        connecting = asyncio.create_task(phone.transport.connect(call_id=CALL_ID))
        await advance(3)
        assert phone.provider.dials > 3
        phone.provider.joinable = True
        await advance(1)
        assert connecting.done()
        await connecting
        await phone.transport.close()

    @timeless
    async def test_but_not_for_ever(self) -> None:
        async with no_leaks():
            phone = Phone(attach_seconds=5)
            connecting = asyncio.create_task(phone.transport.connect(call_id="rtc_other"))
            await advance(4)
            assert not connecting.done()
            await advance(2)
            with pytest.raises(CallGoneError, match="tried for 5 s"):
                await connecting
            assert phone.transport.status == "disconnected"


class TestConfiguration:
    """What a plain session tells a call that somebody else accepted: what is its agent's, and nothing besides."""

    async def session_of(self, agent: RealtimeAgent = AGENT, **options: Any) -> tuple[Phone, list[Any]]:
        phone = Phone()
        async with RealtimeSession(agent, transport=phone.transport, call_id=CALL_ID, **options) as session:
            await session.update_agent(RealtimeAgent("Other", instructions="Now another."))
        return phone, [frame["session"] for frame in phone.far.frames if frame["type"] == "session.update"]

    async def test_instructions_and_tools(self) -> None:
        _, [first, later] = await self.session_of()
        assert set(first) == {"type", "instructions", "tools"}
        assert first["instructions"] == "You answer for a shop."
        assert [tool["name"] for tool in first["tools"]] == ["get_weather"]
        assert later == {"type": "realtime", "instructions": "Now another.", "tools": []}

    async def test_what_was_configured_for_the_call_but_never_formats_or_the_model(self) -> None:
        settings = {
            "voice": "ash",
            "input_audio_format": "g711_ulaw",
            "output_audio_format": "pcm16",
            "turn_detection": {"type": "server_vad", "threshold": 0.7},
        }
        _, [first, _] = await self.session_of(model="gpt-realtime", config={"model_settings": settings})
        assert first["audio"] == {
            "input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}},
            "output": {"voice": "ash"},
        }
        assert "model" not in first

    async def test_no_audio_is_sent(self) -> None:
        async with joined() as phone:
            with pytest.raises(UnsupportedByTransportError, match="audio does not pass through here"):
                await phone.transport.send_audio(b"\0\0")
            assert phone.far.frames == []


class TestTheCall:
    async def test_an_interruption_needs_no_audio(self) -> None:
        async with joined() as phone:
            phone.far.send(*[event for event in speaking("resp_1") if "audio.delta" not in event["type"]])
            phone.plays("resp_1")
            await phone.far.heard()
            await phone.transport.interrupt()
            assert phone.far.types == ["response.cancel", "output_audio_buffer.clear"]

    async def test_keys_are_events(self) -> None:
        async with joined() as phone:
            digits: list[str] = []
            phone.transport.on("dtmf_received", lambda event: digits.append(event.digit))
            for key in "9#":
                phone.far.send({"type": "input_audio_buffer.dtmf_event_received ", "event": key, "received_at": 1})
            await phone.far.heard()
            assert digits == ["9", "#"]

    async def test_its_end_is_a_normal_one(self) -> None:
        async with joined() as phone:
            ends: list[Any] = []
            phone.transport.on("connection_change", ends.append)
            phone.provider.caller_hangs_up()
            await phone.far.gone.wait()
            [end] = ends
            assert (end.status, end.code, end.initiated_by, end.error) == ("disconnected", 1000, "remote", None)
            assert phone.errors == []

    async def test_it_is_controlled_from_here(self) -> None:
        async with joined() as phone:
            await phone.transport.refer("tel:+441234567890")
            await phone.transport.hangup()
            assert phone.asked("refer") == [{"target_uri": "tel:+441234567890"}]
            assert phone.provider.live == set()
        for control in (phone.transport.hangup(), phone.transport.refer("tel:1"), phone.transport.say_then(Hangup())):
            with pytest.raises(NotConnectedError):
                await control

    async def test_a_url_that_leads_nowhere_else_is_said(self) -> None:
        provider = PhoneProvider()
        provider.live.add("rtc_1")
        transport = SipTransport(open_connection=provider.open_connection)
        await transport.connect(call_id="rtc_1", api_key="k", url="ws://h/sideband")
        with pytest.raises(ConfigurationError, match="CallsClient"):
            await transport.hangup()
        await transport.close()


class TestRejoining:
    @pytest.mark.parametrize("code", [1001, 1006, 1011, 1012])
    def test_a_sideband_that_is_lost_is_joined_again(self, code: int) -> None:
        @timeless
        async def test() -> None:
            async with joined() as phone:
                phone.far.close(code) if code != 1006 else phone.far.lose()
                await settle()
                assert phone.changes[-1] == phone.transport.status == "connecting"
                await advance(1)
                assert phone.changes == ["connecting", "connected", "connecting", "connected"]
                assert len(phone.provider.sidebands) == 2
                assert (phone.far.frames, phone.errors) == ([], [])

        test()

    @timeless
    async def test_what_is_sent_meanwhile_waits_its_turn(self) -> None:
        async with joined() as phone:
            phone.far.lose()
            await settle()
            sending = [
                asyncio.create_task(phone.transport.send_message(text, trigger_response=False))
                for text in ("one", "two")
            ]
            await settle()
            assert not any(task.done() for task in sending)
            await advance(1)
            assert all(task.done() for task in sending)
            texts = [frame["item"]["content"][0]["text"] for frame in phone.far.frames]
            assert texts == ["one", "two"]

    @timeless
    async def test_a_call_that_ended_meanwhile_ended_normally(self) -> None:
        async with joined() as phone:
            phone.provider.live.clear()
            phone.far.lose()
            await advance(1)
            assert phone.changes[-2:] == ["connecting", "disconnected"]
            assert phone.errors == []

    @timeless
    async def test_it_is_given_up_in_the_end(self) -> None:
        async with joined(rejoin_seconds=10) as phone:
            ends: list[Any] = []
            phone.transport.on("connection_change", ends.append)
            phone.provider.trouble = ConnectRefusedError("no route")
            phone.far.lose()
            await advance(9)
            assert phone.transport.status == "connecting"
            await advance(2)
            assert (ends[-1].status, ends[-1].code, ends[-1].error.classification) == (
                "disconnected",
                1006,
                "reconnect",
            )
            assert len(phone.errors) == 1

    @timeless
    async def test_one_that_is_lost_again_and_again_too(self) -> None:
        async with joined(rejoin_seconds=10) as phone:
            for _ in range(200):
                if phone.transport.status == "disconnected":
                    break
                phone.far.lose()
                await advance(0.2)
            assert phone.transport.status == "disconnected"
            assert len(phone.provider.sidebands) > 5

    @timeless
    async def test_it_may_be_left_out_of_it(self) -> None:
        async with joined(rejoin_seconds=0) as phone:
            phone.far.lose()
            await advance(1)
            assert phone.changes[-2:] == ["connected", "disconnected"]
            assert len(phone.provider.sidebands) == 1

    @timeless
    async def test_a_far_end_that_wants_no_more_is_believed(self) -> None:
        async with joined() as phone:
            phone.far.close(1008, "policy")
            await advance(1)
            assert phone.transport.status == "disconnected"
            assert len(phone.provider.sidebands) == 1

    @timeless
    async def test_it_is_closed_meanwhile(self) -> None:
        async with joined() as phone:
            phone.provider.trouble = ConnectRefusedError("no route")
            phone.far.lose()
            await advance(1)
            sending = asyncio.create_task(phone.transport.send_message("one"))
            await settle()
            await phone.transport.close()
            with pytest.raises(NotConnectedError):
                await sending
            assert phone.changes[-2:] == ["disconnecting", "disconnected"]

    @timeless
    async def test_a_response_whose_end_was_missed_is_given_up(self) -> None:
        async with joined() as phone:
            ended: list[tuple[str, str]] = []
            phone.transport.on("turn_done", lambda event: ended.append((event.response_id, event.status)))
            phone.far.send(*speaking("resp_1"))
            await settle()
            await phone.transport.request_response()
            assert phone.far.frames == []
            phone.far.lose()
            await advance(1)
            assert phone.far.frames == []
            await advance(3)
            assert (phone.far.types, ended) == (["response.create"], [("resp_1", "incomplete")])

    @timeless
    async def test_one_that_goes_on_is_heard_to_its_end(self) -> None:
        async with joined() as phone:
            turn = spoken_turn("resp_1", "item_1")
            phone.far.send(*turn[:4])
            await settle()
            await phone.transport.request_response()
            phone.far.lose()
            await advance(1)
            phone.far.send(*turn[4:-2])
            await advance(10)
            assert (phone.far.frames, phone.errors) == ([], [])
            phone.far.send(*turn[-2:])
            await settle()
            assert phone.far.types == ["response.create"]

    @timeless
    async def test_a_request_that_may_have_been_lost_is_made_again(self) -> None:
        async with joined() as phone:
            await phone.transport.request_response()
            first = phone.far
            first.lose()
            await advance(1)
            assert (first.types, phone.far.types) == (["response.create"], ["response.create"])

    @timeless
    async def test_a_session_goes_on(self) -> None:
        phone = Phone()
        async with no_leaks(), RealtimeSession(AGENT, transport=phone.transport, call_id=CALL_ID) as session:
            phone.far.lose()
            await advance(1)
            phone.far.send(*call_turn("resp_1", ("call_1", "get_weather", '{"city": "Paris"}')))
            assert await output(phone.far) == "sunny in Paris"
            phone.provider.caller_hangs_up()
            kinds = [event.type async for event in session]
            assert kinds.count("connection_change") == 5


class TestSayThen:
    @timeless
    async def test_the_utterance_that_is_under_way_is_heard_to_its_end(self) -> None:
        async with joined() as phone:
            phone.far.send(*spoken_turn("resp_1", "item_1"))
            phone.plays("resp_1")
            await settle()
            afterwards = await phone.transport.say_then(Refer("sip:desk@shop.example"))
            await advance(20)
            assert not phone.asked("refer")
            phone.plays("resp_1", "stopped")
            await advance(1)
            assert phone.asked("refer") == [{"target_uri": "sip:desk@shop.example"}]
            await afterwards.wait()
            assert not afterwards.waits
            phone.far.send(*spoken_turn("resp_2", "item_2"))
            phone.plays("resp_2")
            phone.plays("resp_2", "stopped")
            await advance(60)
            assert len(phone.asked("refer")) == 1

    ORDERS: ClassVar[Any] = {
        "played out": ["created", "started", "done", "stopped"],
        "played out before it is said to be done": ["created", "started", "stopped", "done"],
        "begun after it was generated": ["created", "done", "started", "stopped"],
        "the caller speaks over it": ["created", "started", "cleared", "cancelled"],
        "the caller speaks over it, told late": ["created", "started", "cancelled", "cleared"],
        "it was generated when the caller spoke": ["created", "started", "done", "cleared"],
        "cancelled, and what there is is played": ["created", "started", "cancelled", "stopped"],
        "cut before its beginning was told": ["created", "cleared", "cancelled"],
        "its end is missed and another begins": ["created", "started", "done", "next"],
    }

    @pytest.mark.parametrize("order", ORDERS)
    @pytest.mark.parametrize("asked", ["before", "during"])
    def test_in_every_order_it_is_done_once(self, order: str, asked: str) -> None:
        @timeless
        async def test() -> None:
            async with joined() as phone:
                turn = spoken_turn("resp_1", "item_1")
                events = {
                    "created": turn[:-1],
                    "done": turn[-1:],
                    "cancelled": [response_done("resp_1", status="cancelled")],
                    "next": [*spoken_turn("resp_2", "item_2"), played("started", "resp_2")],
                }
                if asked == "before":
                    await phone.transport.say_then(Hangup())
                *steps, last = self.ORDERS[order]
                for step in steps:
                    phone.far.send(*events.get(step, [played(step)]))
                    await settle()
                    if asked == "during" and step == "created":
                        await phone.transport.say_then(Hangup())
                await advance(1)
                ends_early = steps[-1] == "cleared"
                assert len(phone.asked("hangup")) == ends_early
                far = phone.far
                far.send(*events.get(last, [played(last)]))
                await advance(120)
                assert (len(phone.asked("hangup")), phone.errors) == (1, [])

        test()

    @timeless
    async def test_from_within_a_tool_it_is_what_the_model_makes_of_its_output(self) -> None:
        async with joined() as phone:
            phone.far.send(*spoken_turn("resp_1", "item_1")[:-1])
            phone.plays("resp_1")  # one moment please
            phone.far.send(*call_turn("resp_1", ("call_1", "hang_up", "{}"))[1:])
            await settle()
            await phone.transport.say_then(Hangup())
            phone.plays("resp_1", "stopped")
            await advance(5)
            assert not phone.asked("hangup")
            phone.far.send(*spoken_turn("resp_2", "item_2"))
            phone.plays("resp_2")
            phone.plays("resp_2", "stopped")
            await advance(1)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_a_response_without_a_word_is_no_utterance(self) -> None:
        async with joined() as phone:
            await phone.transport.say_then(Hangup(), limit=30)
            phone.far.send(*call_turn("resp_1", ("call_1", "look_up", "{}")))
            phone.far.send({"type": "response.created", "response": {"id": "resp_2", "status": "in_progress"}})
            phone.far.send(response_done("resp_2", status="cancelled"))
            await advance(20)
            assert not phone.asked("hangup")
            phone.far.send(*spoken_turn("resp_3", "item_3"))
            phone.plays("resp_3")
            phone.plays("resp_3", "stopped")
            await advance(1)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_words_of_its_own(self) -> None:
        async with joined() as phone:
            phone.far.send(*spoken_turn("resp_1", "item_1"))
            phone.plays("resp_1")
            await settle()
            await phone.transport.say_then(Hangup(), say="Say goodbye.")
            response = (await phone.far.received("response.create"))["response"]
            assert (response["instructions"], response["tool_choice"]) == ("Say goodbye.", "none")
            phone.plays("resp_1", "stopped")
            await advance(1)
            assert not phone.asked("hangup")
            turn = spoken_turn("resp_2", "item_2")
            turn[0]["response"]["metadata"] = response["metadata"]
            phone.far.send(*turn)
            phone.plays("resp_2")
            phone.plays("resp_2", "stopped")
            await advance(1)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_the_caller_does_not_hear_the_last_of_it_at_once(self) -> None:
        async with joined() as phone:
            phone.far.send(*spoken_turn("resp_1", "item_1"))
            phone.plays("resp_1")
            await settle()
            await phone.transport.say_then(Hangup())
            phone.plays("resp_1", "stopped")
            await advance(0.2)
            assert not phone.asked("hangup")
            await advance(0.2)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_what_is_never_said_is_waited_for_within_a_limit(self) -> None:
        async with joined() as phone:
            await phone.transport.say_then(Hangup(), limit=10)
            await advance(9)
            assert not phone.asked("hangup")
            await advance(2)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_and_so_is_the_end_of_what_is_said(self) -> None:
        async with joined() as phone:
            await phone.transport.say_then(Hangup(), limit=10)
            await advance(9)
            phone.far.send(*spoken_turn("resp_1", "item_1"))
            phone.plays("resp_1")
            await advance(9)
            assert not phone.asked("hangup")
            await advance(2)
            assert len(phone.asked("hangup")) == 1

    @timeless
    async def test_it_can_be_thought_better_of(self) -> None:
        async with joined() as phone:
            afterwards = await phone.transport.say_then(Hangup(), limit=10)
            afterwards.cancel()
            afterwards.cancel()
            with pytest.raises(asyncio.CancelledError):
                await afterwards.wait()
            await phone.transport.say_then(Refer("tel:1"), limit=10)
            later = await phone.transport.say_then(Refer("tel:2"), limit=10)
            await advance(20)
            assert (phone.asked("hangup"), phone.asked("refer")) == ([], [{"target_uri": "tel:2"}])
            await later.wait()

    @timeless
    async def test_a_transfer_that_fails_is_told_and_the_call_goes_on(self) -> None:
        async with joined() as phone:
            phone.provider.refusals["refer"] = [httpx.Response(500, text="oops")]
            afterwards = await phone.transport.say_then(Refer("tel:1"), limit=1)
            await advance(10)
            with pytest.raises(Exception, match="not known"):
                await afterwards.wait()
            assert [type(error).__name__ for error in phone.errors] == ["CallOutcomeUnknownError"]
            assert phone.transport.status == "connected"

    @timeless
    async def test_a_call_that_is_over_is_not_hung_up(self) -> None:
        async with joined() as phone:
            afterwards = await phone.transport.say_then(Hangup(), limit=10)
            phone.provider.caller_hangs_up()
            await advance(20)
            assert (phone.asked("hangup"), afterwards.waits) == ([], False)

    @timeless
    async def test_what_can_not_be_said_is_not_followed(self) -> None:
        async with joined() as phone:
            with pytest.raises(ConfigurationError, match="limit"):
                await phone.transport.say_then(Hangup(), limit=0)
            with pytest.raises(ConfigurationError, match="target_uri"):
                Refer("desk")
            assert "+44" not in repr(Refer("tel:+441234567890"))
