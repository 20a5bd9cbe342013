"""The scripted transport: what a test can expect of a session, and that its far end behaves like a real one."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackfield import RealtimeAgent, RealtimeSession, TransportCapabilities, function_tool
from jackfield.audio import PCMU, RealtimePlaybackTracker
from jackfield.errors import (
    AlreadyConnectedError,
    AuthenticationError,
    ConfigurationError,
    ConnectAbortedError,
    ConnectRefusedError,
    JackfieldError,
    NotConnectedError,
    ProviderError,
    RemoteClosedError,
    TransportError,
    UnsupportedByTransportError,
)
from jackfield.testing import (
    Call,
    Disconnect,
    Finish,
    MissingCallError,
    Played,
    Say,
    ScriptedTransport,
    Step,
    Turn,
    UnexpectedCallError,
    UnfinishedScriptError,
    UserSays,
    Write,
)
from jackfield.testing.conformance import no_leaks
from jackfield.transport import RealtimeTransportLayer
from jackfield.transport import events as ev
from jackfield.transport.items import (
    AssistantAudio,
    AssistantMessageItem,
    AssistantText,
    InputAudio,
    InputImage,
    InputText,
    RealtimeToolCallItem,
    SystemMessageItem,
    UserMessageItem,
)
from support.memory_wire import MemoryWire, call_turn, memory_transport, spoken_turn, text_turn

DOCS = Path(__file__).parents[2] / "docs"
KEY = "sk-canary-4f1d9c"


@function_tool
def get_weather(city: str) -> str:
    """Weather in a city."""
    return f"Sunny in {city}"


AGENT = RealtimeAgent("Greeter", tools=[get_weather])


async def connected(*args: Any, **options: Any) -> ScriptedTransport:
    far_end = ScriptedTransport(*args, **options)
    await far_end.connect()
    return far_end


def told(transport: RealtimeTransportLayer) -> list[Any]:
    """Return a list that all common events go into."""
    heard: list[Any] = []
    for kind in KINDS:
        transport.on(kind, heard.append)
    return heard


KINDS = [kind.type for kind in ev.TransportEvent.__args__]


def types(events: list[Any]) -> list[str]:
    """The types of events, repetitions left out."""
    return [kind for kind, _ in groupby(event.type for event in events)]


async def later() -> None:
    """Let what a call has caused be told: it is told in the loop's next turn."""
    await asyncio.sleep(0)


CALL = ev.FunctionCall(name="f", arguments="{}", call_id="call_x", item_id="item_x", response_id="resp_x")
REQUEST = ev.McpApprovalRequest(item_id="mcpr_1", server_label="docs", name="search", arguments="{}")

SENDS: dict[str, tuple[Callable[[ScriptedTransport], Awaitable[None]], dict[str, Any]]] = {
    "send_event": (lambda t: t.send_event({"type": "x.y"}), {"event": {"type": "x.y"}}),
    "send_message": (lambda t: t.send_message("hi"), {"message": "hi", "trigger_response": True}),
    "add_image": (
        lambda t: t.add_image("https://host/cat.png", detail="low"),
        {"image": "https://host/cat.png", "detail": "low", "trigger_response": True},
    ),
    "send_audio": (lambda t: t.send_audio(b"\0\0"), {"chunk": b"\0\0", "commit": False}),
    "commit_audio": (lambda t: t.commit_audio(), {}),
    "clear_audio": (lambda t: t.clear_audio(), {}),
    "request_response": (lambda t: t.request_response(), {"response": None}),
    "update_session_config": (
        lambda t: t.update_session_config({"instructions": "x"}),
        {"config": {"instructions": "x"}},
    ),
    "mute": (lambda t: t.mute(True), {"muted": True}),
    "interrupt": (lambda t: t.interrupt("resp_1"), {"response_id": "resp_1"}),
    "reset_history": (lambda t: t.reset_history([], []), {"old": (), "new": ()}),
    "send_function_call_output": (
        lambda t: t.send_function_call_output(CALL, "out"),
        {"call": CALL, "output": "out", "start_response": True},
    ),
    "send_mcp_response": (
        lambda t: t.send_mcp_response(REQUEST, False, "no"),
        {"request": REQUEST, "approved": False, "reason": "no"},
    ),
}


class TestTheContract:
    def test_it_is_a_transport(self) -> None:
        far_end = ScriptedTransport()
        assert isinstance(far_end, RealtimeTransportLayer)
        assert (far_end.name, far_end.status, far_end.muted) == ("scripted", "disconnected", None)
        assert far_end.capabilities == TransportCapabilities()
        assert far_end.playback("item_1") is None

    async def test_it_tells_how_the_connection_goes(self) -> None:
        far_end = ScriptedTransport()
        seen: list[tuple[str, str]] = []
        far_end.on("connection_change", lambda event: seen.append((event.status, far_end.status)))
        for _ in range(2):
            await far_end.connect(api_key=KEY)
            await far_end.close()
            await far_end.close()
        names = ["connecting", "connected", "disconnecting", "disconnected"] * 2
        assert seen == [(name, name) for name in names]
        assert [call.method for call in far_end.calls] == ["connect", "close"] * 2

    async def test_a_second_connect_leaves_the_first_alone(self) -> None:
        far_end = await connected()
        with pytest.raises(AlreadyConnectedError, match="close"):
            await far_end.connect()
        await far_end.clear_audio()
        assert [call.method for call in far_end.calls] == ["connect", "clear_audio"]

    @pytest.mark.parametrize("method", SENDS)
    async def test_every_send_is_recorded_with_its_arguments(self, method: str) -> None:
        far_end = await connected(capabilities=TransportCapabilities(mute=True))
        send, arguments = SENDS[method]
        await send(far_end)
        call = far_end.calls[-1]
        assert (call.index, call.method, dict(call.arguments)) == (1, method, arguments)

    @pytest.mark.parametrize("method", SENDS)
    async def test_nothing_is_sent_without_a_connection(self, method: str) -> None:
        far_end = ScriptedTransport(capabilities=TransportCapabilities(mute=True))
        with pytest.raises(NotConnectedError, match=r"connect\(\)"):
            await SENDS[method][0](far_end)
        assert far_end.calls == ()

    @pytest.mark.parametrize(
        ("method", "capabilities"),
        [
            ("add_image", {"images": False}),
            ("send_audio", {"audio_in": False}),
            ("update_session_config", {"session_update": False}),
            ("mute", {}),
            ("reset_history", {"history": False}),
            ("send_mcp_response", {"hosted_mcp": False}),
        ],
    )
    async def test_what_is_no_capability_is_refused(self, method: str, capabilities: dict[str, Any]) -> None:
        far_end = await connected(capabilities=TransportCapabilities(**capabilities))
        with pytest.raises(UnsupportedByTransportError):
            await SENDS[method][0](far_end)
        assert len(far_end.calls) == 1

    async def test_images_in_messages_need_the_capability_too(self) -> None:
        far_end = await connected(capabilities=TransportCapabilities(images=False))
        with pytest.raises(UnsupportedByTransportError, match="images"):
            await far_end.send_message({"content": [{"type": "input_image", "image_url": "https://host/cat.png"}]})

    async def test_a_call_is_joined_where_that_is_a_capability(self) -> None:
        with pytest.raises(UnsupportedByTransportError, match="attach_by_call_id"):
            await ScriptedTransport().connect(call_id="rtc_1")
        far_end = ScriptedTransport(capabilities=TransportCapabilities(attach_by_call_id=True))
        await far_end.connect(call_id="rtc_1")
        assert far_end.calls[0].arguments["call_id"] == "rtc_1"

    async def test_muting(self) -> None:
        far_end = await connected(capabilities=TransportCapabilities(mute=True))
        assert far_end.muted is False
        await far_end.mute(True)
        assert far_end.muted is True

    @pytest.mark.parametrize(
        "send",
        [
            lambda t: t.send_message({"role": "assistant", "content": "x"}),
            lambda t: t.send_message({"content": []}),
            lambda t: t.send_event({"type": "x", "of": object()}),
            lambda t: t.send_event({"no": "type"}),
            lambda t: t.update_session_config({"temperature": 0.5}),
            lambda t: t.request_response({"metadata": object()}),
            lambda t: t.send_function_call_output(CALL, {"not": "text"}),
            lambda t: t.reset_history(
                [], [AssistantMessageItem(item_id="a", content=(AssistantAudio("I said so"),), status="completed")]
            ),
        ],
    )
    async def test_what_the_api_refuses_is_refused_before_it_counts(self, send: Any) -> None:
        far_end = await connected()
        with pytest.raises(ConfigurationError):
            await send(far_end)
        assert len(far_end.calls) == 1

    async def test_a_config_that_is_none_is_refused_before_anything_is_told(self) -> None:
        far_end = ScriptedTransport()
        heard = told(far_end)
        with pytest.raises(ConfigurationError):
            await far_end.connect(initial_session_config={"temperature": 1})
        with pytest.raises(ConfigurationError, match="did you mean 'timeout'"):
            await far_end.connect(timeuot=1)
        assert (heard, far_end.status) == ([], "disconnected")

    async def test_raw_client_events_are_told_on_out(self) -> None:
        far_end = await connected()
        views: list[dict[str, Any]] = []
        for _ in range(2):
            far_end.on("*out", views.append)
        await far_end.send_event({"type": "x.y", "deep": {"list": [1]}})
        views[0]["deep"]["list"].clear()
        assert views[1] == {"type": "x.y", "deep": {"list": [1]}}

    async def test_iterating_ends_with_the_connection(self) -> None:
        far_end = await connected()
        stream = far_end.events()
        far_end.emit(Write("Hi"), Disconnect(1000))
        assert [event.type async for event in stream][-1] == "connection_change"


