"""The webrtc transport: the Realtime API over WebRTC."""
