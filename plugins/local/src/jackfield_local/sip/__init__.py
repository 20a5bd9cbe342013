"""SIP: phone calls to the local server, and a small caller that makes some.

`messages`, `transactions`, `dialogs`, `invitations`, `user_agent`, `framing`, `sdp` and `rtp` do no I/O: messages in,
messages and deadlines out, with a clock that is handed in. `endpoint` and `rtp_port` are their sockets. `door` answers
calls for the server, `caller` places them.
"""
