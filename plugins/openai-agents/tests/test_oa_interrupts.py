"""Interrupting: everything or one response, both halves or one, and what is heard of it afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from agents.exceptions import UserError
from agents.realtime import RealtimeModelSendInterrupt as Interrupt

from jackfield.testing import Played, Say, ScriptedTransport, Turn, Write
from jackfield.transport import NotConnectedError

Connect = Callable[..., Awaitable[Any]]

ANSWER = Say("Once upon a time there was a king.")
WRITTEN = Write("Once upon a time there was a king.")


def cut(told: list[Any]) -> list[Any]:
    return [(event.item_id, event.content_index) for event in told if event.type == "audio_interrupted"]


class TestEverything:
    async def test_is_cancelled_and_cut(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(Turn([ANSWER], done=False), Played(500))
        await line.model.send_event(Interrupt())
        told = await line.settled()
        assert line.calls("interrupt") == [{"response_id": None}]
        assert cut(told) == [("item_1", 0)]
        assert [event.type for event in told if event.type == "turn_ended"] == ["turn_ended"]

    @pytest.mark.parametrize("force", [True, False])
    async def test_that_was_generated_is_cut(self, connect: Connect, force: bool) -> None:
        line = await connect()
        await line.emit(ANSWER, Played(500))
        await line.model.send_event(Interrupt(force_response_cancel=force))
        assert cut(await line.settled()) == [("item_1", 0)]

    async def test_is_nothing(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(ANSWER, Played(60_000))  # it was heard out
        await line.model.send_event(Interrupt())
        assert cut(await line.settled()) == []


class TestOneResponse:
    async def test_leaves_another_alone(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(ANSWER, Turn([ANSWER], done=False))
        await line.model.send_event(Interrupt(force_response_cancel=True, response_id="resp_1"))
        told = await line.settled()
        assert line.calls("interrupt") == [{"response_id": "resp_1"}]
        assert cut(told) == [("item_1", 0)]
        assert "turn_ended" not in [event.type for event in told]

    async def test_playback_alone_of_one_that_was_generated(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(ANSWER, Turn([ANSWER], done=False))
        await line.model.send_event(Interrupt(response_id="resp_1", playback_only=True))
        assert cut(await line.settled()) == [("item_1", 0)]

    @pytest.mark.parametrize("response_id", ["resp_1", None])
    async def test_playback_alone_of_one_that_is_not(self, connect: Connect, response_id: str | None) -> None:
        line = await connect()
        await line.emit(Turn([ANSWER], done=False))
        with pytest.raises(UserError, match="still being generated"):
            await line.model.send_event(Interrupt(response_id=response_id, playback_only=True))
        assert line.calls("interrupt", "send_event") == []


class TestCancellingAlone:
    async def test_of_what_is_written(self, connect: Connect) -> None:
        """Nothing of it can be heard, so the transport's own interruption is no more than that: any provider's."""
        line = await connect()
        await line.emit(ANSWER, Turn([WRITTEN], done=False))
        await line.model.send_event(Interrupt(True, response_id="resp_2", cancel_response_only=True))
        told = await line.settled()
        assert line.calls("interrupt", "send_event") == [{"response_id": "resp_2"}]
        assert cut(told) == []
        assert [event.response_id for event in told if event.type == "turn_ended"] == ["resp_2"]

    async def test_of_what_is_spoken_leaves_what_was_said(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(Turn([ANSWER], done=False))
        await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        assert line.calls("interrupt", "send_event") == [
            {"event": {"type": "response.cancel", "response_id": "resp_1"}}
        ]
        assert cut(await line.settled()) == []

    async def test_is_done_once(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(Turn([ANSWER], done=False))
        for _ in range(2):
            await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        assert len(line.calls("send_event")) == 1

    async def test_is_done_again_where_it_failed(self, connect: Connect) -> None:
        far_end = ScriptedTransport(strict=False)
        line = await connect(far_end)
        await line.emit(Turn([ANSWER], done=False))
        far_end.fail_next("send_event", NotConnectedError("gone"))
        with pytest.raises(NotConnectedError):
            await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        assert len(line.calls("send_event")) == 2

    async def test_of_what_is_over_sends_nothing(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(WRITTEN, Turn([WRITTEN], done=False))
        await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        assert line.calls("interrupt", "send_event") == []


class TestFlags:
    @pytest.mark.parametrize(
        "asked",
        [
            Interrupt(playback_only=True, force_response_cancel=True, response_id="resp_1"),
            Interrupt(playback_only=True, cancel_response_only=True, response_id="resp_1"),
            Interrupt(cancel_response_only=True),
        ],
    )
    async def test_that_contradict_one_another_do_nothing(self, connect: Connect, asked: Interrupt) -> None:
        line = await connect()
        await line.emit(ANSWER)
        with pytest.raises(ValueError, match=r"playback_only|response_id"):
            await line.model.send_event(asked)
        assert line.calls("interrupt", "send_event") == []


class TestRetiring:
    async def test_forgets_what_was_said(self, connect: Connect) -> None:
        line = await connect()
        await line.emit(ANSWER)
        line.model._retire_response_audio("resp_1")
        # As of one that never spoke: what is done about it then is the transport's interruption.
        await line.emit(Turn([WRITTEN], response_id="resp_1", done=False))
        await line.model.send_event(Interrupt(response_id="resp_1", cancel_response_only=True))
        assert line.calls("interrupt", "send_event") == [{"response_id": "resp_1"}]

    async def test_of_what_nobody_knows_does_nothing(self, connect: Connect) -> None:
        line = await connect()
        line.model._retire_response_audio("resp_9")
        await line.model.close()
        line.model._retire_response_audio("resp_9")
