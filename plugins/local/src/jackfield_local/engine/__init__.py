"""The Realtime API's behaviour as a state machine: no sockets, no tasks, no waiting.

`engine.Engine` is one session. Frames and results go in by its methods; events to send and effects to run come out.
"""
