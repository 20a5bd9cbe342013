"""Calls whose media passes us by: created or answered over HTTP, and joined over their sideband WebSocket.

`calls` is what is done to a call over HTTP, `wire` dials the socket of one, `transport` makes a transport of it. A
browser's call (`jackfield_transports.relay`) and a phone's differ in how they begin.
"""
