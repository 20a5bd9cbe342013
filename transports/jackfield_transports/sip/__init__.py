"""Phone calls that the Realtime API answers over SIP.

`SipTransport` (by name: `sip`) joins a call by its id. `SipCallServer` answers calls, from the provider's webhook to
their end; its parts can be had one by one: `Webhooks`, `IncomingCall`, `build_initial_config`, `CallsClient`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackfield.lazy import lazy_exports

if TYPE_CHECKING:
    from jackfield_transports.sideband.calls import CallsClient
    from jackfield_transports.sideband.errors import CallGoneError, CallOutcomeUnknownError, CallTakenError
    from jackfield_transports.sideband.leash import Leash

    from .afterwards import Afterwards, Hangup, Refer
    from .call import CallEnd, PhoneCall
    from .config import build_initial_config
    from .incoming import IncomingCall, SipAddress, SipHeaders
    from .server import SipCallServer
    from .transport import SipTransport
    from .webhooks import Webhooks, WebhookVerificationError

__all__ = [
    "Afterwards",
    "CallEnd",
    "CallGoneError",
    "CallOutcomeUnknownError",
    "CallTakenError",
    "CallsClient",
    "Hangup",
    "IncomingCall",
    "Leash",
    "PhoneCall",
    "Refer",
    "SipAddress",
    "SipCallServer",
    "SipHeaders",
    "SipTransport",
    "WebhookVerificationError",
    "Webhooks",
    "build_initial_config",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Afterwards": "afterwards",
        "CallEnd": "call",
        "CallGoneError": "transport",
        "CallOutcomeUnknownError": "transport",
        "CallTakenError": "transport",
        "CallsClient": "transport",
        "Hangup": "afterwards",
        "IncomingCall": "incoming",
        "Leash": "call",
        "PhoneCall": "call",
        "Refer": "afterwards",
        "SipAddress": "incoming",
        "SipCallServer": "server",
        "SipHeaders": "incoming",
        "SipTransport": "transport",
        "WebhookVerificationError": "webhooks",
        "Webhooks": "webhooks",
        "build_initial_config": "config",
    },
)