class TestConnecting:
    async def test_the_key_is_asked_for_at_every_dial_and_not_kept(self) -> None:
        asked: list[int] = []

        async def key() -> str:
            asked.append(1)
            return KEY

        far_end = ScriptedTransport()
        for _ in range(2):
            await far_end.connect(
                api_key=key,
                headers={"Authorization": f"Bearer {KEY}"},
                url=f"wss://user:{KEY}@host:1234/v1/realtime?key={KEY}#{KEY}",
                model="gpt-realtime",
            )
            await far_end.close()
        assert len(asked) == 2
        arguments = far_end.calls[0].arguments
        assert (arguments["api_key_given"], arguments["headers_given"]) == (True, True)
        assert (arguments["url"], arguments["model"]) == ("wss://host:1234/v1/realtime", "gpt-realtime")
        assert KEY not in repr(far_end.calls)

    async def test_no_key_and_no_headers_are_recorded_as_that(self) -> None:
        arguments = (await connected()).calls[0].arguments
        assert (arguments["api_key_given"], arguments["headers_given"], arguments["url"]) == (False, False, None)

    async def test_credentials_of_hosted_mcp_servers_are_not_kept(self) -> None:
        tool = {"type": "mcp", "server_label": "docs", "authorization": KEY, "headers": {"X-Key": KEY}}
        far_end = ScriptedTransport()
        await far_end.connect(initial_session_config={"tools": [tool]})
        await far_end.update_session_config({"tools": [tool]})
        recorded = far_end.calls[0].arguments["initial_session_config"]["tools"][0]
        assert (recorded["server_label"], recorded["authorization"]) == ("docs", "***")
        assert KEY not in str([dict(call.arguments) for call in far_end.calls])

    async def test_a_key_that_cannot_be_had(self) -> None:
        def key() -> str:
            raise LookupError("no key today")

        far_end = ScriptedTransport()
        heard = told(far_end)
        with pytest.raises(LookupError, match="no key today"):
            await far_end.connect(api_key=key)
        assert [event.status for event in heard] == ["connecting", "disconnected"]
        await far_end.connect()

    async def test_a_refusal(self) -> None:
        refusal = ConnectRefusedError("no route", status=502)
        far_end = ScriptedTransport(connect_error=refusal)
        heard = told(far_end)
        for _ in range(2):
            with pytest.raises(ConnectRefusedError) as raised:
                await far_end.connect()
            assert raised.value is refusal
        assert [(event.status, event.error) for event in heard] == [
            ("connecting", None),
            ("disconnected", refusal),
        ] * 2
        assert [call.method for call in far_end.calls] == ["connect", "connect"]

    async def test_events_that_come_with_the_connection(self) -> None:
        far_end = ScriptedTransport(connect_events=[{"type": "session.created"}, Write("Welcome.")])
        order: list[str] = []
        far_end.on("*", lambda event: order.append(event["type"]))
        far_end.on("connection_change", lambda event: order.append(event.status))
        far_end.on("turn_done", lambda event: order.append(event.type))
        await far_end.connect()
        order.append("returned")
        assert order == ["connecting", "connected", "session.created", "turn_done", "returned"]

    async def test_a_refusal_comes_without_events(self) -> None:
        with pytest.raises(ConfigurationError, match="connect_events or connect_error"):
            ScriptedTransport(connect_events=Write("hi"), connect_error=TransportError("no"))

    async def test_close_aborts_it(self) -> None:
        asked = asyncio.Event()

        async def key() -> str:
            asked.set()
            await asyncio.Event().wait()
            return KEY

        async with no_leaks():
            far_end = ScriptedTransport()
            attempt = asyncio.create_task(far_end.connect(api_key=key))
            await asked.wait()
            assert far_end.status == "connecting"
            with pytest.raises(AlreadyConnectedError):
                await far_end.connect()
            await far_end.close()
            assert far_end.status == "disconnected"
            with pytest.raises(ConnectAbortedError, match=r"close\(\)"):
                await attempt
            await far_end.connect()

    async def test_close_aborts_one_that_has_hardly_begun(self) -> None:
        far_end = ScriptedTransport()
        attempt = asyncio.create_task(far_end.connect())
        await later()
        with pytest.raises(AlreadyConnectedError):
            await far_end.connect()
        await far_end.close()
        with pytest.raises(ConnectAbortedError):
            await attempt
        assert (far_end.status, far_end.calls) == ("disconnected", ())

    @pytest.mark.parametrize("turns", range(6))
    async def test_cancelling_it_leaves_nothing_behind(self, turns: int) -> None:
        async with no_leaks():
            far_end = ScriptedTransport()
            attempt = asyncio.create_task(far_end.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            attempt.cancel()
            try:
                await attempt
            except asyncio.CancelledError:
                assert far_end.status == "disconnected"
            else:
                assert far_end.status == "connected"
                await far_end.close()
            await far_end.connect()

    async def test_it_connects_again_from_the_listener_that_hears_of_the_end(self) -> None:
        far_end = await connected()

        async def reconnect(event: Any) -> None:
            if event.status == "disconnected":
                await far_end.connect()
                again.set()

        again = asyncio.Event()
        far_end.once("connection_change", reconnect)
        far_end.emit(Disconnect())
        await again.wait()
        await far_end.clear_audio()


class TestClosing:
    async def test_an_error_is_raised_and_the_connection_is_over(self) -> None:
        far_end = await connected(close_error=TransportError("won't close"))
        heard = told(far_end)
        with pytest.raises(TransportError, match="won't close"):
            await far_end.close()
        assert [event.status for event in heard] == ["disconnecting", "disconnected"]
        await far_end.close()

    async def test_what_was_to_be_told_is_nobodys(self) -> None:
        far_end = await connected([Step("commit_audio", emit=Write("too late"))])
        heard = told(far_end)
        await far_end.commit_audio()
        await far_end.close()
        await far_end.connect()
        await later()
        assert types(heard) == ["connection_change"]

    async def test_from_a_listener(self) -> None:
        far_end = await connected()
        closed = asyncio.Event()

        async def hang_up(_: Any) -> None:
            await far_end.close()
            closed.set()

        far_end.on("turn_started", hang_up)
        far_end.emit(Write("Hello"))
        await closed.wait()
        assert far_end.status == "disconnected"

    @pytest.mark.parametrize(
        ("close", "error", "classification"),
        [
            (Disconnect(1000, "bye"), type(None), None),
            (Disconnect(), RemoteClosedError, "reconnect"),
            (Disconnect(1013, "try later"), RemoteClosedError, "reconnect"),
            (Disconnect(4000), RemoteClosedError, "fatal"),
            (Disconnect(3000), AuthenticationError, "fatal"),
            (
                Disconnect(1001, error=ProviderError("session_expired: 60 min", classification="reconnect")),
                ProviderError,
                "reconnect",
            ),
        ],
    )
    async def test_the_far_end_closes(self, close: Disconnect, error: type, classification: str | None) -> None:
        far_end = await connected()
        heard = told(far_end)
        states: list[str] = []
        far_end.on("error", lambda _: states.append(far_end.status))
        far_end.emit(close, Write("into the void"))
        end = heard[-1]
        assert (end.status, end.code, end.reason, end.initiated_by) == (
            "disconnected",
            close.code,
            close.reason,
            "remote",
        )
        assert type(end.error) is error
        assert getattr(end.error, "classification", None) == classification
        assert [event.error for event in heard[:-1]] == ([] if end.error is None else [end.error])
        assert set(states) <= {"disconnected"}
        with pytest.raises(NotConnectedError):
            await far_end.clear_audio()
        with pytest.raises(NotConnectedError, match="nobody hears"):
            far_end.emit(Write("hello?"))


class TestRecords:
    async def test_they_are_snapshots(self) -> None:
        far_end = await connected()
        event = {"type": "x.y", "list": [{"n": 1}], "pair": (1, [2])}
        chunk = bytearray(b"\1\2")
        await far_end.send_event(event)
        await far_end.send_audio(chunk)
        event["list"][0]["n"] = 2
        event["pair"][1].clear()
        chunk.clear()
        assert far_end.calls[1].arguments["event"] == {"type": "x.y", "list": [{"n": 1}], "pair": (1, [2])}
        assert far_end.calls[2].arguments["chunk"] == b"\1\2"

    async def test_they_cannot_be_changed(self) -> None:
        call = (await connected()).calls[0]
        with pytest.raises(AttributeError):
            call.method = "close"  # type: ignore[misc]
        with pytest.raises(TypeError):
            call.arguments["model"] = "x"  # type: ignore[index]

    async def test_they_are_shown_in_short_and_without_keys(self) -> None:
        far_end = await connected()
        await far_end.send_message(f"my key is {KEY} {'and ' * 1000}")
        shown = repr(far_end.calls[1])
        assert shown.startswith("send_message(message='my key is ***")
        assert shown.endswith("trigger_response=True)")
        assert len(shown) < 300

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(codec="utf-8")),
            lambda inner: (
                st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
            ),
        )
    )
    def test_any_json_is_kept_as_it_was(self, value: Any) -> None:
        async def check() -> None:
            far_end = await connected()
            event = {"type": "x.y", "value": value}
            before = json.dumps(event)
            await far_end.send_event(event)
            spoil(event)
            assert json.dumps(far_end.calls[1].arguments["event"]) == before

        asyncio.run(check())


