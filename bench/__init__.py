"""What jackfield costs, measured beside the least that any client can do. Run: `python -m bench`.

`subjects` holds who is measured, one file each; `measures` what is measured, one file each; `frames` what the server
says; `server` the server, in a process of its own; `worker` the process that a subject runs in; `runner` starts and
pins them; `report` prints. This package is a tool of the repository and no part of what is installed.
"""
