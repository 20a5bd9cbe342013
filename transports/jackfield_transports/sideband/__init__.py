"""Calls whose media passes us by: created or answered over HTTP, and joined over their sideband WebSocket.

`calls` is what is done to a call over HTTP, `wire` dials the socket of one, `transport` makes a transport of it;
`leash` bounds a call, and `ending` is what its end has to do. A browser's call (`jackfield_transports.relay`) and a
phone's (`jackfield_transports.sip`) differ in how they begin.
"""
