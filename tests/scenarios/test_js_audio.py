"""Acceptance scenarios of the JavaScript SDK, 32-47: interruption, and what is said and heard.

Each test carries the scenario's number. Without a test: 44 and 45 repair a carrier's media stream (gaps in its
timestamps, silence that it does not send), and the stream of 42 that begins anew is a carrier's too; they come with the
transports that carry media.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from jackfield import RealtimePlaybackTracker, RealtimeSession
from support.memory_wire import (
    AUDIO,
    FarEnd,
    MemoryWire,
    memory_transport,
    open_session,
    read_until,
    response_done,
    spoken_turn,
    text_turn,
    truncations,
)

Event = dict[str, Any]

SPEECH = {"type": "input_audio_buffer.speech_started", "item_id": "user_9", "audio_start_ms": 1000}


def created(response_id: str) -> Event:
    return spoken_turn(response_id, "")[0]


def part(response_id: str, item_id: str, index: int = 0, *, audio: bytes = AUDIO, chunks: int = 1) -> list[Event]:
    """The audio of one content part, from its first chunk to its end."""
    ids = {"response_id": response_id, "item_id": item_id, "output_index": 0, "content_index": index}
    delta = base64.b64encode(audio).decode()
    chunk = {"type": "response.output_audio.delta", **ids, "delta": delta}
    return [*[chunk] * chunks, {"type": "response.output_audio.done", **ids}]


def unfinished(turn: list[Event]) -> list[Event]:
    """A spoken turn up to its last chunk of audio."""
    kinds = [frame["type"] for frame in turn]
    return turn[: len(kinds) - kinds[::-1].index("response.output_audio.delta")]


async def interrupt(session: RealtimeSession, far: FarEnd, how: str) -> None:
    if how == "by voice":
        far.send(SPEECH)
    else:
        await session.interrupt()
    await far.heard()


@pytest.fixture
def tracker() -> RealtimePlaybackTracker:
    return RealtimePlaybackTracker()


BOTH = pytest.mark.parametrize("how", ["by voice", "by hand"])


class TestWhereItIsCut:
    @pytest.mark.parametrize(
        ("reports", "end"),
        [
            ([], 0),
            ([0.49], 0),
            ([33.34, 33.34, 33.34], 100),
            ([0.1] * 3, 0),
            ([199.999], 199),
            ([1e12], None),
        ],
    )
    @BOTH
    async def test_j32_in_whole_ms_never_below_nothing_and_never_beyond_what_came(
        self, tracker: RealtimePlaybackTracker, reports: list[float], end: int | None, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            told: list[Any] = []
            session.on("audio_interrupted", told.append)
            far.send(*unfinished(spoken_turn("resp_1", "item_1")))
            await far.heard()
            for ms in reports:
                tracker.on_play_ms("item_1", 0, ms)
            await interrupt(session, far, how)
            expected = 200 if end is None else end  # 200 ms had arrived, and more would have come
            assert truncations(far) == [("item_1", 0, expected)]
            assert type(truncations(far)[0][2]) is int
            assert [event.played_ms for event in told] == [expected]
            assert session.history[0].played_ms == expected

    async def test_j38_each_item_and_each_content_part_has_its_own_account(
        self, tracker: RealtimePlaybackTracker
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(created("resp_1"), *part("resp_1", "item_1"), *part("resp_1", "item_1", 1))
            far.send(*part("resp_1", "item_2", chunks=3)[:-1])
            await far.heard()
            tracker.on_play_ms("item_1", 0, 100)
            tracker.on_play_ms("item_1", 1, 100)
            tracker.on_play_ms("item_2", 0, 40)
            await session.interrupt()
            assert truncations(far) == [("item_2", 0, 40)]

    @BOTH
    async def test_j43_of_several_each_at_its_own_place_and_what_was_not_played_at_nothing(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            told: list[Any] = []
            session.on("audio_interrupted", told.append)
            far.send(*spoken_turn("resp_0", "item_0"))
            far.send(*spoken_turn("resp_1", "item_1", previous="item_0"), created("resp_2"))
            far.send(*part("resp_2", "item_2"), *part("resp_2", "item_2", 1), *part("resp_2", "item_3")[:-1])
            await far.heard()
            tracker.on_play_ms("item_0", 0, 200)
            tracker.on_play_ms("item_1", 0, 70)
            await interrupt(session, far, how)
            assert truncations(far) == [("item_1", 0, 70), ("item_2", 0, 0), ("item_2", 1, 0), ("item_3", 0, 0)]
            assert [(event.item_id, event.content_index, event.played_ms) for event in told] == truncations(far)

    async def test_j39_each_response_is_measured_in_its_own_format(self, tracker: RealtimePlaybackTracker) -> None:
        telephone = {"audio": {"output": {"format": {"type": "audio/pcmu"}}}}
        async with open_session(playback_tracker=tracker) as (session, far):
            formats: list[str] = []
            session.on("audio", lambda event: formats.append(event.audio.format.type))
            far.send(created("resp_1"), {"type": "session.updated", "session": telephone})
            far.send(*part("resp_1", "item_1"), response_done("resp_1"))
            far.send(created("resp_2"), *part("resp_2", "item_2", audio=b"\xff" * 800, chunks=2), SPEECH)
            await far.heard()
            assert formats == ["audio/pcm", "audio/pcmu", "audio/pcmu"]
            assert truncations(far) == [("item_1", 0, 0), ("item_2", 0, 0)]
            # What came of each is the most that can be heard of it.
            assert [session.transport.playback(item).received_ms for item in ("item_1", "item_2")] == [100, 200]


class TestWhatIsSent:
    @pytest.mark.parametrize(
        ("detection", "barge_in", "cancels"),
        [
            ({"type": "server_vad", "interrupt_response": True}, "auto", 0),
            ({"type": "server_vad", "interrupt_response": False}, "always", 1),
            ({"type": "server_vad"}, "auto", 1),
            (None, "auto", 1),
        ],
    )
    async def test_j33_who_cancels_by_itself_is_not_told_to_and_who_does_not_is_told_once(
        self, tracker: RealtimePlaybackTracker, detection: Event | None, barge_in: Any, cancels: int
    ) -> None:
        async with open_session(playback_tracker=tracker, barge_in=barge_in) as (_, far):
            audio = {"input": {"turn_detection": detection}}
            far.send({"type": "session.updated", "session": {"audio": audio}})
            far.send(*unfinished(spoken_turn("resp_1", "item_1")), SPEECH, SPEECH)
            await far.heard()
            assert far.types.count("response.cancel") == cancels
            assert truncations(far) == [("item_1", 0, 0)]

    @pytest.mark.parametrize(
        ("interrupts", "barge_in"), [(False, "auto"), (True, "never"), (None, "never"), (False, "never")]
    )
    async def test_j33_a_model_that_is_to_be_heard_out_is(
        self, tracker: RealtimePlaybackTracker, interrupts: bool | None, barge_in: Any
    ) -> None:
        detection = {"type": "server_vad", "interrupt_response": interrupts}
        async with open_session(playback_tracker=tracker, barge_in=barge_in) as (session, far):
            audio = {"input": {"turn_detection": detection}}
            far.send({"type": "session.updated", "session": {"audio": audio}})
            far.send(*unfinished(spoken_turn("resp_1", "item_1")), SPEECH)
            await read_until(session, "speech_started")
            await far.heard()
            assert far.types == ["session.update"]
            await session.interrupt()  # by hand it can be stopped all the same
            assert far.types[1:] == ["response.cancel", "conversation.item.truncate"]

    @BOTH
    async def test_j34_nothing_where_nothing_is_said_and_twice_is_once(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            await interrupt(session, far, how)
            assert far.types == ["session.update"]
            far.send(*unfinished(spoken_turn("resp_1", "item_1")))
            await far.heard()
            await interrupt(session, far, how)
            sent = list(far.types)
            assert truncations(far) == [("item_1", 0, 0)]
            await interrupt(session, far, how)
            assert far.types == sent

    @BOTH
    async def test_j35_no_cancel_where_no_response_is_active(self, tracker: RealtimePlaybackTracker, how: str) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": None}}}})
            far.send(*spoken_turn("resp_1", "item_1"), *text_turn("resp_2", "item_2", previous="item_1"))
            await far.heard()
            await interrupt(session, far, how)
            assert far.types == ["session.update", "conversation.item.truncate"]

    @BOTH
    async def test_j36_after_generation_the_player_is_told_all_the_same(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*spoken_turn("resp_1", "item_1"))
            await read_until(session, "agent_end")
            tracker.on_play_ms("item_1", 0, 50)
            await interrupt(session, far, how)
            told = (await read_until(session, "audio_interrupted"))[-1]
            assert (told.item_id, told.played_ms) == ("item_1", 50)
            assert truncations(far) == [("item_1", 0, 50)]

    @BOTH
    async def test_j37_what_was_heard_whole_is_not_truncated(self, tracker: RealtimePlaybackTracker, how: str) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            told: list[Any] = []
            session.on("audio_interrupted", told.append)
            far.send(*spoken_turn("resp_1", "item_1"))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 200)
            await interrupt(session, far, how)
            assert far.types == ["session.update"]
            assert told == []
            (item,) = session.history
            assert (item.status, item.heard_text) == ("completed", "Hello there.")

    async def test_j40_where_the_far_end_plays_its_buffer_is_cleared_and_only_what_generates_is_cancelled(self) -> None:
        wire = MemoryWire()
        transport = memory_transport(wire, playback="server", truncate="server", audio_in=False, audio_out=False)
        await transport.connect()
        (far,) = wire.far_ends
        ids = {"response_id": "resp_1", "item_id": "item_1", "output_index": 0, "content_index": 0}
        far.send(created("resp_1"), {"type": "response.content_part.added", **ids, "part": {"type": "audio"}})
        far.send({"type": "output_audio_buffer.started", "response_id": "resp_1"})
        far.send({"type": "response.output_audio.done", **ids})
        await far.heard()
        # The speech is generated, and the response goes on: a tool call may follow.
        await transport.interrupt()
        assert far.types == ["response.cancel", "output_audio_buffer.clear"]

        far.send({"type": "output_audio_buffer.cleared", "response_id": "resp_1"}, response_done("resp_1"))
        ids |= {"response_id": "resp_2", "item_id": "item_2"}
        far.send(created("resp_2"), {"type": "response.content_part.added", **ids, "part": {"type": "audio"}})
        far.send({"type": "output_audio_buffer.started", "response_id": "resp_2"}, response_done("resp_2"))
        await far.heard()
        await transport.interrupt()
        assert far.types[2:] == ["output_audio_buffer.clear"]
        await transport.close()


class TestAfterTheCut:
    @BOTH
    async def test_j41_an_interrupted_response_that_keeps_streaming_is_heard_no_more(
        self, tracker: RealtimePlaybackTracker, how: str
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            heard: list[str] = []
            session.on("audio", lambda event: heard.append(event.item_id))
            turn = spoken_turn("resp_1", "item_1", ["One", " two", " three"])
            begun = len(unfinished(spoken_turn("resp_1", "item_1", ["One"])))
            far.send(*turn[:begun])
            await far.heard()
            await interrupt(session, far, how)
            far.send(*turn[begun:], *spoken_turn("resp_2", "item_2", previous="item_1"))
            await read_until(session, lambda event: getattr(event, "output", "") == "Hello there.")
            assert heard == ["item_1", "item_2", "item_2"]

    async def test_j42_a_report_that_comes_after_the_cut_changes_nothing(
        self, tracker: RealtimePlaybackTracker
    ) -> None:
        async with open_session(playback_tracker=tracker) as (session, far):
            far.send(*unfinished(spoken_turn("resp_1", "item_1")))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 60)
            await session.interrupt()
            tracker.on_play_ms("item_1", 0, 90)
            far.send(response_done("resp_1", status="cancelled"))
            far.send(*unfinished(spoken_turn("resp_2", "item_2", previous="item_1")))
            await far.heard()
            tracker.on_play_ms("item_1", 0, 10)
            tracker.on_play_ms("item_2", 0, 30)
            await session.interrupt()
            assert truncations(far) == [("item_1", 0, 60), ("item_2", 0, 30)]
            assert [item.played_ms for item in session.history] == [60, 30]

    async def test_j46_the_first_audio_of_a_turn_is_told_once(self) -> None:
        async with open_session() as (session, far):
            for number in (1, 2):
                response = f"resp_{number}"
                far.send(created(response), *part(response, f"item_{number}a", chunks=3))
                far.send(*part(response, f"item_{number}a", 1), *part(response, f"item_{number}b"))
                far.send(response_done(response))
                events = await read_until(session, "agent_end")
                starts = [event for event in events if event.type == "audio_start"]
                assert [(event.response_id, event.item_id) for event in starts] == [(response, f"item_{number}a")]
                assert [event.type for event in events].count("audio") == 5


class TestLargeAudio:
    async def test_j47_half_a_megabyte_each_way(self) -> None:
        chunk = bytes(range(256)) * 2000
        async with open_session() as (session, far):
            await session.send_audio(chunk, commit=True)
            sent = await far.received("input_audio_buffer.append")
            assert base64.b64decode(sent["audio"]) == chunk
            far.send(created("resp_1"), *part("resp_1", "item_1", audio=chunk))
            assert (await read_until(session, "audio"))[-1].audio.data == chunk
