"""Sub-commands that this distribution adds to `jackfield`. They import cheaply: servers are imported when one runs."""
