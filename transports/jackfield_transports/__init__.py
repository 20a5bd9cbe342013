"""The transports that come with jackfield, each a plugin like anyone's: websocket, azure, webrtc and sip."""