def spoil(value: Any) -> None:
    """Change all of a structure."""
    for inner in list(value.values() if isinstance(value, dict) else value):
        if isinstance(inner, dict | list):
            spoil(inner)
    value.clear()


class TestScript:
    async def test_steps_are_done_in_order_and_answered(self) -> None:
        far_end = await connected(
            [
                Step("send_message", {"message": "hi"}, emit=Write("Hello.")),
                Step("clear_audio"),
                Step("send_message", lambda call: "bye" in call.arguments["message"], emit=[Write("Bye."), CALL]),
            ]
        )
        heard = told(far_end)
        await far_end.send_message("hi")
        assert heard == []  # as on a wire, the answer comes after the call
        await far_end.clear_audio()
        assert [step.method for step in far_end.remaining_steps] == ["send_message"]
        await far_end.send_message("goodbye")
        await far_end.wait_complete()
        assert [event.output[0].content[0].text for event in heard if event.type == "turn_done"] == ["Hello.", "Bye."]
        assert heard[-1] is CALL
        assert far_end.remaining_steps == ()
        far_end.assert_complete()

    @pytest.mark.parametrize(
        "matching",
        [{"message": "hello"}, {"message": "hi", "trigger_response": False}, lambda call: False, lambda call: 1 / 0],
    )
    async def test_a_call_that_does_not_match_consumes_nothing(self, matching: Any) -> None:
        step = Step("send_message", matching, emit=Write("never"))
        far_end = await connected([step])
        heard = told(far_end)
        far_end.fail_next("send_message", TransportError("never"))
        with pytest.raises(UnexpectedCallError, match="step 1 of 1 is send_message") as raised:
            await far_end.send_message("hi")
        assert (raised.value.actual, raised.value.expected) == (far_end.calls[-1], step)
        assert far_end.remaining_steps == (step,)
        await later()
        assert heard == []

    async def test_another_method_is_told_to_caller_and_test(self) -> None:
        far_end = await connected([Step("send_message"), Step("commit_audio")])
        with pytest.raises(
            UnexpectedCallError, match=r"called clear_audio\(\), but step 1 of 2 is send_message"
        ) as one:
            await far_end.clear_audio()
        await far_end.send_message("hi")  # the script goes on
        await far_end.commit_audio()
        for look in (far_end.wait_complete(), asyncio.to_thread(far_end.assert_complete)):
            with pytest.raises(UnexpectedCallError) as other:
                await look
            assert other.value is one.value

    async def test_a_call_after_the_last_step(self) -> None:
        far_end = await connected([Step("send_message")])
        await far_end.send_message("hi")
        with pytest.raises(UnexpectedCallError, match="the script of 1 steps was over") as raised:
            await far_end.request_response()
        assert raised.value.expected is None
        with pytest.raises(UnexpectedCallError):
            far_end.assert_complete()

    async def test_what_a_predicate_asserts_is_told(self) -> None:
        def is_polite(call: Any) -> bool:
            assert "please" in call.arguments["message"], "say please"
            return True

        far_end = await connected([Step("send_message", is_polite)])
        with pytest.raises(
            UnexpectedCallError, match=r"of which is_polite is true.*AssertionError: say please"
        ) as raised:
            await far_end.send_message("now!")
        assert isinstance(raised.value.__cause__, AssertionError)
        await far_end.send_message("please")
        assert far_end.remaining_steps == ()

    async def test_an_error_is_raised_to_the_caller(self) -> None:
        error = TransportError("the pipe is full")
        far_end = await connected([Step("send_audio", error=error)])
        with pytest.raises(TransportError) as raised:
            await far_end.send_audio(b"\0\0")
        assert raised.value is error
        far_end.assert_complete()

    async def test_connect_and_close_are_in_nobodys_way(self) -> None:
        far_end = ScriptedTransport([Step("send_message")])
        await far_end.connect()
        await far_end.close()
        await far_end.connect()
        await far_end.send_message("hi")
        await far_end.close()
        far_end.assert_complete()

    async def test_connect_and_close_can_be_steps(self) -> None:
        far_end = ScriptedTransport(
            [
                Step("connect", {"model": "gpt-realtime"}, emit=Write("Welcome.")),
                Step("close", error=TransportError("won't close")),
            ]
        )
        heard = told(far_end)
        with pytest.raises(UnexpectedCallError):
            await far_end.connect(model="gpt-2")
        assert far_end.status == "disconnected"
        await far_end.connect(model="gpt-realtime")
        assert heard[-1].type == "turn_done"
        with pytest.raises(TransportError, match="won't close"):
            await far_end.close()
        assert (far_end.status, far_end.remaining_steps) == ("disconnected", ())

    async def test_without_strictness_other_calls_pass(self) -> None:
        far_end = await connected([Step("send_message", {"message": "hi"}), Step("clear_audio")], strict=False)
        await far_end.clear_audio()
        await far_end.send_message("hello")
        assert len(far_end.remaining_steps) == 2
        await far_end.send_message("hi")
        await far_end.clear_audio()
        await far_end.clear_audio()
        far_end.assert_complete()
        assert len(far_end.calls) == 6

    async def test_what_is_left_is_told(self) -> None:
        far_end = await connected([Step("send_message", {"message": "hi"}), Step("clear_audio")])
        far_end.fail_next("mute", TransportError("never"))
        words = r"send_message\(message='hi'\), clear_audio.*mute"
        with pytest.raises(UnfinishedScriptError, match=words) as raised:
            far_end.assert_complete()
        assert raised.value.steps == far_end.remaining_steps
        assert raised.value.failures == ("mute",)
        with pytest.raises(UnfinishedScriptError):
            await far_end.wait_complete(timeout=0)

    async def test_waiting_for_the_end_ends_when_it_cannot_come(self) -> None:
        far_end = await connected([Step("send_message"), Step("clear_audio")])
        waiting = asyncio.create_task(far_end.wait_complete())
        await later()
        with pytest.raises(UnexpectedCallError):
            await far_end.clear_audio()
        with pytest.raises(UnexpectedCallError):
            await waiting

    async def test_waiting_for_a_last_step_that_nobody_answers(self) -> None:
        far_end = await connected([Step("clear_audio")])
        waiting = asyncio.create_task(far_end.wait_complete())
        await later()
        await far_end.clear_audio()
        await waiting

    async def test_the_first_thing_that_went_wrong_is_told(self) -> None:
        far_end = await connected([Step("send_message")])
        for send in (far_end.clear_audio(), far_end.commit_audio()):
            with pytest.raises(UnexpectedCallError):
                await send
        with pytest.raises(UnexpectedCallError, match="clear_audio"):
            far_end.assert_complete()

    async def test_an_emission_that_fails_is_told_to_the_test(self) -> None:
        far_end = await connected([Step("clear_audio", emit=Finish())])
        await far_end.clear_audio()
        with pytest.raises(ConfigurationError, match="no response is open"):
            await far_end.wait_complete()
        with pytest.raises(ConfigurationError):
            far_end.assert_complete()

    @pytest.mark.parametrize(
        ("make", "words"),
        [
            (lambda: Step("send_mesage"), "did you mean 'send_message'"),
            (lambda: Step("send_message", {"mesage": "hi"}), "send_message has no argument 'mesage'.*'message'"),
            (lambda: Step("send_message", "hi"), "not by str"),
            (lambda: Step("send_message", emit=Write("hi"), error=TransportError("no")), "both emit and error"),
            (lambda: Step("send_message", error="no"), "an exception to raise"),
            (lambda: Step("close", emit=Write("hi")), "answered by nobody"),
            (lambda: Step("send_message", emit="hi"), "can't say 'hi'"),
            (lambda: Step("send_message", emit=[Say]), "can't say"),
            (lambda: Step("send_message", emit={"no": "type"}), "a string `type`"),
            (lambda: Step("send_message", emit=ev.ConnectionChange(status="connected")), "Disconnect"),
            (lambda: ScriptedTransport(["send_message"]), "made of Steps"),
            (lambda: ScriptedTransport().fail_next("send_mesage", TransportError("no")), "did you mean"),
            (lambda: ScriptedTransport().fail_next("mute", "no"), "an exception"),
            (lambda: Turn(["Hello"]), "'Hello' is none of them"),
        ],
    )
    def test_a_script_that_cannot_be_is_refused_at_once(self, make: Callable[[], Any], words: str) -> None:
        with pytest.raises(ConfigurationError, match=words):
            make()

    @given(st.data())
    def test_the_first_call_that_differs_is_the_one_that_is_told(self, data: st.DataObject) -> None:
        methods = st.sampled_from(["commit_audio", "clear_audio", "request_response"])
        expected = data.draw(st.lists(methods, min_size=1, max_size=6))
        made = data.draw(st.lists(methods, max_size=8))

        async def check() -> None:
            far_end = await connected([Step(method) for method in expected])
            same = next((n for n, pair in enumerate(zip(expected, made, strict=False)) if pair[0] != pair[1]), None)
            same = min(len(expected), len(made)) if same is None else same
            for number, method in enumerate(made[: same + 1]):
                if number < same:
                    await SENDS[method][0](far_end)
                else:
                    with pytest.raises(UnexpectedCallError):
                        await SENDS[method][0](far_end)
            assert [step.method for step in far_end.remaining_steps] == expected[same:]
            if made == expected:
                far_end.assert_complete()
            else:
                with pytest.raises((UnexpectedCallError, UnfinishedScriptError)):
                    far_end.assert_complete()

        asyncio.run(check())


