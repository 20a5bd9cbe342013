"""Webhooks of the provider: whether one is genuine, fresh and new (Standard Webhooks), and what it tells.

The signature is that of the raw body: it is checked before anything in it is read.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import field, frozen
from standardwebhooks import Webhook

from jackfield.transport import ConfigurationError, JackfieldError

from .incoming import IncomingCall, incoming_call

__all__ = ["Recent", "WebhookReplayedError", "WebhookVerificationError", "Webhooks"]

_PREFIX: Final = "whsec_"


class WebhookVerificationError(JackfieldError):
    """A webhook is not genuine, not fresh, or not whole: it is to be refused. `status` is the HTTP status for that."""

    def __init__(self, message: str, *, status: int = 401) -> None:
        super().__init__(message)
        self.status = status


class WebhookReplayedError(WebhookVerificationError):
    """The webhook was delivered before: by the provider, to be sure, or by somebody who overheard it."""


class Recent:
    """What happened of late, each for `seconds`."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[str, float] = {}

    def claim(self, key: str) -> bool:
        """Note `key`; return False where it was noted before, and not so long ago."""
        now = self._clock()
        while self._until:
            oldest = next(iter(self._until))
            if self._until[oldest] > now:
                break
            del self._until[oldest]
        if key in self._until:
            return False
        self._until[key] = now + self._seconds
        return True

    def release(self, key: str) -> None:
        """Take it that `key` didn't happen."""
        self._until.pop(key, None)


@frozen(eq=False)
class Webhooks:
    """Verifies webhooks with one of several `secrets`, so that one can take the place of another without a gap.

    By default they are in OPENAI_WEBHOOK_SECRET, with blanks or commas between them. A webhook whose timestamp is
    further than `tolerance_seconds` from `clock` (seconds since the epoch) is refused, and so is one that comes again
    within the time in which it would not be.
    """

    secrets: Sequence[str] | str | None = field(default=None, repr=False)
    tolerance_seconds: float = 300.0
    clock: Callable[[], float] = field(default=time.time, repr=False)
    _signers: tuple[Webhook, ...] = field(init=False, repr=False)
    _seen: Recent = field(init=False, repr=False)

    @_signers.default
    def _make_signers(self) -> tuple[Webhook, ...]:
        given = self.secrets
        if given is None:
            given = os.environ.get("OPENAI_WEBHOOK_SECRET", "")
        secrets = [secret for secret in re.split(r"[\s,]+", given) if secret] if isinstance(given, str) else given
        if not secrets:
            raise ConfigurationError(
                "webhooks can't be verified without their secret: give Webhooks(secret), or set OPENAI_WEBHOOK_SECRET"
            )
        return tuple(_signer(secret) for secret in secrets)

    @_seen.default
    def _make_seen(self) -> Recent:
        return Recent(2 * self.tolerance_seconds + 1, self.clock)

    def unwrap(self, body: bytes, headers: Mapping[str, str]) -> IncomingCall | None:
        """Return the call that a webhook tells of; None where it tells of something else.

        Raises `WebhookVerificationError` for what is to be refused: then nothing in it may be believed.
        """
        lower = {name.lower(): value for name, value in headers.items()}
        webhook_id, timestamp = lower.get("webhook-id", ""), lower.get("webhook-timestamp", "")
        if not webhook_id or not re.fullmatch(r"\d{1,15}", timestamp, re.ASCII):
            raise WebhookVerificationError("the webhook has no id or no timestamp", status=400)
        if not self._is_signed(body, webhook_id, int(timestamp), lower.get("webhook-signature", "")):
            raise WebhookVerificationError("the webhook's signature is by none of the secrets")
        if abs(self.clock() - int(timestamp)) > self.tolerance_seconds:
            raise WebhookVerificationError("the webhook's timestamp is too far from this machine's time")
        try:
            call = incoming_call(body, webhook_id)
        except ValueError as error:
            raise WebhookVerificationError(f"the webhook can't be read: {type(error).__name__}", status=400) from error
        if not self._seen.claim(webhook_id):
            raise WebhookReplayedError("the webhook was delivered before")
        return call

    def forget(self, webhook_id: str) -> None:
        """Take a webhook for not delivered, since it was turned away: it may come again."""
        self._seen.release(webhook_id)

    def _is_signed(self, body: bytes, webhook_id: str, timestamp: int, signatures: str) -> bool:
        try:
            text, moment = body.decode(), datetime.fromtimestamp(timestamp, UTC)
        except (ValueError, OverflowError, OSError):
            return False
        given = [entry.encode() for entry in signatures.split()]
        wanted = [signer.sign(webhook_id, moment, text).encode() for signer in self._signers]
        # Every pair is compared, so that the time it takes tells nothing.
        return sum(hmac.compare_digest(want, entry) for want in wanted for entry in given) > 0


def _signer(secret: object) -> Webhook:
    if not isinstance(secret, str) or not secret:
        raise ConfigurationError("a webhook's secret is text, such as whsec_...: one given is not")
    if not secret.startswith(_PREFIX):
        return Webhook(secret.encode())
    encoded = secret.removeprefix(_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ConfigurationError("a webhook's secret that begins with whsec_ goes on in base64: one given does not")
    return Webhook(key)
