"""Audio over aiortc without what aiortc adds to it: for the transport, the local server, and whoever wants a peer.

`AudioPeer` is the whole of it; the other modules are its parts. `docs/webrtc.md` has what they cost.
"""

from __future__ import annotations

from .channel import DataChannelPort, MessageTooLargeError
from .codec import FRAME_BYTES, FRAME_MS, RATE, OpusDecoder, OpusEncoder
from .incoming import MediaCounts
from .outgoing import AudioSource, OutgoingAudio
from .peer import AudioPeer, SdpError, max_message_size
from .seam import MediaPath, use_stock

__all__ = [
    "FRAME_BYTES",
    "FRAME_MS",
    "RATE",
    "AudioPeer",
    "AudioSource",
    "DataChannelPort",
    "MediaCounts",
    "MediaPath",
    "MessageTooLargeError",
    "OpusDecoder",
    "OpusEncoder",
    "OutgoingAudio",
    "SdpError",
    "max_message_size",
    "use_stock",
]