class TestWaiting:
    async def test_for_a_call_that_was_made_and_one_that_will_be(self) -> None:
        far_end = await connected()
        await far_end.send_message("hi")
        assert (await far_end.expect_call("send_message")).arguments["message"] == "hi"
        waiting = asyncio.create_task(far_end.expect_call("send_message", {"message": "ho"}))
        await later()
        await far_end.send_message("ho")
        assert (await waiting).index == 2
        far_end.assert_complete()

    async def test_another_call_that_was_made(self) -> None:
        far_end = await connected()
        await far_end.send_message("hi")
        for matching in ({"message": "ho"}, lambda call: False):
            with pytest.raises(
                UnexpectedCallError, match=r"send_message\(message='hi'.*the test waits for send_message"
            ):
                await far_end.expect_call("send_message", matching)
        with pytest.raises(UnexpectedCallError) as raised:
            await far_end.expect_call("clear_audio")
        assert raised.value.actual is far_end.calls[1]
        await far_end.expect_call("send_message", {"message": "hi"})  # nothing was consumed
        far_end.assert_complete()

    async def test_another_call_is_told_to_caller_and_test(self) -> None:
        far_end = await connected()
        waiting = asyncio.create_task(far_end.expect_call("send_message"))
        await later()
        with pytest.raises(UnexpectedCallError) as caller:
            await far_end.clear_audio()
        with pytest.raises(UnexpectedCallError) as test:
            await waiting
        assert caller.value is test.value
        for look in (far_end.expect_call("send_message"), far_end.wait_complete()):
            with pytest.raises(UnexpectedCallError):
                await look

    async def test_for_a_call_that_never_comes(self) -> None:
        far_end = await connected()
        with pytest.raises(MissingCallError, match=r"send_message.*waited for: none") as raised:
            await far_end.expect_call("send_message", timeout=0)
        assert raised.value.expected.method == "send_message"
        loose = await connected(strict=False)
        await loose.clear_audio()
        with pytest.raises(MissingCallError, match=r"waited for: clear_audio\(\)"):
            await loose.expect_call("send_message", timeout=0)
        await far_end.send_message("hi")  # nobody waits any more
        await far_end.expect_call("send_message")

    async def test_giving_up_leaves_the_call_to_the_next(self) -> None:
        far_end = await connected()
        for made_meanwhile in (False, True):
            waiting = asyncio.create_task(far_end.expect_call("clear_audio"))
            await later()
            if made_meanwhile:
                clearing = asyncio.create_task(far_end.clear_audio())
                await later()
                waiting.cancel()
                await clearing
            else:
                waiting.cancel()
                await far_end.clear_audio()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await far_end.expect_call("clear_audio")
        far_end.assert_complete()

    async def test_calls_that_nobody_waited_for_are_told(self) -> None:
        far_end = await connected()
        await far_end.send_message("hi")
        await far_end.request_response()
        far_end.assert_complete()  # a test that waits for none has nothing against any
        await far_end.expect_call("send_message")
        with pytest.raises(UnfinishedScriptError, match="nobody waited for: request_response") as raised:
            far_end.assert_complete()
        assert [call.method for call in raised.value.calls] == ["request_response"]

    async def test_connect_and_close_can_be_waited_for(self) -> None:
        far_end = await connected()
        await far_end.send_message("hi")
        assert (await far_end.expect_call("connect")).index == 0
        waiting = asyncio.create_task(far_end.expect_call("close"))
        await far_end.expect_call("send_message")
        await far_end.close()
        await waiting
        far_end.assert_complete()

    async def test_closing_fails_nobody_that_waits(self) -> None:
        far_end = await connected()
        waiting = asyncio.create_task(far_end.expect_call("send_message"))
        await later()
        await far_end.close()
        await far_end.connect()
        await far_end.send_message("hi")
        await waiting

    async def test_without_strictness_in_any_order(self) -> None:
        far_end = await connected(strict=False)
        await far_end.clear_audio()
        await far_end.send_message("hi")
        await far_end.expect_call("send_message")
        await far_end.expect_call("clear_audio")
        one = asyncio.create_task(far_end.expect_call("send_message"))
        other = asyncio.create_task(far_end.expect_call("clear_audio"))
        await later()
        await far_end.request_response()
        await far_end.clear_audio()
        await far_end.send_message("hi")
        assert [(await call).method for call in (one, other)] == ["send_message", "clear_audio"]
        far_end.assert_complete()

    async def test_it_is_not_for_a_transport_with_a_script(self) -> None:
        far_end = await connected([Step("send_message")])
        with pytest.raises(ConfigurationError, match="has a script"):
            await far_end.expect_call("send_message")

    async def test_a_wrong_expectation_is_refused_at_once(self) -> None:
        with pytest.raises(ConfigurationError, match="did you mean 'output'"):
            await ScriptedTransport().expect_call("send_function_call_output", {"outputs": "4"})


