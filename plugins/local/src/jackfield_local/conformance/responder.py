"""A responder for the local server that says and calls what a test expects."""

from __future__ import annotations

from collections.abc import Sequence

from jackfield_local import Call, LocalServer, Reply, ResponseContext, Say

__all__ = ["ANSWER", "PlainResponder", "quiet_server"]

ANSWER = "It is sunny in Paris today, and it will stay so until the evening."


class PlainResponder:
    """Calls the first tool when the user has spoken, and says the answer otherwise."""

    def phrases(self, context: ResponseContext) -> Sequence[str]:
        return ["what is the weather in Paris"]

    async def respond(self, context: ResponseContext) -> Reply:
        if context.tools and context.items[-1]["type"] == "message":
            return [Call(context.tools[0]["name"], {"city": "Paris"})]
        return [Say(ANSWER)]


def quiet_server(*, pace: float = 0, api_key: str | None = None) -> LocalServer:
    """Return a local server without the speech extras; pace 0 is as fast as it goes."""
    return LocalServer(responder=PlainResponder(), recognizer=None, synthesizer=None, pace=pace, api_key=api_key)
