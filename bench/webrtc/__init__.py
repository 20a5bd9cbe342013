"""What a WebRTC call costs, beside a pair of bare aiortc that does the same media with no framework.

`stock` and `ours` are the two kinds of calls, one file each; `base` says what a kind is. `talk` is what is said and how
it is heard; `side` the process at one end of the calls; `pair` the processes at both ends, and what is taken of them.
The tables are `bench.measures.webrtc`'s.
"""

from __future__ import annotations

import importlib
from typing import Final, cast

from .base import Kind

ORDER: Final = ("stock", "ours")
"""All kinds, in the order of the tables. The first is what the other is compared with."""


def load(name: str) -> Kind:
    """Import a kind's module; what it measures is imported when it is used."""
    return cast("Kind", importlib.import_module(f"bench.webrtc.{name}"))
