"""Telling an application of a call: `realtime.call.incoming`, signed as Standard Webhooks has it, until it is taken."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec
from attrs import field, frozen

from jackfield.errors import ConfigurationError
from jackfield_local.engine.ids import IdSource

if TYPE_CHECKING:
    import httpx

__all__ = ["Webhook", "WebhookSender", "incoming_call", "signature"]

logger = logging.getLogger(__name__)

_USER_AGENT: Final = "OpenAI/1.0 (+https://platform.openai.com/docs/webhooks)"
_PREFIX: Final = "whsec_"
_ANSWER_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 60.0
_HIDDEN: Final = {"authorization", "proxy-authorization"}


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX)) if secret.startswith(_PREFIX) else secret.encode()


def _check_secret(_instance: object, _attribute: object, secret: str) -> None:
    try:
        empty = not _key(secret)
    except binascii.Error:
        empty = True
    if empty:
        raise ConfigurationError("The webhook's secret is empty, or no base64 behind whsec_.")


def _check_url(_instance: object, _attribute: object, url: str) -> None:
    if urlsplit(url).scheme not in ("http", "https"):
        raise ConfigurationError(f"The webhook's URL {url!r} is no http or https URL.")


@frozen
class Webhook:
    """Where an application is told of calls, and the secret that signs what it is told: `whsec_…`, or plain text."""

    url: str = field(validator=_check_url)
    secret: str = field(repr=False, validator=_check_secret)


def signature(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """Return the `webhook-signature` of a body."""
    signed = f"{webhook_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode()


def incoming_call(call_id: str, headers: Sequence[tuple[str, str]], event_id: str) -> dict[str, Any]:
    """Return the event for a call whose INVITE has these headers; credentials are left out."""
    sip_headers = [{"name": name, "value": value} for name, value in headers if name.lower() not in _HIDDEN]
    return {
        "object": "event",
        "id": event_id,
        "type": "realtime.call.incoming",
        "created_at": int(time.time()),
        "data": {"call_id": call_id, "sip_headers": sip_headers},
    }


class WebhookSender:
    """Sends events to a webhook: again and again, with ever longer pauses, until one is answered with 2xx."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook
        self._ids = IdSource()
        self._encode = msgspec.json.Encoder().encode
        self._client: httpx.AsyncClient | None = None

    async def send(self, call_id: str, headers: Sequence[tuple[str, str]], over: asyncio.Event) -> None:
        """Tell of a call until the application has taken note of it, or the call is over."""
        body = self._encode(incoming_call(call_id, headers, self._ids.new("evt")))
        webhook_id = self._ids.new("wh")
        pause = _FIRST_PAUSE_SECONDS
        # What was begun is not broken off: httpx would leave the socket of a connection that is being made.
        while not over.is_set() and not await self._post(webhook_id, body):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await over.wait()
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _post(self, webhook_id: str, body: bytes) -> bool:
        import httpx

        if self._client is None:
            # Nothing is kept open: an idle server holds no sockets.
            limits = httpx.Limits(max_keepalive_connections=0)
            self._client = httpx.AsyncClient(timeout=_ANSWER_SECONDS, trust_env=False, limits=limits)
        try:
            response = await self._client.post(self._webhook.url, content=body, headers=self._headers(webhook_id, body))
        except httpx.HTTPError as error:
            logger.info("The webhook can't be reached: %s", error or type(error).__name__)
            return False
        if not response.is_success:
            logger.info("The webhook answered with status %d", response.status_code)
        return response.is_success

    def _headers(self, webhook_id: str, body: bytes) -> Mapping[str, str]:
        timestamp = int(time.time())
        return {
            "content-type": "application/json",
            "user-agent": _USER_AGENT,
            "webhook-id": webhook_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._webhook.secret, webhook_id, timestamp, body),
        }
