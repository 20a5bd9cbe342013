"""What it takes to reach an MCP server, checked before anything is started or sent."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict
from urllib.parse import urlsplit, urlunsplit

from jackfield.errors import ConfigurationError
from jackfield.naming import check_names

__all__ = [
    "MCPServerSseParams",
    "MCPServerStdioParams",
    "MCPServerStreamableHttpParams",
    "check_http_params",
    "check_seconds",
    "check_stdio_params",
    "shown_url",
]

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE = re.compile(r"[^\0\r\n]*")


class _Command(TypedDict):
    command: str
    """The program."""


class MCPServerStdioParams(_Command, total=False):
    """A program that speaks MCP over its standard input and output."""

    args: list[str]
    env: dict[str, str]
    """Variables beside the few harmless ones that the program inherits (PATH, HOME, ...)."""

    cwd: str | Path


class _Url(TypedDict):
    url: str


class MCPServerStreamableHttpParams(_Url, total=False):
    """A service that speaks MCP's streamable HTTP."""

    headers: dict[str, str]
    """Sent with every request."""

    timeout: float
    """Seconds for each step of a request but the reading: 5."""

    sse_read_timeout: float
    """Seconds that the server may be silent while it answers: 300."""


class MCPServerSseParams(_Url, total=False):
    """A service that speaks MCP's older HTTP with server-sent events."""

    headers: dict[str, str]
    """Sent with every request."""

    timeout: float
    """Seconds for each step of a request but the reading: 5."""

    sse_read_timeout: float
    """Seconds that the server may be silent: 300."""


def check_stdio_params(params: Any) -> None:
    """Raise `ConfigurationError` for params that start no program. No value of `env` is part of the message."""
    what = "MCPServerStdio's params"
    _check_keys(what, params, MCPServerStdioParams)
    command, args, cwd = params["command"], params.get("args", []), params.get("cwd")
    if not isinstance(command, str) or not command:
        raise ConfigurationError(f"{what}: command is the program to run, not {command!r}")
    if not isinstance(args, list | tuple) or not all(isinstance(argument, str) for argument in args):
        raise ConfigurationError(f"{what}: args is a list of str, one for each argument")
    if cwd is not None and not isinstance(cwd, str | Path):
        raise ConfigurationError(f"{what}: cwd is a directory, not {cwd!r}")
    _check_texts(f"{what}: env", params.get("env"))


def check_http_params(what: str, params: Any, shape: type) -> None:
    """Raise `ConfigurationError` for params that reach nothing. No value of `headers` is part of the message."""
    _check_keys(what, params, shape)
    url = params["url"]
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigurationError(f"{what}: url is where the server listens, as in http://127.0.0.1:8000/mcp")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError(f"{what}: credentials belong into headers, not into the url")
    headers = params.get("headers")
    _check_texts(f"{what}: headers", headers)
    for name, value in (headers or {}).items():
        if not _FIELD_NAME.fullmatch(name) or not _FIELD_VALUE.fullmatch(value):
            raise ConfigurationError(f"{what}: the header {name!r} holds what no HTTP header can")
    for limit in ("timeout", "sse_read_timeout"):
        if limit in params:
            check_seconds(limit, params[limit])


def check_seconds(name: str, value: object) -> None:
    """Raise `ConfigurationError` for what is no time limit."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ConfigurationError(f"{name}={value!r} is not a time limit: give seconds above 0")


def shown_url(url: str) -> str:
    """Return `url` without its query, which may hold a key."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _check_keys(what: str, params: Any, shape: Any) -> None:
    if not isinstance(params, Mapping):
        raise ConfigurationError(f"{what} are a dictionary, not {type(params).__name__}")
    check_names(f"{what} have no", params, sorted(shape.__required_keys__ | shape.__optional_keys__))
    for key in shape.__required_keys__:
        if key not in params:
            raise ConfigurationError(f"{what} lack {key!r}")


def _check_texts(what: str, texts: Any) -> None:
    if texts is None:
        return
    if not isinstance(texts, Mapping):
        raise ConfigurationError(f"{what} is a dictionary of str, not {type(texts).__name__}")
    for name, value in texts.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(f"{what}: {name!r} and its value are to be str")