class TestFailing:
    async def test_the_next_call_fails_and_the_one_after_it_does_not(self) -> None:
        far_end = await connected()
        errors = [TransportError("one"), TransportError("two")]
        for error in errors:
            far_end.fail_next("send_message", error)
        heard = told(far_end)
        for error in errors:
            with pytest.raises(TransportError) as raised:
                await far_end.send_message("hi")
            assert raised.value is error
        await later()
        assert heard == []  # what failed never reached the far end
        await far_end.send_message("hi")
        assert [call.method for call in far_end.calls] == ["connect"] + ["send_message"] * 3
        for _ in range(3):
            await far_end.expect_call("send_message")
        far_end.assert_complete()

    async def test_a_call_that_fails_fulfils_its_step(self) -> None:
        far_end = await connected([Step("clear_audio", emit=Write("never")), Step("commit_audio")])
        heard = told(far_end)
        far_end.fail_next("clear_audio", TransportError("no"))
        with pytest.raises(TransportError, match="no"):
            await far_end.clear_audio()
        await far_end.commit_audio()
        await far_end.wait_complete()
        assert heard == []

    async def test_connecting_and_closing(self) -> None:
        far_end = ScriptedTransport()
        far_end.fail_next("connect", ConnectRefusedError("no"))
        with pytest.raises(ConnectRefusedError):
            await far_end.connect()
        await far_end.connect()
        far_end.fail_next("close", TransportError("no"))
        with pytest.raises(TransportError):
            await far_end.close()
        assert far_end.status == "disconnected"
        far_end.assert_complete()


