"""The browser relay: a browser holds the call over WebRTC, and an agent here drives it, tools and all.

`BrowserOffer` is an ASGI application; `Leash` bounds what a call may cost. They need the extra `relay`.
"""

from __future__ import annotations

try:
    import httpx as _httpx  # noqa: F401 - what is missing is to be said in words that help
    import starlette as _starlette  # noqa: F401
except ImportError as error:
    raise ImportError(f"the browser relay needs an extra ({error}): pip install 'jackfield[relay]'") from error

from jackfield_transports.sideband.leash import Leash

from .call import BrowserCall, CallEnd, EndReason
from .offer import BrowserOffer

__all__ = ["BrowserCall", "BrowserOffer", "CallEnd", "EndReason", "Leash"]
