"""What jackfield costs, measured beside the least that any client can do. Run: `python -m bench`.

`subjects` holds who is measured, one file each; `measures` what is measured, one file each; `frames` what the server
says; `server` and `paced_server` the servers, each in a process of its own, the one as fast as it can and the other in
real time; `paced` the rounds in real time; `worker` the process that a subject runs in; `webrtc` and `sip` calls with
audio, with subjects and processes of their own; `commands` how these are told what to do, and `contention` whether
others had the core; `runner` starts and pins them all; `report` prints. This package is a tool of the repository and no
part of what is installed.
"""
