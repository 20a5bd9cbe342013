"""jackfield's WebSocket transport alone, on its optional Cython wire."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from . import transport
from .base import Connection

TITLE = "jackfield transport on picows"


def missing() -> str | None:
    return transport.missing(wire="picows")


def connect(url: str) -> AbstractAsyncContextManager[Connection]:
    return transport.connect(url, wire="picows")
