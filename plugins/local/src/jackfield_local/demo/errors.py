"""What can stop the demo."""

from __future__ import annotations

from jackfield.errors import JackfieldError

__all__ = ["DemoError"]


class DemoError(JackfieldError):
    """The demo can't be held, or broke off; the message says why and what to do."""
