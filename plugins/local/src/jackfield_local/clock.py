"""A hosted MCP server that every `LocalServer` has: it knows what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from jackfield_local.interfaces import HostedTool
from jackfield_local.mcp import FunctionServer

__all__ = ["CLOCK_URL", "clock_server"]

CLOCK_URL: Final = "https://clock.example/mcp"
"""The `server_url` that leads to the clock. Nothing is sent there: it is only a name."""

_TIME: Final = HostedTool(
    "get_time",
    "The current date and time.",
    {
        "type": "object",
        "properties": {"timezone": {"type": "string", "description": "An IANA time zone; UTC where there is none."}},
    },
    {"readOnlyHint": True},
)


def clock_server() -> FunctionServer:
    """Return the clock."""
    return FunctionServer({_TIME: _get_time})


def _get_time(timezone: str | None = None) -> str:
    try:
        zone = UTC if timezone is None else ZoneInfo(timezone)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"There is no time zone {timezone!r}. Name one such as Europe/Paris.") from error
    return datetime.now(zone).isoformat(timespec="seconds")
