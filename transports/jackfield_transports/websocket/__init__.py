"""The websocket transport: the Realtime API over a WebSocket."""
