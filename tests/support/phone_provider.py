"""A provider of phone calls in memory: it rings with signed webhooks, and a call has one owner and one end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import httpx
from standardwebhooks import Webhook

from .call_provider import CALL_ID, CallProvider
from .memory_wire import FarEnd

__all__ = ["EPOCH", "SECRET", "SIP_HEADERS", "PhoneProvider", "webhook"]

SECRET = "whsec_Y2FuYXJ5LXNlY3JldC04MWFh"
"""The secret of the webhooks; it must turn up nowhere."""
EPOCH = 1_800_000_000
"""When it is, in seconds since the epoch, while no time has passed."""
SIP_HEADERS = (
    ("From", '"Ada" <sip:+441234567890@carrier.example>;tag=1'),
    ("To", "<sip:+15550100@provider.test;transport=tls>"),
    ("Call-ID", "dialog-1@carrier.example"),
    ("X-Account", "gold"),
)


def webhook(
    call_id: str = CALL_ID,
    *,
    webhook_id: str = "wh_1",
    secret: str = SECRET,
    timestamp: int = EPOCH,
    headers: Any = SIP_HEADERS,
    event: Mapping[str, Any] | None = None,
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a webhook: `realtime.call.incoming`, or another `event`."""
    sip_headers = [{"name": name, "value": value} for name, value in headers]
    told = event or {
        "object": "event",
        "id": "evt_1",
        "type": "realtime.call.incoming",
        "created_at": timestamp,
        "data": {"call_id": call_id, "sip_headers": sip_headers},
    }
    body = json.dumps(told)
    signature = Webhook(secret).sign(webhook_id, datetime.fromtimestamp(timestamp, UTC), body)
    signed = {"webhook-id": webhook_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}
    return body.encode(), signed


class PhoneProvider(CallProvider):
    """Calls that ring until they are accepted or rejected, and are live until somebody hangs up."""

    def __init__(self) -> None:
        super().__init__()
        self.ringing: set[str] = set()
        self.live: set[str] = set()
        self.joinable = True
        """Whether live calls can be joined."""
        self.trouble: Exception | None = None
        """What is raised when somebody dials a sideband."""

    def rings(self, call_id: str = CALL_ID) -> None:
        """Have a call ring."""
        self.ringing.add(call_id)

    def caller_hangs_up(self, call_id: str = CALL_ID) -> None:
        """End a call, as the caller does."""
        self.ringing.discard(call_id)
        self._end(call_id)

    def is_live(self, call_id: str) -> bool:
        if self.trouble is not None:
            raise self.trouble
        return call_id in self.live and self.joinable

    def far_end(self, call_id: str = CALL_ID) -> FarEnd:
        """Return the latest sideband of a call."""
        return next(far for far in reversed(self.sidebands) if far.options.call_id == call_id)

    def answer(self, call_id: str, what: str) -> httpx.Response:
        if call_id not in self.ringing | self.live:
            return httpx.Response(404, json={"error": {"message": "No session found", "code": "call_id_not_found"}})
        if what in ("accept", "reject") and call_id in self.live:
            return httpx.Response(409, json={"error": {"message": "The call was accepted", "code": "conflict"}})
        if what == "accept":
            self.ringing.discard(call_id)
            self.live.add(call_id)
        elif what == "reject":
            self.ringing.discard(call_id)
        elif what == "hangup":
            self._end(call_id)
        return httpx.Response(200)

    def _end(self, call_id: str) -> None:
        self.live.discard(call_id)
        for far in self.sidebands:
            if far.options.call_id == call_id:
                far.close()