class TestTurns:
    """Lines become the events that a real transport tells for the provider's."""

    async def real(self, *frames: dict[str, Any]) -> list[Any]:
        """What the dialect's transport tells of these frames."""
        wire = MemoryWire()
        transport = memory_transport(wire)
        await transport.connect()
        heard = told(transport)
        wire.far_ends[0].send(*frames)
        await wire.far_ends[0].heard()
        await transport.close()
        return [event for event in heard if event.type != "connection_change"]

    async def scripted(self, *lines: Any) -> list[Any]:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(*lines)
        return heard

    async def test_speech(self) -> None:
        real = await self.real(*spoken_turn("resp_1", "item_1", audio=bytes(480), tokens=1))
        scripted = await self.scripted(Say("Hello there.", bytes(960)))
        assert types(scripted) == types(real)
        for kind in ("turn_started", "audio_transcript_delta", "audio", "audio_done"):
            assert of(scripted, kind) == of(real, kind)
        assert of(scripted, "item_update")[-1] == of(real, "item_update")[-1]
        assert scripted[-1].output == real[-1].output

    async def test_writing(self) -> None:
        real = await self.real(*text_turn("resp_1", "item_1"))
        scripted = await self.scripted(Turn(Write("Hello there."), usage=None))
        assert types(scripted) == types(real)
        for kind in ("turn_started", "output_text_delta", "turn_done"):
            assert of(scripted, kind) == of(real, kind)

    async def test_calls(self) -> None:
        real = await self.real(*call_turn("resp_1", ("call_1", "f", "{}"), ("call_2", "g", '{"n": 1}')))
        calls = [Call("f", item_id="item_call_1"), Call("g", {"n": 1}, item_id="item_call_2")]
        scripted = await self.scripted(Turn(calls, usage=None))
        assert types(scripted) == types(real)
        assert of(scripted, "function_call") == of(real, "function_call")
        assert [item.call_id for item in scripted[-1].output] == ["call_1", "call_2"]

    async def test_a_user_who_interrupts(self) -> None:
        real = await self.real(
            *spoken_turn("resp_1", "item_1", tokens=1)[:-6],
            {"type": "input_audio_buffer.speech_started", "item_id": "item_2", "audio_start_ms": 0},
        )
        scripted = await self.scripted(Turn(Say("Hello there."), done=False), UserSays(after_ms=0))
        interrupted = types(scripted).index("audio_interrupted") + 1
        assert types(scripted)[:interrupted] == types(real)[:interrupted]
        assert types(scripted)[interrupted:] == [
            "audio_done",
            "item_update",
            "turn_done",
            "speech_stopped",
            "item_update",
        ]

    async def test_items_stand_one_after_another(self) -> None:
        heard = await self.scripted(UserSays("Hi"), Turn([Say("Hello."), Call("f")]), Write("Bye."))
        places = [(event.item.item_id, event.after) for event in of(heard, "item_update") if event.after != ""]
        assert places == [("item_1", None), ("item_2", "item_1"), ("item_3", "item_2"), ("item_4", "item_3")]

    async def test_ids_of_your_own(self) -> None:
        heard = await self.scripted(
            Turn(
                [Say("a", item_id="A"), Write("b", item_id="B"), Call("f", call_id="C", item_id="D")], response_id="R"
            ),
            UserSays("e", item_id="E"),
        )
        assert [item.item_id for item in of(heard, "turn_done")[0].output] == ["A", "B", "D"]
        assert of(heard, "function_call")[0].call_id == "C"
        assert {event.response_id for event in heard if hasattr(event, "response_id")} == {"R"}
        assert of(heard, "speech_started")[0].item_id == "E"

    async def test_ids_are_never_given_twice(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Say("one"))
        await far_end.close()
        await far_end.connect()
        far_end.emit(Say("two"))
        assert [event.response_id for event in of(heard, "turn_done")] == ["resp_1", "resp_2"]
        assert of(heard, "item_update")[-2].after is None  # and the conversation is another one

    async def test_arguments_as_the_model_wrote_them(self) -> None:
        heard = await self.scripted(Call("f", "{not json"), Call("g", {"city": "Zürich"}))
        assert [call.arguments for call in of(heard, "function_call")] == ["{not json", '{"city": "Zürich"}']

    async def test_usage_comes_before_the_end(self) -> None:
        usage = ev.Usage(requests=1, input_tokens=3, output_tokens=4, total_tokens=7)
        heard = await self.scripted(Turn(Write("Hi"), usage=usage))
        assert heard[-2:] == [ev.UsageUpdate("resp_1", usage), heard[-1]]
        assert heard[-1].usage == usage

    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=60),
        st.none() | st.binary(max_size=200),
    )
    def test_words_and_audio_arrive_whole(self, text: str, audio: bytes | None) -> None:
        heard = asyncio.run(self.scripted(Say(text, audio)))
        assert "".join(event.delta for event in of(heard, "audio_transcript_delta")) == text
        data = b"".join(event.data for event in of(heard, "audio"))
        assert data == audio if audio is not None else set(data) <= {0}
        assert all(len(event.data) % 2 == 0 for event in of(heard, "audio")[:-1])
        assert heard[-1].output[0].content == (AssistantAudio(text),)

    async def test_silence_is_as_long_as_the_words_and_in_the_sessions_format(self) -> None:
        far_end = ScriptedTransport()
        await far_end.connect(initial_session_config={"output_audio_format": "g711_ulaw"})
        heard = told(far_end)
        far_end.emit(Say("one two three"))
        await far_end.update_session_config({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000}}}})
        far_end.emit(Say("four"))
        audio = of(heard, "audio")
        assert [event.format.duration_ms(len(event.data)) for event in audio] == [300] * 4
        assert [event.format.type for event in audio] == ["audio/pcmu"] * 3 + ["audio/pcm"]
        assert audio[0].data == PCMU.silence(300)

    async def test_a_format_that_nobody_knows_is_the_far_ends_to_judge(self) -> None:
        far_end = await connected()
        await far_end.update_session_config({"output_audio_format": {"type": "audio/opus"}})
        heard = told(far_end)
        far_end.emit(Say("Hello"))
        assert of(heard, "audio")[0].format.type == "audio/pcm"

    async def test_no_audio_is_told_where_it_is_played_elsewhere(self) -> None:
        far_end = await connected(capabilities=TransportCapabilities(audio_out=False, playback="server"))
        heard = told(far_end)
        far_end.emit(Say("Hello there."), UserSays("Stop", after_ms=100))
        assert of(heard, "audio") == []
        assert of(heard, "audio_interrupted")[0].played_ms == 100

    async def test_a_response_that_is_left_open_goes_on(self) -> None:
        heard = await self.scripted(
            Turn(Say("One moment."), done=False),
            ev.SpeechStarted("x", 0),
            Turn(Call("f"), response_id="resp_1", done=False),
            Finish(),
        )
        assert types(heard).count("turn_started") == 1
        assert [item.type for item in heard[-1].output] == ["message", "function_call"]
        assert (heard[-1].status, heard[-1].response_id) == ("completed", "resp_1")

    async def test_a_response_that_fails(self) -> None:
        details = {"type": "failed", "error": {"code": "server_error"}}
        heard = await self.scripted(
            Turn(Write("It is"), done=False), ev.Error(ProviderError("oops")), Finish("failed", details=details)
        )
        assert types(heard)[-4:] == ["error", "item_update", "usage_update", "turn_done"]
        assert (heard[-1].status, heard[-1].status_details) == ("failed", details)
        (item,) = heard[-1].output
        assert (item.status, item.content) == ("incomplete", (AssistantText("It is"),))

    async def test_the_latest_response_is_finished_first(self) -> None:
        heard = await self.scripted(Turn(Write("a"), done=False), Turn(Write("b"), done=False), Finish(), Finish())
        assert [event.response_id for event in of(heard, "turn_done")] == ["resp_2", "resp_1"]

    async def test_there_must_be_a_response_to_finish(self) -> None:
        far_end = await connected()
        far_end.emit(Write("Hi"))
        for finish, words in ((Finish(), "no response is open"), (Finish(response_id="r"), "no response 'r' is open")):
            with pytest.raises(ConfigurationError, match=words):
                far_end.emit(finish)

    async def test_a_user_who_is_not_transcribed(self) -> None:
        heard = await self.scripted(UserSays(), UserSays("one two"))
        assert [event.transcript for event in of(heard, "input_audio_transcription_completed")] == ["one two"]
        spoken = [(event.audio_start_ms) for event in of(heard, "speech_started")]
        stopped = [event.audio_end_ms for event in of(heard, "speech_stopped")]
        assert (spoken, stopped) == ([0, 0], [0, 600])

    async def test_lines_of_your_own(self) -> None:
        class Dial:
            def __init__(self, digits: str) -> None:
                self.digits = digits

            def events(self, far_end: Any) -> Iterator[Any]:
                return (ev.DtmfReceived(digit, 0.0) for digit in self.digits)

        heard = await self.scripted(Dial("12"), ev.DtmfReceived("#", 0.0))
        assert [event.digit for event in heard] == ["1", "2", "#"]


def of(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]


