"""What came of a client: its setup, messages, audio and answers, as the provider understands them."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from .validation import InvalidMessageError, validate

__all__ = ["Received"]


class Received:
    """What came on one connection. `handles` are those with which a session can be taken up."""

    def __init__(self, handles: set[str]) -> None:
        self.handles = handles
        self.received: list[dict[str, Any]] = []
        """Every message that came, as it came."""
        self.setup: dict[str, Any] | None = None
        """The setup, its names in camelCase."""
        self.instructions: list[str] = []
        """The instructions of the setup, and of each update that changed them."""
        self.tools: list[str] = []
        """The names of the functions that were declared last."""
        self.turns: list[dict[str, Any]] = []
        """The turns of `clientContent`, in order."""
        self.messages: list[str] = []
        """The texts of the user's messages, in order."""
        self.images = 0
        self.commits = 0
        """How often the user's turn was ended by hand: activityEnd, or audioStreamEnd."""
        self.activities = 0
        """How often it was begun by hand."""
        self.outputs: dict[str, str] = {}
        """The outputs of function calls, by call id: the text under `output`, or else the whole response as JSON."""
        self.tool_responses: list[list[dict[str, Any]]] = []
        """Each `toolResponse`, with its answers."""
        self.requests = 0
        """How many responses were asked for: by a complete turn, an end by hand, text in real time, or answers."""
        self._heard: list[bytes] = []

    @property
    def heard(self) -> bytes:
        """The user's audio, PCM16 mono at 16,000 Hz."""
        return b"".join(self._heard)

    def take(self, message: dict[str, Any], *, accepted: bool) -> None:
        """Take a message into account, its names in camelCase; raise `InvalidMessageError` for what isn't accepted."""
        kind = validate(message)
        if (self.setup is None) is not (kind == "setup"):
            raise InvalidMessageError("The first message, and only that, must be the setup.")
        if kind != "setup" and not accepted:
            raise InvalidMessageError("Nothing may be sent before the setup is complete.")
        inner = message[kind]
        match kind:
            case "setup":
                handle = inner.get("sessionResumption", {}).get("handle")
                if handle and handle not in self.handles:
                    raise InvalidMessageError("Invalid session resumption handle.")
                if "/" not in inner.get("model", ""):
                    raise InvalidMessageError("The model's name must be of the form models/{model}.")
                self.setup = inner
                self._configured(inner)
            case "contextUpdate":
                self._configured({**inner, **({"tools": inner["tools"].get("tools", [])} if "tools" in inner else {})})
            case "clientContent":
                self._content(inner)
            case "realtimeInput":
                self._realtime(inner)
            case "toolResponse":
                self._answers(inner.get("functionResponses", []))

    def _configured(self, told: Mapping[str, Any]) -> None:
        if "systemInstruction" in told:
            self.instructions.append(_texts(told["systemInstruction"].get("parts", [])))
        if "tools" in told:
            declared = [tool.get("functionDeclarations", []) for tool in told["tools"]]
            self.tools = [declaration["name"] for declaration in itertools.chain(*declared)]

    def _content(self, told: Mapping[str, Any]) -> None:
        for turn in told.get("turns", []):
            if turn.get("role", "user") not in ("user", "model"):
                raise InvalidMessageError("Please use a valid role: user, model.")
            self.turns.append(turn)
            parts = turn.get("parts", [])
            self.images += sum("inlineData" in part for part in parts)
            if turn.get("role", "user") == "user" and any("text" in part for part in parts):
                self.messages.append(_texts(parts))
        self.requests += bool(told.get("turnComplete"))

    def _realtime(self, told: Mapping[str, Any]) -> None:
        manual = (self.setup or {}).get("realtimeInputConfig", {}).get("automaticActivityDetection", {})
        for blob in [*told.get("mediaChunks", []), *([told["audio"]] if "audio" in told else [])]:
            if not blob.get("mimeType", "").startswith("audio/pcm"):
                raise InvalidMessageError(f"Unsupported audio: {blob.get('mimeType')!r}.")
            self._heard.append(
                base64.b64decode(blob["data"], altchars=b"-_" if set(blob["data"]) & set("-_") else None)
            )
        if manual.get("disabled") and told.get("audioStreamEnd"):
            raise InvalidMessageError("audioStreamEnd is for automatic activity detection.")
        if not manual.get("disabled") and ("activityStart" in told or "activityEnd" in told):
            raise InvalidMessageError("Explicit activity control is not supported when automatic detection is enabled.")
        self.images += "video" in told
        self.activities += "activityStart" in told
        ended = "activityEnd" in told or told.get("audioStreamEnd") is True
        self.commits += ended
        if "text" in told:
            self.messages.append(told["text"])
        self.requests += ended or "text" in told

    def _answers(self, answers: Sequence[Mapping[str, Any]]) -> None:
        if not answers:
            raise InvalidMessageError("A tool response needs function responses.")
        self.tool_responses.append([dict(answer) for answer in answers])
        for answer in answers:
            if not isinstance(answer.get("response"), Mapping) or not answer.get("name"):
                raise InvalidMessageError("A function response needs a name, and an object as response.")
            response = answer["response"]
            output = response.get("output")
            self.outputs[answer.get("id", "")] = output if isinstance(output, str) else json.dumps(response)
        self.requests += 1


def _texts(parts: Sequence[Mapping[str, Any]]) -> str:
    return "".join(part.get("text", "") for part in parts)
