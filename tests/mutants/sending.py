"""Faults of what is sent: its order, its pressure, its turns; and claims that are not kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import evolve

from jackfield.openai import OpenAIRealtimeProtocol
from jackfield.testing.conformance import checks
from jackfield.transport import TransportCapabilities, UnsupportedByTransportError

from .bases import Mutant, Retold, Wrapper, dialect_transport

__all__ = ["MUTANTS"]


class FireAndForget(Wrapper):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.sending: set[Any] = set()

    async def send_message(self, message: Any, *, trigger_response: bool = True) -> None:
        self.sending.add(asyncio.ensure_future(self.inner.send_message(message, trigger_response=trigger_response)))


class Overtaking(Wrapper):
    sent = 0

    async def send_message(self, message: Any, *, trigger_response: bool = True) -> None:
        self.sent += 1
        if self.sent % 2:
            await asyncio.sleep(0)
        await self.inner.send_message(message, trigger_response=trigger_response)


class TwoSteps(Wrapper):
    async def send_message(self, message: Any, *, trigger_response: bool = True) -> None:
        await self.inner.send_message(message, trigger_response=False)
        if trigger_response:
            await self.inner.request_response()


class WholeSamples(Wrapper):
    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        await self.inner.send_audio(chunk[: len(chunk) & ~1], commit=commit)


class EmptyAppends(Wrapper):
    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        if not chunk:
            for _ in range(2):
                await self.inner.send_event({"type": "input_audio_buffer.append", "audio": ""})
        await self.inner.send_audio(chunk, commit=commit)


class CommitFirst(Wrapper):
    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        if commit:
            await self.inner.commit_audio()
        await self.inner.send_audio(chunk)


class AtOnce(OpenAIRealtimeProtocol):
    def request_response(self, response: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return [{"type": "response.create"}]


class EachOutputAsks(Wrapper):
    async def send_function_call_output(self, call: Any, output: str, *, start_response: bool = True) -> None:
        await self.inner.send_function_call_output(call, output)


class OutputUntold(Retold):
    def tell(self, event: Any) -> None:
        if event.type != "item_update" or getattr(event.item, "output", None) is None:
            super().tell(event)


class AnyOutput(Wrapper):
    async def send_function_call_output(self, call: Any, output: Any, *, start_response: bool = True) -> None:
        await self.inner.send_function_call_output(
            call, output if isinstance(output, str) else json.dumps(output), start_response=start_response
        )


class InterruptsAny(Wrapper):
    async def interrupt(self, response_id: str | None = None) -> None:
        await self.inner.interrupt()


class AlwaysCancels(Wrapper):
    async def interrupt(self, response_id: str | None = None) -> None:
        await self.inner.send_event({"type": "response.cancel"})
        await self.inner.interrupt(response_id)


class NeverCancels(OpenAIRealtimeProtocol):
    def interrupt(self, response_id: str | None = None) -> Any:
        frames, told = super().interrupt(response_id)
        return [frame for frame in frames if frame["type"] != "response.cancel"], told


class CutsAtReceived(OpenAIRealtimeProtocol):
    def interrupt(self, response_id: str | None = None) -> Any:
        frames, told = super().interrupt(response_id)
        return [{**frame, "audio_end_ms": 1000} if "audio_end_ms" in frame else frame for frame in frames], told


class HearsNobody(Wrapper):
    async def connect(self, options: Any = None, /, **kwargs: Any) -> None:
        await self.inner.connect(options, **{**kwargs, "barge_in": "never"})


class PlayedAtOnce(Retold):
    def tell(self, event: Any) -> None:
        super().tell(evolve(event, played_ms=1000) if event.type == "audio_interrupted" else event)


class KeepsEverything(Retold):
    def __init__(self, **options: Any) -> None:
        self.kept: list[Any] = []
        super().__init__(**options)

    def tell(self, event: Any) -> None:
        self.kept.append(event)
        super().tell(event)


class ClearsNothing(Wrapper):
    async def clear_audio(self) -> None: ...


class ShowsNothing(Wrapper):
    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None: ...


class EditsNothing(Wrapper):
    async def reset_history(self, old: Sequence[Any], new: Sequence[Any]) -> None: ...


class UpdatesHalf(Wrapper):
    async def update_session_config(self, config: Mapping[str, Any]) -> None:
        await self.inner.update_session_config({"instructions": config["instructions"]})


class IgnoresOverrides(Wrapper):
    async def request_response(self, response: Mapping[str, Any] | None = None) -> None:
        await self.inner.request_response()


class ClaimsMute(Wrapper):
    muted = False

    @property
    def capabilities(self) -> TransportCapabilities:
        return evolve(self.inner.capabilities, mute=True)

    async def mute(self, muted: bool) -> None:
        self.muted = muted


class ClaimsTooLittle(Wrapper):
    @property
    def capabilities(self) -> TransportCapabilities:
        return evolve(self.inner.capabilities, images=False)


class KeepsMute(ClaimsMute):
    async def send_audio(self, chunk: bytes, *, commit: bool = False) -> None:
        await self.inner.send_audio(b"" if self.muted else chunk, commit=commit)


class KeepsToLittle(ClaimsTooLittle):
    async def add_image(self, image: str, *, detail: str | None = None, trigger_response: bool = True) -> None:
        raise UnsupportedByTransportError("no images")

    async def send_message(self, message: Any, *, trigger_response: bool = True) -> None:
        if not isinstance(message, str):
            raise UnsupportedByTransportError("no images")
        await self.inner.send_message(message, trigger_response=trigger_response)


class HandsOverSilently(Wrapper):
    async def update_session_config(self, config: Mapping[str, Any]) -> None: ...


SEQUENCING, CALLS, CUT, PLAYED = (
    checks.TestSequencing,
    checks.TestFunctionCalls,
    checks.TestInterruption,
    checks.TestPlayback,
)
CLAIMS = checks.TestClaims

MUTANTS = (
    Mutant(
        "sending returns before the wire took it",
        FireAndForget,
        checks.TestBackpressure.test_a_far_end_that_does_not_read_slows_its_sender,
        "nobody read them",
        Wrapper,
    ),
    Mutant(
        "senders overtake one another",
        Overtaking,
        checks.TestSendOrder.test_of_many_senders_is_that_of_their_calls,
        "'0'",
        Wrapper,
    ),
    Mutant(
        "a message and its request are two sends",
        TwoSteps,
        checks.TestSendOrder.test_a_message_and_its_request_stay_together_when_their_sender_is_cancelled,
        "the other half of the group",
        Wrapper,
    ),
    Mutant(
        "half samples are dropped",
        WholeSamples,
        checks.TestAudioIn.test_arrives_whole,
        "they are not the same",
        Wrapper,
    ),
    Mutant(
        "nothing is sent as audio", EmptyAppends, checks.TestAudioIn.test_an_empty_chunk_is_nothing, "<= 1", Wrapper
    ),
    Mutant(
        "a turn ends before its last chunk",
        CommitFirst,
        checks.TestAudioIn.test_a_commit_comes_after_its_chunk,
        "before their audio had come",
        Wrapper,
    ),
    Mutant(
        "requests don't wait for their turn",
        dialect_transport(AtOnce),
        SEQUENCING.test_requests_wait_for_the_turn_that_is_being_spoken,
        "while another one was active",
        dialect_transport(OpenAIRealtimeProtocol),
    ),
    Mutant(
        "every output asks for an answer",
        EachOutputAsks,
        CALLS.test_two_calls_of_one_turn_are_answered_once,
        "== 2",
        Wrapper,
    ),
    Mutant(
        "a call's item never has its output",
        OutputUntold,
        CALLS.test_an_output_reaches_the_model_which_goes_on,
        "not enough values",
        Retold,
    ),
    Mutant("outputs that are no text are made one", AnyOutput, CALLS.test_outputs_are_text, "DID NOT RAISE", Wrapper),
    Mutant(
        "interrupting one response interrupts any",
        InterruptsAny,
        CUT.test_of_another_response_leaves_this_one_alone,
        "audio_interrupted",
        Wrapper,
    ),
    Mutant("interrupting nothing cancels", AlwaysCancels, CUT.test_of_nothing_sends_nothing, r"\+ 1", Wrapper),
    Mutant(
        "an interruption doesn't stop the far end",
        dialect_transport(NeverCancels),
        CUT.test_stops_the_far_end,
        "the response to be cancelled",
        dialect_transport(OpenAIRealtimeProtocol),
    ),
    Mutant(
        "what wasn't heard is kept in the model's memory",
        dialect_transport(CutsAtReceived),
        PLAYED.test_the_model_is_told_how_much_was_heard,
        "1000",
        dialect_transport(OpenAIRealtimeProtocol),
    ),
    Mutant(
        "the user's voice interrupts nobody", HearsNobody, CUT.test_by_the_users_voice, "audio_interrupted", Wrapper
    ),
    Mutant(
        "all that came counts as heard",
        PlayedAtOnce,
        PLAYED.test_the_application_says_how_much_was_heard,
        "1000",
        Retold,
    ),
    Mutant(
        "every event is kept",
        KeepsEverything,
        checks.TestMemory.test_a_long_conversation_costs_no_more_than_a_short_one,
        "bytes behind",
        Retold,
    ),
    Mutant("clear_audio() does nothing", ClearsNothing, CLAIMS.test_audio_is_dropped, "audio to be dropped", Wrapper),
    Mutant("images go nowhere", ShowsNothing, CLAIMS.test_images_are_shown, "an image", Wrapper),
    Mutant("the history is not edited", EditsNothing, CLAIMS.test_the_history_is_edited, "three items", Wrapper),
    Mutant("an update loses its tools", UpdatesHalf, CLAIMS.test_the_session_is_changed, "get_time", Wrapper),
    Mutant(
        "settings of one response are ignored",
        IgnoresOverrides,
        CLAIMS.test_one_response_has_settings_of_its_own,
        "Sing",
        Wrapper,
    ),
    Mutant(
        "mute() is claimed and does nothing",
        ClaimsMute,
        CLAIMS.test_muting_sends_silence,
        "although it was muted",
        KeepsMute,
    ),
    Mutant(
        "what isn't claimed is not refused",
        ClaimsTooLittle,
        checks.TestRefusals.test_images,
        "DID NOT RAISE",
        KeepsToLittle,
    ),
    Mutant(
        "the plugin claims something else",
        ClaimsTooLittle,
        checks.TestPlugin.test_claims_in_its_plugin_what_it_claims,
        "images",
        Wrapper,
    ),
    Mutant(
        "handoffs change nothing",
        HandsOverSilently,
        checks.TestSession.test_an_agent_hands_over,
        "instructions",
        Wrapper,
    ),
)
