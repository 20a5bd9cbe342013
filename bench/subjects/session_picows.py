"""A whole jackfield session on the optional Cython wire."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from . import session
from .base import Connection

TITLE = "jackfield session on picows"


def missing() -> str | None:
    return session.missing(wire="picows")


def connect(url: str) -> AbstractAsyncContextManager[Connection]:
    return session.connect(url, wire="picows")
