"""Calling what the application gave, functions, coroutine functions and callable objects: on the loop or a thread."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from .errors import ConfigurationError, ToolError

__all__ = [
    "call_inline",
    "call_off_loop",
    "check_function",
    "concurrently",
    "is_being_cancelled",
    "name_of",
    "use_executor",
]

T = TypeVar("T")

_executor: contextvars.ContextVar[ThreadPoolExecutor | None] = contextvars.ContextVar("jackfield_threads", default=None)
"""Where the running session's sync functions run. A pool of their own: the loop's default pool carries media too."""


def use_executor(executor: ThreadPoolExecutor) -> None:
    """Run the sync functions of the current task on `executor`."""
    _executor.set(executor)


def check_function(_: object, attribute: Any, value: Any) -> None:
    """Raise `ConfigurationError` for what can't be called. An attrs validator."""
    if not callable(value):
        raise ConfigurationError(f"{attribute.name} is a function, not {value!r:.80}")


def name_of(function: object) -> str:
    """Return how a function is called, for messages; of a callable object, its class."""
    return str(getattr(function, "__name__", type(function).__name__))


async def call_inline(function: Callable[..., T | Awaitable[T]], *args: Any) -> T:
    """Call a function that is quick, on the loop; await what it returns where that is to be awaited."""
    result = function(*args)
    return await result if inspect.isawaitable(result) else result


async def call_off_loop(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function that may take its time: a coroutine function on the loop, any other on a thread."""
    if _is_async(function):
        return await function(*args, **kwargs)
    call = functools.partial(contextvars.copy_context().run, _guarded, function, args, kwargs)
    result = await asyncio.get_running_loop().run_in_executor(_executor.get(), call)
    return await result if inspect.isawaitable(result) else result


def is_being_cancelled() -> bool:
    """Tell whether the current task is to end, as opposed to something that it awaited having been cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def concurrently(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """Await all at the same time; the first failure cancels the others and is raised as itself."""
    tasks = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def _guarded(function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as error:
        # No future can hold a StopIteration: it would leave the call without an end.
        raise ToolError(f"StopIteration: {error}") from error