class TestTelling:
    async def test_raw_events_in_order_with_the_others_and_one_view_each(self) -> None:
        far_end = await connected()
        order: list[str] = []
        views: list[Any] = []
        far_end.on("*", lambda event: order.append(event["type"]))
        far_end.on("*", lambda event: event["deep"].clear())
        far_end.on("*", views.append)
        far_end.on("turn_done", lambda event: order.append(event.type))
        raw = {"type": "x.y", "deep": {"a": [1]}}
        far_end.emit(raw, Write("Hi"), raw)
        assert raw["deep"] == {"a": [1]}
        assert order == ["x.y", "turn_done", "x.y"]
        assert views == [raw, raw]

    async def test_a_raw_event_is_told_as_it_was_when_it_was_written_down(self) -> None:
        raw = {"type": "x.y", "list": [1]}
        far_end = await connected([Step("clear_audio", emit=raw)])
        seen: list[Any] = []
        far_end.on("*", seen.append)
        raw["list"] = []
        await far_end.clear_audio()
        await far_end.wait_complete()
        assert seen == [{"type": "x.y", "list": [1]}]

    async def test_what_a_listener_emits_comes_after_what_is_being_told(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.once("turn_started", lambda _: far_end.emit(ev.SpeechStarted("x", 0)))
        far_end.emit(Write("Hi"), ev.DtmfReceived("1", 0.0))
        assert types(heard)[-3:] == ["turn_done", "dtmf_received", "speech_started"]

    async def test_an_answer_comes_before_what_the_test_says_next(self) -> None:
        far_end = await connected([Step("clear_audio", emit=ev.DtmfReceived("1", 0.0))])
        heard = told(far_end)
        await far_end.clear_audio()
        far_end.emit(ev.DtmfReceived("2", 0.0))
        assert [event.digit for event in heard] == ["1", "2"]

    async def test_a_listener_that_fails_is_told_of_and_hurts_nobody(self) -> None:
        far_end = await connected()
        far_end.on("turn_started", lambda _: 1 / 0)
        heard = told(far_end)
        far_end.emit(Write("Hi"))
        assert types(heard)[0] == "error"
        assert types(heard)[-1] == "turn_done"

    async def test_it_is_for_a_connection(self) -> None:
        with pytest.raises(NotConnectedError, match="nobody hears"):
            ScriptedTransport().emit(Write("Hi"))

    async def test_senders_leave_others_their_turn(self) -> None:
        far_end = await connected()
        chunks = 0

        async def stop() -> None:
            streaming.cancel()

        async def stream() -> None:
            nonlocal chunks
            while True:
                await far_end.send_audio(b"\0\0")
                chunks += 1

        streaming = asyncio.create_task(stream())
        await asyncio.create_task(stop())
        with pytest.raises(asyncio.CancelledError):
            await streaming
        assert chunks < 5


class TestEchoes:
    async def test_messages_come_back(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        await far_end.send_message("hi")
        await far_end.send_message({"role": "system", "content": "Be brief.", "id": "mine"})
        await far_end.add_image("https://host/cat.png", detail="low")
        await later()
        one, two, three = (event.item for event in heard)
        assert one == UserMessageItem(item_id="item_1", content=(InputText("hi"),), status="completed")
        assert two == SystemMessageItem(item_id="mine", content=(InputText("Be brief."),), status="completed")
        assert three.content == (InputImage("https://host/cat.png", "low"),)
        assert [event.after for event in heard] == [None, "item_1", "mine"]

    async def test_committed_audio_becomes_an_item(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        await far_end.commit_audio()
        await far_end.send_audio(b"\0\0", commit=True)
        await far_end.commit_audio()
        await far_end.send_audio(b"\0\0")
        await far_end.clear_audio()
        await far_end.commit_audio()
        await far_end.send_audio(b"\0\0")
        await far_end.commit_audio()
        await later()
        assert [event.item.content for event in heard] == [(InputAudio(),)] * 2

    async def test_the_output_belongs_to_the_call(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Call("f", {"n": 1}))
        call = of(heard, "function_call")[0]
        await far_end.send_function_call_output(call, "done")
        item = heard[-1].item
        assert isinstance(item, RealtimeToolCallItem)
        assert (item.item_id, item.arguments, item.output, item.status) == ("item_1", '{"n": 1}', "done", "completed")
        await far_end.send_function_call_output(CALL, "of another one")
        assert (heard[-1].item.item_id, heard[-1].item.output) == ("item_x", "of another one")

    async def test_the_history_is_edited(self) -> None:
        one, two, three = (
            UserMessageItem(item_id=name, content=(InputText(name),), status="completed") for name in "abc"
        )
        changed = UserMessageItem(item_id="b", content=(InputText("B"),), status="completed")
        added = AssistantMessageItem(item_id="d", content=(AssistantText("so it is"),), status="completed")
        call = RealtimeToolCallItem(item_id="f", call_id="call_1", name="f", output="done", status="completed")
        far_end = await connected()
        heard = told(far_end)
        await far_end.reset_history([one, two, three], [changed, three, added, call])
        await later()
        assert heard == [
            ev.ItemDeleted("a"),
            ev.ItemDeleted("b"),
            ev.ItemUpdate(item=changed, after=None),
            ev.ItemUpdate(item=added, after="c"),
            ev.ItemUpdate(item=call, after="d"),
        ]

    async def test_new_items_come_last_whatever_came_before(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(UserSays("a"), UserSays("b"))
        for item_id, after in (("x", "item_1"), ("y", None), ("item_2", None)):
            far_end.emit(ev.ItemUpdate(item=UserMessageItem(item_id=item_id), after=after))
        await far_end.send_message("c")
        await later()
        assert heard[-1].after == "item_2"

    async def test_new_items_come_after_what_is_left(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(UserSays("a"), UserSays("b"))
        one, two = (event.item for event in of(heard, "item_update"))
        await far_end.reset_history([one, two], [one])
        await far_end.send_message("c")
        await later()
        assert heard[-1].after == one.item_id

    async def test_an_interruption_ends_the_response(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Turn(Say("Once upon a time"), done=False))
        await far_end.interrupt()
        assert heard[-1].type == "audio_interrupted"
        await later()
        assert types(heard)[-3:] == ["audio_done", "item_update", "turn_done"]
        assert (heard[-1].status, heard[-1].status_details["reason"]) == ("cancelled", "client_cancelled")
        assert heard[-1].output[0].status == "incomplete"
        await far_end.interrupt()
        await later()
        assert of(heard, "turn_done") == heard[-1:]

    async def test_they_can_be_switched_off(self) -> None:
        far_end = await connected(echo=False)
        heard = told(far_end)
        await far_end.send_message("hi")
        await far_end.send_audio(b"\0\0", commit=True)
        await far_end.reset_history([UserMessageItem(item_id="a")], [])
        far_end.emit(ev.TurnStarted("r"))
        await far_end.interrupt()
        await later()
        assert types(heard) == ["turn_started"]
        await far_end.send_function_call_output(CALL, "done")  # that one is the transport's own
        assert heard[-1].item.output == "done"


class TestPlayback:
    async def test_nothing_is_heard_until_the_test_says_so(self) -> None:
        far_end = await connected()
        far_end.emit(Say("one two"), Say("three"))
        far_end.emit(Played(700))
        first, second = far_end.playback("item_1"), far_end.playback("item_2", 0)
        assert first is not None and second is not None
        assert (first.received_ms, first.played_ms, first.generated) == (600, 600, True)
        assert (second.received_ms, second.played_ms) == (300, pytest.approx(100))
        assert first.started_at is None
        assert far_end.playback("item_3") is None
        await far_end.close()
        assert far_end.playback("item_1") is not None

    @pytest.mark.parametrize("end", [ev.AudioDone("r", "a", 0), ev.TurnDone(response_id="r")])
    async def test_events_of_your_own_count_as_well(self, end: Any) -> None:
        far_end = await connected()
        far_end.emit(ev.Audio(bytes(480), "r", "a", 0))
        part = far_end.playback("a")
        assert part is not None and (part.received_ms, part.generated) == (10, False)
        far_end.emit(end)
        part = far_end.playback("a")
        assert part is not None and part.generated

    async def test_an_interruption_cuts_at_what_was_heard(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Say("one two"), Turn(Say("three"), done=False), Played(650))
        await far_end.interrupt()
        assert of(heard, "audio_interrupted") == [ev.AudioInterrupted("resp_2", "item_2", 0, 50, 300)]

    async def test_one_response_is_interrupted_and_the_other_is_not(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Turn(Say("one two"), done=False), Turn(Say("three"), done=False), Played(100))
        await far_end.interrupt("resp_2")
        await later()
        assert of(heard, "audio_interrupted") == [ev.AudioInterrupted("resp_2", "item_2", 0, 0, 300)]
        assert [event.response_id for event in of(heard, "turn_done")] == ["resp_2"]
        far_end.emit(Finish())
        assert [event.response_id for event in of(heard, "turn_done")] == ["resp_2", "resp_1"]

    async def test_who_hears_the_model_out_interrupts_nothing(self) -> None:
        far_end = await connected()
        heard = told(far_end)
        far_end.emit(Say("one two"), UserSays("and?"), Say("three"), UserSays("stop", after_ms=100))
        assert [(event.item_id, event.played_ms) for event in of(heard, "audio_interrupted")] == [("item_3", 100)]

    @pytest.mark.parametrize(
        ("turn_detection", "barge_in", "cut", "cancelled"),
        [
            ({"type": "server_vad", "interrupt_response": True}, "auto", True, True),
            ({"type": "server_vad"}, "auto", True, True),
            ({"type": "server_vad", "interrupt_response": False}, "auto", False, False),
            ({"type": "server_vad", "interrupt_response": False}, "always", True, True),
            ({"type": "server_vad", "interrupt_response": False}, "never", False, False),
            ({"type": "server_vad", "interrupt_response": True}, "never", False, True),
        ],
    )
    async def test_whether_speech_interrupts(
        self, turn_detection: dict[str, Any], barge_in: Any, cut: bool, cancelled: bool
    ) -> None:
        far_end = ScriptedTransport()
        await far_end.connect(barge_in=barge_in)
        await far_end.update_session_config({"turn_detection": turn_detection})
        heard = told(far_end)
        far_end.emit(Turn(Say("Once upon a time"), done=False), UserSays("Stop!", after_ms=100))
        assert bool(of(heard, "audio_interrupted")) is cut
        assert bool(of(heard, "turn_done")) is cancelled

    async def test_with_a_tracker_it_is_the_application_that_knows(self) -> None:
        tracker = RealtimePlaybackTracker()
        far_end = ScriptedTransport()
        await far_end.connect(playback_tracker=tracker, initial_session_config={"output_audio_format": "g711_ulaw"})
        heard = told(far_end)
        far_end.emit(Say("one two"))
        tracker.on_play_bytes("item_1", 0, bytes(1600))
        part = far_end.playback("item_1")
        assert part is not None and part.played_ms == 200
        with pytest.raises(ConfigurationError, match="on_play_ms"):
            far_end.emit(Played(100))
        far_end.emit(UserSays("stop"))
        assert of(heard, "audio_interrupted")[0].played_ms == 200
        assert far_end.calls[0].arguments["playback_tracker"] is tracker


class TestSessions:
    """What it is for: sessions."""

    async def test_a_tool_call_step_by_step(self) -> None:
        far_end = ScriptedTransport()
        async with no_leaks(), RealtimeSession(AGENT, transport=far_end, api_key=KEY) as session:
            connect = await far_end.expect_call("connect")
            config = connect.arguments["initial_session_config"]
            assert [tool["name"] for tool in config["tools"]] == ["get_weather"]
            await session.send_message("Weather?")
            await far_end.expect_call("send_message")
            far_end.emit(Call("get_weather", {"city": "Paris"}))
            await far_end.expect_call("send_function_call_output", {"output": "Sunny in Paris"})
            await far_end.expect_call("request_response")
            far_end.emit(Say("Sunny."))
            question, call, answer = session.history
            assert (question.content, call.output, answer.text) == (
                (InputText("Weather?"),),
                "Sunny in Paris",
                "Sunny.",
            )
            assert session.usage.requests == 2
        far_end.assert_complete()

    async def test_a_call_that_the_session_makes_wrongly_is_told_to_the_test(self) -> None:
        far_end = ScriptedTransport(
            [
                Step("send_message", emit=Call("get_weather", {"city": "Rome"})),
                Step("send_function_call_output", {"output": "Rain"}),
            ]
        )
        async with RealtimeSession(AGENT, transport=far_end) as session:
            await session.send_message("Weather?")
            with pytest.raises(UnexpectedCallError, match="output='Sunny in Rome'") as raised:
                await far_end.wait_complete()
        assert isinstance(raised.value, AssertionError)
        assert isinstance(raised.value, JackfieldError)

    async def test_a_connection_that_is_refused(self) -> None:
        far_end = ScriptedTransport(connect_error=AuthenticationError("wrong key"))
        with pytest.raises(AuthenticationError, match="wrong key"):
            await RealtimeSession(AGENT, transport=far_end).enter()

    async def test_a_connection_that_is_lost(self) -> None:
        far_end = ScriptedTransport()
        async with RealtimeSession(AGENT, transport=far_end) as session:
            far_end.emit(Say("Hello"), Disconnect())
            with pytest.raises(RemoteClosedError) as raised:
                async for event in session:
                    if event.type == "agent_end":
                        ended = event.output
            assert (raised.value.code, ended) == (1006, "Hello")

    async def test_an_interruption(self) -> None:
        far_end = ScriptedTransport()
        async with RealtimeSession(AGENT, transport=far_end) as session:
            far_end.emit(Turn(Say("Once upon a time"), done=False), Played(500))
            await session.interrupt()
            await far_end.expect_call("interrupt")
            (story,) = session.history
            assert (story.status, story.played_ms) == ("interrupted", 500)


class TestDocs:
    """Every snippet of the page runs, and so does the example, under pytest as well (as a program: see scenarios)."""

    BLOCKS = re.findall(r"```python\n(.*?)```", (DOCS / "testing.md").read_text(encoding="utf-8"), re.DOTALL)

    def test_there_are_some(self) -> None:
        assert len(self.BLOCKS) >= 4

    @pytest.mark.parametrize("block", BLOCKS, ids=[f"snippet-{number}" for number in range(len(BLOCKS))])
    async def test_a_snippet(self, block: str) -> None:
        names: dict[str, Any] = {"__name__": "snippet"}
        exec(compile(block, "testing.md", "exec"), names)
        tests = [value for name, value in names.items() if name.startswith("test_")]
        assert tests
        for test in tests:
            await test()

    def test_the_example_under_pytest(self) -> None:
        options = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
        command = [sys.executable, "-m", "pytest", *options, DOCS / "examples" / "test_an_agent.py"]
        run = subprocess.run(command, capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        assert "4 passed" in run.stdout


def test_importing_it_loads_no_test_runner() -> None:
    heavy = ("pytest", "unittest", "numpy", "pydantic")
    program = f"import jackfield.testing, sys; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
