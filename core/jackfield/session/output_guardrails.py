"""Output guardrails at work: what an agent says is judged while it says it, and stopped where it must be.

The text of an item is judged each time it has grown by the debounce length, and whole when the response ends. A
response is stopped once; a newer one is never hurt. What is told to the model afterwards is an option.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define, field

from jackfield.bounded import remember
from jackfield.errors import ListenerError, TransportError
from jackfield.guardrails import OutputGuardrail, OutputGuardrailResult

from .events import RealtimeGuardrailTripped
from .settings import PreparedAgent
from .shared import Shared
from .turns import Turns

__all__ = ["OutputGuardrails"]

_MOST_RESPONSES = 64


@define(eq=False)
class _Watched:
    """A response that is judged: the text of each of its items, and how much of it was."""

    owner: PreparedAgent
    texts: dict[str, list[str]] = field(factory=dict)
    lengths: dict[str, int] = field(factory=dict)
    judged: dict[str, int] = field(factory=dict)
    done: bool = False
    task: asyncio.Task[None] | None = None


class OutputGuardrails:
    """The output guardrails of one session.

    `on_passed(response_id)` is called when more of a response's text was found good, and when nothing more of it is to
    be judged; `on_stopped(response_id)` when it was stopped.
    """

    def __init__(self, shared: Shared, turns: Turns) -> None:
        self._shared = shared
        self._turns = turns
        self._watched: dict[str, _Watched] = {}
        self._stopped: dict[str, None] = {}
        self.on_passed: Callable[[str], None] | None = None
        self.on_stopped: Callable[[str], None] | None = None
        self.eager = False
        """Whether text is judged as soon as the last judgement is out, instead of by the debounce length."""

    def watches(self, response_id: str) -> bool:
        """Tell whether anything judges that response, and is not done with it."""
        return response_id in self._watched

    def stopped(self, response_id: str) -> bool:
        """Tell whether that response was stopped: nothing of its audio is to be heard any more."""
        return response_id in self._stopped

    def judged(self, response_id: str, item_id: str) -> int:
        """Return how many characters of an item were found good."""
        watched = self._watched.get(response_id)
        return 0 if watched is None else watched.judged.get(item_id, 0)

    def length(self, response_id: str, item_id: str) -> int:
        """Return how many characters of an item have come."""
        watched = self._watched.get(response_id)
        return 0 if watched is None else watched.lengths.get(item_id, 0)

    def started(self, response_id: str, owner: PreparedAgent) -> None:
        """Watch a response, if its agent or the run has guardrails."""
        if not response_id:
            self._stopped.pop("", None)  # nothing ties it to the one that was stopped
        if owner.guardrails and response_id not in self._stopped and response_id not in self._watched:
            remember(self._watched, response_id, _Watched(owner), _MOST_RESPONSES)

    def words(self, response_id: str, item_id: str, delta: str) -> None:
        """Take the next words of a response."""
        watched = self._watched.get(response_id)
        if watched is None:
            self.started(response_id, self._turns.of(response_id).owner)  # its beginning was not told
            watched = self._watched.get(response_id)
            if watched is None:
                return
        watched.texts.setdefault(item_id, []).append(delta)
        length = watched.lengths[item_id] = watched.lengths.get(item_id, 0) + len(delta)
        if watched.task is None and (self.eager or self._due(watched, item_id, length)):
            self._judge_soon(response_id, watched)

    def ended(self, response_id: str) -> None:
        """Judge the rest: nothing more of the response will come."""
        watched = self._watched.get(response_id)
        if watched is None:
            return
        watched.done = True
        if watched.task is None:
            self._judge_soon(response_id, watched)

    def _due(self, watched: _Watched, item_id: str, length: int) -> bool:
        step = self._shared.settings.debounce_text_length
        return length // step > watched.judged.get(item_id, 0) // step

    def _judge_soon(self, response_id: str, watched: _Watched) -> None:
        watched.task = self._shared.scope.spawn(self._judge(response_id, watched), name="output guardrails")

    async def _judge(self, response_id: str, watched: _Watched) -> None:
        """One judgement after another, for as long as there is something to judge now."""
        self._shared.use_threads()
        try:
            while (item_id := self._next(watched)) is not None:
                length = watched.lengths[item_id]
                text = "".join(watched.texts[item_id])
                watched.texts[item_id] = [text]
                tripped = await self._verdicts(watched, text)
                if tripped:
                    await self._stop(response_id, item_id, text, tripped)
                    return
                watched.judged[item_id] = length
                self._pass(response_id)
        finally:
            watched.task = None
            if watched.done or response_id in self._stopped:
                self._watched.pop(response_id, None)
                self._pass(response_id)

    def _next(self, watched: _Watched) -> str | None:
        """Return an item that is to be judged now: at the end every one of which something is left."""
        for item_id, length in watched.lengths.items():
            left = length > watched.judged.get(item_id, -1)
            if left and (watched.done or self.eager or self._due(watched, item_id, length)):
                return item_id
        return None

    def _pass(self, response_id: str) -> None:
        if self.on_passed is not None:
            self.on_passed(response_id)

    async def _verdicts(self, watched: _Watched, text: str) -> list[OutputGuardrailResult]:
        """Return what tripped, in the order of the guardrails; they judge at the same time."""
        runs = (self._verdict(guardrail, watched, text) for guardrail in watched.owner.guardrails)
        results = await asyncio.gather(*runs)
        return [result for result in results if result is not None and result.output.tripwire_triggered]

    async def _verdict(self, guardrail: OutputGuardrail, watched: _Watched, text: str) -> OutputGuardrailResult | None:
        try:
            return await guardrail.run(self._shared.context, watched.owner.agent, text)
        except (Exception, asyncio.CancelledError) as error:
            if self._shared.ends(error):
                raise
            # One that can't judge doesn't keep the others from it.
            self._tell_failure(f"guardrail {guardrail.get_name()!r}", error, "The others judged all the same.")
            return None

    async def _stop(self, response_id: str, item_id: str, text: str, tripped: list[OutputGuardrailResult]) -> None:
        shared = self._shared
        if shared.over:
            return
        remember(self._stopped, response_id, None, _MOST_RESPONSES)
        shared.stream.tell(RealtimeGuardrailTripped(tripped, text, shared.info, response_id, item_id))
        shared.stream.discard_audio(lambda unread: unread.audio.response_id == response_id)
        if self.on_stopped is not None:
            self.on_stopped(response_id)
        try:
            await shared.transport.interrupt(response_id)
            message = self._feedback(tripped)
            if message and self._turns.newest == response_id:  # a newer response is about something else
                role = shared.settings.feedback_role
                content = [{"type": "input_text", "text": message}]
                await shared.transport.send_message(
                    {"type": "message", "role": role, "content": content}, trigger_response=not shared.ending
                )
        except TransportError as error:
            shared.tell_error(error)

    def _feedback(self, tripped: list[OutputGuardrailResult]) -> str | None:
        message = self._shared.settings.feedback_message
        if message is None or isinstance(message, str):
            return message
        try:
            words = message(tripped)
            if words is not None and not isinstance(words, str):
                raise TypeError(f"it returned {type(words).__name__}, and no str")
            return words
        except Exception as error:  # noqa: BLE001 - the response is stopped, with or without words about it
            self._tell_failure("feedback_message", error, "The model was told nothing.")
            return None

    def _tell_failure(self, what: str, error: BaseException, so: str) -> None:
        self._shared.tell_error(ListenerError.of(what, error, so, event_type="output_guardrail"))
