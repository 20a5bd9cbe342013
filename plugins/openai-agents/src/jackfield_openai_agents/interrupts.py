"""The SDK's interrupt, with its four flags, as what a transport can do.

A transport's `interrupt` stops one response or everything: it cancels what is generated, and drops what isn't played
yet. How that is done, and who truncates, is the transport's business. The SDK also knows to do only one half of it.
"""

from __future__ import annotations

from agents.exceptions import UserError
from agents.realtime import RealtimeModelSendInterrupt

from jackfield.transport import RealtimeTransportLayer

from .responses import Responses

__all__ = ["interrupt"]


async def interrupt(transport: RealtimeTransportLayer, responses: Responses, asked: RealtimeModelSendInterrupt) -> None:
    """Do what `asked` says. Where nothing is to be stopped, nothing is sent.

    Raises:
        ValueError: flags that contradict one another.
        UserError: playback alone is to be stopped, of a response that is still being generated.

    """
    if asked.playback_only and (asked.cancel_response_only or asked.force_response_cancel):
        raise ValueError("playback_only means that nothing is cancelled: leave out the other flags, or playback_only")
    if asked.cancel_response_only:
        if asked.response_id is None:
            raise ValueError("cancel_response_only needs the response_id of what is to be cancelled")
        await _cancel(transport, responses, asked.response_id)
        return
    if asked.playback_only and responses.is_open(asked.response_id):
        raise UserError(
            "the response is still being generated, and its playback can't be stopped without cancelling it: leave out "
            "playback_only"
        )
    await transport.interrupt(asked.response_id)


async def _cancel(transport: RealtimeTransportLayer, responses: Responses, response_id: str) -> None:
    if not responses.cancel(response_id):
        return
    try:
        if responses.has_spoken(response_id):
            await transport.send_event({"type": "response.cancel", "response_id": response_id})
        else:
            await transport.interrupt(response_id)  # there is nothing to be heard of it that could be cut
    except BaseException:
        responses.not_cancelled(response_id)
        raise
