"""What the transports to OpenAI's API share about where they go: its address, its key, and what we call ourselves.

Addresses, credentials and refusals as such are in `jackfield.wire.address`.
"""

from __future__ import annotations

import os

import jackfield
from jackfield.transport import ConnectOptions
from jackfield.wire.address import asked_key

__all__ = ["DEFAULT_BASE_URL", "DEFAULT_MODEL", "base_url", "openai_key", "user_agent"]

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_MODEL = "gpt-realtime"


def base_url() -> str:
    """Return the base of the API: OPENAI_BASE_URL, or OpenAI's own."""
    return (os.environ.get("OPENAI_BASE_URL") or DEFAULT_BASE_URL).rstrip("/")


async def openai_key(options: ConnectOptions) -> str:
    """Return the key of the OpenAI API, asked for now. Raises `AuthenticationError` where there is none."""
    return await asked_key(options, "OPENAI_API_KEY")


def user_agent() -> str:
    """Return what we call ourselves in requests."""
    return f"jackfield/{jackfield.__version__}"
