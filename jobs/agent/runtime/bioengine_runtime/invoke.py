"""Running the author's functions: coroutines on the loop, plain functions in threads."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Callable

_MIN_WORKERS = 8
_MAX_WORKERS = 256


class Invoker:
    """Calls functions of the deployment; owns the threads of the plain ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, max_ongoing: int):
        self._loop = loop
        workers = min(max(max_ongoing, _MIN_WORKERS), _MAX_WORKERS)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="method")

    async def call(self, function: Callable, *args: Any, **kwargs: Any) -> Any:
        """The result of the function, whatever kind of function it is.

        Leaving the process is not a method's business: SystemExit and its like
        become errors of the call.
        """
        try:
            if not is_plain(function):
                result = function(*args, **kwargs)
            else:
                result = await self._in_thread(function, args, kwargs)
            return await result if inspect.isawaitable(result) else result
        except (SystemExit, KeyboardInterrupt) as err:
            raise RuntimeError(f"the method ended with {type(err).__name__}: {err}") from err

    async def _in_thread(self, function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        context = contextvars.copy_context()
        call = functools.partial(context.run, _without_stop_iteration, function, args, kwargs)
        return await self._loop.run_in_executor(self._threads, call)

    def close(self) -> None:
        """Start nothing new; threads that are busy are left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def is_plain(function: Callable) -> bool:
    """Whether calling the function does its work at once, and so must not be done on the loop."""
    while isinstance(function, functools.partial):
        function = function.func
    return not (
        inspect.iscoroutinefunction(function)
        or inspect.isasyncgenfunction(function)
        or inspect.isgeneratorfunction(function)
    )


def _without_stop_iteration(function: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
    try:
        return function(*args, **kwargs)
    except StopIteration as err:  # a future refuses it, and the call would never end
        raise RuntimeError("the method raised StopIteration") from err


def for_threads(value: Any, loop: asyncio.AbstractEventLoop) -> Any:
    """The value with each remote function in it made callable from a thread."""
    if callable(value) and hasattr(value, "__rpc_object__"):
        return _ThreadFunction(value, loop)
    if isinstance(value, dict):
        for key, item in value.items():
            value[key] = for_threads(item, loop)
    elif isinstance(value, list):
        value[:] = [for_threads(item, loop) for item in value]
    return value


class _ThreadFunction:
    """A remote function for code that runs beside the loop.

    Calling it returns at once with a future whose ``result()`` waits.
    """

    def __init__(self, remote: Callable, loop: asyncio.AbstractEventLoop):
        functools.update_wrapper(self, remote, updated=())
        self.__rpc_object__ = remote.__rpc_object__
        self._remote, self._loop = remote, loop

    def __call__(self, *args: Any, **kwargs: Any) -> Future:
        async def call() -> Any:
            return await self._remote(*args, **kwargs)

        return asyncio.run_coroutine_threadsafe(call(), self._loop)
